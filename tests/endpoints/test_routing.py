"""Profiles and selectors at work: requests through a real server to a local model and to a peer at once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import cast

import anyio
import httpx
import pytest
from starlette.routing import Router

from app.config.catalog import Catalog, Profile, Selector, Strategy, Timeouts
from app.endpoints import inference, models, profiles
from app.middleware.errors import ErrorBoundary
from app.middleware.limit import Admitted
from app.proxy.peers import Peers
from app.proxy.transport import UpstreamTransport
from app.routing.resolve import ActiveProfile, Routing
from app.routing.selectors import Reservations
from app.scheduler.instances import Phase
from app.supervisor.supervisor import Supervisor
from tests.endpoints.catalogs import catalog, model, peer
from tests.endpoints.echo import AlwaysReady
from tests.endpoints.remote import Remote, remote
from tests.middleware.serving import served

pytestmark = pytest.mark.anyio


@dataclass(frozen=True, slots=True)
class World:
    """A server in front of two others."""

    client: httpx.AsyncClient
    local: Remote
    far: Remote
    supervised: AlwaysReady
    reservations: Reservations

    async def ask(self, name: str) -> int:
        """Asks for a model and returns the status."""
        return (await self.client.post("/v1/completions", json={"model": name})).status_code


@asynccontextmanager
async def world(selectors: list[Selector], pins: list[Profile], *, is_open: bool) -> AsyncIterator[World]:
    async with remote(is_open=is_open) as local, remote(is_open=is_open) as far:
        meant: Catalog = catalog(
            model("a"), model("b"), peers=[peer("p", "m", base_url=far.url)], selectors=selectors, profiles=pins
        )
        transport = UpstreamTransport(local.url, Timeouts())
        supervised, peers = AlwaysReady(transport), Peers(meant)
        routing = Routing(lambda: meant, ActiveProfile(), Reservations(supervised.view))
        serve = inference.model_app(cast(Supervisor, supervised), Admitted(), peers)
        routes = [
            *inference.routes(serve, routing), *profiles.routes(routing), *models.routes(routing, supervised),
        ]  # fmt: skip
        async with (
            served(ErrorBoundary(Router(routes))) as url,
            httpx.AsyncClient(base_url=url, trust_env=False, timeout=10) as client,
        ):
            yield World(client, local, far, supervised, routing.reservations)
        await peers.aclose()
        await transport.aclose()


async def test_requests_at_once_spill_over_from_one_server_to_the_next() -> None:
    spilling = Selector("sel", Strategy.SPILLOVER, ("a", "p/m"), spillover=2)
    async with world([spilling], [], is_open=False) as here:
        async with anyio.create_task_group() as group:

            async def ask() -> None:
                assert await here.ask("sel") == 200

            for inside_local, inside_far in [(1, 0), (2, 0), (2, 1), (2, 2), (3, 2), (3, 3)]:
                group.start_soon(ask)
                await here.local.until_inside(inside_local)
                await here.far.until_inside(inside_far)
            assert here.reservations.counts() == {("sel", "a"): 3, ("sel", "p/m"): 3}
            here.local.open.set()
            here.far.open.set()

        assert here.reservations.counts() == {}
        assert (here.local.most_inside, here.far.most_inside) == (3, 3)
        assert {asked.body for asked in here.local.asked} == {b'{"model":"a"}'}
        assert {asked.body for asked in here.far.asked} == {b'{"model":"m"}'}


async def test_many_requests_in_one_moment_are_spread_evenly() -> None:
    spilling = Selector("sel", Strategy.SPILLOVER, ("a", "p/m"), spillover=1)
    async with world([spilling], [], is_open=False) as here:
        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(here.ask, "sel")
            # Ten is what a local model admits: one more there would be refused.
            await here.local.until_inside(10)
            await here.far.until_inside(10)
            here.local.open.set()
            here.far.open.set()

        assert here.reservations.counts() == {}


async def test_client_that_leaves_gives_its_reservation_back() -> None:
    spilling = Selector("sel", Strategy.SPILLOVER, ("p/m", "a"))
    async with world([spilling], [], is_open=False) as here:
        async with anyio.create_task_group() as group:
            group.start_soon(here.ask, "sel")
            await here.far.until_inside(1)
            assert here.reservations.counts() == {("sel", "p/m"): 1}
            group.cancel_scope.cancel()
        with anyio.fail_after(5):
            await here.far.left.wait()
        here.far.open.set()

        assert await here.ask("sel") == 200
        assert here.reservations.counts() == {}
        assert len(here.local.asked) == 0


async def test_selector_without_a_target_left_says_so() -> None:
    spilling = Selector("sel", Strategy.SPILLOVER, ("a", "b"))
    async with world([spilling], [], is_open=True) as here:
        here.supervised.phases |= {"a": Phase.STOPPING, "b": Phase.STOPPING}
        reply = await here.client.post("/v1/completions", json={"model": "sel"})

    assert reply.status_code == 503
    assert reply.json() == {
        "src": "llama-swap",
        "error": {
            "message": 'selector "sel" has no available spillover targets',
            "type": "server_error",
            "param": None,
            "code": "service_unavailable",
        },
    }


async def test_warm_selector_follows_what_is_loaded() -> None:
    warm = Selector("sel", Strategy.WARM, ("a", "b"))
    async with world([warm], [], is_open=True) as here:
        for phases in ({}, {"b": Phase.STARTING}, {"a": Phase.READY, "b": Phase.STARTING}, {"b": Phase.READY}):
            here.supervised.phases = phases
            assert await here.ask("sel") == 200

        assert here.supervised.leased == ["a", "b", "a", "b"]


async def test_profile_changes_what_a_name_means_from_one_request_to_the_next() -> None:
    work = Profile("work", "", {"fast": "a", "b": "p/m"})
    play = Profile("play", "", {"fast": "b", "a": ""})
    async with world([], [work, play], is_open=True) as here:

        async def switch(name: str | None) -> None:
            assert (await here.client.put("/api/profiles/active", json={"name": name})).json() == {"active": name}

        async def listed() -> set[str]:
            return {entry["id"] for entry in (await here.client.get("/v1/models")).json()["data"]}

        assert [await here.ask(name) for name in ("fast", "a", "b")] == [404, 200, 200]
        assert await listed() == {"a", "b", "p/m"}
        await switch("work")
        assert [await here.ask(name) for name in ("fast", "a", "b")] == [200, 200, 200]
        assert await listed() == {"a", "b", "p/m", "fast"}
        await switch("play")
        assert [await here.ask(name) for name in ("fast", "a", "b")] == [200, 404, 200]
        await switch(None)
        assert await here.ask("fast") == 404

        assert here.supervised.leased == ["a", "b", "a", "a", "b", "b"]
        assert [asked.body for asked in here.far.asked] == [b'{"model":"m"}']
