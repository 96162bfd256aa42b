"""What a swap costs is told right, and measured with a real Hostler."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench import targets
from tests.bench.swap import Swaps, Timed, measure_swaps


def test_the_load_is_taken_off_on_both_sides() -> None:
    swaps = Swaps(
        through=[Timed(100.0, 60.0), Timed(140.0, 110.0), Timed(90.0, 55.0)],
        alone=[Timed(75.0, 60.0, 2.0), Timed(70.0, 55.0, 2.0), Timed(120.0, 105.0, 2.0)],
    )

    assert [swaps.overhead().low, swaps.overhead().median, swaps.overhead().high] == [15.0, 20.0, 25.0]
    assert [swaps.whole_overhead().low, swaps.whole_overhead().high] == [-30.0, 70.0]


@pytest.mark.e2e
def test_every_swap_starts_a_server_that_told_its_load(tmp_path: Path) -> None:
    with targets.available(None)["hostler"](tmp_path) as target:
        assert target.times is not None
        swaps = measure_swaps(target, 3)

        assert len(target.times.read_text().splitlines()) == 1 + 3

    for one in [*swaps.through, *swaps.alone]:
        assert 0 < one.load < one.whole
    assert all(own.stop > 0 for own in swaps.alone)
    assert "beyond the upstream's own start" in str(swaps)
