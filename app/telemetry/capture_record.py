"""Captured exchanges, and the form in which they are kept: records of msgpack, one after the other, in a zstandard frame.

Many small records in one frame take a third of what each takes in a frame of its own, and a fifth of the time: to make
the compressor's tables ready costs more than to fill them. The frame has a checksum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgpack  # type: ignore[import-untyped]  # it carries no types, and this is the one place that uses it
import msgspec
import zstandard

from app.telemetry.redact import redacted_body, redacted_headers, redacted_target

Headers = Sequence[tuple[bytes, bytes]]

FORM = 1
"""Version of the form; one that is not this is not read."""

LEVEL = 3
"""Of compression. 1 to 5 cost the same for small captures; 6 twice as much for 2 % less (measured)."""

LARGEST = 32 << 20
"""Bytes of a frame that is still compressed: well above what recorders keep, so more is nothing of ours."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What is kept of an exchange besides its headers."""

    request_body: bool = True
    response_body: bool = True


_EVERYTHING = Parts()

_RULES = {
    "/v1/audio/speech": Parts(response_body=False),
    "/v1/images/generations": Parts(response_body=False),
    "/sdapi/v1/txt2img": Parts(response_body=False),
    "/v1/audio/voices": Parts(request_body=False),
    "/v1/audio/transcriptions": Parts(request_body=False),
    "/v1/images/edits": Parts(request_body=False, response_body=False),
    "/sdapi/v1/img2img": Parts(request_body=False, response_body=False),
}
"""Source: compatibility specification 6.7."""


def kept(path: str) -> Parts:
    """Returns what is kept of exchanges of *path*: as the client asked for it, below `/upstream/{model}` the path there."""
    return _RULES.get(path, _EVERYTHING)


class Capture(NamedTuple):
    """One exchange. Its headers, its target and its bodies are without secrets when `is_redacted`.

    A named tuple, because one is made and packed for each request: a frozen dataclass of so many fields costs 5 µs more.
    """

    method: str
    path: str
    target: bytes
    """What the client asked for on the wire, with the query; what asking again takes."""
    req_headers: Headers
    req_body: bytes | None
    """None: there was none, or it is not kept."""
    req_size: int
    """Length of the body in bytes, kept or not."""
    status: int
    """0: the exchange ended before there was one."""
    resp_headers: Headers | None
    """None: the exchange ended before there were any. Without Content-Encoding, when the body has been decoded."""
    resp_body: bytes | None
    """Decoded. None as of the request."""
    resp_size: int
    """Length of the body in bytes as it went over the wire."""
    resp_truncated: bool
    """Whether there is less of the response's body than should have been kept."""
    req_truncated: bool
    """Whether there is less of the request's body than should have been kept."""
    time: float
    """When it began: seconds since 1970."""
    wait_ms: float
    """From then to the head of the response, or to the end if there was no head."""
    receive_ms: float
    """From the head of the response to its end."""
    error: str
    """Why it failed, if it did so in another way than by its status."""
    is_redacted: bool
    """Whether the secrets have been taken out."""

    def without_secrets(self) -> Capture:
        """Returns it with the secrets taken out."""
        if self.is_redacted:
            return self
        request, response = self.req_body, self.resp_body
        return self._replace(
            target=redacted_target(self.target),
            req_headers=redacted_headers(self.req_headers),
            resp_headers=None if self.resp_headers is None else redacted_headers(self.resp_headers),
            req_body=None if request is None else redacted_body(request),
            resp_body=None if response is None else redacted_body(response, of_response=True),
            is_redacted=True,
        )


class BrokenCapture(Exception):
    """What should be a packed capture is none."""


class Packer:
    """Packs captures. To be used by one thread at a time: it keeps the compressor's memory from one to the next."""

    def __init__(self) -> None:
        self._compressor = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True)

    def pack(self, records: Sequence[bytes]) -> bytes:
        """Returns *records* in one frame."""
        packed = self._compressor.compress(records[0] if len(records) == 1 else b"".join(records))
        # What it returns occupies as much memory as if nothing could have been compressed; a copy does not.
        return bytes(memoryview(packed))


def record_of(capture: Capture) -> bytes:
    """Returns *capture* as a record."""
    try:
        return _encode((FORM, *capture))
    except UnicodeEncodeError:
        # Paths may hold halves of surrogate pairs, which only the slower one can write; it reads both alike.
        record: bytes = msgpack.packb((FORM, *capture), unicode_errors="surrogatepass")
        return record


_encode = msgspec.msgpack.Encoder().encode


def unpack(packed: bytes) -> bytes:
    """Returns the records of a frame, one after the other. Raises BrokenCapture."""
    try:
        size = zstandard.get_frame_parameters(packed).content_size
        if size > LARGEST:
            raise BrokenCapture(f"it says that it is {size} bytes long")
        return zstandard.ZstdDecompressor().decompress(packed)
    except zstandard.ZstdError as exc:
        raise BrokenCapture(str(exc)) from exc


def capture_of(record: bytes) -> Capture:
    """Returns the capture that is in a record. Raises BrokenCapture."""
    try:
        parts = msgpack.unpackb(record, unicode_errors="surrogatepass")
        if not isinstance(parts, list) or parts[:1] != [FORM]:
            raise BrokenCapture("it is not of a form that is known here")
        return msgspec.convert(parts[1:], Capture, builtin_types=(bytes,))
    except (msgpack.UnpackException, msgspec.ValidationError, ValueError) as exc:
        raise BrokenCapture(str(exc)) from exc
