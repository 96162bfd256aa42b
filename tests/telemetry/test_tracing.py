"""Whether traces are asked for, and their way to a collector that may be away."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import anyio
import httpx
import pytest
from anyio import to_thread
from opentelemetry import trace as api
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from app import __version__
from app.telemetry import tracing as module
from app.telemetry.tracing import Tracing
from app.telemetry.tracing_settings import INSTALL, TracingSettings, installed, settings_of
from tests.fake_upstream import argv
from tests.ports import free_port
from tests.program import PATIENCE_S, hostler
from tests.telemetry.collector import collecting, values

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
TRACES_ENDPOINT = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
OTLP = TracingSettings(otlp=True)
TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
CALLER = "b7ad6b7169203331"


@pytest.fixture(autouse=True)
def _only_what_a_test_asks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (ENDPOINT, TRACES_ENDPOINT, "OTEL_TRACES_EXPORTER", "OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES"):
        monkeypatch.delenv(name, raising=False)


# Whether


@pytest.mark.parametrize(
    ("environ", "otlp", "console"),
    [
        ({}, False, False),
        ({ENDPOINT: "http://c:4318"}, True, False),
        ({TRACES_ENDPOINT: "http://c:4318/v1/traces"}, True, False),
        ({ENDPOINT: "  "}, False, False),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True, False),
        ({"OTEL_TRACES_EXPORTER": "console"}, False, True),
        ({"OTEL_TRACES_EXPORTER": "console", ENDPOINT: "http://c:4318"}, False, True),
        ({"OTEL_TRACES_EXPORTER": "otlp, Console"}, True, True),
        ({"OTEL_TRACES_EXPORTER": "none", ENDPOINT: "http://c:4318"}, False, False),
        ({"OTEL_SDK_DISABLED": "True", ENDPOINT: "http://c:4318"}, False, False),
        ({"OTEL_SDK_DISABLED": "false", ENDPOINT: "http://c:4318"}, True, False),
        ({"OTEL_SERVICE_NAME": "x", "OTEL_RESOURCE_ATTRIBUTES": "a=b"}, False, False),
    ],
)
def test_environment_asks_for_traces(environ: Mapping[str, str], otlp: bool, console: bool) -> None:
    settings = settings_of(environ)

    assert settings == TracingSettings(otlp, console)
    assert settings.is_on == (otlp or console)


def test_protocol_that_is_not_spoken_is_told_of() -> None:
    settings = settings_of({ENDPOINT: "http://c:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"})

    assert settings.is_on
    (warning,) = settings.warnings
    assert "not as grpc" in warning


def test_missing_packages_are_asked_for_by_the_command_that_installs_them() -> None:
    settings = settings_of({ENDPOINT: "http://c:4318"}, lambda: False)

    assert not settings.is_on
    (warning,) = settings.warnings
    assert INSTALL in warning


def test_nobody_looks_for_packages_that_nobody_wants() -> None:
    def never() -> bool:
        raise AssertionError

    assert settings_of({}, never) == settings_of({"OTEL_TRACES_EXPORTER": "none"}, never) == TracingSettings()


def run(code: str, *flags: str, **environ: str) -> str:
    done = subprocess.run(
        [sys.executable, *flags, "-c", code],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_packages_that_are_there_are_found_and_others_are_not() -> None:
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from app.telemetry.tracing_settings import *; print(installed())"

    assert installed()
    # Without everything that was ever installed.
    assert run(code, "-I", "-S") == "False"


CREATE = """
import sys
from app.application import create_app
from app.config.active import ActiveConfig
from app.config.loader import load_text
create_app(ActiveConfig(lambda _: load_text("models: {a: {cmd: server, proxy: 'http://127.0.0.1:9'}}", "c.yaml", {})))
print(sum(name.partition(".")[0] == "opentelemetry" for name in sys.modules))
"""


def test_nothing_is_imported_unless_it_is_asked_for() -> None:
    assert run(CREATE) == "0"
    assert int(run(CREATE, OTEL_TRACES_EXPORTER="otlp")) > 0


# How


def ask(tracing: Tracing) -> None:
    """Records a span."""
    span = tracing.serve("x", [], {})
    assert span is not None
    span.end({})


async def test_spans_are_delivered_at_the_end_with_the_name_of_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    with collecting() as collector:
        monkeypatch.setenv(ENDPOINT, collector.url)
        tracing = Tracing(OTLP)
        async with tracing.running():
            outer = tracing.serve("GET /x", [(b"traceparent", f"00-{TRACE_ID}-{CALLER}-01".encode())], {"a": 1})
            assert outer is not None
            inner = outer.call("chat a", {"b": ("x", "y")})
            inner.end({"c": 2.5}, failed=True)
            outer.end({"d": True}, name="chat a")
            assert collector.spans == []

        served, asked = collector.span(Span.SPAN_KIND_SERVER), collector.span(Span.SPAN_KIND_CLIENT)

    assert (served.name, asked.name) == ("chat a", "chat a")
    assert served.trace_id.hex() == asked.trace_id.hex() == TRACE_ID
    assert served.parent_span_id.hex() == CALLER
    assert asked.parent_span_id == served.span_id
    assert values(served.attributes) == {"a": 1, "d": True}
    assert values(asked.attributes) == {"b": ("x", "y"), "c": 2.5}
    assert (served.status.code, asked.status.code) == (Status.STATUS_CODE_UNSET, Status.STATUS_CODE_ERROR)
    assert collector.resource["service.name"] == "hostler"
    assert collector.resource["service.version"] == __version__


@pytest.mark.parametrize(
    "environ", [{"OTEL_SERVICE_NAME": "ours"}, {"OTEL_RESOURCE_ATTRIBUTES": "service.name=ours,service.version=9"}]
)
async def test_environment_names_the_service(monkeypatch: pytest.MonkeyPatch, environ: Mapping[str, str]) -> None:
    with collecting() as collector:
        for name, value in {ENDPOINT: collector.url, **environ}.items():
            monkeypatch.setenv(name, value)
        tracing = Tracing(OTLP)
        async with tracing.running():
            ask(tracing)

        assert collector.resource["service.name"] == "ours"


async def test_global_provider_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    with collecting() as collector:
        monkeypatch.setenv(ENDPOINT, collector.url)
        before = api.get_tracer_provider()
        tracing = Tracing(OTLP)
        async with tracing.running():
            assert api.get_tracer_provider() is before
            api.get_tracer("theirs").start_span("theirs").end()
            ask(tracing)

        assert [span.name for span in collector.spans] == ["x"]


async def test_console_is_written_to(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    tracing = Tracing(TracingSettings(console=True))
    async with tracing.running():
        ask(tracing)

    assert '"name": "x"' in capsys.readouterr().out


async def test_setting_that_cannot_be_meant_turns_tracing_off_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(ENDPOINT, "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "-1")
    tracing = Tracing(OTLP)
    async with tracing.running():
        assert tracing.serve("x", [], {}) is None

    (warning,) = warnings(caplog)
    assert warning.startswith("there will be no traces: ")


# Collectors that are away


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


class Heard(logging.Handler):
    """Tells when our module has said something at least so loud."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.INFO:
            self.messages.append(record.getMessage())

    async def until(self, text: str) -> None:
        with anyio.fail_after(60):
            while not any(text in message for message in self.messages):
                await anyio.sleep(0.001)


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Heard:
    handler = Heard()
    monkeypatch.setattr(module.logger, "handlers", [handler])
    module.logger.setLevel(logging.INFO)
    return handler


@pytest.fixture
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that sends what it has at once, and does not try again."""
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "1")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "0.3")


AWAY = "traces cannot be delivered"


@pytest.mark.usefixtures("_hasty")
async def test_collector_that_is_away_is_told_of_once_and_again_when_it_is_back(
    monkeypatch: pytest.MonkeyPatch, heard: Heard, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    with collecting() as collector:
        collector.status = 404
        monkeypatch.setenv(ENDPOINT, collector.url)
        tracing = Tracing(OTLP)
        async with tracing.running():
            for times in range(1, 4):
                ask(tracing)
                await to_thread.run_sync(collector.until_asked, times)
            await heard.until(AWAY)
            collector.status = 200
            ask(tracing)
            await heard.until("delivered again")

    assert [message.partition(",")[0].partition(" and are")[0] for message in heard.messages] == [
        AWAY,
        "traces are delivered again",
    ]
    assert "404" in heard.messages[0]
    assert warnings(caplog) == [heard.messages[0]]


@pytest.mark.usefixtures("_hasty")
async def test_address_where_nobody_listens_is_told_of_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, heard: Heard
) -> None:
    # Long enough to try again: with the first failure comes its reason.
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "1.5")
    monkeypatch.setenv(ENDPOINT, f"http://127.0.0.1:{free_port()}")
    tracing = Tracing(OTLP)
    async with tracing.running():
        ask(tracing)
        await heard.until(AWAY)
        ask(tracing)

    assert len(heard.messages) == 1
    assert "refused" in heard.messages[0]


async def test_collector_that_does_not_answer_does_not_hold_up_the_end(
    monkeypatch: pytest.MonkeyPatch, heard: Heard
) -> None:
    monkeypatch.setattr(module, "FLUSH_S", 0.05)
    with collecting(answers=False) as collector:
        monkeypatch.setenv(ENDPOINT, collector.url)
        tracing = Tracing(OTLP)
        async with tracing.running():
            ask(tracing)

        # It has ended, and the collector has still not answered.
        assert not collector.answers.is_set()
        assert heard.messages == ["the last traces could not be delivered within 0 s and are lost"]


async def test_collector_that_is_known_to_be_away_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, heard: Heard
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "1")
    with collecting() as collector:
        collector.status = 404
        monkeypatch.setenv(ENDPOINT, collector.url)
        tracing = Tracing(OTLP)
        async with tracing.running():
            ask(tracing)
            await heard.until(AWAY)
            collector.answers.clear()
            monkeypatch.setattr(module, "FLUSH_S", 3600.0)

        assert not collector.answers.is_set()


@pytest.mark.usefixtures("_hasty")
async def test_what_clients_can_provoke_is_said_once(monkeypatch: pytest.MonkeyPatch, heard: Heard) -> None:
    with collecting() as collector:
        monkeypatch.setenv(ENDPOINT, collector.url)
        tracing = Tracing(OTLP)
        async with tracing.running():
            for _ in range(3):
                span = tracing.serve("x", [(b"traceparent", b"0" * 2000)], {})
                assert span is not None
                span.end({})

    assert len(heard.messages) == 1
    assert heard.messages[0].startswith("OpenTelemetry: traceparent")


async def test_loggers_of_the_library_are_given_back() -> None:
    theirs = logging.getLogger("opentelemetry")
    before = theirs.handlers[:], theirs.propagate
    async with Tracing(OTLP, list).running():
        assert not theirs.propagate

    assert (theirs.handlers, theirs.propagate) == before


# The whole program


def config() -> str:
    """Returns a configuration of one model, at a port that no other run of these tests has."""
    port = free_port()
    return f"models: {{a: {{cmd: '{' '.join(argv(port))}', proxy: 'http://127.0.0.1:{port}'}}}}"


@pytest.mark.e2e
def test_whole_program_sends_spans_and_passes_the_context_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with collecting() as collector:
        monkeypatch.setenv(ENDPOINT, collector.url)
        with hostler(tmp_path, config()) as program:
            sent = {"traceparent": f"00-{TRACE_ID}-{CALLER}-01", "tracestate": "vendor=1"}
            seen = dict(
                httpx.post(f"{program.url}/upstream/a/echo", headers=sent, timeout=PATIENCE_S).json()["headers"]
            )
            reply = program.chat("a")
            assert reply.status_code == 200
            assert program.end() == 0

    spans = {(span.name, span.kind): span for span in collector.spans}
    asked = spans["POST", Span.SPAN_KIND_CLIENT]
    served = spans["POST /upstream/{rest:path}", Span.SPAN_KIND_SERVER]
    lowered = {name.lower(): value for name, value in seen.items()}
    assert lowered["traceparent"] == f"00-{TRACE_ID}-{asked.span_id.hex()}-01"
    assert lowered["tracestate"] == "vendor=1"
    assert (served.parent_span_id.hex(), asked.parent_span_id) == (CALLER, served.span_id)
    usage = reply.json()["usage"]
    for kind in (Span.SPAN_KIND_SERVER, Span.SPAN_KIND_CLIENT):
        told = values(spans["chat a", kind].attributes)
        assert told["gen_ai.usage.input_tokens"] == usage["prompt_tokens"]
        assert told["gen_ai.usage.output_tokens"] == usage["completion_tokens"]


@pytest.mark.e2e
def test_whole_program_serves_and_ends_while_its_collector_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "1")
    with collecting(answers=False) as collector:
        monkeypatch.setenv(ENDPOINT, collector.url)
        with hostler(tmp_path, config()) as program:
            assert program.chat("a").status_code == 200
            collector.until_asked()
            assert program.chat("a").status_code == 200
            assert program.end() == 0
            assert program.nothing_is_left()

        assert not collector.answers.is_set()
        assert program.text().count("the last traces could not be delivered") == 1
