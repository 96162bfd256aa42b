"""Recordings of `/api/events` for the tests of the page: what it must understand is what is really sent.

    python -m tests.endpoints.event_fixtures

writes them into `tests/fixtures/events`; a test compares. A recording is one client's whole stream, made by the endpoint itself:

    {"about": "…",
     "stream": ["id:…\\nevent:message\\ndata:…\\n\\n", …],      what is sent, event by event
     "events": [{"type": "…", "data": …}, …],                what a client makes of it
     "state": {…}}                                           what it must know in the end

`state` is not worked out from the events but from what they tell of: a page that folds the events has to arrive there.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio

from app.config.catalog import Capabilities, LogSettings, Peer, Profile
from app.endpoints.event_logs import SOURCES
from app.endpoints.event_topics import QUEUED, model_status, topics, ui_config
from app.endpoints.events import EventStream
from app.endpoints.queue import ShowQueue
from app.routing.resolve import ActiveProfile
from app.scheduler.events import Ticket
from app.scheduler.instances import ModelView, Obstacle, Phase, QueuedView, SchedulerView
from app.telemetry.bus import Bus
from app.telemetry.inflight import Entry, InFlight
from app.telemetry.logs import LogBook
from planners.protocol import ModelId
from tests.asgi import Reply, call
from tests.endpoints.catalogs import catalog, model
from tests.endpoints.watching import parsed

FOLDER = Path(__file__).parents[1] / "fixtures" / "events"

LLAMA, WHISPER = ModelId("llama"), ModelId("whisper")

LLAMA_CAN = Capabilities(("text", "image"), ("text",), tools=True, context=8192)


@dataclass
class Scene:
    """A Hostler as far as its events show it, whose clock stands still."""

    size: int = 1024
    now: float = 1000.0
    phases: dict[ModelId, ModelView] = field(default_factory=dict)
    waiting: list[QueuedView] = field(default_factory=list)
    newest: int = 0
    """The last record of the activity that there has been news of."""
    outcome: dict[str, object] | None = None
    """Of the last reload."""

    def __post_init__(self) -> None:
        self.bus = Bus(self.size)
        self.book = LogBook(LogSettings())
        self.book.on_news = lambda: self.bus.changed("logData")
        self.inflight = InFlight(lambda: self.now)
        self.profile = ActiveProfile()
        self.catalog = replace(
            catalog(
                model("llama", name="Llama", description="Talks & sees", aliases=("gpt-4o",), capabilities=LLAMA_CAN),
                model("whisper", unlisted=True),
            ),
            peers={"far": Peer("far", "http://127.0.0.1:9", ("big",))},
        )
        self.shown_queue = ShowQueue(lambda: self.catalog, self, self.inflight, lambda: self.now)
        told = topics(
            self.bus,
            lambda: self.catalog,
            self.view,
            lambda: self.profile.current,
            self.inflight,
            self.shown_queue.document,
        )
        self.stream = EventStream(self.bus, self.book, told, run="0123abcd")
        self.reply = Reply()

    def view(self) -> SchedulerView:
        return SchedulerView(self.phases, len(self.waiting), shutting_down=False)

    def queue(self) -> list[QueuedView]:
        return self.waiting

    def wait_s(self, _model: ModelId) -> float | None:
        return 12.5

    def is_in(self, name: ModelId, phase: Phase) -> None:
        """Has a model enter a phase."""
        self.phases[name] = ModelView(phase)
        self.bus.changed("modelStatus")

    def request(self, path: str = "/v1/chat/completions") -> Entry:
        """Has a request arrive."""
        task = asyncio.current_task()
        assert task is not None
        headers = [(b"host", b"127.0.0.1:8080"), (b"authorization", b"Bearer secret"), (b"x-session-id", b"s1")]
        scope = {"path": path, "method": "POST", "headers": headers, "client": ("127.0.0.1", 40000)}
        entry = self.inflight.enter(scope, task)
        entry._timestamp = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)
        self.tell(entry)
        return entry

    def tell(self, entry: Entry) -> None:
        self.bus.publish("inflight", entry, key=entry.id)

    def leaves(self, entry: Entry) -> None:
        """Has a request end."""
        self.inflight.leave(entry)
        self.bus.publish("inflight", entry.id, key=entry.id)

    def recorded(self, number: int) -> None:
        """Has a record added to the activity."""
        self.newest = number
        self.bus.publish("activity", number)

    def reloaded(self, *, ok: bool, message: str) -> None:
        """Has the configuration reloaded."""
        self.outcome = {"ok": ok, "message": message}
        self.bus.publish("reload", self.outcome)

    def state(self) -> dict[str, object]:
        """Returns how things stand, by those who know."""
        return {
            "models": model_status(self.catalog, self.view()),
            "uiConfig": ui_config(self.catalog),
            "profile": None if self.profile.current is None else self.profile.current.id,
            "inflight": [entry.document(self.now) for entry in self.inflight.snapshot()],
            "queue": self.shown_queue.document(QUEUED),
            "lastActivity": self.newest,
            "lastReload": self.outcome,
            "logs": {source: self.book.history(source).decode() for source in SOURCES},
        }

    async def until(self, text: str, count: int = 1) -> None:
        """Waits until the client has got *text* so many times."""
        with anyio.fail_after(10):
            while self.reply.body.decode().count(text) < count:
                await anyio.sleep(0.001)

    async def told(self, kind: str, count: int = 1) -> None:
        """Waits until the client has got so many events of a type."""
        await self.until(f'"type":"{kind}"', count)


async def connect(scene: Scene) -> None:
    """A client connects while one model serves a request, for another of which two wait."""
    scene.book.proxy_line("INFO", "Hostler listens on http://127.0.0.1:8080")
    scene.book.model_sink("llama")(b"\x1b[32mloading\x1b[0m <model> & more\n")
    scene.phases = {LLAMA: ModelView(Phase.READY, leases=1), WHISPER: ModelView(Phase.STOPPED, waiting=2)}
    held = (Obstacle(LLAMA, Phase.READY, 1),)
    scene.waiting = [
        QueuedView(Ticket(2), WHISPER, 990.0, 1, 12.5, held, overdue=True),
        QueuedView(Ticket(3), WHISPER, 999.0, 2, None, held),
    ]
    scene.request()


async def load(scene: Scene) -> None:
    """A model is loaded, and unloaded."""
    for count, phase in enumerate((Phase.STARTING, Phase.READY, Phase.STOPPING, Phase.STOPPED), 2):
        scene.is_in(LLAMA, phase)
        await scene.told("modelStatus", count)


async def request(scene: Scene) -> None:
    """A request arrives, is answered in pieces, and ends; then its entry is in the activity."""
    entry = scene.request()
    await scene.told("inflight", 2)
    scene.now += 1.5
    scene.inflight.answered(entry, 200, [(b"content-type", b"text/event-stream"), (b"set-cookie", b"secret")])
    scene.tell(entry)
    await scene.told("inflight", 3)
    scene.now += 0.25
    entry.resp_bytes = 4711
    scene.tell(entry)
    await scene.told("inflight", 4)
    scene.recorded(7)
    await scene.told("activity")
    scene.leaves(entry)
    await scene.told("inflight", 5)


async def queue(scene: Scene) -> None:
    """Somebody waits, and nobody does any more."""
    scene.phases = {LLAMA: ModelView(Phase.STARTING, waiting=1)}
    scene.waiting = [QueuedView(Ticket(1), LLAMA, 999.5, 1, 4.0)]
    scene.bus.changed("modelStatus")
    scene.bus.changed("queue")
    await scene.told("queue", 2)
    scene.phases, scene.waiting = {LLAMA: ModelView(Phase.READY)}, []
    scene.bus.changed("modelStatus")
    scene.bus.changed("queue")
    await scene.told("queue", 3)


async def logs(scene: Scene) -> None:
    """Lines are added to both logs."""
    scene.book.proxy_line("WARN", 'a line of ours with "quotes" and a \\')
    await scene.until("quotes")
    scene.book.model_sink("llama")("\x1b[1mnaïve €\x1b[0m\rprogress 10%\r".encode())
    await scene.until("progress 10%")
    scene.book.model_sink("llama")(b"progress 20%\r\n")
    await scene.until("progress 20%")


async def profile(scene: Scene) -> None:
    """A profile is put in force."""
    scene.profile.current = Profile("night", "", {})
    scene.bus.changed("profileChanged")
    scene.bus.changed("modelStatus")
    await scene.told("modelStatus", 2)


async def reload(scene: Scene) -> None:
    """The configuration is reloaded: once in vain, once with another model."""
    scene.reloaded(ok=False, message="config.yaml: line 3, column 1: expected a mapping")
    await scene.told("reload")
    scene.catalog = replace(scene.catalog, models={**scene.catalog.models, ModelId("new"): model("new")})
    for name in ("modelStatus", "uiConfig", "profileChanged"):
        scene.bus.changed(name)
    scene.reloaded(ok=True, message="added new, 2 models as they were")
    await scene.told("reload", 2)


async def resync(scene: Scene) -> None:
    """More has happened than was kept for a slow client."""
    scene.request()
    for number in range(1, 11):
        scene.recorded(number)
        scene.bus.publish("inflight", 100 + number, key=100 + number)
    await scene.told("activity", 4)


SCENES: dict[str, tuple[Callable[[Scene], Awaitable[None]], int]] = {
    scene.__name__: (scene, 4 if scene is resync else 1024)
    for scene in (connect, load, request, queue, logs, profile, reload, resync)
}


async def recorded(name: str) -> dict[str, Any]:
    """Returns one recording."""
    play, size = SCENES[name]
    scene = Scene(size)
    if play is connect:
        await play(scene)
    async with scene.book, anyio.create_task_group() as group:

        async def follow() -> None:
            await call(scene.stream, path="/api/events", reply=scene.reply)

        group.start_soon(follow)
        await scene.told("queue")
        if play is not connect:
            await play(scene)
        scene.bus.close()
    raw = scene.reply.body
    return {
        "about": play.__doc__,
        "stream": re.findall(r".+?\n\n", raw.decode(), re.DOTALL),
        "events": [{"type": kind, "data": data} for kind, data in parsed(raw)],
        "state": scene.state(),
    }


async def texts() -> dict[str, str]:
    """Returns the content of every file, by its name."""
    return {f"{name}.json": json.dumps(await recorded(name), indent=1, ensure_ascii=False) + "\n" for name in SCENES}


def main() -> None:
    """Writes the files."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in anyio.run(texts).items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
