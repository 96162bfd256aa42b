"""Calls that may never come back, each in a thread of its own that nobody has to wait for.

Not anyio's threads: the program waits for those when it ends, and a driver that hangs would keep it from ending at all.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

import anyio

T_co = TypeVar("T_co", covariant=True)


class Late(Exception):
    """A call has not come back in time, and is still under way."""


class Call(Generic[T_co]):
    """One call, under way from the beginning. To be made on the thread of the loop."""

    def __init__(self, function: Callable[[], T_co], name: str) -> None:
        self._function = function
        self._loop = asyncio.get_running_loop()
        self._done = anyio.Event()
        self._result: T_co | None = None
        self._error: BaseException | None = None
        self.is_under_way = True
        """Whether it has not come back yet."""
        threading.Thread(target=self._run, name=name, daemon=True).start()

    async def result(self, limit_s: float) -> T_co:
        """Returns what it returns, raises what it raises; Late if that takes over *limit_s*, and the call goes on."""
        with anyio.move_on_after(limit_s):
            await self._done.wait()
        if self.is_under_way:
            raise Late
        if self._error is not None:
            raise self._error
        return self._result  # type: ignore[return-value]  # without an error there is a result, which may well be None

    def _run(self) -> None:
        try:
            self._result = self._function()
        except BaseException as exc:  # nothing may end a thread silently, not even SystemExit
            self._error = exc
        self.is_under_way = False
        try:
            self._loop.call_soon_threadsafe(self._done.set)
        except RuntimeError:
            pass  # the loop is closed: nobody waits any more
