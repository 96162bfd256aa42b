"""What live events tell of, type by type, and the form in which they are sent. Source: compatibility specification 3.10."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.config.catalog import PeerModel
from app.endpoints.models import abilities
from app.errors import escape_json
from app.routing.selectors import phase_of
from app.telemetry.bus import SIZE
from app.telemetry.inflight import Entry

if TYPE_CHECKING:
    from app.config.catalog import Catalog, Profile
    from app.scheduler.instances import SchedulerView
    from app.telemetry.bus import Bus, Event
    from app.telemetry.inflight import InFlight

QUEUED = 100
"""Of those who wait, as many are told of one by one; how many there are is told, too."""

IN_SNAPSHOT = 100
"""Requests in a snapshot of those in flight: each costs some 20 µs, and others wait for them."""


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


def topics(
    bus: Bus,
    current: Callable[[], Catalog],
    view: Callable[[], SchedulerView],
    active: Callable[[], Profile | None],
    inflight: InFlight,
    queue: Callable[[int], object],
    pages_port: int | None = None,
) -> tuple[Topic, ...]:
    """Returns the topics there are, in the order in which newcomers are told.

    current: gives the configuration in force; *active*, its active profile; *view*, how its models stand.
    queue: returns the answer of `/api/queue`, with so many of those who wait at most.
    pages_port: where models' own pages are served, if they have a port of their own.
    """
    return (
        Topic("modelStatus", lambda: model_status(current(), view())),
        Topic("uiConfig", lambda: ui_config(current(), pages_port)),
        Topic("profileChanged", lambda: {"active": None if (profile := active()) is None else profile.id}),
        Topic("inflight", lambda: inflight_snapshot(inflight, bus), lambda entry: inflight_change(inflight, entry)),
        Topic("queue", lambda: queue(QUEUED)),
        Topic("activity", told=lambda number: {"id": number}),
        Topic("reload", told=lambda outcome: outcome),
        Topic("performance", told=lambda document: document),
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


def ui_config(catalog: Catalog, pages_port: int | None = None) -> dict[str, object]:
    """Returns the settings of the page."""
    config: dict[str, object] = {"activity": {"session_id": list(catalog.records.session_headers)}}
    if pages_port is not None:
        config["pages_port"] = pages_port
    return config


def inflight_snapshot(inflight: InFlight, bus: Bus) -> dict[str, object]:
    """Returns the requests in flight; of very many the oldest, and has *bus* tell of the others one by one."""
    now = inflight.clock()
    bus.shown()
    entries = inflight.snapshot()
    # Not of more than the bus keeps: who lost some of these would need another snapshot.
    for entry in entries[IN_SNAPSHOT : IN_SNAPSHOT + SIZE // 2]:
        bus.publish("inflight", entry, key=entry.id)
    told = entries[:IN_SNAPSHOT]
    for entry in told:
        # Set and never taken back: this newcomer may know it, but not those who came before.
        entry.is_vague |= entry.exchange is None
    documents = [entry.document(now) for entry in told]
    return {"operation": "snapshot", **({"requests": documents} if documents else {})}


def inflight_change(inflight: InFlight, changed: object) -> dict[str, object]:
    """Returns what has become of one request. changed: itself, as it is by now, or the id of one that is gone."""
    if isinstance(changed, Entry):
        changed.is_vague = changed.exchange is None
        return {"operation": "upsert", "request": changed.document(inflight.clock())}
    return {"operation": "remove", "id": str(changed)}


def message(kind: str, document: object) -> bytes:
    """Returns one event as it is sent: byte for byte what existing clients know."""
    data = escape_json(_encoded(document))
    text = escape_json(_encoded({"type": kind, "data": data}))
    # A lone surrogate, which no UTF-8 has, becomes the escape that JSON has for it.
    return f"event:message\ndata:{text}\n\n".encode(errors="backslashreplace")


_encoded = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
"""Made once: `json.dumps` makes one for each call, which takes longer than most events."""
