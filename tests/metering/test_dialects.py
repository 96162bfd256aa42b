"""Every dialect and back end, hand-written and recorded, in any pieces and any encoding, gives the same usage."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest
import zstandard
from hypothesis import given, settings, strategies as st

from app.metering.documents import document
from app.metering.extractors import EXTRACTORS
from app.metering.meter import Meter
from app.metering.usage import Tally, Usage
from tests.metering.documents import ALL, Case, give


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


def gzip_members(data: bytes) -> bytes:
    """Returns *data* in two members, and padding."""
    half = len(data) // 2
    return gzip.compress(data[:half]) + gzip.compress(data[half:]) + bytes(3)


def zstd_frames(data: bytes) -> bytes:
    half = len(data) // 2
    return zstandard.compress(data[:half]) + zstandard.compress(data[half:])


ENCODINGS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "none": ("", bytes),
    "identity": (" Identity ", bytes),
    "gzip": ("gzip", gzip.compress),
    "x-gzip": ("X-Gzip", gzip_members),
    "zlib": ("deflate", zlib.compress),
    "deflate": ("deflate", raw_deflate),
    "zstd": ("zstd", zstandard.compress),
    "zstd frames": ("zstd", zstd_frames),
}
"""Name -> Content-Encoding and what encodes so."""


def metered(case: Case, pieces: Sequence[bytes], encoding: str = "") -> Usage:
    meter = Meter(case.path, case.status, case.content_type, encoding)
    give(meter, pieces)
    return meter.finish()


def cut_at(data: bytes, places: Sequence[int]) -> list[bytes]:
    return [data[start:end] for start, end in pairwise([0, *sorted(places), len(data)])]


@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
def test_usage_is_read_from_an_answer_in_one_piece(case: Case) -> None:
    assert metered(case, [case.body]) == case.usage


@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
def test_usage_is_read_from_an_answer_byte_by_byte(case: Case) -> None:
    assert metered(case, [case.body[at : at + 1] for at in range(len(case.body))]) == case.usage


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
def test_usage_is_read_from_an_encoded_answer(case: Case, encoding: str) -> None:
    name, encode = ENCODINGS[encoding]

    assert metered(case, [encode(case.body)], name) == case.usage


@given(case=st.sampled_from(ALL), encoding=st.sampled_from(sorted(ENCODINGS)), data=st.data())
@settings(max_examples=400, deadline=None)
def test_usage_does_not_depend_on_where_the_bytes_are_cut(case: Case, encoding: str, data: st.DataObject) -> None:
    name, encode = ENCODINGS[encoding]
    encoded = encode(case.body)
    places = data.draw(st.lists(st.integers(0, len(encoded)), max_size=12))

    assert metered(case, cut_at(encoded, places), name) == case.usage


@given(case=st.sampled_from(ALL), encoding=st.sampled_from(sorted(ENCODINGS)), data=st.data())
@settings(max_examples=400, deadline=None)
def test_an_answer_that_is_cut_off_or_damaged_never_raises(case: Case, encoding: str, data: st.DataObject) -> None:
    name, encode = ENCODINGS[encoding]
    encoded = bytearray(encode(case.body))
    end = data.draw(st.integers(0, len(encoded)))
    for at in data.draw(st.lists(st.integers(0, max(len(encoded) - 1, 0)), max_size=3)):
        encoded[at : at + 1] = data.draw(st.binary(max_size=2))
    usage = metered(case, cut_at(bytes(encoded[:end]), [end // 3, end // 2]), name)

    assert_sensible(usage)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([
                "usage", "timings", "metrics", "response", "message", "choices", "delta", "status", "error", "detail",
                "incomplete_details", "stop_reason", "stop_type", "stopped_eos", "type", "object", "content", "reason",
                "prompt_tokens", "output_tokens", "total_tokens", "prompt_tokens_details", "cached_tokens", "cache_n",
                "draft_n", "draft_n_accepted", "prompt_ms", "speculative_decoding", "mean_itl_ms", "finish_reason", "text",
            ]),
            inner,
            max_size=6,
        )
    ),
    max_leaves=20,
)  # fmt: skip
"""JSON that has the names that are looked for, and anything under them."""


@given(value=VALUES, is_stream=st.booleans(), status=st.sampled_from([200, 200, 500]))
@settings(max_examples=600, deadline=None)
def test_odd_documents_never_raise(value: object, is_stream: bool, status: int) -> None:
    import msgspec

    text = msgspec.json.encode(value)
    body = b"data: " + text + b"\n\ndata: " + text + b"\n" if is_stream else text
    kind = "text/event-stream" if is_stream else "application/json"

    assert_sensible(metered(Case("", "/infill", body, Usage(), kind, status), [body]))


@given(st.lists(st.binary(max_size=40), max_size=6), st.sampled_from(["", "gzip", "deflate", "zstd", "br", "what"]))
def test_garbage_never_raises(pieces: list[bytes], encoding: str) -> None:
    for content_type in ("text/event-stream", "application/json"):
        assert_sensible(metered(Case("", "/infill", b"", Usage(), content_type), pieces, encoding))


@pytest.mark.parametrize("extractor", EXTRACTORS.values(), ids=EXTRACTORS)
def test_extractors_pass_over_what_is_not_theirs(extractor: Callable[[object, Tally], None]) -> None:
    tally = Tally()
    extractor(document(b'{"id": 1, "x": {"usage": {"prompt_tokens": 1}}, "type": "ping", "status": "ok"}'), tally)

    assert tally == Tally()


def assert_sensible(usage: Usage) -> None:
    for name in Usage.__struct_fields__:
        value = getattr(usage, name)
        if isinstance(value, int | float):
            assert value == -1 or 0 <= value < 2**53 * 2000
    if not usage.found:
        assert usage == Usage(stop_reason=usage.stop_reason, error_message=usage.error_message)
