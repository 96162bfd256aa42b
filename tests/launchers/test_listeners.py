"""Who listens, with real listeners, by the kernel's answer and by its tables."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator

import pytest

from app.launchers import listeners

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux's own")

FAMILIES = [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]


@pytest.fixture(params=["asked", "tables"])
def means(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `inodes` finds them by; without the tables, or without the answers."""
    if request.param == "asked":
        monkeypatch.setattr(listeners, "_TABLES", dict.fromkeys(listeners._TABLES, "/nowhere"))
    else:
        monkeypatch.setattr(listeners, "NETLINK_SOCK_DIAG", 1 << 10)  # no such protocol


@pytest.fixture(params=FAMILIES, ids=["ipv4", "ipv6"])
def server(request: pytest.FixtureRequest) -> Iterator[socket.socket]:
    family, address = request.param
    if family == socket.AF_INET6 and not socket.has_dualstack_ipv6():
        pytest.skip("no IPv6 here")
    with socket.create_server((address, 0), family=family) as server:
        yield server


@pytest.mark.usefixtures("means")
def test_a_listener_is_found_by_its_inode(server: socket.socket) -> None:
    port = server.getsockname()[1]

    assert listeners.inodes(port, server.family) == {os.fstat(server.fileno()).st_ino}


@pytest.mark.usefixtures("means")
def test_all_who_share_a_port_are_found() -> None:
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as one:
        port = one.getsockname()[1]
        with socket.create_server(("127.0.0.1", port), reuse_port=True) as other:
            found = listeners.inodes(port, socket.AF_INET)

            assert found == {os.fstat(server.fileno()).st_ino for server in (one, other)}


@pytest.mark.usefixtures("means")
def test_connections_are_no_listeners() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        assert listeners.inodes(client.getsockname()[1], socket.AF_INET) == set()


@pytest.mark.usefixtures("means")
def test_among_hundreds_the_one_is_found() -> None:
    """More than one message of the kernel's."""
    servers = [socket.create_server(("127.0.0.1", 0)) for _ in range(400)]
    try:
        for server in (servers[0], servers[-1]):
            expected = {os.fstat(server.fileno()).st_ino}

            assert listeners.inodes(server.getsockname()[1], socket.AF_INET) == expected
    finally:
        for server in servers:
            server.close()


def test_where_nothing_tells_nobody_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listeners, "NETLINK_SOCK_DIAG", 1 << 10)
    monkeypatch.setattr(listeners, "_TABLES", dict.fromkeys(listeners._TABLES, "/nowhere"))
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert listeners.inodes(server.getsockname()[1], socket.AF_INET) == set()


def test_an_error_of_the_kernel_is_not_taken_for_an_empty_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listeners, "SOCK_DIAG_BY_FAMILY", 99)  # no such question
    with socket.create_server(("127.0.0.1", 0)) as server:
        expected = {os.fstat(server.fileno()).st_ino}

        assert listeners.inodes(server.getsockname()[1], socket.AF_INET) == expected
