from __future__ import annotations

import asyncio
from typing import Any

import pytest

from app.turn import TurnEnd

pytestmark = pytest.mark.anyio


async def test_work_is_done_in_order_once_what_was_due_before_is_done() -> None:
    done: list[str] = []
    turn = TurnEnd()
    loop = asyncio.get_running_loop()
    loop.call_soon(done.append, "due before")
    turn.add(lambda: done.append("first"))
    loop.call_soon(done.append, "due after")
    turn.add(lambda: done.append("second"))

    assert done == []
    await asyncio.sleep(0)
    assert done == ["due before", "first", "second", "due after"]


async def test_work_that_brings_more_work_leaves_it_to_the_next_turn() -> None:
    done: list[str] = []
    turn = TurnEnd()
    turn.add(lambda: turn.add(lambda: done.append("later")))
    await asyncio.sleep(0)

    assert done == []
    await asyncio.sleep(0)
    assert done == ["later"]


async def test_work_that_fails_does_not_keep_the_others_from_theirs() -> None:
    done: list[str] = []
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    turn = TurnEnd()
    turn.add(lambda: done.append(""[1]))
    turn.add(lambda: done.append("second"))
    await asyncio.sleep(0)

    assert done == ["second"]
    assert [type(each["exception"]) for each in told] == [IndexError]
