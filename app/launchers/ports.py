"""Whether a port is free, and if not, who holds it: a stranger's server must never be taken for an upstream of ours."""

from __future__ import annotations

import errno
import itertools
import socket
import sys
from collections.abc import Callable, Collection, Iterator
from pathlib import Path, PurePath

import anyio

from app.launchers import guard, listeners

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
    for pid in _listeners(port):
        return "a process of another user" if pid is None else name_of(pid)
    return "something that cannot be seen from here (another container, or a connection that is about to end)"


def name_of(pid: int) -> str:
    """Returns process *pid* in words. Clients are told, too: the program is named, its arguments may be secrets."""
    import psutil  # heavy, and wanted for messages only

    try:
        process = psutil.Process(pid)
        command = process.cmdline() or [process.name()]
    except psutil.Error:
        return f"process {pid} (command unknown)"
    words = [PurePath(word).name for word in itertools.takewhile(lambda word: not word.startswith("-"), command[:2])]
    return f"process {pid} ({' '.join(words)})"


def impostor(port: int, main: int, descendants: Callable[[], Collection[int]], since: int) -> str | None:
    """Returns in words who listens on *port* if that is surely no process of ours; None when it may be one. Blocks.

    Whoever answers there could be taken for the upstream. Surely another's is a server that is older than ours, or another
    Hostler's. What cannot be seen gets the benefit of the doubt: a container's port is held by a process of its engine.

    main: the process we have started.
    descendants: returns what it has started; asked only if *main* is not the one, for that means to look at all processes.
    since: start time of *main*, as in `guard.Entry`.
    """
    inodes: set[int] = set()
    # One after the other: where the kernel has to write a table it takes milliseconds, and most servers are in the first.
    for family in (socket.AF_INET, socket.AF_INET6):
        inodes |= listeners.inodes(port, family)
        if _holds(main, inodes):
            return None
    ours = descendants()
    if any(_holds(pid, inodes) for pid in ours):
        return None
    for pid in _listeners(port):
        entry = None if pid is None or pid in ours else guard.entry_of(pid)
        if entry is not None and (entry.start < since or guard.carries(entry.pid, f"{guard.MARKER}=".encode())):
            return name_of(entry.pid)
    return None


def _holds(pid: int, inodes: Collection[int]) -> bool:
    names = {f"socket:[{inode}]" for inode in inodes}
    try:
        return bool(names) and any(str(link.readlink()) in names for link in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:  # it has ended, or changed its user
        return False


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
