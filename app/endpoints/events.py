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

import json
import re
import secrets
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

import anyio
from starlette.routing import Route

from app.asgi import cancel_on_disconnect, header, read_body
from app.config.catalog import PeerModel
from app.endpoints.endless import STALLED_S, EndlessBody
from app.endpoints.models import abilities
from app.errors import RequestError, escape_json
from app.routing.selectors import phase_of
from app.telemetry.bus import SIZE
from app.telemetry.inflight import Entry, shown

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from app.config.catalog import Catalog, Profile
    from app.scheduler.instances import SchedulerView
    from app.telemetry.bus import Batch, Bus, Event, Subscription
    from app.telemetry.inflight import InFlight
    from app.telemetry.logs import LogBook
    from app.telemetry.ring import Piece

HEARTBEAT_S = 15.0
"""Seconds of silence after which a comment is sent."""

PIECE = 64 << 10
"""Bytes of each log in a tick: 1.3 MB/s, which nobody can read, however much more a server prints."""

QUEUED = 100
"""Of those who wait, as many are told of one by one; how many there are is told, too."""

IN_SNAPSHOT = 100
"""Requests in a snapshot of those in flight: each costs some 20 µs, and others wait for them."""

HEARTBEAT = b":\n"

LOGS = "logData"
"""The topic by which the bus says that there is more in the logs; they themselves are read where they are."""

SOURCES = ("proxy", "upstream")
"""The logs that are sent, in the order of their histories."""

_SEEN = re.compile(rb"([0-9a-f]{8})-([0-9]{1,18})-([0-9]{1,18})")


@dataclass(frozen=True, slots=True)
class Topic:
    """One type of event. Its name is the bus's and the wire's."""

    name: str
    snapshot: Callable[[], object] | None = None
    """Returns what newcomers are told, as JSON can hold it; None: nothing."""
    told: Callable[[object], object] | None = None
    """Returns what is told of an event, from what was published; None: the snapshot, for an event only says that it has changed."""

    def document(self, event: Event) -> object:
        """Returns what *event* tells."""
        if self.told is not None:
            return self.told(event.data)
        assert self.snapshot is not None, f"{self.name}: nothing to tell"
        return self.snapshot()


def message(kind: str, document: object) -> bytes:
    """Returns one event as it is sent: byte for byte what existing clients know."""
    data = escape_json(json.dumps(document, separators=(",", ":"), ensure_ascii=False))
    text = escape_json(json.dumps({"type": kind, "data": data}, separators=(",", ":"), ensure_ascii=False))
    # A lone surrogate, which no UTF-8 has, becomes the escape that JSON has for it.
    return f"event:message\ndata:{text}\n\n".encode(errors="backslashreplace")


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

    def frame(self, batch: Batch) -> bytes:
        """Returns *batch* as it is sent; worked out once for all who get it, and an event once for all batches with it."""
        if batch.frame is None:
            parts = []
            if batch.missed:
                missed = {"missed": sum(batch.missed.values()), "types": sorted(batch.missed)}
                parts = [message("resync", missed), self.burst(batch.missed)]
            for event in batch.events:
                if event.topic == LOGS:
                    continue
                if event.frame is None:
                    event.frame = message(event.topic, self._topics[event.topic].document(event))
                parts.append(event.frame)
            batch.frame = b"".join(parts)
        return batch.frame

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
            data = logs.after(places, limit=PIECE) + events.frame(batch)
            if data:
                await body.write(data)


class LogFrames:
    """The two logs as events, from wherever a client stands. Clients that stand at the same place share the work."""

    KEPT = 8
    """Pieces kept for others: two logs, and clients that are not all at the same place."""

    def __init__(self, book: LogBook, run: str) -> None:
        self._book = book
        self._run = run
        self._made: OrderedDict[tuple[str, int, int, int], bytes] = OrderedDict()

    history = 100 << 10
    """Bytes of each log that newcomers are told. Source: compatibility specification 3.11."""

    def places(self, seen: bytes) -> dict[str, int]:
        """Returns where a client begins in each log. seen: the last id it has got, or b''."""
        known = _SEEN.fullmatch(seen)
        if known is None or known[1].decode() != self._run:
            return {source: self._book.beginning(source) for source in SOURCES}
        return {
            source: min(int(place), self._book.end(source))
            for source, place in zip(SOURCES, known.groups()[1:], strict=True)
        }

    def after(self, places: dict[str, int], limit: int) -> bytes:
        """Returns what comes after *places*, up to *limit* bytes of each log, and moves them behind it."""
        parts = []
        for source, place in places.items():
            piece = self._book.since(source, place, limit)
            data = whole(piece)
            if not data:
                continue
            places[source] = end = piece.position - (len(piece.data) - len(data))
            frame = self._frame(source, end, piece._replace(data=data))
            identity = "-".join([self._run, *(str(places[each]) for each in SOURCES)])
            parts += [f"id:{identity}\n".encode(), frame]
        return b"".join(parts)

    def has_more(self, places: Mapping[str, int]) -> bool:
        """Whether there is something after *places*: more than what may be the beginning of a character."""
        return any(self._book.end(source) - place > 3 for source, place in places.items())

    def _frame(self, source: str, end: int, piece: Piece) -> bytes:
        known = (source, end, len(piece.data), piece.dropped)
        frame = self._made.get(known)
        if frame is None:
            text = piece.marked().decode("utf-8", "replace")
            frame = self._made[known] = message(LOGS, {"data": text, "source": source})
            if len(self._made) > self.KEPT:
                self._made.popitem(last=False)
        return frame


def whole(piece: Piece) -> bytes:
    """Returns the data without a character at its end that is not complete yet."""
    data = piece.data
    for back in range(1, min(len(data), 3) + 1):
        byte = data[-back]
        if byte < 0x80:
            break
        if byte >= 0xC0:
            length = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return data[:-back] if back < length else data
    return data


def topics(
    bus: Bus,
    current: Callable[[], Catalog],
    view: Callable[[], SchedulerView],
    active: Callable[[], Profile | None],
    inflight: InFlight,
    queue: Callable[[int], object],
) -> tuple[Topic, ...]:
    """Returns the topics there are, in the order in which newcomers are told.

    current: gives the configuration in force; *active*, its active profile; *view*, how its models stand.
    queue: returns the answer of `/api/queue`, with so many of those who wait at most.
    """
    return (
        Topic("modelStatus", lambda: model_status(current(), view())),
        Topic("uiConfig", lambda: ui_config(current())),
        Topic("profileChanged", lambda: {"active": None if (profile := active()) is None else profile.id}),
        Topic("inflight", lambda: inflight_snapshot(inflight, bus), lambda entry: inflight_change(inflight, entry)),
        Topic("queue", lambda: queue(QUEUED)),
        Topic("activity", told=lambda number: {"id": number}),
        Topic("reload", told=lambda outcome: outcome),
    )


def model_status(catalog: Catalog, view: SchedulerView) -> list[dict[str, object]]:
    """Returns every model with its state, ours by id, then those of peers."""
    found: list[dict[str, object]] = []
    for model in catalog.models.values():
        able = abilities(model.capabilities)
        context = model.capabilities.context
        found.append(
            {
                "id": model.id,
                "name": model.name,
                "description": model.description,
                "state": phase_of(catalog, view.models, model.id).value,
                "unlisted": model.unlisted,
                "peerID": "",
                **({"aliases": list(model.aliases)} if model.aliases else {}),
                **({"capabilities": able} if able else {}),
                **({"context_length": context} if context else {}),
            }
        )
    for peer in catalog.peers.values():
        for name in peer.models:
            # Whether it is loaded there is not known here.
            theirs = {"id": PeerModel(peer, name).id, "name": "", "description": "", "state": ""}
            found.append({**theirs, "unlisted": False, "peerID": peer.id})
    return found


def ui_config(catalog: Catalog) -> dict[str, object]:
    """Returns the settings of the page. Headers are spelt as in-flight requests spell theirs."""
    return {
        "activity": {
            "session_id": [spelt for name in catalog.records.session_headers for spelt in shown([(name, b"")])]
        }
    }


def inflight_snapshot(inflight: InFlight, bus: Bus) -> dict[str, object]:
    """Returns the requests in flight; of very many the oldest, and has *bus* tell of the others one by one."""
    now = inflight.clock()
    entries = inflight.snapshot()
    # Not of more than the bus keeps: who lost some of these would need another snapshot.
    for entry in entries[IN_SNAPSHOT : IN_SNAPSHOT + SIZE // 2]:
        bus.publish("inflight", entry, key=entry.id)
    documents = [entry.document(now) for entry in entries[:IN_SNAPSHOT]]
    return {"operation": "snapshot", **({"requests": documents} if documents else {})}


def inflight_change(inflight: InFlight, changed: object) -> dict[str, object]:
    """Returns what has become of one request. changed: itself, as it is by now, or the id of one that is gone."""
    if isinstance(changed, Entry):
        return {"operation": "upsert", "request": changed.document(inflight.clock())}
    return {"operation": "remove", "id": str(changed)}


_HEADERS = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-cache"),
    (b"connection", b"keep-alive"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-accel-buffering", b"no"),
]
