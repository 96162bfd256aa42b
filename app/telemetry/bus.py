"""News for whoever watches: published from anywhere in the program, read by any number of subscribers.

Theory of operation
-------------------
- A topic keeps its last events once, for all subscribers together; a subscriber is a place in each of its topics, as a reader
  of a log is (`ring`). Publishing is therefore one entry in a dict however many read, and none at all when nobody does, and
  one that never reads holds nothing that the others do not hold as well.
- An event with a key takes the place of the one before it with the same key. So of what *is* (the state of the models, the bytes
  of a request) a slow subscriber gets the latest and no backlog; of what *happens* it gets every event.
- A topic is bounded. Who falls behind that far finds the oldest gone, and is told how many and of which topics: what to do
  about it, which is to look at everything anew, is its own affair.
- Subscribers are woken at most every `TICK` seconds, less often the more they are, and a few at a time, so that what is
  published thousands of times in a second, or read by hundreds, costs the requests next to nothing. After a silence they are
  woken at once.
- Subscribers that stand at the same place get the very same `Batch`, so what one has made of it serves the others.

Everything happens on the thread of the loop. `publish` neither waits nor raises.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from operator import attrgetter
from typing import TYPE_CHECKING, Self

import anyio

if TYPE_CHECKING:
    from types import TracebackType

SIZE = 1024
"""Events that a topic keeps; the oldest go first. Source: compatibility specification 3.10."""

TICK = 0.05
"""Seconds between two batches for a subscriber."""

SHARE = 0.001
"""Seconds between two batches for each subscriber woken. To tell one takes some 75 µs, so all of them take a tenth of the time."""

AT_ONCE = 10
"""Subscribers woken in one turn of the loop, so that requests wait less than a millisecond for them."""


AT_A_TIME = 256
"""Events in a batch: making them into bytes takes up to 50 µs each. Who would be told of more than 5000 in a second falls behind."""


class Event:
    """One thing that has happened."""

    __slots__ = ("data", "frame", "number", "seen", "topic", "turn")

    def __init__(self, topic: str, data: object, number: int, turn: int) -> None:
        self.topic = topic
        self.data = data
        """What the publisher says; by convention no more than is at hand, to be worked out by the first who sends it."""
        self.number = number
        """Counts the events of all topics."""
        self.turn = turn
        """Counts those of its own."""
        self.seen = False
        """Whether anybody may have heard of its key before it."""
        self.frame: bytes | None = None
        """For subscribers: what one has made of it for all."""


class Batch:
    """What a subscriber is told at a time: the events in order, and what it has missed before them."""

    __slots__ = ("events", "frame", "made", "missed")

    def __init__(self, events: tuple[Event, ...], missed: Mapping[str, int]) -> None:
        self.events = events
        self.missed = missed
        """Topic -> how many of its events have gone by; those that later ones had replaced are counted, too."""
        self.frame: bytes | None = None
        """For subscribers: what one has made of it for all."""
        self.made: anyio.Event | None = None
        """For subscribers: set when one who is at it has made the frame, or has given up."""


class _Topic:
    """The last events of one topic. There is one only while somebody reads it."""

    __slots__ = ("events", "lost", "readers", "turn")

    def __init__(self) -> None:
        self.events: OrderedDict[Hashable, Event] = OrderedDict()
        self.turn = 0
        """Of the newest event."""
        self.lost = 0
        """Turn of the newest event that had to go for the bound's sake."""
        self.readers: set[Subscription] = set()


class Bus:
    """All topics. A topic needs no declaration."""

    def __init__(self, size: int = SIZE, tick_s: float = TICK) -> None:
        # the same for its whole life
        self._size = size
        self._tick_s = tick_s

        # as things are
        self._topics: dict[str, _Topic] = {}
        self.read: Collection[str] = self._topics.keys()
        """Topics that anybody reads, whenever it is looked at: for those who look all the time."""
        self._number = 0
        self._seen_until = 0
        """Number of the newest event that anybody may have heard of."""
        self._closed = False
        self._came = anyio.Event()
        """Set and replaced when somebody begins to read a topic that nobody read."""
        self._last_batch: tuple[dict[str, int], int, Batch, dict[str, int]] | None = None
        """Where its readers stood, how many events there had been, what they got, and where that leaves them."""

        # of waking
        self._stirred: set[str] = set()
        """Topics with news that nobody was woken for."""
        self._due: set[Subscription] = set()
        """Who asked to be woken in any case."""
        self._timer: asyncio.Handle | None = None
        self._not_before = float("-inf")
        """When the next ones may be woken."""

    def publish(
        self, topic: str, data: object = None, key: Hashable = None, *, begins: bool = False, ends: bool = False
    ) -> None:
        """Tells the readers of *topic*, if there are any.

        key: of an event that replaces the one before it with the same key; None: it stands for itself.
        begins, ends: whether what the key stands for is new, or over. Of what is over before anybody has heard of it nothing is told.
        """
        kept = self._topics.get(topic)
        if kept is None:
            return
        events = kept.events
        event_key: Hashable = (key,)
        seen = not begins
        if key is None:
            event_key = self._number + 1
        elif (old := events.pop(event_key, None)) is not None:
            seen = old.seen or old.number <= self._seen_until
            if ends and not seen:
                return
        self._number += 1
        kept.turn += 1
        event = events[event_key] = Event(topic, data, self._number, kept.turn)
        event.seen = seen
        if len(events) > self._size:
            kept.lost = events.popitem(last=False)[1].turn
        # Not the readers themselves: there may be hundreds, and this is on the path of requests.
        self._stirred.add(topic)
        if self._timer is None:
            self._arm()

    def shown(self) -> None:
        """Notes that somebody is told how things stand, by other means than events."""
        self._seen_until = self._number

    def changed(self, topic: str) -> None:
        """Tells the readers of *topic* that it has changed: of several such events they see the last."""
        self.publish(topic, key="")

    def is_read(self, topic: str) -> bool:
        """Whether anybody reads *topic*."""
        return topic in self._topics

    async def wait_read(self, *topics: str) -> None:
        """Returns when somebody reads any of *topics*."""
        while not any(topic in self._topics for topic in topics):
            await self._came.wait()

    def subscribe(self, topics: Iterable[str]) -> Subscription:
        """Returns a reader of *topics*, from now on; to be closed, best as a context manager. To be called inside the loop."""
        return Subscription(self, frozenset(topics))

    @property
    def subscribers(self) -> int:
        """How many there are."""
        return len(self._readers())

    @property
    def closed(self) -> bool:
        """Whether it is over."""
        return self._closed

    def close(self) -> None:
        """Ends all subscriptions, at once and for good."""
        self._closed = True
        for reader in self._readers():
            reader._end()  # noqa: SLF001 - one thing in two parts

    def _readers(self) -> set[Subscription]:
        return {reader for topic in self._topics.values() for reader in topic.readers}

    # For subscriptions

    def _enter(self, reader: Subscription) -> dict[str, int]:
        """Adds *reader*, and returns where it begins."""
        places = {}
        for name in reader.topics:
            topic = self._topics.get(name)
            if topic is None:
                topic = self._topics[name] = _Topic()
                self._came.set()
                self._came = anyio.Event()
            topic.readers.add(reader)
            places[name] = topic.turn
        return places

    def _leave(self, reader: Subscription) -> None:
        for name in reader.topics:
            topic = self._topics.get(name)
            if topic is not None:
                topic.readers.discard(reader)
                if not topic.readers:
                    del self._topics[name]
                    self._stirred.discard(name)
                    # Its turns begin anew; places in the old one must not be taken for places in the new one.
                    self._last_batch = None
        self._due.discard(reader)

    def _since(self, reader: Subscription, places: dict[str, int]) -> Batch:
        """Returns what there is after the *places* of *reader*, and moves them behind it."""
        last = self._last_batch
        if last is None or last[1] != self._number or last[0] != places:
            before = places.copy()
            last = self._last_batch = (before, self._number, *self._collected(before))
        _, _, batch, after = last
        places.update(after)
        if len(batch.events) == AT_A_TIME:
            self._again(reader)
        return batch

    def _collected(self, places: Mapping[str, int]) -> tuple[Batch, dict[str, int]]:
        self._seen_until = self._number
        found: list[Event] = []
        missed: dict[str, int] = {}
        after = {}
        for name, place in places.items():
            topic = self._topics[name]
            after[name] = topic.turn
            if topic.lost > place:
                missed[name] = topic.lost - place
            for event in reversed(topic.events.values()):
                if event.turn <= place:
                    break
                found.append(event)
        found.sort(key=attrgetter("number"))
        # What is left for later is not behind anybody: of each topic it is what comes after its first event left.
        for event in reversed(found[AT_A_TIME:]):
            after[event.topic] = event.turn - 1
        return Batch(tuple(found[:AT_A_TIME]), missed), after

    # Waking

    def _again(self, reader: Subscription) -> None:
        self._due.add(reader)
        if self._timer is None:
            self._arm()

    def _arm(self) -> None:
        if self._stirred or self._due:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(max(self._not_before, loop.time()), self._wake)

    def _wake(self) -> None:
        due = self._due.union(*(self._topics[topic].readers for topic in self._stirred))
        self._due = set()
        self._stirred.clear()
        # Until the last of them is woken, the timer is kept: who becomes due meanwhile waits for the next tick.
        self._not_before = asyncio.get_running_loop().time() + max(self._tick_s, len(due) * SHARE)
        self._wake_some(list(due))

    def _wake_some(self, due: list[Subscription]) -> None:
        for reader in due[:AT_ONCE]:
            reader._wake()  # noqa: SLF001 - one thing in two parts
        rest = due[AT_ONCE:]
        if rest:
            self._timer = asyncio.get_running_loop().call_soon(self._wake_some, rest)
        else:
            self._timer = None
            self._arm()


class Subscription:
    """One reader of some topics."""

    __slots__ = ("_bus", "_changed", "_is_due", "_places", "on_close", "topics")

    def __init__(self, bus: Bus, topics: frozenset[str]) -> None:
        self._bus = bus
        self.topics = topics
        self.on_close: Callable[[], None] | None = None
        """Called when the bus is closed, for a reader that is busy with something else; must not raise."""
        self._is_due = False
        self._changed = anyio.Event()
        self._places = bus._enter(self)  # noqa: SLF001 - one thing in two parts

    async def next(self) -> Batch | None:
        """Waits for news, or for `again`, and returns it, which may then be empty; None when the bus is closed.

        Cancelling it loses nothing.
        """
        while not self._is_due and not self._bus.closed:
            self._changed = anyio.Event()
            await self._changed.wait()
        if self._bus.closed:
            return None
        self._is_due = False
        return self._bus._since(self, self._places)  # noqa: SLF001

    def again(self) -> None:
        """Has `next` return with the next tick, whether there is news or not."""
        self._bus._again(self)  # noqa: SLF001

    def close(self) -> None:
        """Ends it."""
        self._bus._leave(self)  # noqa: SLF001

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _wake(self) -> None:
        self._is_due = True
        self._changed.set()

    def _end(self) -> None:
        self._changed.set()
        if self.on_close is not None:
            self.on_close()
