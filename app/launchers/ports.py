"""Whether a port is free, and if not, who holds it: a stranger's server must never be taken for an upstream of ours."""

from __future__ import annotations

import errno
import socket
import sys
from collections.abc import Iterator

import anyio

WILDCARDS = frozenset({"0.0.0.0", "::", ""})

_Address = tuple[socket.AddressFamily, str]


async def taken_by(host: str, port: int) -> str | None:
    """Returns in words who holds *port* of *host* or of all addresses, or None when a server could listen there.

    Found by binding, which disturbs nobody; a connection would show up in a stranger's log. None also when *host* is not an
    address of this machine: then an upstream there is none of our business.
    """
    for family, address in await _addresses(host):
        if _in_use(family, address, port):
            return await anyio.to_thread.run_sync(_holder, port)
    return None


async def _addresses(host: str) -> list[_Address]:
    if host in WILDCARDS:
        host = "0.0.0.0"
    try:
        found = await anyio.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return []
    addresses = {(family, str(sockaddr[0])) for family, _, _, _, sockaddr in found}
    if sys.platform != "linux":  # pragma: darwin - BSDs let an address be bound beside the wildcard
        addresses |= {(socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")}
    return sorted(addresses)


def _in_use(family: socket.AddressFamily, address: str, port: int) -> bool:
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            # As every server does: connections of its predecessor that linger are no hindrance.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((address, port))
    except OSError as error:
        return error.errno == errno.EADDRINUSE
    return False


def _holder(port: int) -> str:
    """Returns who listens on *port*, as far as it may be seen. Looks through all processes: slow, only for the message."""
    import psutil  # heavy, and wanted for the message only

    for pid in _listeners(port):
        if pid is None:
            return "a process of another user"
        try:
            process = psutil.Process(pid)
            command = " ".join(process.cmdline()) or process.name()
        except psutil.Error:
            command = "command unknown"
        return f"process {pid} ({command[:200]})"
    return "something that cannot be seen from here (another container, or a connection that is about to end)"


def _listeners(port: int) -> Iterator[int | None]:
    import psutil

    try:
        connections = psutil.net_connections("tcp")
    except psutil.AccessDenied:  # pragma: darwin - there only for the superuser; so our own user's, one by one
        for process in psutil.process_iter():
            try:
                own = process.net_connections("tcp")
            except psutil.Error:
                continue
            if any(one.status == psutil.CONN_LISTEN and one.laddr[1:] == (port,) for one in own):
                yield process.pid
        return
    for connection in connections:
        if connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,):
            yield connection.pid
