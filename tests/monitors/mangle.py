"""Garbage for parsers, made from what programs really print; and what must hold of a reading whatever was parsed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import fields

from hypothesis import HealthCheck, settings, strategies as st

from monitors.merge import objection
from monitors.protocol import GpuReading, Reading

steady = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""For tests on a machine that is busy with others."""

NASTY = (
    "nan",
    "inf",
    "-1",
    "1e999",
    "4294967295",
    "18446744073709551615",
    "[N/A]",
    "9" * 400,
    "\0",
    "²",
    "\uff11\uff12",
    ",",
    '"',
    "\n",
)


@st.composite
def mangled(draw: st.DrawFn, samples: Sequence[str]) -> str:
    """Draws a text: one of *samples*, cut, with parts of it replaced, doubled or left out; or nothing but noise."""
    text = draw(st.one_of(st.sampled_from(samples), st.text(max_size=200)))
    for _ in range(draw(st.integers(0, 6))):
        if not text:
            break
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 40)))
        middle = draw(st.one_of(st.sampled_from((*NASTY, "", text[start:end] * 2)), st.text(max_size=20)))
        text = text[:start] + middle + text[end:]
    return text[: draw(st.integers(0, len(text)))] if draw(st.booleans()) else text


def json_values() -> st.SearchStrategy[object]:
    """Draws any JSON value."""
    leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10)
    return st.recursive(
        leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    )


@st.composite
def warped(draw: st.DrawFn, value: object) -> object:
    """Draws *value*, a JSON one, with some of what is in it replaced by something else or left out."""
    if draw(st.integers(0, 12)) == 0:
        return draw(st.one_of(json_values(), st.sampled_from(NASTY)))
    if isinstance(value, dict):
        return {key: draw(warped(each)) for key, each in value.items() if draw(st.integers(0, 15))}
    if isinstance(value, list):
        return [draw(warped(each)) for each in value]
    return value


def assert_sane(gpus: Iterable[GpuReading]) -> None:
    """Asserts that figures are such as a device can have, and that there is a name to show."""
    gpus = tuple(gpus)
    assert objection(Reading(gpus=gpus)) is None
    for gpu in gpus:
        assert gpu.uuid
        assert gpu.name
        assert gpu.name.isprintable()
        for name in (field.name for field in fields(gpu)):
            value = getattr(gpu, name)
            if isinstance(value, float):
                assert math.isfinite(value), name
            if name.endswith("_percent") and value is not None:
                assert 0 <= value <= 100, name
            if name.endswith("_bytes") and value is not None:
                assert isinstance(value, int), name
                assert 0 <= value <= 1 << 60, name
            if name.endswith(("_w", "_mhz")) and value is not None:
                assert value >= 0, name
        for process in gpu.processes:
            assert process.pid > 0
            assert process.used_bytes >= 0
