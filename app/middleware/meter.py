"""Measures every model request, and enters it into the log of activity when it has ended, however it has.

Stands outside of whatever may refuse, so that refusals and failures are recorded, too; and inside the list of requests in
flight, so that a request is never in neither. Nothing is kept of an answer but what its usage is read from (`app.metering`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import unquote

from app.asgi import ClientDisconnected, first_values
from app.config.catalog import Catalog
from app.errors import HostlerError
from app.exchange import ASKED, KEY, Exchange
from app.metering.meter import Meter, usage_of
from app.metering.usage import Usage
from app.middleware.access_log import CLIENT_LEFT
from app.middleware.auth import KEY_DIGEST
from app.middleware.capture import CAPTURE
from app.proxy.forwarder import StreamBroken
from app.telemetry.activity import ActivityLog
from app.telemetry.activity_record import NO_METADATA, ActivityRecord
from app.telemetry.captures import Captures
from app.telemetry.inflight import metadata_of

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from app.telemetry.capture_recorder import CaptureRecorder

EVENT_STREAM = "text/event-stream"

FINGERPRINT = 4
"""Bytes of a key's digest that tell keys apart."""


class Metering:
    """ASGI layer of one endpoint that leads to models."""

    def __init__(
        self,
        app: ASGIApp,
        current: Callable[[], Catalog],
        activity: ActivityLog,
        captures: Captures,
        *,
        path: str = "",
        recorded: Collection[str] = (),
        on_record: Callable[[int], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepares for one endpoint.

        path: what upstreams are asked for here; empty: the exchange says it.
        recorded: then, the paths of which requests are recorded.
        on_record: told the number of each record.
        """
        self._app = app
        self._current = current
        self._activity = activity
        self._captures = captures
        self._path = path
        self._recorded = recorded
        self._on_record = on_record
        self._clock = clock

        # the time of day, as it was when it was last looked at: to ask for it is not cheap, so that is done once a second
        self._zero_s = 0.0
        """Seconds since 1970 when the clock was 0, …"""
        self._looked_at = float("-inf")
        """… as it was when the clock showed this."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request and records it, if it is one to be recorded: source of the rule is compatibility specification 6.1."""
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        began = self._clock()
        response = _Response(scope, send, self._clock)
        status, error = 0, ""
        try:
            await self._app(scope, receive, response.send)
        except ClientDisconnected:
            status, error = CLIENT_LEFT, "the client left"
            raise
        except StreamBroken as exc:
            status, error = 502, str(exc)
            raise
        except HostlerError as exc:
            status, error = exc.status, str(exc)
            raise
        except asyncio.CancelledError:
            # An operator did it, or Hostler is ending.
            status, error = 502, "cancelled"
            raise
        except BaseException as exc:
            status, error = 500, f"internal error: {type(exc).__name__}"
            raise
        finally:
            self._record(scope, response, began, status, error)

    def _record(self, scope: Scope, response: _Response, began: float, status: int, error: str) -> None:
        exchange: Exchange | None = scope.get(KEY)
        path = self._path
        if not path:
            path = "" if exchange is None else unquote(exchange.path)
            if path not in self._recorded:
                return
        now = self._clock()
        if now - self._looked_at >= 1:
            self._looked_at = now
            self._zero_s = datetime.now(UTC).timestamp() - now
        usage = response.usage()
        reading, writing, measured = usage.prompt_per_second, usage.generated_per_second, False
        status = response.status or status
        streamed = False
        ttft_ms = queued_ms = swap_ms = -1.0
        req_bytes = -1
        metadata = NO_METADATA
        if exchange is None:
            model = scope.get(ASKED, "")
        else:
            exchange.usage = usage
            model = exchange.model.id
            streamed = exchange.streaming or response.is_timed
            req_bytes = exchange.body.size
            metadata = metadata_of(exchange)
            if exchange.failure is not None:
                # The client was told in an event stream that had begun with 200.
                status, error = exchange.failure.status, str(exchange.failure)
            if response.content_at:
                ttft_ms = (response.content_at - began) * 1000
                reading, writing, measured = _speeds(usage, exchange.asked_at, response)
            if exchange.queued_at:
                waited_ms = ((exchange.granted_at or now) - exchange.queued_at) * 1000
                swap_ms = min(exchange.swap_s * 1000, waited_ms)
                queued_ms = waited_ms - swap_ms
        session = b""
        headers = first_values(scope)
        for name in self._current().records.session_names:
            if session := headers.get(name, b""):
                break
        digest: bytes = scope.get(KEY_DIGEST, b"")
        client = scope.get("client")
        number = self._activity.add(
            ActivityRecord(
                time=self._zero_s + now,
                model=model,
                req_path=path,
                status=status,
                resp_content_type=response.content_type,
                duration_ms=int(max((now - began) * 1000, usage.upstream_ms)),
                error_msg=error or usage.error_message,
                metadata=metadata,
                input_tokens=usage.input_tokens,
                output_tokens=usage.output_tokens,
                cached_tokens=usage.cached_tokens,
                drafted_tokens=usage.drafted_tokens,
                accepted_tokens=usage.accepted_tokens,
                prompt_per_second=reading,
                tokens_per_second=writing,
                measured=measured,
                key_fingerprint=digest[:FINGERPRINT].hex() if digest else "",
                client=client[0] if client else "",
                session_id=session.decode("latin-1") if session else "",
                streamed=streamed,
                ttft_ms=ttft_ms,
                queued_ms=queued_ms,
                swap_ms=swap_ms,
                stop_reason=usage.stop_reason,
                req_bytes=req_bytes,
                resp_bytes=response.size,
            )
        )
        capture = scope.get(CAPTURE)
        if capture is not None:
            self._captures.add(number, capture, error, status)
        if self._on_record is not None:
            self._on_record(number)


class _Response:
    """What is noted of one response on its way out, and shown to who records it as a capture."""

    __slots__ = (
        "_capture", "_clock", "_encoding", "_exchange", "_keep", "_kept_to", "_meter", "_room_to", "_scope", "_send", "_take", "_taken", "_whole",
        "content_at", "content_type", "is_timed", "last_at", "size", "status",
    )  # fmt: skip

    def __init__(self, scope: Scope, send: Send, clock: Callable[[], float]) -> None:
        self._scope = scope
        self._send = send
        self._clock = clock
        self._capture: CaptureRecorder | None = None
        self._keep: Callable[[bytes], None]
        """Takes the bytes of a stream for the capture, …"""
        self._kept_to = 0
        """… up to this size of the response."""
        self.status = 0
        self.content_type = self._encoding = ""
        self.size = 0

        # what it is read by
        self._exchange: Exchange | None = None
        """There is one from the first byte on that is the upstream's and not ours: only those are read."""
        self._whole = b""
        """An answer that has come in one piece and of which it does not matter when: there is no meter then."""
        self._meter: Meter | None = None
        self._take: Callable[[bytes], None] | None = None
        """Takes the bytes for the meter once there was content, …"""
        self._taken: int
        self._room_to: int
        """… from this size of the response to that one."""
        self.is_timed = False
        """Whether it is a stream that has not failed: of nothing else it matters when the bytes come."""
        self.content_at = 0.0
        """When the first generated content of a stream came; 0.0: none has."""
        self.last_at: float
        """When the last bytes of a stream came that has had content."""

    def send(self, message: Message) -> Awaitable[None]:
        """Notes and passes on. Not a coroutine function, since that would cost each chunk of a stream another coroutine."""
        if data := message.get("body"):
            self.size = size = self.size + len(data)
            if size <= self._kept_to:
                self._keep(data)
            elif self._capture is not None:
                self._capture.chunk(data)
                if self._take is not None:
                    # It is a stream.
                    self._keep, room = self._capture.intake()
                    self._kept_to = size + room
            if self._take is None:
                self._open(data, is_all=not message.get("more_body"))
            else:
                self._take(data)
                if size > self._room_to:
                    self._make_room()
                if self.is_timed:
                    self.last_at = self._clock()
        elif message["type"] == "http.response.start":
            self.status = status = message["status"]
            headers = message["headers"]
            # Every one of them has its name in lower case, those of upstreams as well.
            found = dict(headers)
            self.content_type = found.get(b"content-type", b"").decode("latin-1")
            if encoding := found.get(b"content-encoding"):
                self._encoding = encoding.decode("latin-1")
            self._capture = capture = self._scope.get(CAPTURE)
            if capture is not None:
                capture.head(status, headers)
            self._begin()
        return self._send(message)

    def _begin(self) -> Exchange | None:
        """Looks whether what comes now is the upstream's."""
        exchange: Exchange | None = self._scope.get(KEY)
        if exchange is not None and exchange.first_byte_at:
            self._exchange = exchange
            # Below /upstream nobody has looked into what was asked for. What fails is quick to say so: that is no speed.
            self.is_timed = self.status == 200 and (exchange.streaming or EVENT_STREAM in self.content_type.lower())
        return self._exchange

    def _open(self, data: bytes, *, is_all: bool) -> None:
        """Takes the bytes that come before there was any content, and those with the first. is_all: whether none will follow."""
        meter = self._meter
        if meter is None:
            exchange = self._exchange or self._begin()
            if exchange is None:
                return
            if is_all and not self.is_timed:
                self._whole = data
                return
            meter = self._meter = Meter(exchange.path, self.status, self.content_type, self._encoding)
        meter.feed(data)
        if self.is_timed:
            self.last_at = self._clock()
        if meter.has_content:
            self._take, room = meter.intake()
            self._taken, self._room_to = self.size, self.size + room
            if self.is_timed:
                self.content_at = self.last_at

    def _make_room(self) -> None:
        assert self._meter is not None
        self._take, room = self._meter.intake(self.size - self._taken)
        self._taken, self._room_to = self.size, self.size + room

    def usage(self) -> Usage:
        """Returns what the answer has said it has cost. Asked once."""
        if self._meter is not None:
            return self._meter.finish()
        exchange = self._exchange
        if exchange is None:
            return Usage()
        return usage_of(self._whole, exchange.path, self.status, self.content_type, self._encoding)


def _speeds(usage: Usage, asked_at: float, response: _Response) -> tuple[float, float, bool]:
    """Returns the speeds of reading and of writing, in tokens per second, and whether they were measured here. Of a stream.

    Measured where its upstream tells how many tokens but not how fast: reading from the question to the first token, what
    came from a cache not counted; writing from the first token to the last. asked_at: when the upstream was asked.
    """
    reading, writing = usage.prompt_per_second, usage.generated_per_second
    measured = False
    if usage.found and reading < 0 and usage.input_tokens > 0 and asked_at:
        read = usage.input_tokens - max(usage.cached_tokens, 0)
        took_s = response.content_at - asked_at
        if read > 0 and took_s > 0:
            reading, measured = read / took_s, True
    if usage.found and writing < 0 and usage.output_tokens > 1:
        took_s = response.last_at - response.content_at
        if took_s > 0:
            writing, measured = (usage.output_tokens - 1) / took_s, True
    return reading, writing, measured
