"""Spans of requests, and their way to a collector: the one place that knows OpenTelemetry's library.

Imported only where traces are asked for (`tracing_settings`). The library's batches, retries and environment variables are used as
they are, with a provider of our own: who embeds Hostler keeps the global one. Two things are done here because it does not:

- **A collector that is away** is told of once, and once more when it is back. The library would say it with every batch, so its
  loggers speak through `_Voice` while we run.
- **The end has a deadline.** The library waits up to 30 s for its thread, which may wait for a connection. What has not been
  delivered after `FLUSH_S` is lost; the threads that wait are daemons.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import anyio
from anyio import to_thread
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from app import __version__

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import Span as OtelSpan, Tracer

    from app.telemetry.tracing_settings import TracingSettings

logger = logging.getLogger(__name__)

FLUSH_S = 2.0
"""Seconds that the end of the program waits for the last spans to be delivered."""

Attributes = Mapping[str, str | int | float | bool | Sequence[str]]

_W3C = TraceContextTextMapPropagator()
_PARENT = b"traceparent"
_STATE = b"tracestate"


class Span:
    """A stretch of time with a name, as part of a trace. Ended once."""

    __slots__ = ("_span", "_tracer")

    def __init__(self, tracer: Tracer, span: OtelSpan) -> None:
        self._tracer = tracer
        self._span = span

    def call(self, name: str, attributes: Attributes) -> Span:
        """Returns a new span within this one, of a call to another server."""
        parent = set_span_in_context(self._span, Context())
        return Span(self._tracer, self._tracer.start_span(name, parent, SpanKind.CLIENT, attributes))

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Returns the headers that make another server's spans part of this one; one that is empty is not to be sent."""
        carrier: dict[str, str] = {}
        _W3C.inject(carrier, set_span_in_context(self._span, Context()))
        return [(name, carrier.get(name.decode(), "").encode("latin-1")) for name in (_PARENT, _STATE)]

    def is_recorded(self) -> bool:
        """Returns whether anybody will see it; the caller may have decided that nobody does."""
        return self._span.is_recording()

    def end(self, attributes: Attributes, *, name: str = "", failed: bool = False) -> None:
        """Ends the span now. name: another than it has begun with."""
        span = self._span
        if name:
            span.update_name(name)
        span.set_attributes(attributes)
        if failed:
            span.set_status(Status(StatusCode.ERROR))
        span.end()


class Tracing:
    """Makes spans, from the beginning of `running` to its end."""

    def __init__(
        self, settings: TracingSettings, exporters: Callable[[], Sequence[SpanExporter]] | None = None
    ) -> None:
        """Starts nothing yet. exporters: makes what spans are given to; None: what *settings* say."""
        self._exporters = exporters or (lambda: _exporters(settings))
        self._tracer: Tracer | None = None
        self._has_failed = False

    def serve(self, name: str, headers: Iterable[tuple[bytes, bytes]], attributes: Attributes) -> Span | None:
        """Returns a new span of a request that was received with *headers*; None: nobody records any."""
        tracer = self._tracer
        if tracer is None:
            return None
        return Span(tracer, tracer.start_span(name, _context_of(headers), SpanKind.SERVER, attributes))

    def failed(self, exc: Exception) -> None:
        """Takes note of a fault of ours, which must not become the request's."""
        if not self._has_failed:
            self._has_failed = True
            logger.warning("a span was lost; further such failures are not told of", exc_info=exc)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Is the time in which spans are made and delivered."""
        with _library_speaks_through(_Voice()) as voice:
            deliveries: list[_Delivery] = []
            provider: TracerProvider | None = None
            try:
                deliveries += [_Delivery(each, voice) for each in await to_thread.run_sync(self._exporters)]
                provider = await to_thread.run_sync(_provider, deliveries)
                self._tracer = provider.get_tracer("hostler", __version__)
            except Exception as exc:
                logger.warning("there will be no traces: %s; look at the OTEL_… environment variables", exc)
            try:
                yield
            finally:
                self._tracer = None
                if provider is not None:
                    with anyio.CancelScope(shield=True):
                        await _close(provider, deliveries)


def _context_of(headers: Iterable[tuple[bytes, bytes]]) -> Context:
    """Returns the context that a request's sender says it is part of; an empty one if it says none, or more than one."""
    parents: list[str] = []
    states: list[str] = []
    for name, value in headers:
        if len(name) == 11 and name == _PARENT:
            parents.append(value.decode("latin-1"))
        elif len(name) == 10 and name == _STATE:
            states.append(value.decode("latin-1"))
    if len(parents) != 1:
        return Context()
    return _W3C.extract(
        {"traceparent": parents, "tracestate": [",".join(states)]} if states else {"traceparent": parents}, Context()
    )


def _exporters(settings: TracingSettings) -> list[SpanExporter]:
    otlp: list[SpanExporter] = [OTLPSpanExporter()] if settings.otlp else []
    return [*otlp, ConsoleSpanExporter(out=sys.stdout)] if settings.console else otlp


def _provider(deliveries: Iterable[SpanExporter]) -> TracerProvider:
    ours = {"service.name": "hostler", "service.version": __version__}
    # What the environment says of the service goes before.
    resource = Resource.create({**ours, **OTELResourceDetector().detect().attributes})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    for each in deliveries:
        provider.add_span_processor(BatchSpanProcessor(each))
    return provider


async def _close(provider: TracerProvider, deliveries: Sequence[_Delivery]) -> None:
    """Delivers what is left, if that is possible before the deadline."""
    loop = asyncio.get_running_loop()
    closed = asyncio.Event()

    def close() -> None:
        provider.shutdown()
        # The loop may have ended long ago.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(closed.set)

    for each in deliveries:
        each.give_up_if_failing()
    # Not a thread of anyio's: the interpreter would wait for that one.
    threading.Thread(target=close, name="end of tracing", daemon=True).start()
    with anyio.move_on_after(FLUSH_S) as deadline:
        await closed.wait()
    if deadline.cancelled_caught:
        logger.warning("the last traces could not be delivered within %.0f s and are lost", FLUSH_S)
        for each in deliveries:
            each.shutdown()


class _Delivery(SpanExporter):
    """An exporter that says once that it cannot deliver. Called in the library's thread; `shutdown` in others, too."""

    def __init__(self, exporter: SpanExporter, voice: _Voice) -> None:
        self._exporter = exporter
        self._voice = voice
        self._is_failing = False
        self._is_shut = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Delivers *spans*, or drops them."""
        self._voice.complaint = ""
        result = self._exporter.export(spans)
        failing = result is not SpanExportResult.SUCCESS
        if failing and not self._is_failing and not self._is_shut:
            logger.warning(
                "traces cannot be delivered and are dropped until they can be; requests are served all the same: %s",
                self._voice.complaint or "the exporter does not say why",
            )
        elif self._is_failing and not failing:
            logger.info("traces are delivered again")
        self._is_failing = failing
        return result

    def give_up_if_failing(self) -> None:
        """Shuts it down if its last delivery has failed: the next one would only take its time to fail, too."""
        if self._is_failing:
            self.shutdown()

    def shutdown(self) -> None:
        """Ends a delivery that waits to try again, and lets none begin."""
        if not self._is_shut:
            self._is_shut = True
            self._exporter.shutdown()


@contextmanager
def _library_speaks_through(voice: _Voice) -> Iterator[_Voice]:
    theirs = logging.getLogger("opentelemetry")
    before = theirs.handlers[:], theirs.propagate
    theirs.handlers[:], theirs.propagate = [voice], False
    try:
        yield voice
    finally:
        theirs.handlers[:], theirs.propagate = before


class _Voice(logging.Handler):
    """Says everything once. The exporters' complaints are debugging: `_Delivery` speaks of what they come to."""

    def __init__(self) -> None:
        super().__init__()
        self._said: set[tuple[str, int]] = set()
        self.complaint = ""
        """What an exporter has said first since this was last emptied."""

    def emit(self, record: logging.LogRecord) -> None:
        """Passes on what is new; some of it can be provoked by any client's headers, as often as it likes."""
        text, level = record.getMessage(), record.levelno
        place = record.name, record.lineno
        if record.name.startswith("opentelemetry.exporter"):
            self.complaint = self.complaint or text
            level = logging.DEBUG
        elif place in self._said:
            level = logging.DEBUG
        self._said.add(place)
        logger.log(level, "OpenTelemetry: %s", text, exc_info=record.exc_info)
