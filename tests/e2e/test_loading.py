"""The loading stream of the whole program, with real processes and the official clients."""

from __future__ import annotations

import shlex
from pathlib import Path

import anthropic
import httpx
import openai
import pytest

from tests.fake_upstream import argv
from tests.ports import free_port
from tests.program import PATIENCE_S, hostler

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


def config(*names: str) -> str:
    """Returns a configuration of models that take a moment to load, one at a time."""
    text = "sendLoadingState: true\nmodels:\n"
    for name in names:
        port = free_port()
        command = shlex.join(argv(port, "--model", name, "--start-delay", "0.3"))
        text += f"  {name}:\n    cmd: {command}\n    proxy: http://127.0.0.1:{port}\n"
    return text


def test_each_api_is_told_in_its_own_words_and_its_client_reads_on(tmp_path: Path) -> None:
    with (
        hostler(tmp_path, config("a", "b", "c")) as program,
        openai.OpenAI(base_url=f"{program.url}/v1", api_key="x", max_retries=0, timeout=PATIENCE_S) as chats,
        anthropic.Anthropic(base_url=program.url, api_key="x", max_retries=0, timeout=PATIENCE_S) as messages,
    ):
        chunks = list(
            chats.chat.completions.create(model="a", messages=[{"role": "user", "content": "?"}], stream=True)
        )
        with messages.messages.stream(model="b", max_tokens=9, messages=[{"role": "user", "content": "?"}]) as answered:
            text = answered.get_final_text()
        with chats.responses.stream(model="c", input="?") as responding:
            response = responding.get_final_response()

    told = "".join(getattr(chunk.choices[0].delta, "reasoning_content", None) or "" for chunk in chunks)
    assert told.startswith("━━━━━\nllama-swap loading model: a\n")
    assert told.endswith("s)\n━━━━━\n \n")
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "a 0 a 1 a 2 "
    assert text == "b 0 b 1 b 2 "
    assert response.output_text == "c 0 c 1 c 2 "


def test_crash_after_the_loading_is_seen_by_the_client(tmp_path: Path) -> None:
    with hostler(tmp_path, config("a")) as program:
        body = {"model": "a", "stream": True, "messages": [], "crash_after": 1}
        with (
            pytest.raises(httpx.RemoteProtocolError),
            httpx.stream("POST", f"{program.url}/v1/chat/completions", json=body, timeout=PATIENCE_S) as reply,
        ):
            reply.read()
