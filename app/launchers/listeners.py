"""Which sockets listen on a port, by Linux's socket diagnosis (sock_diag(7)), else by the tables in /proc/net.

The kernel writes a table by walking through all connections there could be: milliseconds on a big machine. Asked for
listening sockets alone it walks through those: some ten microseconds. Neither needs a right.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

NETLINK_SOCK_DIAG = 4
SOCK_DIAG_BY_FAMILY = 20
NLMSG_ERROR = 2
NLMSG_DONE = 3
NLM_F_REQUEST = 0x1
NLM_F_DUMP = 0x300
NLM_F_DUMP_INTR = 0x10
TCP_LISTEN = 10

_HEAD = struct.Struct("=IHHII")
"""struct nlmsghdr: length, kind, flags, number, pid."""
_ASK = struct.Struct("=BBBBI48x")
"""struct inet_diag_req_v2: family, protocol, extensions, padding, states as bits; any socket."""
_PORT = struct.Struct("!4xH")
_INODE = struct.Struct("=68xI")
"""Of struct inet_diag_msg; the port is in the order of the net."""

ANSWER_BYTES = 1 << 16
"""More than the kernel puts into one message."""

LIMIT_S = 1.0
"""For an answer, which the kernel has ready when it is asked."""

_TABLES = {socket.AF_INET: "/proc/net/tcp", socket.AF_INET6: "/proc/net/tcp6"}


def inodes(port: int, family: socket.AddressFamily) -> set[int]:
    """Returns the inodes of the sockets of *family* that listen on *port*, on any address; none where that is unknown."""
    if sys.platform != "linux":  # pragma: darwin
        return set()
    for look in (partial(_asked, family), partial(_table, _TABLES[family])):
        try:
            return {inode for own, inode in look() if own == port}
        except OSError:
            continue  # the kernel's module is not there, or a sandbox forbids it; no IPv6
    return set()


def _asked(family: socket.AddressFamily) -> Iterator[tuple[int, int]]:
    """Yields port and inode of all listening sockets. Raises OSError if the kernel does not say."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG) as kernel:
        kernel.settimeout(LIMIT_S)
        ask = _ASK.pack(family, socket.IPPROTO_TCP, 0, 0, 1 << TCP_LISTEN)
        kernel.send(_HEAD.pack(_HEAD.size + len(ask), SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST | NLM_F_DUMP, 1, 0) + ask)
        while True:
            answer = kernel.recv(ANSWER_BYTES)
            at = 0
            while at < len(answer):
                length, kind, flags, _, _ = _HEAD.unpack_from(answer, at)
                if kind == NLMSG_DONE:
                    return
                if kind == NLMSG_ERROR or flags & NLM_F_DUMP_INTR:
                    raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
                yield _PORT.unpack_from(answer, at + _HEAD.size)[0], _INODE.unpack_from(answer, at + _HEAD.size)[0]
                at += -(-length // 4) * 4


def _table(path: str) -> Iterator[tuple[int, int]]:
    """Yields port and inode of all listening sockets, as *path* shows them (proc(5))."""
    for line in Path(path).read_text(encoding="ascii").splitlines()[1:]:
        fields = line.split()
        if fields[3] == "0A":
            yield int(fields[1].rpartition(":")[2], 16), int(fields[9])
