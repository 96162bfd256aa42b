"""What is remembered of models that come and go."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from app.scheduler.commands import Announce, StopCause
from app.scheduler.instances import Phase
from app.telemetry.residency import Residency
from planners.protocol import ModelId

A, B = ModelId("a"), ModelId("b")


class Clocks:
    """A monotonic clock and the time of day, which go together."""

    def __init__(self) -> None:
        self.now = 100.0

    def clock(self) -> float:
        return self.now

    def wall(self) -> datetime:
        return datetime(2026, 1, 2, 3, 0, tzinfo=UTC) + timedelta(seconds=self.now - 100)


def made(most: int = 5000) -> tuple[Residency, Clocks]:
    clocks = Clocks()
    return Residency(clocks.clock, clocks.wall, most), clocks


def told(residency: Residency, *members: str, after: int = 0) -> list[tuple[object, ...]]:
    changes = json.loads(residency.document(after))["changes"]
    return [tuple(change[member] for member in members) for change in changes]


def test_nothing_has_happened() -> None:
    residency, _ = made()

    assert json.loads(residency.document()) == {
        "now": "2026-01-02T03:00:00.000Z",
        "since": "2026-01-02T03:00:00.000Z",
        "last": 0,
        "changes": [],
    }


def test_swap_is_told_with_times_reasons_and_who_went_for_whom() -> None:
    residency, clocks = made()
    residency.announced(Announce(A, Phase.STARTING, "nothing else runs"))
    clocks.now += 12.5
    residency.announced(Announce(A, Phase.READY, "ready"))
    clocks.now += 60
    why = "makes room for b: group g runs one model at a time"
    residency.announced(Announce(A, Phase.STOPPING, why, StopCause.EVICTED, B))
    clocks.now += 1
    residency.announced(Announce(A, Phase.STOPPED, "stopped"))
    residency.announced(Announce(B, Phase.STARTING, "nothing else runs", victims=(A,)))

    assert json.loads(residency.document())["changes"] == [
        {
            "id": 1, "at": "2026-01-02T03:00:00.000Z", "model": "a", "state": "starting", "was": "stopped",
            "why": "nothing else runs", "cause": None, "room_for": None, "victims": [], "lasted_ms": None,
        },
        {
            "id": 2, "at": "2026-01-02T03:00:12.500Z", "model": "a", "state": "ready", "was": "starting",
            "why": "ready", "cause": None, "room_for": None, "victims": [], "lasted_ms": 12500,
        },
        {
            "id": 3, "at": "2026-01-02T03:01:12.500Z", "model": "a", "state": "stopping", "was": "ready",
            "why": why, "cause": "evicted", "room_for": "b", "victims": [], "lasted_ms": 60000,
        },
        {
            "id": 4, "at": "2026-01-02T03:01:13.500Z", "model": "a", "state": "stopped", "was": "stopping",
            "why": "stopped", "cause": None, "room_for": None, "victims": [], "lasted_ms": 1000,
        },
        {
            "id": 5, "at": "2026-01-02T03:01:13.500Z", "model": "b", "state": "starting", "was": "stopped",
            "why": "a made room", "cause": None, "room_for": None, "victims": ["a"], "lasted_ms": None,
        },
    ]  # fmt: skip


def test_model_that_ends_by_itself_has_failed() -> None:
    residency, _ = made()
    residency.announced(Announce(A, Phase.STARTING, "nothing else runs"))
    residency.announced(Announce(A, Phase.STOPPING, "exited with code 1"))
    residency.announced(Announce(A, Phase.STOPPED, "exited with code 1"))

    assert told(residency, "state", "cause")[1:] == [("stopping", "failed"), ("failed", "failed")]


def test_model_that_cannot_be_launched_has_failed() -> None:
    residency, _ = made()
    residency.announced(Announce(A, Phase.STARTING, "nothing else runs"))
    residency.announced(Announce(A, Phase.STOPPED, "no such command"))

    assert told(residency, "state", "was", "why")[1:] == [("failed", "starting", "no such command")]


def test_failure_is_forgotten_with_the_next_start() -> None:
    residency, _ = made()
    for phase in (Phase.STARTING, Phase.STOPPED, Phase.STARTING, Phase.READY):
        residency.announced(Announce(A, phase, "why"))
    residency.announced(Announce(A, Phase.STOPPING, "unloaded on request", StopCause.UNLOADED))
    residency.announced(Announce(A, Phase.STOPPED, "stopped"))

    assert told(residency, "state", "cause")[-2:] == [("stopping", "unloaded"), ("stopped", None)]


def test_only_what_came_later_is_told() -> None:
    residency, _ = made()
    for phase in (Phase.STARTING, Phase.READY):
        residency.announced(Announce(A, phase, "why"))

    assert told(residency, "id", after=1) == [(2,)]
    assert told(residency, "id", after=2) == []


def test_changes_of_more_than_an_hour_ago_are_forgotten_and_it_is_told_from_when_on_none_is_missing() -> None:
    residency, clocks = made()
    residency.announced(Announce(A, Phase.STARTING, "why"))
    clocks.now += 1800
    residency.announced(Announce(A, Phase.READY, "why"))
    clocks.now += 1801

    assert told(residency, "id") == [(2,)]
    assert json.loads(residency.document())["since"] == "2026-01-02T03:00:00.000Z"


def test_no_more_than_so_many_changes_are_kept() -> None:
    residency, _ = made(most=3)
    for _ in range(5):
        residency.announced(Announce(A, Phase.STARTING, "why"))

    assert told(residency, "id") == [(3,), (4,), (5,)]


def test_start_of_a_model_is_known_while_it_is_there() -> None:
    residency, clocks = made()
    assert residency.started_at(A) is None

    residency.announced(Announce(A, Phase.STARTING, "why"))
    clocks.now += 5
    residency.announced(Announce(A, Phase.READY, "why"))
    assert residency.started_at(A) == "2026-01-02T03:00:00.000Z"

    residency.announced(Announce(A, Phase.STOPPED, "why"))
    assert residency.started_at(A) is None


def test_names_are_harmless_within_pages() -> None:
    residency, _ = made()
    residency.announced(Announce(ModelId("</script>"), Phase.STARTING, "a & b"))

    assert b"<" not in residency.document()
    assert told(residency, "model", "why") == [("</script>", "a & b")]
