"""One connection to an upstream: an asyncio protocol on uvicorn's own HTTP parser.

Theory of operation
-------------------
A connection serves one exchange at a time. `data_received` feeds the parser; its callbacks fill plain fields (`status`,
`headers`, `chunks`); whoever reads waits on a single future and looks at those fields when it wakes. There is no task,
queue or lock, and nothing is copied but when several pieces have arrived since the last look.

- **Complete** is said by the parser alone: the declared length, the last chunk, or, when the answer declares neither, the
  end of the connection. Any other end is an error, so that a cut answer never looks whole.
- **Back-pressure.** Above `HIGH_WATER` unread bytes the socket is no longer read, until somebody has taken them.
- **Reuse.** A connection goes back only if the whole request was written, the whole answer arrived, both sides want to go
  on, and not a byte came after it. Everything else is aborted at once: that is how an upstream learns that its client has left.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import aclosing
from typing import TYPE_CHECKING, Literal, cast

import httptools

from app.errors import UpstreamError, UpstreamTimeout

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from app.asgi import Body
    from app.turn import TurnEnd

Framing = Literal["content-length", "chunked", "until-close", "none"]
"""What ends an answer's body: its declared length, a last chunk, the end of the connection; `none`: it has no body."""

HIGH_WATER = 256 << 10
"""Unread bytes of an answer above which its socket is no longer read."""

OVERHEAD_LIMIT = 256 << 10
"""Bytes an upstream may send without getting on with the body: the head, interim answers, trailers, chunk extensions."""

WRITE_AT_ONCE = 64 << 10
"""Longest body that is joined with its head; copying a longer one costs more than a second write."""

_FRAMING_HEADERS = frozenset({b"content-length", b"transfer-encoding"})


class ConnectFailed(UpstreamError):
    """No connection could be made: nothing has been sent."""


class ConnectTimedOut(UpstreamTimeout):
    """No connection could be made in time: nothing has been sent."""


class AnswerTimedOut(UpstreamTimeout):
    """The head of the answer did not come in time."""


class AnswerBroken(UpstreamError):
    """The connection ended before the answer did. The cause is the socket's error; None when it was closed in order."""


class BadAnswer(UpstreamError):
    """What the upstream sent is not HTTP, or does not say without doubt where it ends."""


class TransportClosed(UpstreamError):
    """The connections to this upstream were closed from our side: it is being stopped."""


class Connection(asyncio.Protocol):
    """One connection to the upstream, and the state of the exchange on it."""

    __slots__ = (
        "_error",
        "_fields",
        "_is_busy",
        "_is_head",
        "_keepalive_s",
        "_loop",
        "_on_idle",
        "_on_lost",
        "_origin",
        "_overhead",
        "_parser",
        "_reading_paused",
        "_sent",
        "_transport",
        "_unread",
        "_unwritten",
        "_waiter",
        "_write_paused",
        "answered",
        "chunks",
        "complete",
        "framing",
        "head_complete",
        "headers",
        "idle_since",
        "is_lost",
        "keep_alive",
        "on_body",
        "status",
    )

    def __init__(
        self,
        origin: str,
        keepalive_s: float,
        on_idle: Callable[[Connection], None],
        on_lost: Callable[[Connection], None],
    ) -> None:
        """Belongs to a pool.

        origin: whom messages name. keepalive_s: period of TCP's probes; 0 for none.
        on_idle: called when it can be used again. on_lost: called once, when it is gone.
        """
        # for life
        self._origin = origin
        self._keepalive_s = keepalive_s
        self._on_idle = on_idle
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport = None  # type: ignore[assignment]  # set before anybody sees the connection
        self.chunks: list[bytes] = []
        """The part of the body that has arrived and was not read yet."""
        # The parser calls this straight: no Python frame per piece of a body.
        self.on_body = self.chunks.append
        self._parser = httptools.HttpResponseParser(self)
        self._write_paused = False
        self._waiter: asyncio.Future[None] | None = None
        self.idle_since = 0.0
        self.is_lost = False
        """Whether the loop has told us that it is gone for good."""

        # for one exchange
        self._is_busy = True
        self._reset(is_head=False)

    def _reset(self, *, is_head: bool) -> None:
        self._is_head = is_head
        self._sent = False
        self._unwritten = b""
        """What is written at the end of the loop's turn."""
        self._fields: list[tuple[bytes, bytes]] = []
        self._overhead = 0
        self._unread = 0
        self._reading_paused = False
        self._error: UpstreamError | None = None
        self.answered = False
        """Whether any byte of the answer has arrived."""
        self.head_complete = False
        self.complete = False
        """Whether the whole answer has arrived."""
        self.keep_alive = False
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.framing: Framing = "none"

    # What the transport calls

    async def ask(
        self, head: bytes, body: Body | bytes, is_head: bool, header_timeout_s: float, turn: TurnEnd | None = None
    ) -> None:
        """Sends a request and returns when the head of its answer has arrived.

        turn: at whose end a small request is written; None: at once.
        Raises an UpstreamError when the head does not arrive; then, and when cancelled, the connection is gone.
        """
        if self._is_head:
            # The parser cannot be told that an answer to HEAD ends with its head; it still waits for the body.
            self._parser = httptools.HttpResponseParser(self)
        self._reset(is_head=is_head)
        self._is_busy = True
        timer = None
        try:
            if self._transport.is_closing():
                # Lost between the making and the asking: nobody would tell us again.
                self._end(None)
                await self.arrival()
            data = body if isinstance(body, bytes) else body.data
            if len(data) > WRITE_AT_ONCE:
                self._transport.write(head)
                self._transport.write(data)
            elif turn is None:
                self._transport.write(head + data)
            else:
                self._unwritten = head + data
                turn.add(self._write)
            if isinstance(body, bytes) or not body.is_spooled:
                self._sent = True
            else:
                self._write()
                await self._upload(body)
            if header_timeout_s > 0 and not self.head_complete:
                timer = self._loop.call_later(header_timeout_s, self._time_out, header_timeout_s)
            while not self.head_complete:
                await self.arrival()
        except BaseException:
            self.abort()
            raise
        finally:
            if timer is not None:
                timer.cancel()

    def _write(self) -> None:
        data, self._unwritten = self._unwritten, b""
        if data and not self._transport.is_closing():
            self._transport.write(data)

    async def _upload(self, body: Body) -> None:
        """Writes a spooled body as fast as the upstream takes it.

        An upstream that answers early and will not read on (an error, or it closes afterwards) ends this. One that answers early
        and means to go on is sent the rest first: it must not wait for us to read more than `HIGH_WATER` of its answer.
        """
        # An async generator that is left early must be closed here; left to the collector it would end in another task.
        async with aclosing(cast("AsyncGenerator[bytes, None]", body.chunks())) as chunks:
            async for chunk in chunks:
                while self._write_paused and not self._wants_no_more():
                    await self.arrival()
                if self._wants_no_more():
                    return
                self._transport.write(chunk)
        self._sent = True

    def _wants_no_more(self) -> bool:
        return self._error is not None or (self.head_complete and (self.status >= 400 or not self.keep_alive))

    def arrival(self) -> asyncio.Future[None]:
        """Returns what is done when there may be news: bytes, the end, room to write. Raises what ended the answer early.

        For one who waits at a time.
        """
        if self._error is not None:
            raise self._error
        self._waiter = waiter = self._loop.create_future()
        return waiter

    def take(self) -> bytes:
        """Returns all of the body that has arrived since the last call, and lets the socket be read again."""
        chunks = self.chunks
        data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        chunks.clear()
        self._unread = 0
        if self._reading_paused:
            self._reading_paused = False
            self._transport.resume_reading()
        return data

    def release(self) -> None:
        """Ends the exchange: back to the pool, or aborted at once if anything of it is outstanding."""
        self._is_busy = False
        if (
            self.complete
            and self.keep_alive
            and self._sent
            and not self._transport.is_closing()
            and self._transport.get_write_buffer_size() == 0
        ):
            if self.chunks or self._reading_paused:
                self.take()
            self._on_idle(self)
        else:
            self.abort()

    def abort(self) -> None:
        """Closes the connection now, whatever is under way on it."""
        self._is_busy = False
        self._transport.abort()

    def fail(self, error: UpstreamError) -> None:
        """Ends the exchange with *error*, raised where it is waited for."""
        if self._error is None and not self.complete:
            self._error = error
        self._transport.abort()
        self._wake()

    @property
    def is_usable(self) -> bool:
        """Whether an idle connection is still open, as far as we have been told."""
        return not self._transport.is_closing()

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _time_out(self, header_timeout_s: float) -> None:
        self.fail(AnswerTimedOut(f"the model's server at {self._origin} sent no answer within {header_timeout_s:g} s"))

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Sets the socket up."""
        self._transport = cast("asyncio.Transport", transport)
        connected = transport.get_extra_info("socket")
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        period_s = int(self._keepalive_s)
        if period_s > 0:
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for option in ("TCP_KEEPIDLE", "TCP_KEEPINTVL"):  # neither is on every platform
                if hasattr(socket, option):
                    connected.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), period_s)

    def data_received(self, data: bytes) -> None:
        """Feeds the parser; called for whatever the socket had."""
        if not self._is_busy:
            self._transport.abort()  # nobody asked: there is no telling what it would answer
            return
        self.answered = True
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as exc:
            self.keep_alive = False
            if not self.complete:
                why = exc.__context__ or exc
                self.fail(BadAnswer(f"the model's server at {self._origin} sent an answer that cannot be used: {why}"))
                return
        if self.chunks:
            self._overhead = 0
            self._unread += len(data)
            if self._is_head:
                self.chunks.clear()
                self.keep_alive = False
            elif self._unread > HIGH_WATER and not self._reading_paused and not self.complete:
                self._reading_paused = True
                self._transport.pause_reading()
        elif not self.complete:
            self._overhead += len(data)
            if self._overhead > OVERHEAD_LIMIT:
                self.fail(
                    BadAnswer(
                        f"the model's server at {self._origin} sent more than {OVERHEAD_LIMIT} bytes of headers or trailers"
                    )
                )
                return
        waiter = self._waiter
        if self.head_complete and waiter is not None and not waiter.done():
            waiter.set_result(None)

    def eof_received(self) -> None:
        """Ends the exchange; the transport then closes itself."""
        self._end(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends the exchange and leaves the pool."""
        self.is_lost = True
        self._on_lost(self)
        self._end(exc)
        # The parser holds our methods and we hold the parser: a cycle that would wait for the collector.
        self._parser = None  # type: ignore[assignment]  # nobody feeds it any more

    def _end(self, exc: Exception | None) -> None:
        if not self.complete and self._error is None:
            if self.head_complete and self.framing == "until-close" and exc is None and self._is_busy:
                self.complete = True
            else:
                told = f"before the {'end of its answer' if self.answered else 'first byte of an answer'}"
                how = "closed the connection" if exc is None else f"broke the connection ({exc})"
                self._error = AnswerBroken(f"the model's server at {self._origin} {how} {told}")
                self._error.__cause__ = exc
        self.keep_alive = False
        self._wake()

    def pause_writing(self) -> None:
        """Notes that the upstream is slow to read."""
        self._write_paused = True

    def resume_writing(self) -> None:
        """Lets an upload go on."""
        self._write_paused = False
        self._wake()

    # The parser's callbacks. What they raise ends the parsing.

    def on_message_begin(self) -> None:
        """Starts an answer, be it an interim one."""
        if self.complete:
            raise BadAnswer("a second answer to one request")
        if self._fields:
            self._fields = []
        self.framing = "none"

    def on_header(self, name: bytes, value: bytes) -> None:
        """Takes a header, or a trailer. The parser refuses what is malformed; this, what is doubtful."""
        name = name.lower()
        self._fields.append((name, value))
        if name in _FRAMING_HEADERS and not self.head_complete:
            if self.framing != "none":
                raise BadAnswer("its length is declared more than once")
            if name == b"content-length":
                self.framing = "content-length"
            elif value.strip().lower() == b"chunked":
                self.framing = "chunked"
            else:
                raise BadAnswer("its transfer-encoding is not chunked")

    def on_headers_complete(self) -> None:
        """Takes the head as a whole, unless it is an interim one."""
        status = self._parser.get_status_code()
        if status < 200 and status not in {100, 102, 103}:
            raise BadAnswer(f"status {status} was not asked for")
        if status < 200:
            return
        if status > 599:
            raise BadAnswer(f"there is no status {status}")
        self.status = status
        self.headers = self._fields
        self._fields = []  # for trailers, which go nowhere
        self.keep_alive = self._parser.should_keep_alive()
        self.head_complete = True
        if self._is_head or status in {204, 304}:
            self.framing = "none"
            self.complete = True
        elif self.framing == "none":
            self.framing = "until-close"

    def on_message_complete(self) -> None:
        """Notes the end of the answer, unless it was an interim one."""
        if self.head_complete:
            self.complete = True
