"""A Hostler that looks like somebody's: models that only talk, a day's requests, and requests under way."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

from tests.program import PATIENCE_S, Program
from tests.ui import talker

CHAT, CODER, SMALL, PAINTER = "llama-3.3-70b", "qwen3-coder-30b", "gemma-3-4b", "flux-1-schnell"

ANSWER = r"""
Both roots come from completing the square. For $ax^2 + bx + c = 0$ with $a \neq 0$:

$$x_{1,2} = \frac{-b \pm \sqrt{b^2 - 4ac}}{2a}$$

The number under the root decides how many there are. In floating point, one of the two loses its digits when $b^2 \gg 4ac$, so
compute the large one first and the other from the product $x_1 x_2 = c / a$:

```python
from math import copysign, sqrt

def roots(a: float, b: float, c: float) -> tuple[float, float]:
    # The sum never cancels: both terms have the sign of b.
    q = -(b + copysign(sqrt(b * b - 4 * a * c), b)) / 2
    return q / a, c / q
```
"""

THOUGHTS = "The user wants the quadratic formula and code. Mention cancellation, which most textbooks leave out. Keep it short."

STORY = (
    "It began to rain in the afternoon, at first so lightly that nobody looked up. By five the gutters were full, and the "
    "tram had stopped at the corner with its lamps on. People read their papers and waited. Somebody laughed. " * 6
)

PACES = {CHAT: 0.009, CODER: 0.006, "gemma-3-27b": 0.007, SMALL: 0.003}
"""Seconds for each piece of an answer."""

LOG = "".join(
    f"\x1b[90m{n // 60}.{n % 60:02d}.{n * 137 % 1000:03d}\x1b[0m {line}\n"
    for n, line in enumerate(
        [
            "I build: 6915 (e8a62631) with gcc 13.3.0 for x86_64-linux-gnu",
            "I main: loading model",
            "\x1b[36mI\x1b[0m llama_model_loader: loaded meta data with 44 key-value pairs and 771 tensors",
            "\x1b[36mI\x1b[0m print_info: arch = llama, n_ctx_train = 131072, n_embd = 8192, n_layer = 80",
            "\x1b[33mW\x1b[0m load: control-looking token: 128247 was not control-type; this is probably a bug in the model",
            "\x1b[36mI\x1b[0m load_tensors: offloading 80 repeating layers to GPU",
            "\x1b[36mI\x1b[0m llama_context: n_ctx = 32768, n_batch = 2048, flash_attn = enabled",
            "\x1b[36mI\x1b[0m llama_kv_cache: size = 10240.00 MiB (32768 cells, 80 layers, 4/1 seqs)",
            "\x1b[32mI main: server is listening, all slots are idle\x1b[0m",
            "I slot launch_slot_: id 0 | task 0 | processing task",
            "I slot print_timing: prompt eval time = 412.60 ms / 812 tokens (1968.01 tokens per second)",
            "I slot print_timing: eval time = 4021.77 ms / 148 tokens (36.80 tokens per second)",
        ]
    )
)

CONFIG = f"""
# Four big models take turns on the GPU; the small ones are always there.
captureBuffer: 16
performance: {{every: 1h}}
models:
  {CHAT}:
    name: Llama 3.3 70B
    description: General talk, long documents
    cmd: llama-server --model /models/llama-3.3-70b-q4.gguf --ctx-size 32768 --alias {CHAT} --api-key sk-local --port ${{PORT}}
    aliases: [gpt-4o]
    ttl: 1800
    capabilities: {{in: [text], out: [text], tools: true, context: 32768}}
  {CODER}:
    name: Qwen3 Coder 30B
    description: Code, with tools
    cmd: llama-server --model /models/qwen3-coder-30b-a3b-q5.gguf --jinja --alias {CODER} --port ${{PORT}}
    aliases: [gpt-4.1]
    capabilities: {{in: [text], out: [text], tools: true, context: 262144}}
  gemma-3-27b:
    description: Reads pictures, too
    cmd: llama-server --model /models/gemma-3-27b-q4.gguf --mmproj /models/gemma-3-mmproj.gguf --alias gemma-3-27b --port ${{PORT}}
    capabilities: {{in: [text, image], out: [text], context: 131072}}
  {PAINTER}:
    name: FLUX.1 schnell
    cmd: sd-server --diffusion-model /models/flux1-schnell-q8.gguf --alias {PAINTER} --port ${{PORT}}
    capabilities: {{in: [text], out: [image]}}
  {SMALL}:
    name: Gemma 3 4B
    description: Titles and summaries
    cmd: llama-server --model /models/gemma-3-4b-q8.gguf --alias {SMALL} --port ${{PORT}}
    capabilities: {{in: [text, image], out: [text], context: 131072}}
  bge-reranker-v2:
    cmd: llama-server --model /models/bge-reranker-v2-m3.gguf --reranking --alias bge-reranker-v2 --port ${{PORT}}
    capabilities: {{reranker: true}}
  whisper-large-v3:
    cmd: whisper-server --model /models/ggml-large-v3.bin --alias whisper-large-v3 --port ${{PORT}}
    capabilities: {{in: [audio], out: [text]}}
  mistral-nightly:
    cmd: llama-server-nightly --model /models/mistral-next.gguf --port ${{PORT}}
    unlisted: true
groups:
  small: {{swap: false, exclusive: false, persistent: true, members: [{SMALL}, bge-reranker-v2, whisper-large-v3]}}
selectors:
  fast: {{strategy: warm, targets: [{SMALL}, {CODER}], description: Whichever is loaded}}
profiles:
  night: {{description: Small models only, pins: {{gpt-4o: {SMALL}, {PAINTER}: ""}}}}
"""


def furnish(folder: Path) -> None:
    """Makes programs of the models' names that say what is to be said."""
    programs = folder / "bin"
    programs.mkdir()
    for name in ("llama-server", "whisper-server", "sd-server"):
        file = programs / name
        file.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{talker.PROGRAM}" "{folder}" --load 0.7 "$@"\n')
        file.chmod(0o755)
    nightly = programs / "llama-server-nightly"
    nightly.write_text("#!/bin/sh\necho 'error: unknown model architecture: mistral-next'\nexit 1\n")
    nightly.chmod(0o755)
    os.environ["PATH"] = f"{programs}{os.pathsep}{os.environ['PATH']}"
    for name in (CHAT, CODER, "gemma-3-27b", PAINTER, SMALL, "bge-reranker-v2", "whisper-large-v3"):
        (folder / name).mkdir()
        (folder / name / "log.txt").write_text(LOG)
        (folder / name / "answer.md").write_text(STORY)
        (folder / name / "pace").write_text(str(PACES.get(name, 0.006)))
    (folder / CHAT / "answer.md").write_text(ANSWER)
    (folder / CHAT / "thoughts.md").write_text(THOUGHTS)


def ask(program: Program, model: str, agent: str, text: str, **more: Any) -> None:
    body = {"model": model, "messages": [{"role": "user", "content": text}], "stream": True, **more}
    headers = {"User-Agent": agent, "X-Session-ID": f"{agent.partition('/')[0]}-7f3a"}
    with suppress(httpx.TransportError):  # those that are cut in the end
        httpx.post(f"{program.url}/v1/chat/completions", json=body, headers=headers, timeout=PATIENCE_S)


def use(program: Program) -> None:
    """Does what a day's users do."""
    ask(program, SMALL, "OpenWebUI/0.6", "A title for a conversation about tides, please.", max_tokens=12)
    ask(program, CHAT, "OpenWebUI/0.6", "Why are there two tides a day?", max_tokens=180)
    ask(program, CHAT, "OpenWebUI/0.6", "And how do I solve $ax^2 + bx + c = 0$ in Python?", temperature=0.7)
    httpx.post(f"{program.url}/v1/embeddings", json={"model": SMALL, "input": "tides"}, timeout=PATIENCE_S)
    ask(program, CODER, "opencode/1.2", "Write a test for the function above.", max_tokens=90)
    ask(program, "gpt-4.1", "opencode/1.2", "Now make it pass.", stream=False, max_tokens=60)
    ask(program, "mistral-nightly", "curl/8.5.0", "Are you there?")
    documents = ["The tide is low.", "Rain."]
    reranked = {"model": "bge-reranker-v2", "query": "tides", "documents": documents}
    httpx.post(f"{program.url}/v1/rerank", json=reranked, timeout=PATIENCE_S)
    for n in range(9):
        ask(program, SMALL, "n8n/1.90", f"Summarise message {n + 1} in one sentence.", max_tokens=14 + 9 * n % 40)
    ask(program, "gemma-3-27b", "OpenWebUI/0.6", "What is in this picture?", max_tokens=70)
    ask(program, "gpt-5", "curl/8.5.0", "Hello?")
    ask(program, CHAT, "OpenWebUI/0.6", "Thank you. One more: what is a neap tide?", max_tokens=140)


@contextmanager
def busy(program: Program) -> Iterator[None]:
    """Has streams under way, and requests that wait for a model that has no room."""
    wanted = [
        (CHAT, "OpenWebUI/0.6", "Tell me everything about tides."),
        (CHAT, "opencode/1.2", "Review this change."),
        (SMALL, "n8n/1.90", "Summarise the week."),
        (CODER, "opencode/1.2", "Write the next function."),
        (CODER, "Continue/1.0", "Complete this line."),
    ]
    threads = [
        threading.Thread(target=ask, args=(program, model, agent, text), kwargs={"pace_s": 0.25}, daemon=True)
        for model, agent, text in wanted
    ]
    for number, thread in enumerate(threads, 1):
        thread.start()

        def is_known(number: int = number) -> bool:
            return len(program.get("/api/inflight").json()["requests"]) >= number

        program.until(is_known)
    try:
        yield
    finally:
        for request in program.get("/api/inflight").json()["requests"]:
            httpx.post(f"{program.url}/api/inflight/{request['id']}/cancel", timeout=PATIENCE_S)
        for thread in threads:
            thread.join(PATIENCE_S)
