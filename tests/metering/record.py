"""Records what the real engine says, through Hostler: `python -m tests.metering.record` writes `transcripts/` anew.

One file each, as an HTTP message is written: the path it answers, the status, the headers that matter, an empty line, the body.
The expected usage lies beside it, as `….json`: as the meter reads it, to be checked by eye before it is committed.
Nothing of the machine gets into them: the engine is told its model's name and says neither paths nor hosts.
"""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import httpx
import msgspec

from app import demo
from app.metering.meter import Meter
from app.metering.usage import Usage
from tests.program import PATIENCE_S, hostler

FOLDER = Path(__file__).parent / "transcripts"

MESSAGES = [{"role": "user", "content": "What is the capital of France?"}]
LONG = "The cat sat on the mat. " * 12
CODE = {"input_prefix": "def add(a, b):\n    return ", "input_suffix": "\n\nprint(add(1, 2))\n"}
WITH_USAGE = {"stream": True, "stream_options": {"include_usage": True}}

REQUESTS: dict[str, tuple[str, dict[str, object]]] = {
    "chat": ("/v1/chat/completions", {"messages": MESSAGES}),
    # The same prompt again: most of it comes from the cache.
    "chat-cached": ("/v1/chat/completions", {"messages": MESSAGES}),
    "chat-stream": ("/v1/chat/completions", {"messages": MESSAGES, "stream": True}),
    "chat-stream-usage": ("/v1/chat/completions", {"messages": MESSAGES, **WITH_USAGE}),
    "chat-stream-timings": (
        "/v1/chat/completions",
        {"messages": MESSAGES, "stream": True, "timings_per_token": True, "max_tokens": 4},
    ),
    "chat-stream-long": (
        "/v1/chat/completions",
        {"messages": [{"role": "user", "content": LONG}], "ignore_eos": True, "max_tokens": 48, **WITH_USAGE},
    ),
    "chat-error": ("/v1/chat/completions", {"messages": "no list"}),
    "completions": ("/v1/completions", {"prompt": "One, two, three,"}),
    "completions-stream": ("/v1/completions", {"prompt": "One, two, three,", "stream": True}),
    "completion": ("/completion", {"prompt": "Four, five,", "n_predict": 5}),
    "completion-stream": ("/completion", {"prompt": "Four, five,", "n_predict": 5, "stream": True}),
    "infill": ("/infill", {**CODE, "n_predict": 5}),
    "infill-stream": ("/infill", {**CODE, "n_predict": 5, "stream": True}),
    "messages": ("/v1/messages", {"messages": MESSAGES}),
    "messages-stream": ("/v1/messages", {"messages": MESSAGES, "stream": True}),
    "responses": ("/v1/responses", {"input": "What is the capital of France?"}),
    "responses-stream": ("/v1/responses", {"input": "What is the capital of France?", "stream": True}),
    "embeddings": ("/v1/embeddings", {"input": "a cat", "model": "vectors"}),
    "embeddings-base64": (
        "/v1/embeddings",
        {"input": ["a cat", "a dog"], "model": "vectors", "encoding_format": "base64"},
    ),
    "embeddings-unsupported": ("/v1/embeddings", {"input": "a cat"}),
    "rerank": ("/v1/rerank", {"query": "cat", "documents": ["a cat", "a house"], "model": "ranks"}),
}
"""Name of the transcript -> path and what is asked besides the model and the number of tokens."""

MORE_MODELS = """
  vectors:
    cmd: ${engine} --ctx-size 1024 --embeddings --pooling mean
  ranks:
    cmd: ${engine} --ctx-size 1024 --reranking
"""


@dataclass(frozen=True)
class Transcript:
    """One recorded answer."""

    path: str
    status: int
    content_type: str
    content_encoding: str
    body: bytes

    def text(self) -> bytes:
        """Returns it as it is kept."""
        head = f"{self.path}\n{self.status}\ncontent-type: {self.content_type}\n"
        head += f"content-encoding: {self.content_encoding}\n\n"
        return head.encode() + self.body


def transcript(text: bytes) -> Transcript:
    """Returns what `Transcript.text` has made."""
    head, _, body = text.partition(b"\n\n")
    path, status, content_type, encoding = head.decode().split("\n")
    return Transcript(
        path,
        int(status),
        content_type.removeprefix("content-type: "),
        encoding.removeprefix("content-encoding:").strip(),
        body,
    )


def usage_of(recorded: Transcript) -> Usage:
    """Returns what a meter makes of it in one piece."""
    meter = Meter(recorded.path, recorded.status, recorded.content_type, recorded.content_encoding)
    meter.feed(recorded.body)
    return meter.finish()


def ask(url: str, path: str, body: dict[str, object]) -> Transcript:
    """Asks the engine and returns its answer, byte by byte."""
    asked = {"model": "gemma", "max_tokens": 16, **body}
    with httpx.stream("POST", url + path, json=asked, timeout=PATIENCE_S) as answer:
        raw = b"".join(answer.iter_raw())
    headers = answer.headers
    return Transcript(
        path, answer.status_code, headers.get("content-type", ""), headers.get("content-encoding", ""), raw
    )


def main() -> None:
    """Records all of them."""
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = demo.demo_config(demo.model_file(), sys.executable) + MORE_MODELS
        with hostler(folder, config) as program:
            for each, (path, body) in REQUESTS.items():
                recorded = ask(program.url, path, body)
                (FOLDER / f"{each}.txt").write_bytes(recorded.text())
                (FOLDER / f"{each}.json").write_text(
                    json.dumps(msgspec.structs.asdict(usage_of(recorded)), indent=1) + "\n"
                )
                print(each, recorded.status, len(recorded.body), recorded.content_type)


if __name__ == "__main__":
    main()
