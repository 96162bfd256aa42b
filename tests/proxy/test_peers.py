"""The life of the connections to peers, across reloads."""

from __future__ import annotations

from dataclasses import replace

import anyio
import pytest

from app.config.catalog import Filters, Peer, Timeouts
from app.errors import ShuttingDown, UpstreamError
from app.proxy.peers import Peers
from app.proxy.transport import UpstreamTransport
from tests.endpoints.catalogs import catalog, peer
from tests.endpoints.remote import Remote, remote

pytestmark = pytest.mark.anyio


async def ask(transport: UpstreamTransport) -> int:
    response = await transport.request("GET", b"/", [(b"host", b"x")])
    while not response.at_end:
        await response.read_some()
    response.close()
    return response.status


def at(behind: Remote, **fields: object) -> Peer:
    return peer("p", "m", base_url=behind.url, **fields)


async def test_unchanged_peer_keeps_its_connections() -> None:
    async with remote() as behind:
        old = at(behind, api_key="k")
        peers = Peers(catalog(peers=[old]))
        async with peers.transport(old) as transport:
            await ask(transport)
        # Keys, filters and models are of the request, not of the connection.
        new = replace(old, api_key="other", models=("x",), filters=Filters(strip_params=("a",)))
        await peers.reconfigure(catalog(peers=[new]))
        async with peers.transport(new) as again:
            assert again is transport
            await ask(again)

        assert behind.connections == 1
        await peers.aclose()


@pytest.mark.parametrize("goes", [True, False])
async def test_idle_connections_to_a_changed_peer_are_closed_by_the_reload(goes: bool) -> None:
    async with remote() as behind:
        old = at(behind)
        peers = Peers(catalog(peers=[old]))
        async with peers.transport(old) as transport:
            await ask(transport)
            assert transport.pool.open_count == 1
        await peers.reconfigure(catalog(peers=[] if goes else [replace(old, timeouts=Timeouts(connect_s=1))]))

        assert transport.pool.open_count == 0
        await peers.aclose()


async def test_request_that_is_under_way_is_finished_before_its_connection_is_closed() -> None:
    async with remote(is_open=False) as behind:
        old = at(behind)
        peers = Peers(catalog(peers=[old]))
        async with anyio.create_task_group() as group:

            async def request() -> None:
                async with peers.transport(old) as transport:
                    assert await ask(transport) == 200
                assert transport.pool.open_count == 0

            group.start_soon(request)
            await behind.until_inside(1)
            await peers.reconfigure(catalog())
            behind.open.set()
        await peers.aclose()


async def test_request_of_an_older_configuration_still_finds_its_peer() -> None:
    async with remote() as behind:
        peers = Peers(catalog())
        async with peers.transport(at(behind)) as transport:
            assert await ask(transport) == 200

        assert transport.pool.open_count == 0
        await peers.aclose()


async def test_peer_that_comes_back_is_not_closed_under_its_users() -> None:
    async with remote(is_open=False) as behind:
        old = at(behind)
        peers = Peers(catalog(peers=[old]))
        async with anyio.create_task_group() as group:

            async def request() -> None:
                async with peers.transport(old) as transport:
                    assert await ask(transport) == 200
                assert transport.pool.open_count == 1

            group.start_soon(request)
            await behind.until_inside(1)
            await peers.reconfigure(catalog())
            await peers.reconfigure(catalog(peers=[old]))
            behind.open.set()
        await peers.aclose()


async def test_end_of_all_fails_what_is_under_way_and_refuses_what_comes() -> None:
    async with remote(is_open=False) as behind:
        known = at(behind)
        peers = Peers(catalog(peers=[known]))
        async with anyio.create_task_group() as group:

            async def request() -> None:
                with pytest.raises(UpstreamError):
                    async with peers.transport(known) as transport:
                        await ask(transport)

            group.start_soon(request)
            await behind.until_inside(1)
            await peers.aclose()
        with pytest.raises(ShuttingDown, match=r"^unspecific error: peer proxy is shutting down$"):
            async with peers.transport(known):
                pass
