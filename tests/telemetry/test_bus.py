from __future__ import annotations

from itertools import pairwise

import anyio
import pytest

from app.telemetry.bus import AT_ONCE, Batch, Bus, Subscription

pytestmark = pytest.mark.anyio


async def told(reader: Subscription) -> list[object]:
    """Returns what *reader* is told next."""
    with anyio.fail_after(5):
        batch = await reader.next()
    assert batch is not None
    return [event.data for event in batch.events]


async def has_news(reader: Subscription) -> bool:
    """Returns whether *reader* is told anything before everybody else has had their turns."""
    with anyio.move_on_after(0) as limit:
        await anyio.lowlevel.checkpoint()
        await reader.next()
    return not limit.cancelled_caught


async def test_subscriber_is_told_in_order_across_topics() -> None:
    bus = Bus()
    with bus.subscribe(["a", "b"]) as reader:
        bus.publish("a", 1)
        bus.publish("b", 2)
        bus.publish("a", 3)

        assert await told(reader) == [1, 2, 3]


async def test_subscriber_is_not_told_of_what_was_before_it_nor_of_other_topics() -> None:
    bus = Bus()
    with bus.subscribe(["a", "b"]) as first:
        bus.publish("a", "old")
        with bus.subscribe(["a"]) as second:
            bus.publish("b", "another's")
            bus.publish("a", "new")

            assert await told(first) == ["old", "another's", "new"]
            assert await told(second) == ["new"]


async def test_publishing_for_nobody_keeps_nothing() -> None:
    bus = Bus()
    bus.publish("a", 1)

    assert not bus.is_read("a")
    with bus.subscribe(["a"]) as reader:
        assert not await has_news(reader)


async def test_of_what_is_a_slow_subscriber_gets_the_latest() -> None:
    bus = Bus()
    with bus.subscribe(["state", "count"]) as reader:
        bus.changed("state")
        bus.publish("count", 1, key="x")
        bus.publish("count", 1, key="y")
        bus.publish("count", 2, key="x")
        bus.changed("state")

        assert await told(reader) == [1, 2, None]


async def test_what_is_replaced_is_never_missed() -> None:
    bus = Bus(size=2)
    with bus.subscribe(["count"]) as reader:
        for number in range(100):
            bus.publish("count", number, key=number % 2)
        batch = await reader.next()

    assert batch is not None
    assert ([event.data for event in batch.events], batch.missed) == ([98, 99], {})


async def test_subscriber_that_falls_behind_is_told_how_much_it_has_missed() -> None:
    bus = Bus(size=3)
    with bus.subscribe(["a", "b"]) as reader:
        bus.publish("b", "b")
        for number in range(10):
            bus.publish("a", number)
        batch = await reader.next()
        bus.publish("a", 10)
        after = await reader.next()

    assert batch is not None
    assert after is not None
    assert ([event.data for event in batch.events], batch.missed) == (["b", 7, 8, 9], {"a": 7})
    assert ([event.data for event in after.events], after.missed) == ([10], {})


async def test_what_a_subscriber_has_seen_is_not_missed_when_it_goes() -> None:
    bus = Bus(size=3, tick_s=0)
    with bus.subscribe(["a"]) as reader:
        for number in range(10):
            bus.publish("a", number)
            batch = await reader.next()

            assert batch is not None
            assert ([event.data for event in batch.events], batch.missed) == ([number], {})


async def test_subscribers_at_the_same_place_share_a_batch() -> None:
    bus = Bus()
    with bus.subscribe(["a", "b"]) as first, bus.subscribe(["a", "b"]) as second, bus.subscribe(["a"]) as other:
        bus.publish("a", 1)
        batches = [await reader.next() for reader in (first, second, other)]

    assert batches[0] is batches[1]
    assert batches[2] is not batches[0]
    assert batches[0] is not None
    assert batches[2] is not None
    assert batches[2].events[0] is batches[0].events[0]


async def test_nothing_is_told_of_what_is_over_before_anybody_has_heard_of_it() -> None:
    bus = Bus()
    with bus.subscribe(["a"]) as reader:
        bus.publish("a", "begun", key=1, begins=True)
        bus.publish("a", "more", key=1)
        bus.publish("a", "over", key=1, ends=True)
        bus.publish("a", "another", key=2, begins=True)

        assert await told(reader) == ["another"]


async def test_end_is_told_to_those_who_have_heard_of_the_beginning() -> None:
    bus = Bus()
    with bus.subscribe(["a"]) as reader:
        bus.publish("a", "begun", key=1, begins=True)
        assert await told(reader) == ["begun"]
        bus.publish("a", "more", key=1)
        bus.publish("a", "over", key=1, ends=True)

        assert await told(reader) == ["over"]


async def test_end_is_told_to_those_who_have_heard_of_it_by_other_means() -> None:
    bus = Bus()
    with bus.subscribe(["a"]) as reader:
        bus.publish("a", "begun", key=1, begins=True)
        bus.shown()
        bus.publish("a", "over", key=1, ends=True)

        assert await told(reader) == ["over"]


async def test_end_of_what_began_before_anybody_read_is_told() -> None:
    bus = Bus()
    bus.publish("a", "begun", key=1, begins=True)
    with bus.subscribe(["a"]) as reader:
        bus.publish("a", "more", key=1)
        bus.publish("a", "over", key=1, ends=True)

        assert await told(reader) == ["over"]


async def test_topic_that_is_read_anew_is_another_one() -> None:
    bus = Bus()
    with bus.subscribe(["kept", "a"]) as stays:
        with bus.subscribe(["again"]) as first:
            bus.publish("again", "old")
            assert await told(first) == ["old"]
        with bus.subscribe(["again"]) as second:
            second.again()
            assert await told(second) == []
        assert not await has_news(stays)


async def test_wakes_at_most_once_in_a_tick() -> None:
    now = anyio.current_time
    bus = Bus(tick_s=0.02)
    times = []
    with bus.subscribe(["a"]) as reader:
        for _ in range(4):
            bus.publish("a")
            await reader.next()
            times.append(now())

    assert all(later - earlier >= 0.019 for earlier, later in pairwise(times))


async def test_again_wakes_without_news() -> None:
    bus = Bus()
    with bus.subscribe(["a"]) as reader:
        reader.again()

        assert await told(reader) == []


async def test_hundreds_are_woken_a_few_at_a_time() -> None:
    """Between two slices whoever else has something to do has its turn."""
    bus = Bus()
    got: list[Batch | None] = []
    most_in_a_turn = turns = 0

    async def follow() -> None:
        with bus.subscribe(["a"]) as reader:
            got.append(await reader.next())

    async with anyio.create_task_group() as group:
        for _ in range(200):
            group.start_soon(follow)
        while bus.subscribers < 200:
            await anyio.lowlevel.checkpoint()
        bus.publish("a", 1)
        while len(got) < 200:
            before = len(got)
            await anyio.lowlevel.checkpoint()
            most_in_a_turn = max(most_in_a_turn, len(got) - before)
            turns += 1

    assert len({id(batch) for batch in got}) == 1
    assert most_in_a_turn <= 2 * AT_ONCE
    assert turns >= 200 // AT_ONCE


async def test_news_while_others_are_being_woken_reach_everybody() -> None:
    bus = Bus(tick_s=0.001)
    seen: list[object] = []

    async def follow() -> None:
        with bus.subscribe(["a"]) as reader:
            while 2 not in (data := await told(reader)):
                seen.extend(data)
                if seen == [1]:
                    bus.publish("a", 2)
            seen.extend(data)

    async with anyio.create_task_group() as group:
        for _ in range(100):
            group.start_soon(follow)
        while bus.subscribers < 100:
            await anyio.lowlevel.checkpoint()
        bus.publish("a", 1)

    assert (seen.count(1), seen.count(2)) == (100, 100)


async def test_wait_read_returns_when_somebody_reads() -> None:
    bus = Bus()
    came: list[str] = []

    async def wait() -> None:
        await bus.wait_read("a", "b")
        came.append("somebody")

    async with anyio.create_task_group() as group:
        group.start_soon(wait)
        await anyio.lowlevel.checkpoint()
        with bus.subscribe(["c"]):
            await anyio.lowlevel.checkpoint()
            assert came == []
        with bus.subscribe(["b"]):
            pass
        with bus.subscribe(["b"]), anyio.fail_after(5):
            while not came:
                await anyio.lowlevel.checkpoint()


async def test_close_ends_those_who_wait_and_tells_those_who_are_busy() -> None:
    bus = Bus()
    ended: list[str] = []
    with bus.subscribe(["a", "b"]) as waits, bus.subscribe(["a"]) as works:
        works.on_close = lambda: ended.append("told")

        async def wait() -> None:
            assert await waits.next() is None
            ended.append("ended")

        async with anyio.create_task_group() as group:
            group.start_soon(wait)
            await anyio.lowlevel.checkpoint()
            bus.publish("a", "too late")
            bus.close()

        assert ended == ["told", "ended"]
        assert await works.next() is None


async def test_subscription_of_a_closed_bus_is_over() -> None:
    bus = Bus()
    bus.close()

    with bus.subscribe(["a"]) as reader:
        assert await reader.next() is None


async def test_cancelled_wait_loses_nothing() -> None:
    bus = Bus()
    with bus.subscribe(["a"]) as reader:
        assert not await has_news(reader)
        bus.publish("a", 1)

        assert await told(reader) == [1]


async def test_memory_is_that_of_the_last_events_however_many_never_read() -> None:
    bus = Bus(size=8)
    readers = [bus.subscribe(["a"]) for _ in range(200)]
    for number in range(1000):
        bus.publish("a", number)
    batches = [await reader.next() for reader in readers]
    for reader in readers:
        reader.close()

    assert len({id(batch) for batch in batches}) == 1
    assert batches[0] is not None
    assert ([event.data for event in batches[0].events], batches[0].missed) == ([*range(992, 1000)], {"a": 992})
    assert not bus.is_read("a")
