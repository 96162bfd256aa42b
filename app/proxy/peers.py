"""Peers: other servers that serve models. How they are asked, and the connections to them.

A peer has one pool of connections, which lives as long as its address and time-outs stay what they are. A reload that changes or
drops them closes the pool once the requests that began before are done. There is no limit of requests: the peer has its own.

Source: compatibility specification 2.13, 3.6.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.config.catalog import Catalog, Peer, PeerModel, Timeouts
from app.errors import ShuttingDown, UpstreamError, UpstreamTimeout
from app.proxy.forwarder import forward
from app.proxy.headers import peer_headers
from app.proxy.transport import UpstreamTransport

if TYPE_CHECKING:
    from starlette.types import Scope, Send

    from app.exchange import Exchange

Address = tuple[str, str, Timeouts]
"""A peer's id and all of it that its connections depend on."""


@dataclass(slots=True)
class _Line:
    transport: UpstreamTransport
    users: int = 0


class Peers:
    """The connections to all peers. One for the whole application; closed by `aclose`."""

    def __init__(self, catalog: Catalog) -> None:
        """Connects to nothing yet."""
        self._wanted = _addresses(catalog)
        self._lines: dict[Address, _Line] = {}
        self._is_closed = False

    async def forward(self, exchange: Exchange, target: PeerModel, scope: Scope, send: Send) -> None:
        """Asks the peer and passes its answer on. Redirects are the client's to follow.

        Raises UpstreamError while nothing has been sent, StreamBroken afterwards; ShuttingDown after `aclose`.
        """
        async with self.transport(target.peer) as transport:
            headers = peer_headers(
                scope["headers"],
                method=scope["method"],
                body_size=exchange.body.size,
                host=transport.host,
                api_key=target.peer.api_key,
            )
            try:
                await forward(exchange, scope, send, transport, headers=headers)
            except UpstreamTimeout as exc:
                raise UpstreamTimeout(f"peer proxy error: {exc}") from exc
            except UpstreamError as exc:
                raise UpstreamError(f"peer proxy error: {exc}") from exc

    @asynccontextmanager
    async def transport(self, peer: Peer) -> AsyncIterator[UpstreamTransport]:
        """Lends the connections to *peer*, which may be one of an older configuration. Raises ShuttingDown."""
        if self._is_closed:
            raise ShuttingDown("unspecific error: peer proxy is shutting down")
        address = _address(peer)
        line = self._lines.get(address)
        if line is None:
            line = self._lines[address] = _Line(UpstreamTransport(peer.base_url, peer.timeouts))
        line.users += 1
        try:
            yield line.transport
        finally:
            line.users -= 1
            await self._close_unwanted()

    async def reconfigure(self, catalog: Catalog) -> None:
        """Takes over a new configuration: who is in it unchanged keeps its connections."""
        self._wanted = _addresses(catalog)
        await self._close_unwanted()

    async def aclose(self) -> None:
        """Closes everything. What is in flight fails."""
        self._is_closed = True
        while self._lines:
            await self._lines.popitem()[1].transport.aclose()

    async def _close_unwanted(self) -> None:
        def unwanted() -> Address | None:
            lines = self._lines.items()
            return next((each for each, line in lines if not line.users and each not in self._wanted), None)

        # Looked up anew each time: while one is closed, somebody may have come for another.
        while (address := unwanted()) is not None:
            await self._lines.pop(address).transport.aclose()


def _addresses(catalog: Catalog) -> frozenset[Address]:
    return frozenset(_address(peer) for peer in catalog.peers.values())


def _address(peer: Peer) -> Address:
    return peer.id, peer.base_url, peer.timeouts
