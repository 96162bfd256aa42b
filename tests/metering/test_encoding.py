from __future__ import annotations

import gzip
import sys
import zlib
from types import ModuleType
from typing import Any

import pytest
import zstandard

from app.metering import encoding
from app.metering.encoding import FREE, INFLATERS, LARGEST, Decoder, Undecodable, inflaters


def decoded(name: str, *chunks: bytes) -> bytes:
    decoder = Decoder(INFLATERS[name]())
    return b"".join(piece for chunk in chunks for piece in decoder.decode(chunk))


def test_what_has_come_is_decoded_at_once() -> None:
    packer = zlib.compressobj(wbits=31)
    first = packer.compress(b"data: 1\n\n") + packer.flush(zlib.Z_SYNC_FLUSH)
    frames = zstandard.ZstdCompressor().compressobj()
    frame = frames.compress(b"data: 1\n\n") + frames.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)

    assert decoded("gzip", first) == b"data: 1\n\n"
    assert decoded("zstd", frame) == b"data: 1\n\n"


@pytest.mark.parametrize("name", ["gzip", "deflate"])
def test_what_follows_the_end_is_let_by(name: str) -> None:
    packed = gzip.compress(b"abc", mtime=0) if name == "gzip" else zlib.compress(b"abc")

    assert decoded(name, packed + b"what", b"ever") == b"abc"


@pytest.mark.parametrize(
    ("name", "packed"), [("gzip", gzip.compress(b"abc", mtime=0)), ("zstd", zstandard.compress(b"abc"))]
)
def test_an_answer_has_ended_when_its_last_member_has(name: str, packed: bytes) -> None:
    decoder = Decoder(INFLATERS[name]())
    ended = [decoder.has_ended]
    for chunk in (packed[:-1], packed[-1:], packed[:5], packed[5:]):
        list(decoder.decode(chunk))
        ended.append(decoder.has_ended)

    assert ended == [True, False, True, False, True]


@pytest.mark.parametrize("name", INFLATERS)
def test_damage_is_told(name: str) -> None:
    with pytest.raises(Undecodable, match=r"\w"):
        decoded(name, b"\x1f\x9f" + b"damage" * 9)


@pytest.mark.parametrize(
    ("name", "bomb"),
    [
        ("gzip", gzip.compress(bytes(1 << 26))),
        ("deflate", zlib.compress(bytes(1 << 26))),
        ("zstd", zstandard.compress(bytes(1 << 26))),
    ],
)
def test_a_bomb_goes_out_early(name: str, bomb: bytes) -> None:
    decoder = Decoder(INFLATERS[name]())
    came = 0
    with pytest.raises(Undecodable, match="bytes became more than"):
        for piece in decoder.decode(bomb):
            came += len(piece)

    assert came <= FREE + encoding.RATIO * len(bomb) < 1 << 23


def test_no_answer_gets_larger_than_the_largest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "LARGEST", 1000)

    with pytest.raises(Undecodable, match="bytes became more than 0"):
        decoded("gzip", gzip.compress(bytes(1001)))
    assert LARGEST > FREE


def test_a_window_that_is_too_large_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=25)
    frame = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    packed = frame.compress(b"abc" * 10) + frame.flush()

    with pytest.raises(Undecodable, match="memory"):
        decoded("zstd", packed)


class Zigzag:
    """A library as `brotli` is from 1.2 on, for an encoding that doubles every byte."""

    def __init__(self) -> None:
        self.waiting = b""
        self.ended = False

    def process(self, chunk: bytes, output_buffer_limit: int) -> bytes:
        self.ended = self.ended or chunk.endswith(b".")
        whole = self.waiting + bytes(byte for byte in chunk for _ in range(2))
        self.waiting = whole[output_buffer_limit:]
        return whole[:output_buffer_limit]

    def can_accept_more_data(self) -> bool:
        return not self.waiting

    def is_finished(self) -> bool:
        return self.ended


def library(monkeypatch: pytest.MonkeyPatch, decompressor: type) -> str:
    module: Any = ModuleType("zigzag")
    module.Decompressor = decompressor
    monkeypatch.setitem(sys.modules, "zigzag", module)
    return "zigzag"


def test_brotli_is_read_in_pieces_if_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "PIECE", 3)
    decoder = Decoder(inflaters(library(monkeypatch, Zigzag))["br"]())
    pieces = [*decoder.decode(b"abc")]
    before = decoder.has_ended

    assert (pieces, before) == ([b"aab", b"bcc"], False)
    assert [*decoder.decode(b".")] == [b".."]
    assert decoder.has_ended


def test_brotli_is_unknown_without_a_library_that_bounds_its_output(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "br" not in inflaters("no_such_library")
    assert "br" not in inflaters(library(monkeypatch, object))


def test_real_brotli() -> None:
    brotli = pytest.importorskip("brotli", minversion="1.2")
    packed = brotli.compress(b"data: 1\n\n" * 1000)
    decoder = Decoder(INFLATERS["br"]())

    assert b"".join(piece for byte in packed for piece in decoder.decode(bytes([byte]))) == b"data: 1\n\n" * 1000
    assert decoder.has_ended
    with pytest.raises(Undecodable, match="became more than"):
        decoded("br", brotli.compress(bytes(1 << 26)))
