"""Who holds a port, with real listeners."""

from __future__ import annotations

import os
import socket

import psutil
import pytest

from app.launchers import ports

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0", ""])
@pytest.mark.parametrize("listening_at", ["127.0.0.1", "0.0.0.0"])
async def test_a_listener_is_named_wherever_it_is_asked_for(port: int, listening_at: str, host: str) -> None:
    with socket.create_server((listening_at, port)):
        holder = await ports.taken_by(host, port)

    assert holder is not None
    assert holder.startswith(f"process {os.getpid()} (")


async def test_a_listener_on_all_addresses_of_both_kinds_is_found(port: int) -> None:
    if not socket.has_dualstack_ipv6():
        pytest.skip("no IPv6 here")
    with socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True):
        assert await ports.taken_by("127.0.0.1", port) is not None


async def test_a_listener_that_shares_its_port_is_found(port: int) -> None:
    with socket.create_server(("127.0.0.1", port), reuse_port=True):
        assert await ports.taken_by("127.0.0.1", port) is not None


async def test_a_free_port_is_free(port: int) -> None:
    assert await ports.taken_by("127.0.0.1", port) is None


async def test_connections_that_linger_do_not_hold_a_port(port: int) -> None:
    with socket.create_server(("127.0.0.1", port)) as server:
        client = socket.create_connection(("127.0.0.1", port))
        served, _ = server.accept()
        served.close()  # the side that closes first lingers
        client.close()

    assert await ports.taken_by("127.0.0.1", port) is None


@pytest.mark.parametrize("host", ["no.such.host.invalid", "192.0.2.1"])
async def test_an_address_that_is_not_ours_is_none_of_our_business(port: int, host: str) -> None:
    assert await ports.taken_by(host, port) is None


async def test_a_bound_socket_that_does_not_listen_is_told_as_unseen(port: int) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", port))
        holder = await ports.taken_by("127.0.0.1", port)

    assert holder is not None
    assert "cannot be seen" in holder


async def test_a_holder_of_another_user_is_told_as_such(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    look = psutil.net_connections
    monkeypatch.setattr(psutil, "net_connections", lambda kind: [one._replace(pid=None) for one in look(kind)])
    with socket.create_server(("127.0.0.1", port)):
        assert await ports.taken_by("127.0.0.1", port) == "a process of another user"


async def test_a_holder_that_ends_meanwhile_is_told_by_its_number(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    look = psutil.net_connections
    monkeypatch.setattr(psutil, "net_connections", lambda kind: [one._replace(pid=1 << 22) for one in look(kind)])
    with socket.create_server(("127.0.0.1", port)):
        assert await ports.taken_by("127.0.0.1", port) == f"process {1 << 22} (command unknown)"


async def test_where_all_connections_may_not_be_seen_our_own_are(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(_: str) -> None:
        raise psutil.AccessDenied

    monkeypatch.setattr(psutil, "net_connections", forbidden)
    with socket.create_server(("127.0.0.1", port)):
        holder = await ports.taken_by("127.0.0.1", port)

    assert holder is not None
    assert holder.startswith(f"process {os.getpid()} (")
