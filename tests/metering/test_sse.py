from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from app.metering.sse import LONGEST, PATIENCE, Event, Reader, Tail


def read(*chunks: bytes) -> list[Event]:
    reader = Reader()
    found: list[Event] = []
    for chunk in chunks:
        reader.add(chunk)
        while (event := reader.next()) is not None:
            found.append(event)
    return found


def kept(*chunks: bytes) -> list[Event]:
    tail = Tail()
    for chunk in chunks:
        tail.add(chunk)
    return list(reversed(list(tail.events())))


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_lines_end_as_they_like(end: str) -> None:
    lines = ["event: a", "data: 1", "", "data: 2", "data:3", ""]

    assert read("".join(line + end for line in lines).encode()) == [[b"1"], [b"2", b"3"]]


def test_only_data_is_taken_from_an_event() -> None:
    assert read(b"\xef\xbb\xbf:c\nid: 1\ndata:  x\nretry: 3\ndatum: y\nDATA: z\n\n") == [[b" x"]]


def test_events_without_data_are_passed_over() -> None:
    assert read(b": ping\n\n\n\nevent: ping\n\ndata\n\ndata:\n\n") == [[b""]]


def test_an_event_that_is_not_over_waits() -> None:
    reader = Reader()
    reader.add(b"data: 1\n\ndata: 2\n")

    assert (reader.next(), reader.next(), reader.rest()) == ([b"1"], None, b"data: 2\n")


@given(
    st.lists(st.sampled_from([b"data: 1", b"data:2", b": c", b"x", b""])),
    st.sampled_from([b"\n", b"\r", b"\r\n"]),
    st.data(),
)
def test_events_do_not_depend_on_where_the_bytes_are_cut(lines: list[bytes], end: bytes, data: st.DataObject) -> None:
    stream = b"".join(line + end for line in lines) + 2 * end
    at = data.draw(st.integers(0, len(stream)))
    then = data.draw(st.integers(at, len(stream)))

    assert read(stream[:at], stream[at:then], stream[then:]) == read(stream)


def test_a_stream_without_empty_lines_is_taken_by_the_line() -> None:
    line = b"data: " + b"x" * 1000 + b"\n"
    lines = PATIENCE // len(line) + 1

    assert read(*[line] * lines, b"data: torn") == [[b"x" * 1000] * lines]


def test_a_line_that_is_too_long_is_left_out() -> None:
    huge = b"data: " + b"x" * LONGEST

    assert read(huge, b"x" * LONGEST, b"x\n\ndata: 1\n\n") == [[b"1"]]


def test_many_bytes_of_a_long_line_cost_no_more_than_a_few() -> None:
    # Looked through anew for every chunk, this would be half a million times half a megabyte.
    chunk = b"x" * 2
    events = read(b"data: " + b"x" * PATIENCE * 2, *[chunk] * PATIENCE, b"\n\n")

    assert [len(event[0]) for event in events] == [PATIENCE * 4]


def test_the_tail_is_the_lines_that_reach_into_the_last_bytes() -> None:
    first, second = b"data: 1" + b"x" * 5000 + b"\n\n", b"data: 2" + b"y" * 4000 + b"\n\n"

    assert kept(first, b"data: 3\n\n") == [[b"1" + b"x" * 5000], [b"3"]]
    assert kept(first, second, second, b"data: 3") == [[b"2" + b"y" * 4000], [b"2" + b"y" * 4000], [b"3"]]


@given(st.lists(st.integers(0, 3000), min_size=1, max_size=12), st.data())
def test_the_tail_does_not_depend_on_where_the_bytes_are_cut(sizes: list[int], data: st.DataObject) -> None:
    stream = b"".join(b"data: " + str(at).encode() + b"x" * size + b"\n\n" for at, size in enumerate(sizes))
    places = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    chunks = [stream[start:end] for start, end in zip([0, *places], [*places, len(stream)], strict=True)]

    assert kept(*chunks) == kept(stream)


def test_the_tail_stays_short() -> None:
    tail = Tail()
    for _ in range(10_000):
        tail.add(b"data: " + b"x" * 94 + b"\n\n")

    held = sum(map(len, [*tail._older, *tail._younger]))

    assert Tail.SIZE <= held < 3 * Tail.SIZE


@pytest.mark.parametrize("end", [b"\n", b"\r"])
def test_the_tail_leaves_out_a_line_that_is_too_long(end: bytes) -> None:
    tail = Tail()
    for _ in range(300):
        tail.add(b"x" * 8192)
    held = sum(map(len, [*tail._older, *tail._younger]))
    during = list(tail.events())
    tail.add(b"x" + end + b"data: 1" + 2 * end + b"data: 2" + 2 * end)

    assert held < LONGEST + 8192
    assert during == []
    assert list(tail.events()) == [[b"2"], [b"1"]]


def test_the_tail_goes_on_leaving_out_until_the_line_is_over() -> None:
    assert kept(*[b"x" * 8192] * 200, b"data: 1") == []
    assert kept(*[b"x" * 8192] * 200, b"\n", b"data: 1\n") == [[b"1"]]
