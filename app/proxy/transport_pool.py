"""The connections to one upstream: made, kept for reuse, and closed with it.

Idle connections stand in the order of their return. The newest is taken first, so the surplus ages and is dropped.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING

import anyio
import httpx

from app.proxy.connection import ConnectFailed, Connection, ConnectTimedOut, TransportClosed
from app.turn import TurnEnd

if TYPE_CHECKING:
    import ssl

    from app.config.catalog import Timeouts


class ConnectionPool:
    """The connections to one origin: any number in use, the idle ones kept for a while.

    There is no limit here: the scheduler and the concurrency limit admit, so that a request waits in one place only.
    """

    def __init__(self, scheme: str, host: str, port: int, timeouts: Timeouts) -> None:
        self.origin = f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"
        self.timeouts = timeouts
        self.closing = asyncio.Event()
        """Set when it is closed: for those who have a connection of another kind to the same upstream."""
        self._is_tls = scheme == "https"
        self._tls: ssl.SSLContext | None = None
        self._host = host
        self._port = port
        # Servers listen on either family when told `localhost`; the one that worked is tried first from then on.
        self._addresses = ["127.0.0.1", "::1"] if host == "localhost" else [host]
        self._all: set[Connection] = set()
        self._idle: list[Connection] = []
        self._turn = TurnEnd()
        self._expiry: asyncio.TimerHandle | None = None
        self._is_closed = False
        self._emptied: asyncio.Future[None] | None = None

    @property
    def open_count(self) -> int:
        """Connections that exist, in use or idle."""
        return len(self._all)

    @property
    def idle_count(self) -> int:
        """Connections that wait to be used again."""
        return len(self._idle)

    @property
    def turn(self) -> TurnEnd | None:
        """At whose end what is asked is written; None while only one connection is in use, which need not wait for others."""
        return self._turn if len(self._all) - len(self._idle) > 1 else None

    def take(self) -> Connection | None:
        """Returns the idle connection that was used last, or None."""
        idle = self._idle
        while idle:
            connection = idle.pop()
            if connection.is_usable:
                if not self._is_expired(connection):
                    return connection
                connection.abort()
        return None

    def put(self, connection: Connection) -> None:
        """Keeps *connection* for reuse."""
        connection.idle_since = monotonic()
        self._idle.append(connection)
        if self._expiry is None and self.timeouts.idle_conn_s > 0:
            self._expiry = asyncio.get_running_loop().call_later(self.timeouts.idle_conn_s, self._expire)

    async def connect(self) -> Connection:
        """Returns a new connection. Raises ConnectFailed or ConnectTimedOut."""
        error: OSError | None = None
        within_s = self.timeouts.connect_s
        try:
            with anyio.fail_after(within_s if within_s > 0 else None):
                for address in tuple(self._addresses):
                    try:
                        connection = await self._connect_to(address)
                    except OSError as exc:
                        # The first reason is the better one: the second address is a guess. A time-out is the scope's.
                        error = error or exc
                        continue
                    if self._is_closed:
                        connection.abort()
                        raise self._closed_error()
                    # Not when it is made: cancelled in between, uvloop closes the socket without telling the protocol.
                    if not connection.is_lost:  # pragma: no branch - a matter of luck
                        self._all.add(connection)
                    self._addresses.remove(address)
                    self._addresses.insert(0, address)
                    return connection
        except TimeoutError as exc:
            raise ConnectTimedOut(
                f"no connection to the model's server at {self.origin} within {within_s:g} s"
            ) from exc
        raise ConnectFailed(f"no connection to the model's server at {self.origin}: {error}") from error

    async def _connect_to(self, address: str) -> Connection:
        if self._is_closed:
            raise self._closed_error()
        loop = asyncio.get_running_loop()
        if not self._is_tls:
            return (await loop.create_connection(self._new, address, self._port))[1]
        if self._tls is None:
            # Reads some hundred certificates from a file.
            self._tls = await anyio.to_thread.run_sync(httpx.create_ssl_context)
        within_s = self.timeouts.tls_handshake_s
        connecting = loop.create_connection(
            self._new,
            address,
            self._port,
            ssl=self._tls,
            server_hostname=self._host,
            ssl_handshake_timeout=within_s if within_s > 0 else None,
        )
        return (await connecting)[1]

    def _new(self) -> Connection:
        return Connection(self.origin, self.timeouts.keepalive_s, self.put, self.forget)

    def _closed_error(self) -> TransportClosed:
        return TransportClosed(f"the model's server at {self.origin} is being stopped")

    def forget(self, connection: Connection) -> None:
        """Notes that a connection is gone."""
        self._all.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        if self._emptied is not None and not self._all and not self._emptied.done():
            self._emptied.set_result(None)

    async def aclose(self) -> None:
        """Closes every connection and fails what is in flight on it. Final, and may be repeated."""
        self._is_closed = True
        self.closing.set()
        self._idle.clear()
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None
        for connection in tuple(self._all):
            connection.fail(self._closed_error())
        if self._all:
            # Sockets are closed in the loop's next turn; whoever stops an upstream wants to know its port is free.
            if self._emptied is None:
                self._emptied = asyncio.get_running_loop().create_future()
            with anyio.CancelScope(shield=True):
                await self._emptied

    def _is_expired(self, connection: Connection) -> bool:
        kept_s = self.timeouts.idle_conn_s
        return 0 < kept_s <= monotonic() - connection.idle_since

    def _expire(self) -> None:
        """Drops what has been idle too long, and comes back when the next one will have been."""
        self._expiry = None
        while self._idle and self._is_expired(self._idle[0]):
            self._idle.pop(0).abort()
        if self._idle:
            left_s = self._idle[0].idle_since + self.timeouts.idle_conn_s - monotonic()
            self._expiry = asyncio.get_running_loop().call_later(max(left_s, 0.0), self._expire)
