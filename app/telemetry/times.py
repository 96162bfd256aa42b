"""How moments and durations are written in log lines: the names and layouts existing configurations use.

Names of days and months are spelled out here because `strftime` would follow the locale. Moments have microseconds only;
the last three digits of a nanosecond layout are zeros.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from types import MappingProxyType

Layout = Callable[[datetime], str]
"""Writes a moment that knows its time zone."""

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _day(at: datetime) -> str:
    return _DAYS[at.weekday()][:3]


def _month(at: datetime) -> str:
    return _MONTHS[at.month - 1]


def _clock(at: datetime) -> str:
    return f"{at.hour:02}:{at.minute:02}:{at.second:02}"


def _zone(at: datetime) -> str:
    return at.tzname() or "UTC"


def _offset(at: datetime, colon: str = "") -> str:
    minutes = int((at.utcoffset() or timedelta()).total_seconds() // 60)
    hours, minutes_left = divmod(abs(minutes), 60)
    return f"{'-' if minutes < 0 else '+'}{hours:02}{colon}{minutes_left:02}"


def _ansic(at: datetime) -> str:
    return f"{_day(at)} {_month(at)} {at.day:2} {_clock(at)} {at.year:04}"


def _unixdate(at: datetime) -> str:
    return f"{_day(at)} {_month(at)} {at.day:2} {_clock(at)} {_zone(at)} {at.year:04}"


def _rubydate(at: datetime) -> str:
    return f"{_day(at)} {_month(at)} {at.day:02} {_clock(at)} {_offset(at)} {at.year:04}"


def _rfc822_date(at: datetime) -> str:
    return f"{at.day:02} {_month(at)} {at.year % 100:02} {at.hour:02}:{at.minute:02}"


def _rfc822(at: datetime) -> str:
    return f"{_rfc822_date(at)} {_zone(at)}"


def _rfc822z(at: datetime) -> str:
    return f"{_rfc822_date(at)} {_offset(at)}"


def _rfc850(at: datetime) -> str:
    return f"{_DAYS[at.weekday()]}, {at.day:02}-{_month(at)}-{at.year % 100:02} {_clock(at)} {_zone(at)}"


def _rfc1123_date(at: datetime) -> str:
    return f"{_day(at)}, {at.day:02} {_month(at)} {at.year:04} {_clock(at)}"


def _rfc1123(at: datetime) -> str:
    return f"{_rfc1123_date(at)} {_zone(at)}"


def _rfc1123z(at: datetime) -> str:
    return f"{_rfc1123_date(at)} {_offset(at)}"


def _iso(at: datetime) -> str:
    return f"{at.year:04}-{at.month:02}-{at.day:02}T{_clock(at)}"


def _iso_zone(at: datetime) -> str:
    return _offset(at, ":") if at.utcoffset() else "Z"


def _rfc3339(at: datetime) -> str:
    return f"{_iso(at)}{_iso_zone(at)}"


def _rfc3339nano(at: datetime) -> str:
    fraction = f".{at.microsecond:06}".rstrip("0").rstrip(".")
    return f"{_iso(at)}{fraction}{_iso_zone(at)}"


def _kitchen(at: datetime) -> str:
    return f"{at.hour % 12 or 12}:{at.minute:02}{'AM' if at.hour < 12 else 'PM'}"


def _stamp(at: datetime) -> str:
    return f"{_month(at)} {at.day:2} {_clock(at)}"


def _stampmilli(at: datetime) -> str:
    return f"{_stamp(at)}.{at.microsecond // 1000:03}"


def _stampmicro(at: datetime) -> str:
    return f"{_stamp(at)}.{at.microsecond:06}"


def _stampnano(at: datetime) -> str:
    return f"{_stamp(at)}.{at.microsecond:06}000"


LAYOUTS: Mapping[str, Layout] = MappingProxyType(
    {
        "ansic": _ansic,
        "unixdate": _unixdate,
        "rubydate": _rubydate,
        "rfc822": _rfc822,
        "rfc822z": _rfc822z,
        "rfc850": _rfc850,
        "rfc1123": _rfc1123,
        "rfc1123z": _rfc1123z,
        "rfc3339": _rfc3339,
        "rfc3339nano": _rfc3339nano,
        "kitchen": _kitchen,
        "stamp": _stamp,
        "stampmilli": _stampmilli,
        "stampmicro": _stampmicro,
        "stampnano": _stampnano,
    }
)
"""`logTimeFormat` -> layout. Source: compatibility specification 2.7."""


_FRACTIONAL = frozenset({"rfc3339nano", "stampmilli", "stampmicro", "stampnano"})


class Stamp:
    """Writes moments by the layout of a `logTimeFormat`; nothing, if there is no such layout.

    What changes once a second is worked out once a second: for an access line, converting a moment to local time and
    writing it out would be half the cost.
    """

    __slots__ = ("_fractional", "_from", "_layout", "_local", "_text", "_until", "_zone")

    def __init__(self, name: str, zone: tzinfo | None = None) -> None:
        """zone: where the reader lives; None for where this machine is."""
        name = name.strip().lower()
        self._layout = LAYOUTS.get(name)
        self._fractional = name in _FRACTIONAL
        self._zone = zone
        # of the second worked out last
        self._from = self._until = self._local = datetime.min.replace(tzinfo=UTC)
        self._text = ""

    def __bool__(self) -> bool:
        return self._layout is not None

    def at(self, moment: datetime) -> str:
        """Returns *moment*, of any zone, written for the reader."""
        if self._layout is None:
            return ""
        if self._from <= moment < self._until:
            if not self._fractional:
                return self._text
            return self._layout(self._local.replace(microsecond=moment.microsecond))
        self._local = local = moment.astimezone(self._zone)
        self._text = text = self._layout(local)
        # Last, so that another thread at worst works it out once more.
        self._from = moment.replace(microsecond=0)
        self._until = self._from + timedelta(seconds=1)
        return text


def duration(ns: int) -> str:
    """Writes nanoseconds the way Go does (`76.9µs`, `402.4ms`, `1m2.5s`), rounded to a tenth of its unit, seconds to hundredths."""
    if ns < 999_950:
        return f"{ns}ns" if ns < 1_000 else _trimmed(f"{ns / 1_000:.1f}", "µs")
    if ns < 999_950_000:
        return _trimmed(f"{ns / 1_000_000:.1f}", "ms")
    minutes, hundredths = divmod(round(ns / 10_000_000), 6_000)
    seconds = f"{hundredths // 100}.{hundredths % 100:02}".rstrip("0").rstrip(".") + "s"
    if not minutes:
        return seconds
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes}m{seconds}" if hours else f"{minutes}m{seconds}"


def _trimmed(number: str, unit: str) -> str:
    return number.removesuffix(".0") + unit
