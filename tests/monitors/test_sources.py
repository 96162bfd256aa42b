"""What every source in the registry has to keep of the contract, on whatever machine this is."""

from __future__ import annotations

import pytest

from monitors import SOURCES, STANDS_IN_FOR
from monitors.merge import objection
from monitors.protocol import Unavailable


@pytest.mark.parametrize("name", SOURCES)
def test_source_reads_this_machine_or_says_why_not(name: str) -> None:
    source = SOURCES[name]()
    readings: list[object] = []
    why_not = ""
    try:
        source.open()
        readings = [source.sample(), source.sample()]
    except Unavailable as reason:
        why_not = str(reason)
    finally:
        source.close()
        source.close()

    assert readings or len(why_not) > 10
    assert [reading for reading in readings if objection(reading)] == []


@pytest.mark.parametrize("name", SOURCES)
def test_source_goes_by_its_name_in_the_registry(name: str) -> None:
    assert SOURCES[name]().name == name


@pytest.mark.parametrize("name", SOURCES)
def test_source_that_was_never_opened_can_be_closed(name: str) -> None:
    SOURCES[name]().close()


def test_stand_ins_stand_in_for_sources() -> None:
    assert SOURCES.keys() >= STANDS_IN_FOR.keys() | {each for others in STANDS_IN_FOR.values() for each in others}
