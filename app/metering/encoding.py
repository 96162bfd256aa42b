"""gzip, deflate, zstd and brotli -> plain bytes, as they come and within bounds.

The client gets the upstream's bytes as they are; what is decoded here is only looked at. So an encoding that is not known, or
whose library is missing or cannot bound its output (brotli before 1.2), costs the usage of that answer and nothing else.

Output comes in pieces of bounded size and nobody keeps them, so a bomb can cost time only, and that ends with the bounds: an
answer may become RATIO times as long as it was, and FREE bytes more. Text that models write shrinks to a tenth, in a stream less.
"""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

import zstandard

PIECE = 1 << 18
"""Bytes that zlib and brotli give at a time."""

SLICE = 512
"""Bytes that zstd takes at a time. It does not bound its output; but so few can become 16 MiB at the very most."""

FREE = 1 << 20
RATIO = 100
LARGEST = 1 << 28
"""Bytes an answer may have, whatever it was before."""

WINDOW = 1 << 23
"""Largest window of zstd: what RFC 9659 grants to content encodings."""


class Undecodable(Exception):
    """The bytes are not what they were said to be, or become too many. Not an error of ours: it is noted and that is all."""


class Inflater(Protocol):
    """What does the work for one encoding."""

    ended: bool
    """Whether the data came to its proper end."""

    def decode(self, chunk: bytes) -> Iterator[bytes]:
        """Yields what *chunk* becomes, in pieces. Whatever a library raises, it means that the data is broken."""


class Decoder:
    """Decodes one answer."""

    __slots__ = ("_inflater", "_read", "_written")

    def __init__(self, inflater: Inflater) -> None:
        self._inflater = inflater
        self._read = self._written = 0

    @property
    def has_ended(self) -> bool:
        """Whether the data came to its proper end; an empty answer has."""
        return self._inflater.ended or not self._read

    def decode(self, chunk: bytes) -> Iterator[bytes]:
        """Yields what *chunk* becomes, in pieces. Raises Undecodable; nothing may follow then."""
        self._read += len(chunk)
        pieces = self._inflater.decode(chunk)
        while True:
            try:
                piece = next(pieces, None)
            except Exception as error:  # each library has its own
                raise Undecodable(str(error)) from error
            if piece is None:
                return
            self._written += len(piece)
            if self._written > min(FREE + RATIO * self._read, LARGEST):
                raise Undecodable(f"{self._read} bytes became more than {self._written - len(piece)}")
            yield piece


class _Zlib:
    """gzip in one or more members, and deflate with zlib's header or, against the standard but not rare, without one."""

    __slots__ = ("_is_gzip", "_member", "ended")

    def __init__(self, *, is_gzip: bool) -> None:
        self._is_gzip = is_gzip
        self._member: zlib._Decompress | None = None
        self.ended = False

    def decode(self, chunk: bytes) -> Iterator[bytes]:
        while chunk:
            if self._member is None:
                if self.ended and not (self._is_gzip and chunk[0] == 0x1F):
                    # gzip pads with zeros; whatever else comes after the end is not the answer.
                    return
                self._member = zlib.decompressobj(self._window_bits(chunk[0]))
                self.ended = False
            yield self._member.decompress(chunk, PIECE)
            chunk = self._member.unconsumed_tail
            if self._member.eof:
                chunk = self._member.unused_data
                self._member, self.ended = None, True

    def _window_bits(self, first: int) -> int:
        if self._is_gzip:
            return 16 + zlib.MAX_WBITS
        # 8 in the low bits is zlib's mark. Raw data would mean a stored block by it, with padding that is not zero.
        return zlib.MAX_WBITS if first & 0x0F == 8 else -zlib.MAX_WBITS


class _Zstd:
    """zstd, in one or more frames."""

    __slots__ = ("_frame", "ended")

    def __init__(self) -> None:
        self._frame: zstandard.ZstdDecompressionObj | None = None
        self.ended = False

    def decode(self, chunk: bytes) -> Iterator[bytes]:
        at = 0
        while at < len(chunk):
            if self._frame is None:
                self._frame = zstandard.ZstdDecompressor(max_window_size=WINDOW).decompressobj()
                self.ended = False
            yield self._frame.decompress(chunk[at : at + SLICE])
            at = min(at + SLICE, len(chunk))
            if self._frame.eof:
                at -= len(self._frame.unused_data)
                self._frame, self.ended = None, True


class _BrotliDecompressor(Protocol):
    """Of the package `brotli`, which has no types."""

    def process(self, chunk: bytes, /, output_buffer_limit: int) -> bytes: ...
    def can_accept_more_data(self) -> bool: ...
    def is_finished(self) -> bool: ...


class _Brotli:
    """brotli."""

    __slots__ = ("_decompressor", "ended")

    def __init__(self, decompressor: _BrotliDecompressor) -> None:
        self._decompressor = decompressor
        self.ended = False

    def decode(self, chunk: bytes) -> Iterator[bytes]:
        yield self._decompressor.process(chunk, output_buffer_limit=PIECE)
        while not self._decompressor.can_accept_more_data():
            yield self._decompressor.process(b"", output_buffer_limit=PIECE)
        self.ended = self._decompressor.is_finished()


def inflaters(brotli: str = "brotli") -> Mapping[str, Callable[[], Inflater]]:
    """Returns what there is for each content encoding, by its name in lower case.

    brotli: the module to import for it. Left out if it is not installed, or older than 1.2 and so without a bound on its output.
    """
    found: dict[str, Callable[[], Inflater]] = {
        "gzip": lambda: _Zlib(is_gzip=True),
        "x-gzip": lambda: _Zlib(is_gzip=True),
        "deflate": lambda: _Zlib(is_gzip=False),
        "zstd": _Zstd,
    }
    try:
        decompressor = importlib.import_module(brotli).Decompressor
    except ImportError:
        return found
    if hasattr(decompressor, "can_accept_more_data"):
        found["br"] = lambda: _Brotli(decompressor())
    return found


INFLATERS = inflaters()
"""Content encodings that can be read here."""
