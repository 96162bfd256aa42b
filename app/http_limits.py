"""The limits that uvicorn's HTTP protocol lacks: of the size of a request's head, and of the time until it is complete.

llhttp collects a header for as long as it goes on, and uvicorn waits for one for as long as the connection stands. So what is
received is counted while it may belong to a head, and one timer for the whole connection looks at when the wait began
and sets itself anew; a timer for each request would cost more than all of this. The same timer sees to it that a connection on
which nothing more is asked is closed in the end, as uvicorn does with one for each answer.

What is refused here has never been a request to the application: it is in no access log.
"""

from __future__ import annotations

import asyncio

from app.errors import HeadTooLarge, RequestError, TargetTooLong, TooSlow, dialect_of, render
from app.http_cycle import STATUS_LINES
from app.http_protocol import CorkedProtocol


class LimitedProtocol(CorkedProtocol):
    """One client's connection."""

    head_limit = 64 << 10
    """Longest head of a request, in bytes: target and headers."""

    target_limit = 32 << 10
    """Longest path with its query, in bytes."""

    headers_limit = 256
    """Most headers."""

    head_s = 30.0
    """Seconds from a head's first byte, or from the connection's beginning, until the head must be complete."""

    linger_s = 1.0
    """Seconds for which a client that was refused may go on talking: closed at once, it would be sent a reset and not see why."""

    # of the connection
    url = b""
    _is_refused = False
    _timer: asyncio.TimerHandle | None = None

    # of the head that is being received
    _in_head = True
    _size = 0
    """Bytes received that may belong to it."""
    _since = 0.0
    """When the wait for it began; 0.0 when nobody waits."""
    _is_idle = False
    """Whether an answer was the last thing that happened: then it may take its time."""
    _refusal: RequestError | None = None
    """Why it is not served."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begins to wait for the first head."""
        super().connection_made(transport)
        self._since = self.loop.time()
        self._timer = self.loop.call_later(self.head_s, self._look)

    def data_received(self, data: bytes) -> None:
        """Takes in what the client sends, and counts it as long as it may be the head of a request."""
        if self._in_head:
            if self._is_refused:
                return
            self._size += len(data)
            if self._is_idle or not self._since:
                self._is_idle = False
                self._since = self.loop.time()
        super().data_received(data)
        if self._in_head and self._size > self.head_limit and not self._is_refused:
            self._refuse(self._too_long())

    def on_headers_complete(self) -> None:
        """Begins a request whose head is within the limits."""
        self._in_head = False
        self._since = 0.0
        if (
            len(self.url) > self.target_limit
            or len(self.headers) > self.headers_limit
            # What was received may be more than the head; only when it is too much is the head itself measured.
            or (self._size > self.head_limit and self._measured() > self.head_limit)
        ):
            self._refusal = self._too_long()
            # Comes back as `send_400_response`, after a detour through the parser.
            raise self._refusal
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Waits for the next head."""
        self._in_head = True
        self._size = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Goes on to the next request, or waits for it."""
        super().on_response_complete()
        cycle = self.cycle
        if cycle is not None and cycle.response_complete and not (self._in_head and self._size):
            # Perhaps not all of the request is here, and never will be: that does not keep the connection open, either.
            self._is_idle = True
            self._since = self.loop.time()

    def handle_websocket_upgrade(self) -> None:
        """Hands the connection over, which has no more heads."""
        self._stop()
        super().handle_websocket_upgrade()

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends."""
        self._stop()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Says why the request cannot be served, and closes the connection."""
        cycle = self.cycle
        if cycle is not None and cycle.response_started and not cycle.response_complete:
            # In the middle of an answer, another one would be taken for a part of it.
            self.close()
            return
        path = self.url.partition(b"?")[0].decode("latin-1")
        rendered = render(self._refusal or RequestError(msg), dialect=dialect_of(path))
        lines = [STATUS_LINES[rendered.status], *map(b": ".join, rendered.headers), b"connection: close", b"\r\n"]
        self.write(b"\r\n".join(lines), rendered.body)
        self._leave()

    def _leave(self) -> None:
        """Closes our side of the connection now, and the rest when the client does or has had its time."""
        self._stop()
        self._is_refused = self._in_head = True
        self.write_now()
        self._is_written_to = False
        transport = self.transport
        if transport.can_write_eof():
            self.flow.resume_reading()
            transport.write_eof()
            self._timer = self.loop.call_later(self.linger_s, transport.close)
        else:
            transport.close()

    def _measured(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + len(": \r\n") for name, value in self.headers)

    def _too_long(self) -> RequestError:
        if len(self.url) > self.target_limit:
            return TargetTooLong(f"the request's path and query are longer than {self.target_limit} bytes")
        return HeadTooLarge(
            f"the request's headers are longer than {self.head_limit} bytes, or more than {self.headers_limit}"
        )

    def _look(self) -> None:
        left = self.head_s
        if self._since:
            left = self._since + (self.timeout_keep_alive if self._is_idle else self.head_s) - self.loop.time()
        if left > 0:
            # Who begins a head meanwhile must not have to be looked at later than its time is over.
            self._timer = self.loop.call_later(min(left, self.head_s), self._look)
        elif self._size and not self._is_idle:
            self._refuse(TooSlow(f"the request's head was not complete after {self.head_s:g} s"))
        else:
            self.close()

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _refuse(self, error: RequestError) -> None:
        if not self.transport.is_closing():
            self._refusal = error
            self.send_400_response(str(error))
