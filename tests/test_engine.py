"""`hostler engine`: the flags, the errors, and the life of the real server with the real model."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import xllamacpp

from app import demo, engine
from tests.ports import free_port

SAMPLES = {
    "--host": "127.0.0.2",
    "--alias": "one,two",
    "--api-key": "one,two",
    "--fit": "on",
    "--flash-attn": "off",
    "--cache-type-k": "q8_0",
    "--cache-type-v": "q8_0",
    "--pooling": "mean",
    "--reasoning-format": "deepseek-legacy",
    "--split-mode": "row",
    "--numa": "distribute",
    "--rope-scaling": "yarn",
    "--override-tensor": "blk.*=CPU",
    "--reverse-prompt": r"\nQuestion:",
    "--n-gpu-layers": "all",
}


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the real model, assembled once for all workers."""
    return demo.model_file(tmp_path_factory.getbasetemp().parent / "hostler-demo")


def attribute(chosen: object, path: str) -> object:
    for name in path.split("."):
        chosen = getattr(chosen, name)
    return chosen


@pytest.mark.parametrize("flag", engine.FLAGS, ids=lambda flag: flag.names[0])
def test_every_flag_sets_what_the_binding_has(flag: engine.Flag, tmp_path: Path) -> None:
    sample = SAMPLES.get(flag.names[0], "7")
    if flag.names[0] == "--chat-template-file":
        sample = str(tmp_path / "template")
        Path(sample).write_text("{{ messages }}")
    words = [flag.names[-1]] if isinstance(flag.value, engine.Switch) else [flag.names[-1], sample]

    chosen = engine.params(engine.parse(["--model", "m.gguf", *words]), xllamacpp)

    values = [attribute(chosen, path) for path in flag.attribute.split()]
    assert len(set(map(str, values))) == 1
    expected = engine.parse(["--model", "m.gguf", *words])[flag]
    if isinstance(expected, engine.Choice):
        member = getattr(xllamacpp, expected.enumeration)(values[0]).name
        assert member == expected.prefix + expected.name.replace("-", "_").upper()
    elif isinstance(expected, list):
        assert sorted(values[0]) == sorted(expected)  # type: ignore[call-overload] # a list or a set of the binding's
    else:
        assert values[0] == pytest.approx(expected) if isinstance(expected, float) else values[0] == expected


def test_defaults_are_those_of_llama_server() -> None:
    chosen = engine.params(engine.parse(["-m", "m.gguf"]), xllamacpp)

    assert (chosen.hostnames, chosen.port, chosen.n_parallel, chosen.n_ctx) == (["127.0.0.1"], 8080, -1, 0)


def test_reranking_is_an_embedding_with_its_own_pooling() -> None:
    chosen = engine.params(engine.parse(["-m", "m.gguf", "--reranking"]), xllamacpp)

    assert chosen.embedding
    assert chosen.pooling_type == xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_RANK


def test_flash_attention_may_stand_without_a_value() -> None:
    chosen = engine.params(engine.parse(["-m", "m.gguf", "-fa", "--port", "1"]), xllamacpp)

    assert chosen.flash_attn_type == xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_ENABLED


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--ctx-sise", "1"], "unknown flag --ctx-sise; the nearest is --ctx-size"),
        (["--modle=x"], "unknown flag --modle; the nearest is --model"),
        (["stray"], "unexpected argument 'stray'"),
        (["--port", "99999"], "--port 99999: port to listen on"),
        (["--ctx-size", "many"], "--ctx-size many: tokens of context"),
        (["--port"], "--port: expected one argument"),
        (["--fit", "perhaps"], "--fit perhaps: on or off"),
        (["--chat-template-file", "/nowhere"], "--chat-template-file /nowhere: No such file"),
        (["-ctk", "q99"], "--cache-type-k q99: type of the K cache"),
    ],
)
def test_a_senseless_command_line_is_told_in_one_line(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = engine.main(["--model", __file__, *words])

    error = capsys.readouterr().err
    assert told in error
    assert error.startswith("hostler engine: ")
    assert error.count("\n") == 1
    assert code == 2


def test_the_model_is_required(capsys: pytest.CaptureFixture[str]) -> None:
    assert engine.main(["--port", "1"]) == 2
    assert capsys.readouterr().err == "hostler engine: --model FILE is required\n"


def test_a_missing_model_file_is_told_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert engine.main(["--model", "/nowhere/model.gguf"]) == 1
    assert capsys.readouterr().err == "hostler engine: there is no model file '/nowhere/model.gguf'\n"


def test_the_missing_extra_is_told_with_the_line_that_installs_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "xllamacpp", None)

    assert engine.main(["--model", __file__]) == 1
    assert capsys.readouterr().err == ("hostler engine: needs llama.cpp's server: pip install 'hostler[engine]'\n")


def test_an_extra_that_does_not_load_is_told_with_the_reason(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "xllamacpp.py").write_text("raise ImportError('libgomp.so.1: cannot open')")
    monkeypatch.delitem(sys.modules, "xllamacpp")
    monkeypatch.syspath_prepend(tmp_path)

    assert engine.main(["--model", __file__]) == 1
    assert "cannot be loaded on this machine: libgomp.so.1: cannot open; install it" in capsys.readouterr().err


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_port_in_use_is_told(host: str, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as holder:
        try:
            holder.bind((host, 0))
        except OSError:
            pytest.skip("no such address on this machine")
        holder.listen()
        port = holder.getsockname()[1]

        code = engine.main(["--model", __file__, "--host", host, "--port", str(port)])

    assert code == 1
    assert f"port {port} on {host}: is in use by another program" in capsys.readouterr().err


def test_an_address_of_another_machine_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert engine.main(["--model", __file__, "--host", "192.0.2.1", "--port", str(free_port())]) == 1
    assert "on 192.0.2.1: Cannot assign requested address" in capsys.readouterr().err


def test_a_file_that_is_no_model_ends_the_engine_with_a_line() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "app.engine", "--model", __file__, "--port", "0"], capture_output=True, text=True
    )

    assert ended.returncode == 1
    # Not necessarily as the last line: llama.cpp's log is written by a thread of its own.
    assert f"hostler engine: llama.cpp cannot serve {__file__!r}; its log above says why\n" in ended.stderr


@contextmanager
def serving(model: Path, port: int, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "app.engine", "--model", str(model), "--port", str(port), *words]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def statuses_until(port: int, wanted: int, process: subprocess.Popen[bytes]) -> list[int]:
    """Asks `/health` until it answers *wanted*; returns the answers, each once in a row."""
    seen: list[int] = []
    with httpx.Client(transport=httpx.HTTPTransport(), base_url=f"http://127.0.0.1:{port}") as client:
        while process.poll() is None:
            try:
                status = client.get("/health").status_code
            except httpx.TransportError:
                continue
            if not seen or seen[-1] != status:
                seen.append(status)
            if status == wanted:
                return seen
    raise AssertionError(f"the engine ended with {process.returncode}")


def test_the_engine_says_503_while_it_loads_then_answers_and_ends_on_sigterm(model: Path) -> None:
    port = free_port()
    with serving(model, port, "--ctx-size", "512", "--alias", "tiny", "--no-warmup") as process:
        assert statuses_until(port, 200, process) == [503, 200]

        answer = httpx.post(
            f"http://127.0.0.1:{port}/v1/chat/completions",
            json={"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 2},
            timeout=30,
        )
        process.send_signal(signal.SIGTERM)
        code = process.wait(timeout=10)

    assert json.loads(answer.content)["model"] == "tiny"
    assert code == -signal.SIGTERM


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_engine_while_it_loads(number: signal.Signals, model: Path) -> None:
    """Loading holds Python's lock, so a handler of Python's would run only afterwards."""
    port = free_port()
    with serving(model, port) as process:
        assert statuses_until(port, 503, process) == [503]

        process.send_signal(number)
        code = process.wait(timeout=10)

    assert code == -number
