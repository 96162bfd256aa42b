"""Ports for the servers of tests: below those that the kernel gives to whoever connects, and each worker has its own.

A port of the kernel's choice that was let go of may be that of somebody's connection a moment later.
"""

from __future__ import annotations

import itertools
import os
import socket

START_PORT = 10_000 + 1_000 * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
"""The first of a hundred for the models of whole programs, which choose themselves."""

_OTHERS = itertools.cycle(range(START_PORT + 100, START_PORT + 1_000))


def free_port() -> int:
    """Returns a port of 127.0.0.1 that nobody listens on; the same one again only after some hundreds."""
    return next(port for port in _OTHERS if is_free(port))


def is_free(port: int) -> bool:
    """Returns whether a server could listen on *port* of 127.0.0.1."""
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True
