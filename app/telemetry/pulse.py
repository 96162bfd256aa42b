"""Tells the bus of what changes without anybody saying so: bytes of responses, which model a request is for, the waits in the queue.

On the path of a request these would be events of their own, thousands in a second; here they are looked at now and then, and only
while somebody watches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from collections.abc import Callable

    from app.telemetry.bus import Bus
    from app.telemetry.inflight import Change, Entry, InFlight

INFLIGHT = "inflight"
QUEUE = "queue"

BYTES_S = 0.25
"""Seconds between two looks at the bytes. Source: compatibility specification 3.10."""

QUEUE_EVERY = 2
"""Of so many looks, one is at the queue as well."""

AT_A_TIME = 64
"""Requests told of in one go: each is made into bytes at a cost of some 20 µs, which all other requests wait for."""

PAUSE_S = 0.025
"""Seconds until the next ones."""


class Pulse:
    """The one who looks; `run` is its life."""

    def __init__(self, bus: Bus, inflight: InFlight, waiting: Callable[[], int]) -> None:
        """Prepares, and has *bus* told of what *inflight* knows itself. waiting: returns how many are in the queue."""
        self._bus = bus
        self._read = bus.read
        self._inflight = inflight
        self._waiting = waiting
        self._seen: dict[int, int] = {}
        """Bytes of each request, as they were looked at."""
        self._had_queue = False
        inflight.on_change = self._tell

    async def run(self, every_s: float = BYTES_S) -> None:
        """Looks until cancelled, while anybody reads about it."""
        turn = 0
        while True:
            await self._bus.wait_read(INFLIGHT, QUEUE)
            await anyio.sleep(every_s)
            changed = self.changed()
            for start in range(0, len(changed), AT_A_TIME):
                if start:
                    await anyio.sleep(PAUSE_S)
                for entry in changed[start : start + AT_A_TIME]:
                    if self._inflight.get(entry.id) is not None:
                        self._tell(entry, "upsert")
            turn += 1
            if turn % QUEUE_EVERY == 0:
                self.look_at_queue()

    def changed(self) -> list[Entry]:
        """Returns the requests whose response has grown since this was last asked, and those of which the model has become known.

        None if nobody wants to know.
        """
        if not self._bus.is_read(INFLIGHT):
            self._seen = {}
            return []
        entries = self._inflight.snapshot()
        changed = [
            entry
            for entry in entries
            if self._seen.get(entry.id, 0) != entry.resp_bytes or (entry.is_vague and entry.exchange is not None)
        ]
        self._seen = {entry.id: entry.resp_bytes for entry in entries}
        return changed

    def look_at_queue(self) -> None:
        """Tells of the queue while anybody waits in it, and once when nobody does any more."""
        has_queue = self._waiting() > 0
        if has_queue or self._had_queue:
            self._bus.changed(QUEUE)
        self._had_queue = has_queue

    def _tell(self, entry: Entry, change: Change) -> None:
        """Publishes; on the path of requests."""
        if INFLIGHT in self._read:
            is_over = change == "remove"
            # Who is gone is named and not kept: its headers need not be remembered for those who are slow.
            told = entry.id if is_over else entry
            self._bus.publish(INFLIGHT, told, key=entry.id, begins=not is_over and entry.status == 0, ends=is_over)
