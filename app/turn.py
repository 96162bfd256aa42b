"""What is written in one turn of the event loop goes out together, at its end.

A write wakes the process that waits for it. Were each made where it comes up, that process would have answered it and be asleep again
by the time of the next one, and every single write would pay for waking it: a tenth of what a request costs while
32 are under way (docs/benchmarks.md). Who is alone need not wait for others, and writes at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class TurnEnd:
    """Work that is due when everything that has come up by now is dealt with. For one event loop."""

    __slots__ = ("_due",)

    def __init__(self) -> None:
        self._due: list[Callable[[], None]] = []

    def add(self, work: Callable[[], None]) -> None:
        """Has *work* done. What it raises is told of as what a callback of the loop raises."""
        if not self._due:
            asyncio.get_running_loop().call_soon(self._do)
        self._due.append(work)

    def _do(self) -> None:
        due, self._due = self._due, []
        for work in due:
            try:
                work()
            except Exception as exc:
                # It must not cost the others their turn.
                asyncio.get_running_loop().call_exception_handler({"message": f"{work} failed", "exception": exc})
