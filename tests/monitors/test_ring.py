from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from monitors.ring import Ring, capacity

START = datetime(2026, 1, 1, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def filled(size: int, count: int) -> Ring[int]:
    ring = Ring[int](size)
    for number in range(count):
        ring.add(at(number), number)
    return ring


@pytest.mark.parametrize(("every_s", "expected"), [(5, 720), (7, 514), (3600, 1), (3601, 1), (90, 40)])
def test_an_hour_is_kept(every_s: float, expected: int) -> None:
    assert expected == capacity(every_s)


def test_oldest_goes_first() -> None:
    assert list(filled(3, 5).after(None)) == [2, 3, 4]


@pytest.mark.parametrize(("moment", "expected"), [(-1, [0, 1, 2]), (0, [1, 2]), (0.5, [1, 2]), (2, []), (9, [])])
def test_after_is_strictly_later(moment: float, expected: list[int]) -> None:
    assert expected == list(filled(3, 3).after(at(moment)))


def test_after_knows_time_zones() -> None:
    moment = datetime.fromisoformat("2026-01-01T02:00:01+02:00")

    assert list(filled(3, 3).after(moment)) == [2]


def test_latest_is_the_newest() -> None:
    assert filled(3, 0).latest() is None
    assert filled(3, 5).latest() == 4


def test_smaller_ring_keeps_the_newest_and_a_larger_one_everything() -> None:
    ring = filled(4, 4)
    ring.resize(2)
    assert (list(ring.after(None)), ring.size) == ([2, 3], 2)
    ring.resize(3)
    ring.add(at(9), 9)
    ring.add(at(10), 10)

    assert (list(ring.after(None)), len(ring)) == ([3, 9, 10], 3)


def test_cleared_ring_is_empty_and_as_large_as_before() -> None:
    ring = filled(3, 3)
    ring.clear()

    assert (len(ring), ring.size) == (0, 3)
