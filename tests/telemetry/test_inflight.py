from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.asgi import Body
from app.config.catalog import Model, PeerModel
from app.exchange import KEY, Exchange
from app.telemetry.inflight import Change, Entry, InFlight, metadata_of, shown
from tests.endpoints.catalogs import catalog, model, peer

pytestmark = pytest.mark.anyio


class Clock:
    """Monotonic time, as a test sets it."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def scope(path: str = "/v1/completions", headers: Sequence[tuple[bytes, bytes]] = (), **more: object) -> dict[str, Any]:
    return {"type": "http", "method": "POST", "path": path, "headers": headers, "client": ("10.0.0.7", 4711), **more}


def exchange(which: Model | PeerModel, path: str = "/v1/completions", **fields: Any) -> Exchange:
    return Exchange(catalog(), which.id, which.id, which, False, Body(b""), path, b"", 0.0, **fields)


def me() -> asyncio.Task[object]:
    task = asyncio.current_task()
    assert task is not None
    return task


def entered(inflight: InFlight, **of_scope: Any) -> Entry:
    return inflight.enter(scope(**of_scope), me())


async def test_entries_are_numbered_from_one_and_no_number_comes_twice() -> None:
    inflight = InFlight()
    first, second = entered(inflight), entered(inflight)
    inflight.leave(first)
    third = entered(inflight)

    assert [first.id, second.id, third.id] == [1, 2, 3]
    assert inflight.snapshot() == [second, third]
    assert (inflight.get(1), inflight.get(3), len(inflight)) == (None, third, 2)


async def test_request_is_told_as_existing_clients_know_it() -> None:
    """Golden sample A9."""
    clock = Clock()
    inflight = InFlight(clock)
    headers = [(b"accept", b"*/*"), (b"user-agent", b"curl/7.88.1"), (b"x-session-id", b"s1")]
    entry = entered(inflight, headers=headers)
    entry.scope[KEY] = exchange(model("b"))
    inflight.answered(entry, 200, [(b"content-type", b"text/plain")])
    entry.resp_bytes = 12
    clock.now += 1.5
    document = entry.document(clock.now)

    arrived = datetime.fromisoformat(str(document.pop("timestamp")))
    assert abs(arrived - (datetime.now(UTC) - timedelta(seconds=1.5))) < timedelta(seconds=30)
    assert arrived.tzinfo is not None
    assert document == {
        "id": "1",
        "model": "b",
        "req_path": "/v1/completions",
        "method": "POST",
        "req_headers": {"Accept": "*/*", "User-Agent": "curl/7.88.1", "X-Session-Id": "s1"},
        "remote_ip": "10.0.0.7",
        "resp_headers": {"Content-Type": "text/plain"},
        "resp_bytes": 12,
        "elapsed_ms": 1500,
    }


async def test_time_of_arrival_stays_once_it_was_told() -> None:
    clock = Clock()
    entry = entered(InFlight(clock))
    first = entry.document(clock.now)["timestamp"]
    clock.now += 1000

    assert entry.document(clock.now)["timestamp"] == first


async def test_request_whose_model_is_not_known_has_none() -> None:
    entry = entered(InFlight(), client=None)

    assert (entry.model, entry.exchange) == ("", None)
    assert "metadata" not in entry.document(entry.began)
    assert entry.document(entry.began)["remote_ip"] == ""


async def test_model_of_a_peer_has_the_peers_name() -> None:
    entry = entered(InFlight())
    entry.scope[KEY] = exchange(PeerModel(peer("far", "big"), "big"))

    assert entry.model == "far/big"


@pytest.mark.parametrize(
    ("path", "asked_for", "told"),
    [
        ("/v/completions", "/completions", "/v/completions"),
        ("/upstream/b/v1/a b", "/v1/a%20b", "/v1/a b"),
        ("/base/upstream/b/x", "/x", "/x"),
    ],
)
async def test_path_is_the_one_asked_for_and_below_upstream_the_models_own(
    path: str, asked_for: str, told: str
) -> None:
    entry = entered(InFlight(), path=path, root_path="/base" if path.startswith("/base") else "")
    before = entry.path
    entry.scope[KEY] = exchange(model("b"), asked_for)

    assert before == path.removeprefix("/base")
    assert entry.path == told


@pytest.mark.parametrize(
    "name",
    [
        b"authorization", b"Proxy-Authorization", b"cookie", b"Set-Cookie", b"X-API-Key", b"api-key", b"X-Goog-Api-Key",
        b"X-Auth-Token",
    ],
)  # fmt: skip
def test_secret_header_is_not_shown(name: bytes) -> None:
    assert list(shown([(name, b"secret"), (b"x", b"y")]).values()).count("[REDACTED]") == 1
    assert "secret" not in str(shown([(name, b"secret")]))


def test_first_value_of_a_header_is_shown_and_names_are_sorted() -> None:
    headers = [(b"x-b", b"1"), (b"X-B", b"2"), (b"accept", b"\xff\xc3\xa4")]

    assert list(shown(headers).items()) == [("Accept", "\ufffdä"), ("X-B", "1")]


def test_metadata_has_the_selector_and_once_granted_the_priority() -> None:
    local = model("a", priority=7)

    assert metadata_of(exchange(local)) == {}
    assert metadata_of(exchange(local, granted_at=1.0, selector="any")) == {"fifo_priority": "7", "selector": "any"}
    assert metadata_of(exchange(PeerModel(peer("far", "big"), "big"), granted_at=1.0)) == {}


async def test_metadata_is_in_the_document() -> None:
    entry = entered(InFlight())
    entry.scope[KEY] = exchange(model("a"), selector="any")

    assert entry.document(entry.began)["metadata"] == {"selector": "any"}


async def test_who_listens_is_told_of_the_beginning_the_head_and_the_end() -> None:
    heard: list[tuple[int, Change, int]] = []
    inflight = InFlight()
    inflight.on_change = lambda entry, change: heard.append((entry.id, change, entry.status))
    entry = entered(inflight)
    inflight.answered(entry, 201, [])
    inflight.leave(entry)

    assert heard == [(1, "upsert", 0), (1, "upsert", 201), (1, "remove", 201)]


async def test_nobody_is_cancelled_by_a_number_that_is_not_in_flight() -> None:
    inflight = InFlight()
    inflight.leave(entered(inflight))

    assert not inflight.cancel(1)
    assert me().cancelling() == 0


async def test_request_is_cancelled_once_however_often_it_is_asked() -> None:
    inflight = InFlight()
    started = asyncio.Event()
    counts: list[int] = []

    async def serve() -> None:
        inflight.enter(scope(), me())
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            counts.append(me().cancelling())
            me().uncancel()

    async with asyncio.TaskGroup() as group:
        group.create_task(serve())
        await started.wait()
        assert inflight.cancel(1)
        assert inflight.cancel(1)

    assert counts == [1]
