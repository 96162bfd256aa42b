"""`GET /api/events`: everything a page needs to follow what happens, as server-sent events.

Source of the form, of the types and of what a newcomer is told: compatibility specification 3.10. What is ours beyond it:

- A comment (a line with nothing but a colon) every `HEARTBEAT_S`, so that proxies do not take the line for dead. Without an
  empty line after it, for there are parsers that make an event without data of that.
- `id:` before messages of the logs: how far the two logs have been seen. A client that comes back with it, as browsers do by
  themselves, gets the logs from there on instead of their history. The two lines that existing clients know, and the empty one
  after them, stay together and as they are. Everything else is told anew at each connection.
- The types `queue`, `reload` and `resync`, which clients that do not know them pass over, and `?types=` for those who want few.

A slow client
-------------
gets of each state the latest, and of the logs what their rings still have, with a line that tells how much is missing. Should it
fall behind by more than the bus keeps of what only happens once, `resync` says so and what is as it is follows. It holds one
batch, which it shares with others, and the connection's buffer. One that takes nothing for long is cut off (`endless`).
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

import anyio
from starlette.routing import Route

from app.asgi import cancel_on_disconnect, header, read_body
from app.endpoints.endless import STALLED_S, EndlessBody
from app.endpoints.event_logs import LOGS, LogFrames
from app.endpoints.event_topics import Topic, message
from app.errors import RequestError

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from app.telemetry.bus import Batch, Bus, Subscription
    from app.telemetry.logs import LogBook

HEARTBEAT_S = 15.0
"""Seconds of silence after which a comment is sent."""

PIECE = 64 << 10
"""Bytes of each log in a tick: 1.3 MB/s, which nobody can read, however much more a server prints."""

AT_A_TIME = 32
"""Events made into bytes before others have their turn: one may take 50 µs."""

HEARTBEAT = b":\n"


def routes(events: EventStream) -> list[Route]:
    """Returns the routes of this module."""
    return [Route("/api/events", events, methods=["GET"])]


class EventStream:
    """ASGI endpoint: news until the client leaves or Hostler ends."""

    def __init__(
        self,
        bus: Bus,
        book: LogBook,
        topics: Sequence[Topic],
        *,
        heartbeat_s: float = HEARTBEAT_S,
        stalled_s: float = STALLED_S,
        run: str | None = None,
    ) -> None:
        """Prepares.

        topics: those besides the logs, in the order in which newcomers are told.
        run: eight hexadecimal digits that tell one life of the program from the next, whose logs begin anew; by chance if None.
        """
        self.bus = bus
        self.heartbeat_s = heartbeat_s
        self.stalled_s = stalled_s
        self._topics = {topic.name: topic for topic in topics}
        self._logs = LogFrames(book, run or secrets.token_hex(4))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Streams. Raises RequestError for types that there are not, ClientDisconnected."""
        wanted = self._wanted(scope["query_string"])
        (await read_body(receive)).close()
        async with cancel_on_disconnect(receive, scope):
            await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            if scope["method"] == "HEAD":
                await send({"type": "http.response.body", "body": b""})
                return
            body = EndlessBody(scope, send, self.stalled_s)
            with self.bus.subscribe(wanted) as news:
                await _Client(self, header(scope, b"last-event-id"), body, news).follow(self._logs)
            await body.end()

    def burst(self, names: Collection[str]) -> bytes:
        """Returns how things stand, of those of *names* that newcomers are told of."""
        return b"".join(
            message(topic.name, topic.snapshot())
            for topic in self._topics.values()
            if topic.name in names and topic.snapshot is not None
        )

    async def frame(self, batch: Batch) -> bytes:
        """Returns *batch* as it is sent; worked out once for all who get it, and an event once for all batches with it."""
        while batch.frame is None:
            if batch.made is not None:
                await batch.made.wait()
                continue
            batch.made = anyio.Event()
            try:
                batch.frame = await self._made(batch)
            finally:
                # Also when this client leaves meanwhile: then another one does it.
                batch.made.set()
                batch.made = None
        return batch.frame

    async def _made(self, batch: Batch) -> bytes:
        parts = []
        if batch.missed:
            missed = {"missed": sum(batch.missed.values()), "types": sorted(batch.missed)}
            parts = [message("resync", missed), self.burst(batch.missed)]
        for number, event in enumerate(batch.events, 1):
            if number % AT_A_TIME == 0:
                await anyio.lowlevel.checkpoint()
            if event.topic == LOGS:
                continue
            if event.frame is None:
                event.frame = message(event.topic, self._topics[event.topic].document(event))
            parts.append(event.frame)
        return b"".join(parts)

    def _wanted(self, query: bytes) -> frozenset[str]:
        named = [
            name
            for value in parse_qs(query.decode("latin-1")).get("types", ())
            for name in value.split(",")
            if name.strip()
        ]
        known = (LOGS, *self._topics)
        for name in named:
            if name.strip() not in known:
                raise RequestError(f"unknown type of event {name.strip()!r} in ?types=; there are {', '.join(known)}")
        return frozenset(name.strip() for name in named) or frozenset(known)


class _Client:
    """One who follows."""

    __slots__ = ("_body", "_events", "_news", "_seen")

    def __init__(self, events: EventStream, seen: bytes, body: EndlessBody, news: Subscription) -> None:
        """Prepares. seen: the last id it has got, or b''."""
        self._events = events
        self._seen = seen
        self._body = body
        self._news = news

    async def follow(self, logs: LogFrames) -> None:
        """Sends how things stand, then what happens, until it is over."""
        events, news, body = self._events, self._news, self._body
        news.on_close = body.hurry
        places = logs.places(self._seen) if LOGS in news.topics else {}
        # An empty one makes the server send the head, so that the client knows it is connected even if nothing happens.
        await body.write(b"")
        await body.write(logs.after(places, limit=logs.history))
        await body.write(events.burst(news.topics))
        while True:
            if logs.has_more(places):
                # Of a flood no more than so much in each tick.
                news.again()
            with anyio.move_on_after(events.heartbeat_s) as silence:
                batch = await news.next()
            if silence.cancelled_caught:
                await body.write(HEARTBEAT)
                continue
            if batch is None:
                return
            data = logs.after(places, limit=PIECE) + await events.frame(batch)
            if data:
                await body.write(data)


_HEADERS = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-cache"),
    (b"connection", b"keep-alive"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-accel-buffering", b"no"),
]
