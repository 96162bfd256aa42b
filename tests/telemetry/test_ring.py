from __future__ import annotations

from hypothesis import given, strategies as st

from app.telemetry.ring import ByteRing, Piece

Steps = list[tuple[bytes, bool]]


def test_new_ring_is_empty() -> None:
    ring = ByteRing()

    assert ring.end == 0
    assert ring.since(0, 10) == Piece(b"", 0, 0)


def test_capacity_is_a_hundred_kibibytes_by_default() -> None:
    assert ByteRing().capacity == 102_400


@given(
    st.integers(1, 20),
    st.lists(st.tuples(st.binary(max_size=50), st.booleans())),
    st.integers(1, 30),
)
def test_reader_gets_every_byte_or_is_told_how_many_are_missing(capacity: int, steps: Steps, limit: int) -> None:
    ring = ByteRing(capacity)
    whole = b""
    position = 0
    for data, reads in steps:
        ring.append(data)
        whole += data

        assert ring.end == len(whole)
        kept = ring.since(0, len(whole) + 1)
        assert kept.data == whole[kept.dropped :]
        assert min(capacity, len(whole)) <= len(kept.data) <= 2 * capacity

        if reads:
            piece = ring.since(position, limit)

            first = position + piece.dropped
            assert piece.data == whole[first : first + len(piece.data)]
            assert len(piece.data) == min(limit, len(whole) - first)
            assert piece.position == first + len(piece.data)
            position = piece.position


def test_position_before_is_within_what_is_kept() -> None:
    ring = ByteRing(4)
    ring.append(b"abc")

    assert ring.position_before(2) == 1
    assert ring.position_before(100) == 0
    ring.append(b"defghi")
    assert ring.position_before(100) == 5


def test_a_gap_is_visible() -> None:
    assert Piece(b"abc", 10, 7).marked() == "\n— 7 bytes dropped —\nabc".encode()


def test_no_gap_adds_nothing() -> None:
    assert Piece(b"abc", 10, 0).marked() == b"abc"
