from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from app.telemetry.times import LAYOUTS, Stamp, duration

BERLIN = timezone(timedelta(hours=2), "CEST")
NEWFOUNDLAND = timezone(-timedelta(hours=3, minutes=30), "NST")
SUMMER = datetime(2026, 7, 4, 5, 6, 7, 80_900, BERLIN)
NIGHT = datetime(2026, 11, 22, 0, 59, 58, 0, NEWFOUNDLAND)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ansic", "Sat Jul  4 05:06:07 2026"),
        ("unixdate", "Sat Jul  4 05:06:07 CEST 2026"),
        ("rubydate", "Sat Jul 04 05:06:07 +0200 2026"),
        ("rfc822", "04 Jul 26 05:06 CEST"),
        ("rfc822z", "04 Jul 26 05:06 +0200"),
        ("rfc850", "Saturday, 04-Jul-26 05:06:07 CEST"),
        ("rfc1123", "Sat, 04 Jul 2026 05:06:07 CEST"),
        ("rfc1123z", "Sat, 04 Jul 2026 05:06:07 +0200"),
        ("rfc3339", "2026-07-04T05:06:07+02:00"),
        ("rfc3339nano", "2026-07-04T05:06:07.0809+02:00"),
        ("kitchen", "5:06AM"),
        ("stamp", "Jul  4 05:06:07"),
        ("stampmilli", "Jul  4 05:06:07.080"),
        ("stampmicro", "Jul  4 05:06:07.080900"),
        ("stampnano", "Jul  4 05:06:07.080900000"),
    ],
)
def test_layout(name: str, expected: str) -> None:
    assert LAYOUTS[name](SUMMER) == expected


def test_every_documented_layout_is_there() -> None:
    documented = (
        "ansic unixdate rubydate rfc822 rfc822z rfc850 rfc1123 rfc1123z rfc3339 rfc3339nano kitchen "
        "stamp stampmilli stampmicro stampnano"
    )

    assert set(LAYOUTS) == set(documented.split())


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("rfc3339", "2026-11-22T00:59:58-03:30"),
        ("rfc3339nano", "2026-11-22T00:59:58-03:30"),
        ("rfc1123z", "Sun, 22 Nov 2026 00:59:58 -0330"),
        ("kitchen", "12:59AM"),
    ],
)
def test_layout_west_of_greenwich_after_midnight(name: str, expected: str) -> None:
    assert LAYOUTS[name](NIGHT) == expected


def test_universal_time_is_z() -> None:
    assert LAYOUTS["rfc3339"](datetime(2026, 1, 2, 13, 4, 5, tzinfo=UTC)) == "2026-01-02T13:04:05Z"


def test_kitchen_in_the_afternoon() -> None:
    assert LAYOUTS["kitchen"](datetime(2026, 1, 2, 13, 4, 5, tzinfo=UTC)) == "1:04PM"


def test_kitchen_at_noon() -> None:
    assert LAYOUTS["kitchen"](datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)) == "12:00PM"


def test_unknown_layout_is_no_time_stamp() -> None:
    stamp = Stamp("iso8601")

    assert not stamp
    assert stamp.at(SUMMER) == ""


def test_layout_name_in_any_case() -> None:
    assert Stamp(" RFC3339 ", BERLIN).at(SUMMER) == "2026-07-04T05:06:07+02:00"


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_stamp_writes_what_the_layout_writes_at_any_moment(name: str) -> None:
    """A stamp remembers the last second; going back and forth in time must not show it."""
    stamp = Stamp(name, NEWFOUNDLAND)
    start = datetime(2026, 12, 31, 23, 59, 58, 999_000, UTC)
    for milliseconds in (0, 1, 1, 500, 1000, 1001, 999, 2500, 0, -3000, 10):
        moment = start + timedelta(milliseconds=milliseconds)

        assert stamp.at(moment) == LAYOUTS[name](moment.astimezone(NEWFOUNDLAND))


def test_stamp_is_local_time_by_default() -> None:
    moment = datetime(2026, 7, 4, 5, 6, 7, tzinfo=UTC)

    assert Stamp("rfc3339").at(moment) == LAYOUTS["rfc3339"](moment.astimezone())


@pytest.mark.parametrize(
    ("ns", "expected"),
    [
        (0, "0ns"),
        (999, "999ns"),
        (1_000, "1µs"),
        (76_900, "76.9µs"),
        (105_748, "105.7µs"),
        (999_949, "999.9µs"),
        (999_950, "1ms"),
        (402_400_000, "402.4ms"),
        (999_949_999, "999.9ms"),
        (999_950_000, "1s"),
        (1_500_000_000, "1.5s"),
        (1_230_000_000, "1.23s"),
        (10_000_000_000, "10s"),
        (59_994_000_000, "59.99s"),
        (59_996_000_000, "1m0s"),
        (62_500_000_000, "1m2.5s"),
        (3_600_000_000_000, "1h0m0s"),
        (90_061_050_000_000, "25h1m1.05s"),
    ],
)
def test_duration(ns: int, expected: str) -> None:
    assert duration(ns) == expected
