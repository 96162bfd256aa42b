"""Who was in memory in the last hour, and why: each change of a model's state, as the supervisor announces it.

A change is made into JSON once, when it comes; there are as many as there are loads and stops, and none on the path of a request.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from app.errors import escape_json
from app.scheduler.instances import Phase

if TYPE_CHECKING:
    from app.scheduler.commands import Announce
    from planners.protocol import ModelId

KEPT_S = 3600.0
"""How long a change is remembered."""

MOST = 5000
"""Changes that are remembered at most; the oldest go first."""

FAILED = "failed"
"""The state of a model that has ended by itself; all others are phases."""

_ENDING = (Phase.STOPPING, Phase.STOPPED)


@dataclass(frozen=True, slots=True)
class _Change:
    id: int
    told_at: str
    at: float
    """Monotonic time."""
    encoded: bytes


@dataclass(frozen=True, slots=True)
class _Last:
    """What a model was told of last."""

    state: str
    at: float
    failed: bool


class Residency:
    """The changes of the last hour."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
        most: int = MOST,
    ) -> None:
        """Begins with nothing in memory. clock, wall: the monotonic time and the time of day."""
        self._clock = clock
        self._wall = wall
        self._changes: deque[_Change] = deque()
        self._most = most
        self._since = told(wall())
        """From when on nothing is missing."""
        self._count = 0
        self._last: dict[ModelId, _Last] = {}
        """Of models that are in memory."""
        self._started: dict[ModelId, str] = {}

    def announced(self, news: Announce) -> None:
        """Takes in a change of a model's phase."""
        at, now = self._clock(), told(self._wall())
        before = self._last.get(news.model)
        was = Phase.STOPPED.value if before is None else before.state
        # What ends though nobody has told it to has failed, and STOPPED without STOPPING is a command that could not be run.
        failed = news.phase in _ENDING and news.cause is None
        if news.phase is Phase.STOPPED and before is not None and before.state == Phase.STOPPING.value:
            failed = before.failed
        is_gone = news.phase is Phase.STOPPED
        state = FAILED if is_gone and failed else news.phase.value
        self._count += 1
        document: dict[str, object] = {
            "id": self._count,
            "at": now,
            "model": news.model,
            "state": state,
            "was": was,
            "why": f"{', '.join(news.victims)} made room" if news.victims else news.reason,
            "cause": FAILED if failed else news.cause and news.cause.value,
            "room_for": news.room_for,
            "victims": list(news.victims),
            "lasted_ms": None if before is None else round((at - before.at) * 1000),
        }
        encoded = escape_json(msgspec.json.encode(document).decode()).encode()
        if is_gone:
            self._last.pop(news.model, None)
            self._started.pop(news.model, None)
        else:
            self._last[news.model] = _Last(state, at, failed)
            if news.phase is Phase.STARTING:
                self._started[news.model] = now
        self._changes.append(_Change(self._count, now, at, encoded))
        self._forget(at)

    def started_at(self, model: ModelId) -> str | None:
        """Returns when *model*, which is in memory, was started; None: it is not there."""
        return self._started.get(model)

    def document(self, after: int = 0) -> bytes:
        """Returns the answer of `/api/residency`: the changes whose ids are larger than *after*, oldest first."""
        self._forget(self._clock())
        changes = b",".join(change.encoded for change in self._changes if change.id > after)
        head = msgspec.json.encode({"now": told(self._wall()), "since": self._since, "last": self._count})
        return b'%s,"changes":[%s]}' % (head[:-1], changes)

    def _forget(self, now: float) -> None:
        while self._changes and (len(self._changes) > self._most or self._changes[0].at < now - KEPT_S):
            self._since = self._changes.popleft().told_at


def told(moment: datetime) -> str:
    """Returns *moment* as it is told."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
