"""What is recorded of a request, and what its upstream gets to know of that."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import anyio
import httpx
import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode, format_span_id, format_trace_id
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send
from websockets.exceptions import InvalidStatus

from app.asgi import Body
from app.config.catalog import Catalog
from app.endpoints.table import ENDPOINTS
from app.exchange import KEY, Exchange
from app.middleware.trace import Onward, Trace, Traces
from app.middleware.trace_attributes import OPERATIONS
from app.telemetry.tracing import Tracing
from app.telemetry.tracing_settings import TracingSettings
from tests.asgi import call
from tests.endpoints.catalogs import catalog, peer
from tests.endpoints.remote import remote
from tests.endpoints.sockets import hosting
from tests.endpoints.waiting import until
from tests.fakes import model
from tests.middleware.traced import ASKED, world

pytestmark = pytest.mark.anyio

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
CALLER = "b7ad6b7169203331"
PARENT = f"00-{TRACE_ID}-{CALLER}-01"

USAGE = {"choices": [{"finish_reason": "stop"}], "usage": {"prompt_tokens": 7, "completion_tokens": 3}}


def attributes(span: ReadableSpan) -> dict[str, object]:
    assert span.attributes is not None
    return dict(span.attributes)


def identity(span: ReadableSpan) -> tuple[str, str]:
    """Returns a span's trace and its own id, as they are on the wire."""
    assert span.context is not None
    return format_trace_id(span.context.trace_id), format_span_id(span.context.span_id)


def parent(span: ReadableSpan) -> str | None:
    return None if span.parent is None else format_span_id(span.parent.span_id)


def errors(*spans: ReadableSpan) -> list[tuple[StatusCode, object]]:
    return [(span.status.status_code, attributes(span).get("error.type")) for span in spans]


def catalog_of_a(**fields: Any) -> Catalog:
    return catalog(model("a", **fields))


async def test_span_of_the_request_holds_the_span_of_the_upstreams_part() -> None:
    async with world(catalog_of_a()) as here:
        here.server("a")
        await here.ask()

    served, asked = here.server_span, here.client_span
    assert (served.name, asked.name) == ("chat a", "chat a")
    assert (parent(served), parent(asked)) == (None, identity(served)[1])
    assert identity(served)[0] == identity(asked)[0]
    assert served.start_time is not None
    assert served.end_time is not None
    assert asked.start_time is not None
    assert asked.end_time is not None
    assert served.start_time <= asked.start_time < asked.end_time <= served.end_time
    assert errors(served, asked) == [(StatusCode.UNSET, None)] * 2


async def test_attributes_are_those_of_the_conventions() -> None:
    models = catalog_of_a(aliases=("al",))
    async with world(models) as here:
        here.server("a").pieces = (json.dumps(USAGE).encode(),)
        await here.client.post("/v1/chat/completions", json={"model": "al"})
        url = here.client.base_url

    ours, theirs = attributes(here.server_span), attributes(here.client_span)
    assert ours.pop("hostler.queue_ms") == pytest.approx(0, abs=10_000)
    assert ours.pop("hostler.swap_ms") > 0  # type: ignore[operator]  # a number
    answer = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.response.model": "a",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 7,
        "gen_ai.usage.output_tokens": 3,
        "http.request.method": "POST",
        "http.response.status_code": 200,
    }
    assert ours == answer | {
        "gen_ai.request.model": "al",
        "http.route": "/v1/chat/completions",
        "url.path": "/v1/chat/completions",
        "url.scheme": "http",
        "server.address": url.host,
        "server.port": url.port,
    }
    assert theirs == answer | {
        "gen_ai.request.model": "a",
        "server.address": "127.0.0.1",
        "server.port": models.models["a"].spec.launch.port,  # type: ignore[index]  # an id
    }


async def test_stream_says_so_and_when_it_began() -> None:
    async with world(catalog_of_a()) as here:
        server = here.server("a")
        server.content_type = "text/event-stream"
        server.pieces = (b"data: %b\n\n" % json.dumps(USAGE).encode(), b"data: [DONE]\n\n")
        await here.client.post("/v1/chat/completions", json={"model": "a", "stream": True})

    asked = attributes(here.client_span)
    assert asked["gen_ai.request.stream"] is True
    assert asked["gen_ai.response.time_to_first_chunk"] > 0  # type: ignore[operator]  # a number
    assert asked["gen_ai.usage.output_tokens"] == 3


async def test_cached_tokens_are_told_and_unknown_ones_are_not() -> None:
    async with world(catalog_of_a()) as here:
        answer = {"usage": {"prompt_tokens": 7, "prompt_tokens_details": {"cached_tokens": 5}}}
        here.server("a").pieces = (json.dumps(answer).encode(),)
        await here.ask()

    assert attributes(here.client_span)["gen_ai.usage.cache_read.input_tokens"] == 5
    assert "gen_ai.response.finish_reasons" not in attributes(here.client_span)


@pytest.mark.parametrize(
    ("path", "name", "provider"),
    [
        ("/v1/messages", "chat a", "anthropic"),
        ("/v1/responses", "chat a", "openai"),
        ("/v1/completions", "text_completion a", "openai"),
        ("/v/embeddings", "embeddings a", "openai"),
        ("/upstream/a/v1/embeddings", "embeddings a", "openai"),
        ("/upstream/a/some/page", "POST /upstream/{rest:path}", None),
    ],
)
async def test_span_is_named_after_what_the_endpoint_does(path: str, name: str, provider: str | None) -> None:
    async with world(catalog_of_a()) as here:
        here.server("a")
        await here.ask(path)

    assert here.server_span.name == name
    assert here.client_span.name == (name if provider else "POST")
    assert attributes(here.client_span).get("gen_ai.provider.name") == provider
    assert attributes(here.client_span)["gen_ai.request.model"] == "a"


async def test_pictures_are_generated_content_of_their_kind() -> None:
    async with world(catalog_of_a()) as here:
        here.server("a")
        await here.ask("/v1/images/generations")

    assert here.client_span.name == "generate_content a"
    assert attributes(here.client_span)["gen_ai.output.type"] == "image"


def test_every_endpoint_that_works_on_a_prompt_has_an_operation() -> None:
    without = {row.upstream_path for row in ENDPOINTS if row.upstream_path.removeprefix("/v1") not in OPERATIONS}

    assert without == {"/v1/audio/voices", "/sdapi/v1/loras", "/props", "/v1/tasks/run"}


# The context


async def test_upstream_is_told_of_its_span_in_the_callers_trace() -> None:
    async with world(catalog_of_a()) as here:
        here.server("a")
        await here.ask(traceparent=PARENT, tracestate="vendor=1,other=2")
        asked = here.asked("a")

    span_id = identity(here.client_span)[1]
    assert parent(here.server_span) == CALLER
    assert identity(here.server_span)[0] == TRACE_ID
    assert asked.header("traceparent") == [f"00-{TRACE_ID}-{span_id}-01"]
    assert asked.header("tracestate") == ["vendor=1,other=2"]


@pytest.mark.parametrize(
    "sent",
    [
        [("tracestate", "vendor=1")],
        [("traceparent", "nonsense"), ("tracestate", "vendor=1")],
        [("traceparent", PARENT), ("traceparent", PARENT), ("tracestate", "vendor=1")],
        [("traceparent", f"00-{TRACE_ID}-0000000000000000-01"), ("tracestate", "vendor=1")],
    ],
)
async def test_trace_that_cannot_be_told_begins_anew(sent: list[tuple[str, str]]) -> None:
    async with world(catalog_of_a()) as here:
        here.server("a")
        await here.client.post("/v1/chat/completions", json={"model": "a"}, headers=sent)
        asked = here.asked("a")

    trace_id, span_id = identity(here.client_span)
    assert trace_id != TRACE_ID
    assert parent(here.server_span) is None
    (told,) = asked.header("traceparent")
    begin, _, flags = told.rpartition("-")
    assert begin == f"00-{trace_id}-{span_id}"
    assert int(flags, 16) & 1, "it is sampled; other flags are the library's"
    assert asked.header("tracestate") == []


async def test_caller_that_does_not_sample_is_followed_and_its_trace_passed_on() -> None:
    async with world(catalog_of_a()) as here:
        here.server("a")
        await here.ask(traceparent=f"00-{TRACE_ID}-{CALLER}-00")
        (told,) = here.asked("a").header("traceparent")

    assert here.memory.get_finished_spans() == ()
    version, trace_id, span_id, flags = told.split("-")
    assert (version, trace_id, flags) == ("00", TRACE_ID, "00")
    assert span_id != CALLER


async def test_peer_is_told_like_any_other_upstream() -> None:
    async with remote() as behind:
        models = catalog(peers=[peer("p", "m", base_url=behind.url)])
        behind.open.set()
        async with world(models) as here:
            await here.client.post(
                "/v1/chat/completions", json={"model": "m"}, headers={"traceparent": PARENT, "tracestate": "x=1"}
            )
        (asked,) = behind.asked

    assert asked.header("traceparent") == f"00-{TRACE_ID}-{identity(here.client_span)[1]}-01"
    assert asked.header("tracestate") == "x=1"
    assert (here.server_span.name, here.client_span.name) == ("chat m", "chat p/m")
    assert attributes(here.client_span)["server.port"] == httpx.URL(behind.url).port
    assert "hostler.queue_ms" not in attributes(here.server_span)


async def test_websocket_is_one_request_from_its_handshake_to_its_end() -> None:
    memory = InMemorySpanExporter()
    traces = Traces(ASKED, lambda settings: Tracing(settings, lambda: [memory]))
    async with traces.running(), hosting(catalog_of_a(check_endpoint=None), traces=traces) as host:
        async with host.open("/upstream/a/told", additional_headers={"traceparent": PARENT}) as websocket:
            seen = dict(json.loads(await websocket.recv())["headers"])
        await until(lambda: host.leases("a") == 0)
        with pytest.raises(InvalidStatus):
            await host.open("/upstream/a/refused")

    spans = memory.get_finished_spans()
    opened = {span.kind: span for span in spans if identity(span)[0] == TRACE_ID}
    refused = next(span for span in spans if span.kind is SpanKind.SERVER and identity(span)[0] != TRACE_ID)
    assert seen["traceparent"] == f"00-{TRACE_ID}-{identity(opened[SpanKind.CLIENT])[1]}-01"
    assert {attributes(span)["http.response.status_code"] for span in opened.values()} == {101}
    assert errors(*opened.values()) == [(StatusCode.UNSET, None)] * 2
    assert attributes(refused)["http.response.status_code"] == 401
    assert attributes(refused)["http.request.method"] == "GET"


# What goes wrong


async def test_refused_request_has_one_span_and_is_no_failure_of_ours() -> None:
    async with world(catalog_of_a()) as here:
        response = await here.client.post("/v1/chat/completions", json={"model": "nobody"})

    assert response.status_code == 404
    assert here.server_span.name == "POST /v1/chat/completions"
    assert attributes(here.server_span)["http.response.status_code"] == 404
    assert errors(here.server_span) == [(StatusCode.UNSET, "NotFound")]
    assert here.spans(SpanKind.CLIENT) == []


async def test_upstreams_failure_is_both_spans_failure() -> None:
    async with world(catalog_of_a()) as here:
        here.server("a").status = "503 Busy"
        await here.ask()

    assert errors(here.server_span, here.client_span) == [(StatusCode.ERROR, "503")] * 2
    assert attributes(here.server_span)["http.response.status_code"] == 503
    assert attributes(here.client_span)["http.response.status_code"] == 503


async def test_upstreams_refusal_is_a_failure_to_who_asks_only() -> None:
    async with world(catalog_of_a()) as here:
        here.server("a").status = "400 Odd"
        await here.ask()

    assert errors(here.server_span, here.client_span) == [(StatusCode.UNSET, "400"), (StatusCode.ERROR, "400")]


async def test_error_within_a_stream_is_a_failure() -> None:
    async with world(catalog_of_a()) as here:
        server = here.server("a")
        server.content_type = "text/event-stream"
        server.pieces = (b'data: {"error": {"message": "out of memory"}}\n\n',)
        await here.client.post("/v1/chat/completions", json={"model": "a", "stream": True})

    assert errors(here.server_span, here.client_span) == [(StatusCode.ERROR, "error_in_stream")] * 2
    assert attributes(here.server_span)["http.response.status_code"] == 200


async def test_broken_answer_is_a_failure() -> None:
    async with world(catalog_of_a()) as here:
        here.server("a").breaks = True
        with pytest.raises(httpx.RemoteProtocolError):
            await here.ask()

    assert errors(here.server_span, here.client_span) == [(StatusCode.ERROR, "StreamBroken")] * 2


async def test_model_that_does_not_start_is_a_failure_without_an_upstreams_part() -> None:
    async with world(catalog_of_a()) as here:
        here.server("a").failure = "no such file"
        response = await here.ask()

    assert attributes(here.server_span)["http.response.status_code"] == response.status_code >= 500
    (only,) = errors(here.server_span)
    assert only == (StatusCode.ERROR, "StartFailed")
    assert here.spans(SpanKind.CLIENT) == []


async def test_failure_told_in_a_loading_stream_is_the_requests() -> None:
    async with world(catalog_of_a(send_loading_state=True)) as here:
        server = here.server("a", ready=False)
        server.failure = "no such file"
        asked = {"model": "a", "stream": True}
        async with here.client.stream("POST", "/v1/chat/completions", json=asked) as response:
            server.ready.set()
            await response.aread()

    assert attributes(here.server_span)["http.response.status_code"] == response.status_code == 200
    assert errors(here.server_span) == [(StatusCode.ERROR, "StartFailed")]


async def test_client_that_leaves_in_mid_stream_is_told_of_in_both_spans() -> None:
    async with world(catalog_of_a()) as here:
        here.server("a", ends=False)
        async with here.client.stream("POST", "/v1/chat/completions", json={"model": "a"}) as response:
            await anext(response.aiter_raw())

    assert errors(here.server_span, here.client_span) == [(StatusCode.ERROR, "ClientDisconnected")] * 2
    assert attributes(here.server_span)["http.response.status_code"] == 200


async def test_client_that_leaves_while_its_model_loads_has_one_span() -> None:
    async with world(catalog_of_a()) as here:
        server = here.server("a", ready=False)
        async with anyio.create_task_group() as group:
            group.start_soon(here.ask)
            await server.started.wait()
            group.cancel_scope.cancel()

    assert errors(here.server_span) == [(StatusCode.ERROR, "ClientDisconnected")]
    assert here.server_span.name == "chat a"
    assert "http.response.status_code" not in attributes(here.server_span)
    assert "hostler.queue_ms" not in attributes(here.server_span)


async def test_request_that_an_operator_cancels_is_a_failure() -> None:
    async with world(catalog_of_a()) as here:
        here.server("a", answers=False)
        async with anyio.create_task_group() as group:
            group.start_soon(here.ask)
            await until(lambda: "a" in here.launcher.servers and bool(here.launcher.servers["a"].asked))
            (entry,) = here.inflight.snapshot()
            here.inflight.cancel(entry.id)

    assert errors(here.server_span, here.client_span) == [(StatusCode.ERROR, "Cancelled")] * 2


# Its own faults


@dataclass
class Faulty:
    """Layers around an application that has an exchange, and what that goes out with."""

    tracing: Tracing
    models: Catalog = field(default_factory=catalog_of_a)
    usage: object = None
    sent: list[Sequence[tuple[bytes, bytes]]] = field(default_factory=list)

    async def ask(self, **scope: object) -> int:
        """Returns the status of the answer."""
        trace = Trace(self._resolve, self.tracing, "/x")
        return (await call(trace, "POST", "/x", extra=scope)).status

    async def _resolve(self, scope: Scope, receive: Receive, send: Send) -> None:
        (one,) = self.models.models.values()
        exchange = scope[KEY] = Exchange(self.models, "a", "a", one, False, Body(b""), "/x", b"", 0.0)
        exchange.usage = self.usage  # type: ignore[assignment]  # something is wrong with it
        await Onward(self._forward, self.tracing)(scope, receive, send)

    async def _forward(self, scope: Scope, receive: Receive, send: Send) -> None:
        outgoing = scope[KEY].outgoing
        self.sent.append(() if outgoing is None else outgoing())
        await Response("ok")(scope, receive, send)


@asynccontextmanager
async def tracing_to(memory: InMemorySpanExporter) -> AsyncIterator[Tracing]:
    tracing = Tracing(TracingSettings(), lambda: [memory])
    async with tracing.running():
        yield tracing


def warned(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "app.telemetry.tracing"]


LOST = "a span was lost; further such failures are not told of"


async def test_fault_at_the_beginning_costs_the_spans_and_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    memory = InMemorySpanExporter()
    async with tracing_to(memory) as tracing:
        faulty = Faulty(tracing)

        assert [await faulty.ask(server=("x",)) for _ in range(2)] == [200, 200]

    assert faulty.sent == [(), ()]
    assert memory.get_finished_spans() == ()
    assert warned(caplog) == [LOST]


async def test_fault_on_the_way_out_leaves_the_clients_own_headers(caplog: pytest.LogCaptureFixture) -> None:
    memory = InMemorySpanExporter()
    async with tracing_to(memory) as tracing:
        one = model("a")
        faulty = Faulty(tracing, catalog(replace(one, spec=replace(one.spec, base_url="http://host:port"))))

        assert await faulty.ask() == 200

    assert faulty.sent == [()]
    assert [span.kind for span in memory.get_finished_spans()] == [SpanKind.SERVER]
    assert warned(caplog) == [LOST]


async def test_fault_at_the_end_costs_the_span(caplog: pytest.LogCaptureFixture) -> None:
    memory = InMemorySpanExporter()
    async with tracing_to(memory) as tracing:
        assert await Faulty(tracing, usage="odd").ask() == 200

    assert memory.get_finished_spans() == ()
    assert warned(caplog) == [LOST]


async def test_request_after_the_end_of_tracing_is_served_without() -> None:
    async with tracing_to(InMemorySpanExporter()) as tracing:
        faulty = Faulty(tracing)

    assert await faulty.ask() == 200
    assert faulty.sent == [()]


async def test_server_that_does_not_know_its_address_has_none_in_the_span() -> None:
    memory = InMemorySpanExporter()
    async with tracing_to(memory) as tracing:
        await Faulty(tracing).ask(server=None)
        await Faulty(tracing).ask(server=("/run/socket", None))

    served = [attributes(span) for span in memory.get_finished_spans() if span.kind is SpanKind.SERVER]
    assert [(each.get("server.address"), each.get("server.port")) for each in served] == [
        (None, None),
        ("/run/socket", None),
    ]


# Without


async def test_without_traces_no_layer_is_put_in() -> None:
    response = Response("ok")
    traces = Traces({})
    route = Route("/x", response)

    assert traces.around([route]) == [route]
    assert route.app is response
    assert traces.onward(response) is response


async def test_environment_that_asks_for_what_is_not_there_is_told_of_when_it_begins(
    caplog: pytest.LogCaptureFixture,
) -> None:
    traces = Traces({"OTEL_TRACES_EXPORTER": "zipkin"})
    assert caplog.records == []

    async with traces.running():
        pass

    assert [record.getMessage() for record in caplog.records] == [
        "OTEL_TRACES_EXPORTER=zipkin is not supported; otlp, console and none are"
    ]
