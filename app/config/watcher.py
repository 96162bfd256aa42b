"""Notices that configuration files have changed, by asking for their state every two seconds.

`stat` follows symbolic links, so the swap of a Kubernetes ConfigMap and a file bind-mounted into a container are seen, which
is more than file events can promise. A file that is being written may be seen half-done; loading it fails, and the
next change mends that.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence

import anyio

EVERY_S = 2.0

State = tuple[tuple[int, int, int] | None, ...]


async def changes(files: Sequence[str], every_s: float = EVERY_S) -> AsyncIterator[None]:
    """Yields whenever one of *files* is not what it was. A file that disappears is no change; its coming back is."""
    seen = await anyio.to_thread.run_sync(_state, files)
    while True:
        await anyio.sleep(every_s)
        now = await anyio.to_thread.run_sync(_state, files)
        changed = any(new is not None and new != old for old, new in zip(seen, now, strict=True))
        seen = now
        if changed:
            yield


def _state(files: Sequence[str]) -> State:
    return tuple(_stat(file) for file in files)


def _stat(file: str) -> tuple[int, int, int] | None:
    try:
        found = os.stat(file)  # noqa: PTH116 - of a name, many times over
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
