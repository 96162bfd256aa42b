"""A span for each request that leads to a model, and one within it for the upstream's part.

`Trace` stands outside of everything that finds out about a request, so that its span has the whole of it; `Onward` behind
whoever resolves it, before whoever may refuse it. It hands the upstream's span to the one place from which requests go out
(`Exchange.outgoing`). Neither is there unless traces are asked for, and no fault of theirs becomes a request's.

What spans are called and what they say stands in `trace_attributes`.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.routing import BaseRoute, Route, WebSocketRoute

from app.config.catalog import PeerModel
from app.errors import HostlerError
from app.exchange import KEY, Exchange, exchange_of
from app.middleware.trace_attributes import Attributes, error_of, name_of, of_answer, of_request, of_wait
from app.telemetry.tracing_settings import TracingSettings, settings_of

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from app.telemetry.tracing import Span, Tracing

logger = logging.getLogger(__name__)

TRACED = "hostler.traced"
"""Where what is traced of a request lives in its scope."""

_SWITCHED = 101


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
        attributes = of_request(exchange, model.id)
        attributes["http.request.method"] = self._method
        attributes["server.address"] = url.hostname or ""
        attributes["server.port"] = url.port or (443 if url.scheme == "https" else 80)
        call = self._call = self._span.call(name_of(exchange, model.id) or self._method, attributes)
        return call.headers()

    def end(self, exchange: Exchange | None, status: int, raised: BaseException | None) -> None:
        """Ends both. status: of our answer; 0: there was none, and perhaps somebody further out will answer yet."""
        if not self._span.is_recorded():
            return
        attributes: Attributes = {}
        error, at_fault = error_of(exchange, status, raised)
        if error:
            attributes["error.type"] = error
        if exchange is not None:
            told = of_answer(exchange)
            attributes |= told
            if self._call is not None:
                self._end_call(self._call, exchange, error, told)
            attributes |= of_request(exchange, exchange.asked) | of_wait(exchange)
        if not status and isinstance(raised, HostlerError):
            status = raised.status
        if status:
            attributes["http.response.status_code"] = status
        self._span.end(attributes, name="" if exchange is None else name_of(exchange, exchange.asked), failed=at_fault)

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
