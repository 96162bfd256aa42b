"""Keeps what passes by of one exchange, on the path of the request: references and one copy of the answer, nothing else.

Everything that costs time (decoding, taking secrets out, packing) is done after the answer has ended, see `captures`.

What is left out, and said so in the capture:
- Bodies of endpoints that carry sound or images, by the rules of `capture_record.kept`.
- Request bodies that were spooled to a file, which are multipart or below /upstream and longer than 1 MiB: reading them
  back would make the request wait.
- What is beyond the limits below.

The reference implementation keeps nothing of a failed answer's body. We keep its beginning, of every endpoint: it says why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from itertools import chain
from time import monotonic
from typing import TYPE_CHECKING

from app.telemetry.capture_record import Capture, kept

if TYPE_CHECKING:
    from app.asgi import Body

RawHeaders = Sequence[tuple[bytes, bytes]]

Decode = Callable[[bytes, str], Iterable[bytes]]
"""Yields what a body of this Content-Encoding (in lower case) becomes. Raises ValueError where it cannot. In any thread."""

REQUEST_LIMIT = 4 << 20
"""Bytes kept of a request's body."""

RESPONSE_LIMIT = 4 << 20
"""Bytes kept of an answer's body, as it came and once more when it is decoded."""

ERROR_LIMIT = 64 << 10
"""Bytes kept of the body of an answer of status 400 or more."""

FREE = 16 << 10
"""Bytes of its answer that each recorder may keep without asking: most answers are no longer."""

STEP = 64 << 10
"""Bytes asked for at a time beyond that."""

_CONTENT_ENCODING = b"content-encoding"


class Allowance:
    """Bytes that all recorders together may hold; when it is used up, further answers are cut. For one thread."""

    __slots__ = ("left",)

    def __init__(self, total: int) -> None:
        self.left = total

    def take(self, size: int) -> bool:
        """Takes *size* bytes, if there are so many left."""
        if size > self.left:
            return False
        self.left -= size
        return True


class CaptureRecorder:
    """Records one exchange. Given to `Captures.add` at its end, or closed."""

    __slots__ = (
        "_allowance", "_began", "_body", "_ended", "_error", "_headed", "_left_out", "_limit", "_method", "_path", "_request",
        "_request_headers", "_request_size", "_response_headers", "_room_to", "_status", "_taken", "_target", "number", "weight",
    )  # fmt: skip

    def __init__(
        self, allowance: Allowance, method: str, path: str, headers: RawHeaders, body: Body, target: bytes = b""
    ) -> None:
        """Begins.

        path: by which the rules go, as the client asked for it, below `/upstream/{model}` the path there.
        headers, body: as they go to the upstream, after filters. The body may be closed at any time from now on.
        target: the path and query the client asked for, as on the wire; empty: made of *path*.
        """
        # the same for its whole life
        self._allowance = allowance
        self._method = method
        self._path = path
        self._target = target
        self._request_headers: RawHeaders | bytes = headers
        self._request = body.data
        self._request_size = body.size
        self._began = monotonic()

        # as the answer comes
        self._status = 0
        self._response_headers: RawHeaders | bytes | None = None
        self._body: bytes | bytearray = b""
        """The first piece as it came, which most often is all; a copy of all pieces from the second on."""
        self._limit = 0
        self._room_to = 0
        """How long the body may get without asking; -1 from the first byte on that is left out: what comes after a hole is not kept."""
        self._left_out = 0
        """Bytes of the answer's body that are not kept."""
        self._taken = 0
        """Bytes of the allowance that are to be given back."""
        self._headed = 0.0

        # from its end on
        self._ended: float
        self._error: str

        # of who keeps it until it is packed
        self.number: int
        """Its id."""
        self.weight: int
        """What it counts for in the budget."""

    def head(self, status: int, headers: RawHeaders) -> None:
        """Notes the head of the answer. headers: as they go to the client; not changed from now on."""
        self._status = status
        self._response_headers = headers
        self._headed = monotonic()
        if status >= 400:
            self._limit = ERROR_LIMIT
            self._room_to = FREE
        elif kept(self._path).response_body:
            self._limit = RESPONSE_LIMIT
            self._room_to = FREE

    def chunk(self, data: bytes) -> None:
        """Notes a piece of the answer's body, as long as there is room for it."""
        body = self._body
        if len(body) + len(data) > self._room_to:
            self._grow(data)
        elif not body:
            self._body = data
        elif body.__class__ is bytearray:
            body += data
        else:
            self._body = bytearray(body)
            self._body += data

    def intake(self) -> tuple[Callable[[bytes], None], int]:
        """Returns what takes the next bytes, instead of `chunk` and in less time, and how many it may take: for events of a stream.

        For more than those, `chunk`; then this is to be asked again.
        """
        body = self._body
        return (body.extend, self._room_to - len(body)) if isinstance(body, bytearray) else (self.chunk, 0)

    def _grow(self, data: bytes) -> None:
        if self._room_to < 0:
            self._left_out += len(data)
            return
        room = self._room_to - len(self._body)
        # The step that holds all of it; less where the limit is near.
        wanted = min(-(-(len(data) - room) // STEP) * STEP, self._limit - self._room_to)
        if wanted > 0 and self._allowance.take(wanted):
            self._taken += wanted
            self._room_to += wanted
            room += wanted
        if not self._body:
            self._body = data[:room]
        else:
            # One copy, and no room to spare.
            self._body = bytearray(self._body) if self._body.__class__ is bytes else self._body
            self._body += data[:room]
        if room < len(data):
            self._left_out = len(data) - room
            self._room_to = -1

    def finish(self, error: str = "", status: int = 0) -> int:
        """Notes the end, once; returns the bytes of the bodies it holds.

        From then on headers are held in one piece each: forty little objects a request that are not freed soon make each that
        comes after it look for others, cold ones, and that is dearer than all of recording (some 25 µs a request, measured).

        error: why it failed, for what no answer of the upstream says. status: what the client is told, if there was no head.
        """
        self._ended = monotonic()
        self._error = error
        # A line feed parts them: neither names nor values can have one.
        self._request_headers = b"\n".join(chain.from_iterable(self._request_headers))  # type: ignore[arg-type]  # not yet joined
        if self._response_headers is None:
            self._status = status
        else:
            self._response_headers = b"\n".join(chain.from_iterable(self._response_headers))  # type: ignore[arg-type]
        return len(self._body) + len(self._request)

    def close(self) -> None:
        """Gives back what it has taken. Idempotent; for who does not add it to the captures."""
        if self._taken:
            self._allowance.left += self._taken
            self._taken = 0

    @property
    def held_bytes(self) -> int:
        """Bytes of the bodies it holds, which are the most that is to be packed if there is nothing to decode."""
        return len(self._body) + len(self._request)

    @property
    def encoding(self) -> str:
        """The Content-Encoding of the answer, if there is anything to decode."""
        headers = self._response_headers
        if headers is not None and self._body:
            if isinstance(headers, bytes) and _CONTENT_ENCODING not in headers.lower():
                return ""
            for name, value in _parted(headers):
                if len(name) == 16 and name.lower() == _CONTENT_ENCODING:
                    encoding = value.decode("latin-1").strip().lower()
                    return "" if encoding == "identity" else encoding
        return ""

    def capture(self, decode: Decode, epoch_s: float | None = None) -> Capture:
        """Returns what was recorded, decoded; with its secrets. After the end; in any thread.

        epoch_s: see there; None: it is asked for, which is not cheap.
        """
        keeps_request = kept(self._path).request_body
        request = self._request[:REQUEST_LIMIT] if keeps_request else b""
        response: bytes = bytes(self._body)
        is_cut = self._limit > 0 and self._left_out > 0
        headers = None if self._response_headers is None else _parted(self._response_headers)
        encoding = self.encoding
        if encoding and headers is not None:
            try:
                response, is_more = _decoded(decode(response, encoding))
            except ValueError:
                pass  # kept as it came, and the header says what it is
            else:
                is_cut = is_cut or is_more
                headers = [each for each in headers if each[0].lower() != _CONTENT_ENCODING]
        headed = self._headed or self._ended
        return Capture(
            method=self._method,
            path=self._path,
            target=self._target,
            req_headers=_parted(self._request_headers),
            req_body=request or None,
            req_size=self._request_size,
            status=self._status,
            resp_headers=headers,
            resp_body=response or None,
            resp_size=len(self._body) + self._left_out,
            resp_truncated=is_cut,
            req_truncated=keeps_request and len(request) < self._request_size,
            time=(epoch() if epoch_s is None else epoch_s) + self._began,
            wait_ms=(headed - self._began) * 1000,
            receive_ms=(self._ended - headed) * 1000,
            error=self._error,
            is_redacted=False,
        )


def _parted(headers: RawHeaders | bytes) -> list[tuple[bytes, bytes]]:
    if not isinstance(headers, bytes):
        return list(headers)
    parts = iter(headers.split(b"\n") if headers else ())
    return list(zip(parts, parts, strict=True))


def epoch() -> float:
    """Returns the time of day, in seconds since 1970, at which the monotonic clock was 0."""
    return datetime.now(UTC).timestamp() - monotonic()


def _decoded(pieces: Iterable[bytes]) -> tuple[bytes, bool]:
    """Returns what may be kept of *pieces*, and whether there is more."""
    body = bytearray()
    for piece in pieces:
        body += piece
        if len(body) > RESPONSE_LIMIT:
            return bytes(body[:RESPONSE_LIMIT]), True
    return bytes(body), False
