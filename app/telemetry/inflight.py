"""The requests that are being served or wait to be: who may be seen, and cancelled, by an operator.

On the path of every request, so an entry only keeps what is there already; what others want to see of it is worked out when they
ask. Everything happens on the thread of the loop.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Literal
from urllib.parse import unquote

from app.config.catalog import Model
from app.exchange import KEY, Exchange
from app.telemetry.redact import REDACTED, is_secret
from app.telemetry.times import LAYOUTS

if TYPE_CHECKING:
    import asyncio

    from starlette.types import Scope

RawHeaders = Iterable[tuple[bytes, bytes]]

Change = Literal["upsert", "remove"]
"""What has become of an entry: it is new or has its response's head, or it is gone."""


class Entry:
    """One request in flight. `Track` makes it and writes it; `is_vague` is of who tells of it."""

    __slots__ = (
        "_timestamp", "began", "cancelled", "id", "is_vague", "resp_bytes", "resp_headers", "scope", "status", "task",
    )  # fmt: skip

    def __init__(self, number: int, scope: Scope, task: asyncio.Task[object], began: float) -> None:
        # the same for its whole life
        self.id = number
        self.scope = scope
        self.task = task
        """What serves it."""
        self.began = began
        """Monotonic time of its arrival."""
        self._timestamp: datetime | None = None

        # as things are
        self.cancelled = False
        """Whether an operator has cancelled it."""
        self.is_vague = False
        """Whether somebody was told of it before its model was known, and not since: a body may come after its head."""
        self.status = 0
        """0 until the response has begun."""
        self.resp_headers: RawHeaders = ()
        self.resp_bytes = 0

    @property
    def exchange(self) -> Exchange | None:
        """What it is for; None until that is known, or for good when it names no model."""
        exchange: Exchange | None = self.scope.get(KEY)
        return exchange

    @property
    def model(self) -> str:
        """The id of its model, a peer's one with the peer's name before it; empty when it is not known."""
        exchange = self.exchange
        return "" if exchange is None else exchange.model.id

    @property
    def path(self) -> str:
        """The path as the client asked for it; below `/upstream/{model}` the path there, as existing clients know it."""
        return path_of(self.scope)

    def timestamp(self, now: float) -> datetime:
        """Returns when it arrived. now: the monotonic time.

        Worked out at the first look and kept: a clock that is set meanwhile does not move it.
        """
        if self._timestamp is None:
            self._timestamp = datetime.now(UTC) - timedelta(seconds=now - self.began)
        return self._timestamp

    def document(self, now: float) -> dict[str, object]:
        """Returns it as JSON to be sent, without secrets. now: the monotonic time. Source: compatibility specification 3.10."""
        client = self.scope.get("client")
        document: dict[str, object] = {
            "id": str(self.id),
            "timestamp": LAYOUTS["rfc3339nano"](self.timestamp(now)),
            "model": self.model,
            "req_path": self.path,
            "method": self.scope.get("method", "GET"),
            "req_headers": shown(self.scope["headers"]),
            "remote_ip": str(client[0]) if client else "",
            "resp_headers": shown(self.resp_headers),
            "resp_bytes": self.resp_bytes,
            "elapsed_ms": int((now - self.began) * 1000),
        }
        metadata = {} if self.exchange is None else metadata_of(self.exchange)
        if metadata:
            document["metadata"] = metadata
        return document


class InFlight:
    """All of them, by id."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.on_change: Callable[[Entry, Change], None] | None = None
        """Told of every entry that comes, has its response's head, or goes; must neither raise nor cancel."""
        self._entries: dict[int, Entry] = {}
        self._last = 0

    def __len__(self) -> int:
        """Returns how many there are."""
        return len(self._entries)

    def enter(self, scope: Scope, task: asyncio.Task[object]) -> Entry:
        """Takes one in. task: what serves it, and is cancelled for it."""
        self._last = number = self._last + 1
        entry = self._entries[number] = Entry(number, scope, task, self.clock())
        if self.on_change is not None:
            self.on_change(entry, "upsert")
        return entry

    def answered(self, entry: Entry, status: int, headers: RawHeaders) -> None:
        """Notes the head of the response."""
        entry.status = status
        entry.resp_headers = headers
        if self.on_change is not None:
            self.on_change(entry, "upsert")

    def leave(self, entry: Entry) -> None:
        """Takes one out."""
        del self._entries[entry.id]
        if self.on_change is not None:
            self.on_change(entry, "remove")

    def get(self, number: int) -> Entry | None:
        """Returns the entry of this id; None: there is none, or none any more."""
        return self._entries.get(number)

    def snapshot(self) -> list[Entry]:
        """Returns all entries, the oldest first."""
        return list(self._entries.values())

    def cancel(self, number: int) -> bool:
        """Ends a request, whatever it is doing; false if there is no such one. To be called from another task than its own."""
        entry = self._entries.get(number)
        if entry is None:
            return False
        if not entry.cancelled:
            entry.cancelled = True
            entry.task.cancel()
        return True


def path_of(scope: Scope) -> str:
    """Returns the path as the client asked for it; below `/upstream/{model}` the path there, as existing clients know it."""
    path: str = scope["path"].removeprefix(scope.get("root_path", ""))
    if path.startswith("/upstream/"):
        exchange: Exchange | None = scope.get(KEY)
        if exchange is not None:
            return unquote(exchange.path)
    return path


def metadata_of(exchange: Exchange) -> Mapping[str, str]:
    """Returns what is told of how a request was dispatched. Source: compatibility specification 5.8."""
    model = exchange.model
    return _metadata(model.priority if exchange.granted_at and isinstance(model, Model) else None, exchange.selector)


@lru_cache(maxsize=64)
def _metadata(priority: int | None, selector: str) -> Mapping[str, str]:
    # One for all requests that were dispatched alike, of which many are remembered.
    found = {} if priority is None else {"fifo_priority": str(priority)}
    if selector:
        found["selector"] = selector
    return found


def shown(headers: RawHeaders) -> dict[str, str]:
    """Returns the first value of each header, sorted by name, names as `X-Session-Id` and secrets redacted."""
    found: dict[str, str] = {}
    for name, value in headers:
        found.setdefault(
            "-".join(part.capitalize() for part in name.decode("latin-1").split("-")),
            REDACTED if is_secret(name) else value.decode("utf-8", "replace"),
        )
    return dict(sorted(found.items()))
