"""A response that may begin before its upstream's does: it tells a client that waits what it waits for.

Once it has begun, the upstream's own status and headers come too late. An answer that is an event stream follows on the
same response; anything else, and every failure, becomes an error event.

Theory of operation
-------------------
Two work on one response: the request's own task, which waits for the model and forwards, and the writer beside it. They never send
at the same time: the request's task hands its first message to `send`, which has the writer finish before it does anything.
The writer waits for nobody but the client, so a slow client holds up neither the scheduler nor the asking of the upstream,
and neither waits for a timer of the writer's: `granted` and the end wake it.

The writer begins at once where the API's grammar has words for it and the model is not there at once; else after a silence,
whether that is the queue's or the upstream's, which it breaks with comments so that no proxy cuts the line. A request that is
answered before costs a timer and no task (`app.asgi.Belated`).
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio

from app.asgi import Belated, header
from app.errors import CANCELLED, Cancelled, HostlerError, UpstreamError
from app.exchange import exchange_of
from app.proxy.forwarder import StreamBroken
from app.proxy.loading_text import Grammar, Standing, Story, comment, failure, message_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import TracebackType
    from typing import Self

    from starlette.types import Message, Scope, Send

logger = logging.getLogger(__name__)

LAST_WORD_S = 1.0
"""Seconds that a client has to take in that its request was cancelled, before it is cut off."""

REFUSAL_LIMIT = 64 << 10
"""Bytes read of an answer that cannot be passed on, for its message."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How often something is said."""

    update_s: float = 0.75
    """Between two pieces of loading text."""
    silence_s: float = 10.0
    """After which a comment is sent."""


PACE = Pace()


class Unfitting(UpstreamError):
    """The upstream's answer does not fit into the stream that has begun."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.answered = status
        """What the client would have got as the response's status."""


class LoadingStream:
    """The response of one request for a stream, as a context manager around the wait for the model and the forwarding.

    An error that comes when the response has begun is told as an event, logged, and goes no further.
    """

    def __init__(
        self,
        scope: Scope,
        send: Send,
        model: str,
        grammar: Grammar,
        standing: Callable[[], Standing | None] | None,
        pace: Pace = PACE,
        clock: Callable[[], float] = time.monotonic,
        *,
        is_cancelled: Callable[[], bool] = lambda: False,
    ) -> None:
        """Sends nothing yet.

        standing: tells how the request stands; None: nothing is told but, after a silence, that it waits.
        is_cancelled: says, when the request's task is cancelled, whether an operator did that: the client is still there then.
        """
        # for its whole life
        self._scope = scope
        self._send = send
        self._model = model
        self._grammar = grammar
        self._standing = standing
        self._pace = pace
        self._clock = clock
        self._is_cancelled = is_cancelled

        # as things are
        self._writer = Belated(f"loading stream of {model}")
        self._wake: anyio.Event | None = None
        """Ends the writer's pause; None: it is in none."""
        self._is_granted = False
        self._is_over = False
        """Whether the writer is to end."""
        self._has_begun = False
        """Whether the client has a status: 200."""
        self._is_passing = False
        """Whether the upstream's answer goes through."""
        self._refused = 0
        """Status of an answer that is an error and does not go through; 0: there is none."""
        self._refusal = b""
        """What there is of its body."""

    async def __aenter__(self) -> Self:
        # Not before this task waits for something: a lease that is granted at once is entered without.
        self._writer.after(self._pace.silence_s if self._standing is None else 0.0, self._write)
        return self

    def granted(self) -> None:
        """Notes that the model is there."""
        self._is_granted = True
        if self._standing is None:
            return
        if self._writer.has_begun:
            self._wake_writer()
        else:
            self._standing = None
            self._writer.after(self._pace.silence_s, self._write)

    def send(self, message: Message) -> Awaitable[None]:
        """Sends a message of the upstream's answer. Not a coroutine function: most of them only pass through.

        Raises Unfitting when that answer cannot follow on what was sent before.
        """
        if not self._is_passing:
            if self._writer.has_begun:
                return self._follow(message)
            self._writer.call_off()
            self._is_passing = True
        return self._send(message)

    async def _follow(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            await self._end_writer()
            if not self._has_begun:
                self._is_passing = True
                await self._send(message)
                return
            if message["status"] != 200:
                self._refused = message["status"]
                return
            misfit = _misfit(message["headers"])
            if misfit:
                raise Unfitting(502, misfit)
            self._is_passing = True
            return
        self._refusal += message.get("body", b"")
        if len(self._refusal) >= REFUSAL_LIMIT or not message.get("more_body", False):
            raise self._upstreams_error()

    def _upstreams_error(self) -> Unfitting:
        said = message_of(self._refusal[:REFUSAL_LIMIT])
        return Unfitting(self._refused, said or f"the model's server answered with status {self._refused}")

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        try:
            if self._refused and isinstance(exc, StreamBroken):
                exc = self._upstreams_error()
            elif isinstance(exc, asyncio.CancelledError) and not self._is_passing and self._is_cancelled():
                with anyio.move_on_after(LAST_WORD_S):
                    return await self._tell(Cancelled(CANCELLED))
                return False
            if self._is_passing or not isinstance(exc, HostlerError):
                return False
            return await self._tell(exc)
        finally:
            await self._writer.close()

    async def _tell(self, error: HostlerError) -> bool:
        """Ends a response that has begun with *error*; returns whether it had."""
        await self._end_writer()
        if not self._has_begun:
            return False
        logger.warning("told within a loading stream, with status 200: %s", error, extra={"model": self._model})
        exchange_of(self._scope).failure = error
        status = error.answered if isinstance(error, Unfitting) else error.status
        event = failure(self._grammar, status, str(error), error.code)
        await self._send({"type": "http.response.body", "body": event})
        return True

    # The writer

    async def _write(self) -> None:
        if self._standing is not None:
            if not self._is_granted:
                await self._tell_loading(self._standing)
            await self._pause(self._pace.silence_s)
        while not self._is_over:
            await self._say(comment(f"waiting for {self._model}"))
            await self._pause(self._pace.silence_s)

    async def _tell_loading(self, standing: Callable[[], Standing | None]) -> None:
        now = said_at = self._clock()
        story = Story(self._model, self._grammar, now)
        await self._say(story.opening())
        while True:
            if not self._is_granted:
                await self._pause(self._pace.update_s)
            if self._is_granted or self._is_over:
                break
            now = self._clock()
            text = story.update(standing(), now)
            if not text and now >= said_at + self._pace.silence_s:
                text = comment(f"waiting for {self._model}")
            if text:
                said_at = now
                await self._say(text)
        if self._is_granted:
            await self._say(story.closing(self._clock()))

    async def _pause(self, seconds: float) -> None:
        """Waits, unless there is news for the writer."""
        if self._is_over:
            return
        self._wake = anyio.Event()
        with anyio.move_on_after(seconds):
            await self._wake.wait()
        self._wake = None

    def _wake_writer(self) -> None:
        if self._wake is not None:
            self._wake.set()

    async def _end_writer(self) -> None:
        self._is_over = True
        self._wake_writer()
        await self._writer.end()

    async def _say(self, text: bytes) -> None:
        if not self._has_begun:
            self._has_begun = True
            await self._send({"type": "http.response.start", "status": 200, "headers": _head(self._scope)})
        await self._send({"type": "http.response.body", "body": text, "more_body": True})


def _misfit(headers: list[tuple[bytes, bytes]]) -> str:
    """Returns why an answer of status 200 cannot follow on text of ours; empty: it can."""
    found = dict(headers)
    media_type = found.get(b"content-type", b"").decode("latin-1")
    if not media_type.lower().startswith("text/event-stream"):
        return f"the model's server answered with {media_type or 'an unknown type'} instead of an event stream"
    encoding = found.get(b"content-encoding", b"identity").decode("latin-1")
    if encoding.lower() != "identity":
        return f"the model's server compressed its answer ({encoding}), though it was asked not to"
    return ""


def plain(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Returns a request's headers as they must be for an answer that may follow on text of ours: not compressed."""
    kept = [header for header in headers if header[0] != b"accept-encoding"]
    kept.append((b"accept-encoding", b"identity"))
    return kept


def _head(scope: Scope) -> list[tuple[bytes, bytes]]:
    headers = [
        (b"content-type", b"text/event-stream"),
        (b"cache-control", b"no-cache"),
        (b"x-accel-buffering", b"no"),
    ]
    # Goes without saying in HTTP/1.1, but llama-swap says it. The server adds `close` of its own where it will close.
    if scope["http_version"] == "1.1" and b"close" not in header(scope, b"connection").lower():
        headers.append((b"connection", b"keep-alive"))
    return headers
