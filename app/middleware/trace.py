"""A span for each request that leads to a model, and one within it for the upstream's part.

`Trace` stands outside of everything that finds out about a request, so that its span has the whole of it; `Onward` behind
whoever resolves it, before whoever may refuse it. It hands the upstream's span to the one place from which requests go out
(`Exchange.outgoing`). Neither is there unless traces are asked for, and no fault of theirs becomes a request's.

Source of names and attributes: OpenTelemetry semantic conventions, for HTTP spans and for generative AI spans. What was asked and
what was answered is never in a span.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from starlette.routing import BaseRoute, Route, WebSocketRoute

from app.config.catalog import PeerModel
from app.errors import HostlerError
from app.exchange import KEY, Exchange, exchange_of
from app.telemetry.tracing_settings import TracingSettings, settings_of

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from app.metering.usage import Usage
    from app.telemetry.tracing import Span, Tracing

logger = logging.getLogger(__name__)

Attributes = dict[str, str | int | float | bool | Sequence[str]]

TRACED = "hostler.traced"
"""Where what is traced of a request lives in its scope."""

_SWITCHED = 101


class Operation(NamedTuple):
    """What an endpoint does, in the words of the conventions where they have one."""

    name: str
    output: str = ""
    """What kind of thing it makes, if that is a special one."""


_RERANK = Operation("rerank")
_IMAGE = Operation("generate_content", "image")

OPERATIONS: Mapping[str, Operation] = {
    "/chat/completions": Operation("chat"),
    "/messages": Operation("chat"),
    "/responses": Operation("chat"),
    "/completions": Operation("text_completion"),
    "/completion": Operation("text_completion"),
    "/infill": Operation("text_completion"),
    "/embeddings": Operation("embeddings"),
    "/embedding": Operation("embeddings"),
    "/messages/count_tokens": Operation("count_tokens"),
    "/rerank": _RERANK,
    "/reranking": _RERANK,
    "/audio/speech": Operation("generate_content", "speech"),
    "/audio/transcriptions": Operation("generate_content", "text"),
    "/images/generations": _IMAGE,
    "/images/edits": _IMAGE,
    "/sdapi/v1/txt2img": _IMAGE,
    "/sdapi/v1/img2img": _IMAGE,
}
"""Path that an upstream is asked for, without the version before it -> what it does. All else has a span of HTTP only."""


class Traces:
    """Whether there are traces, and what they cost then."""

    def __init__(self, environ: Mapping[str, str], make: Callable[[TracingSettings], Tracing] | None = None) -> None:
        """Reads what *environ* asks for. Nothing of OpenTelemetry is imported if that is nothing.

        make: makes what records; None: the real one.
        """
        self._settings = settings_of(environ)
        self._tracing = (make or _recorder)(self._settings) if self._settings.is_on else None

    def around(self, routes: Iterable[BaseRoute]) -> list[BaseRoute]:
        """Puts `Trace` around the endpoint of each of *routes*, and returns them all."""
        traced = list(routes)
        if self._tracing is not None:
            for route in traced:
                assert isinstance(route, Route | WebSocketRoute), f"cannot trace {route!r}"
                route.app = Trace(route.app, self._tracing, route.path)
        return traced

    def onward(self, app: ASGIApp) -> ASGIApp:
        """Returns what serves resolved exchanges in the place of *app*."""
        return app if self._tracing is None else Onward(app, self._tracing)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Is the time in which spans are recorded and delivered."""
        for warning in self._settings.warnings:
            logger.warning("%s", warning)
        if self._tracing is None:
            yield
            return
        async with self._tracing.running():
            yield


def _recorder(settings: TracingSettings) -> Tracing:
    from app.telemetry.tracing import Tracing

    return Tracing(settings)


class Trace:
    """ASGI layer of one endpoint that leads to models. route: its path as it is registered."""

    def __init__(self, app: ASGIApp, tracing: Tracing, route: str) -> None:
        self._app = app
        self._tracing = tracing
        self._route = route

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        traced = self._begin(scope)
        if traced is None:
            await self._app(scope, receive, send)
            return
        scope[TRACED] = traced
        responder = _Responder(send)
        raised: BaseException | None = None
        try:
            await self._app(scope, receive, responder.send)
        except BaseException as exc:
            raised = exc
            raise
        finally:
            try:
                traced.end(scope.get(KEY), responder.status, raised)
            except Exception as exc:
                self._tracing.failed(exc)

    def _begin(self, scope: Scope) -> _Traced | None:
        try:
            method = scope.get("method", "GET")
            attributes: Attributes = {
                "http.request.method": method,
                "http.route": self._route,
                "url.path": scope["path"],
                "url.scheme": scope["scheme"],
            }
            if scope.get("server"):
                attributes["server.address"] = str(scope["server"][0])
                if scope["server"][1] is not None:
                    attributes["server.port"] = scope["server"][1]
            span = self._tracing.serve(f"{method} {self._route}", scope["headers"], attributes)
            return None if span is None else _Traced(span, method)
        except Exception as exc:
            self._tracing.failed(exc)
            return None


class Onward:
    """ASGI layer of everything that leads to a model: the upstream gets to know whose work it does."""

    def __init__(self, app: ASGIApp, tracing: Tracing) -> None:
        self._app = app
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one exchange."""
        traced: _Traced | None = scope.get(TRACED)
        if traced is not None:
            exchange = exchange_of(scope)
            tracing = self._tracing

            def outgoing() -> Sequence[tuple[bytes, bytes]]:
                try:
                    return traced.call(exchange)
                except Exception as exc:
                    tracing.failed(exc)
                    return ()

            exchange.outgoing = outgoing
        await self._app(scope, receive, send)


class _Traced:
    """The spans of one request."""

    __slots__ = ("_call", "_method", "_span")

    def __init__(self, span: Span, method: str) -> None:
        self._span = span
        self._method = method
        self._call: Span | None = None
        """The upstream's part; None: it has not been asked."""

    def call(self, exchange: Exchange) -> list[tuple[bytes, bytes]]:
        """Begins the upstream's part. Returns the headers that tell it of that."""
        model = exchange.model
        served = model.peer.base_url if isinstance(model, PeerModel) else model.spec.base_url
        url = urlsplit(served)
        attributes = _of_request(exchange, model.id)
        attributes["http.request.method"] = self._method
        attributes["server.address"] = url.hostname or ""
        attributes["server.port"] = url.port or (443 if url.scheme == "https" else 80)
        call = self._call = self._span.call(_name(exchange, model.id) or self._method, attributes)
        return call.headers()

    def end(self, exchange: Exchange | None, status: int, raised: BaseException | None) -> None:
        """Ends both. status: of our answer; 0: there was none, and perhaps somebody further out will answer yet."""
        if not self._span.is_recorded():
            return
        attributes: Attributes = {}
        error, at_fault = _error(exchange, status, raised)
        if error:
            attributes["error.type"] = error
        if exchange is not None:
            told = _of_answer(exchange)
            attributes |= told
            if self._call is not None:
                self._end_call(self._call, exchange, error, told)
            attributes |= _of_request(exchange, exchange.asked) | _of_wait(exchange)
        if not status and isinstance(raised, HostlerError):
            status = raised.status
        if status:
            attributes["http.response.status_code"] = status
        self._span.end(attributes, name="" if exchange is None else _name(exchange, exchange.asked), failed=at_fault)

    @staticmethod
    def _end_call(call: Span, exchange: Exchange, error: str, told: Attributes) -> None:
        attributes = dict(told)
        if exchange.status:
            attributes["http.response.status_code"] = exchange.status
        if error:
            attributes["error.type"] = error
        if exchange.streaming and exchange.first_byte_at:
            attributes["gen_ai.response.time_to_first_chunk"] = exchange.first_byte_at - exchange.asked_at
        # To who asks, any error is a failure; to who answers, only one that is not the client's fault.
        call.end(attributes, failed=bool(error))


def _operation(exchange: Exchange) -> Operation | None:
    path = exchange.path
    return OPERATIONS.get(path[3:] if path.startswith("/v1/") else path)


def _name(exchange: Exchange, model: str) -> str:
    operation = _operation(exchange)
    return "" if operation is None else f"{operation.name} {model}"


def _of_request(exchange: Exchange, model: str) -> Attributes:
    operation = _operation(exchange)
    if operation is None:
        return {"gen_ai.request.model": model}
    attributes: Attributes = {
        "gen_ai.operation.name": operation.name,
        # Not who has made the model, but whose API is spoken.
        "gen_ai.provider.name": "anthropic" if "/messages" in exchange.path else "openai",
        "gen_ai.request.model": model,
    }
    if exchange.streaming:
        attributes["gen_ai.request.stream"] = True
    if operation.output:
        attributes["gen_ai.output.type"] = operation.output
    return attributes


def _of_answer(exchange: Exchange) -> Attributes:
    attributes: Attributes = {"gen_ai.response.model": exchange.model.id}
    usage: Usage | None = exchange.usage
    if usage is None:
        return attributes
    if usage.stop_reason:
        attributes["gen_ai.response.finish_reasons"] = (usage.stop_reason,)
    if usage.found:
        counts = (
            ("gen_ai.usage.input_tokens", usage.input_tokens),
            ("gen_ai.usage.output_tokens", usage.output_tokens),
            ("gen_ai.usage.cache_read.input_tokens", usage.cached_tokens),
        )
        attributes |= {name: count for name, count in counts if count >= 0}
    return attributes


def _of_wait(exchange: Exchange) -> Attributes:
    """Returns how long a request has waited, in milliseconds; nothing if it was never granted a model of ours."""
    if not exchange.queued_at or not exchange.granted_at:
        return {}
    waited_s = exchange.granted_at - exchange.queued_at
    swap_s = min(exchange.swap_s, waited_s)
    return {"hostler.queue_ms": (waited_s - swap_s) * 1000, "hostler.swap_ms": swap_s * 1000}


def _error(exchange: Exchange | None, status: int, raised: BaseException | None) -> tuple[str, bool]:
    """Returns the class of what went wrong, empty if nothing did, and whether the request has failed.

    One that the client is to blame for was answered as it should be.
    """
    if raised is None and exchange is not None and exchange.failure is not None:
        raised = exchange.failure
    if raised is not None:
        return type(raised).__name__, not isinstance(raised, HostlerError) or raised.status >= 500
    if status >= 400:
        return str(status), status >= 500
    if exchange is not None and exchange.usage is not None and exchange.usage.error_message:
        # In a stream that had begun with 200.
        return "error_in_stream", True
    return "", False


class _Responder:
    """Notes the status of one response on its way out."""

    __slots__ = ("_send", "status")

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 0

    def send(self, message: Message) -> Awaitable[None]:
        """Notes and passes on. Not a coroutine function, since that would cost each chunk of a stream another coroutine."""
        if not self.status:
            self.status = _SWITCHED if message["type"] == "websocket.accept" else message.get("status", 0)
        return self._send(message)
