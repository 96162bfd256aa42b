"""Notices that configuration files have changed, by asking for their state every two seconds.

`stat` follows symbolic links, so the swap of a Kubernetes ConfigMap and a file bind-mounted into a container are seen, which
is more than file events can promise. A file that is being written is left alone until it has rested for a moment: half of one may
well be a whole configuration, though one with fewer models. Of what is seen half-done all the same, loading fails or the
next change mends it.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import anyio

from app.config.sources import directory_files

EVERY_S = 2.0

REST_S = 0.5
"""Seconds that files must have been as they are before a change of them is told."""

Stamp = tuple[int, int, int] | None


@dataclass(frozen=True, slots=True)
class State:
    """What was seen at one look."""

    files: tuple[Stamp, ...]
    listing: tuple[tuple[str, Stamp], ...] = ()
    """The YAML files in the directory; none as well when there is no directory."""


async def changes(
    files: Sequence[str], directory: str | None = None, every_s: float = EVERY_S, seen: State | None = None
) -> AsyncIterator[None]:
    """Yields whenever one of *files* is not what it was, or the YAML files in *directory* are not.

    A file that disappears is no change; its coming back is. In *directory* files may come and go, and each time is a change,
    unless nothing is left: an empty directory is one that is being filled.

    seen: what they were when they were read, so that nothing is missed in between; None: what they are now.
    """
    if seen is None:
        seen = await anyio.to_thread.run_sync(look, files, directory)
    untold = False
    while True:
        await anyio.sleep(min(every_s, REST_S) if untold else every_s)
        now = await anyio.to_thread.run_sync(look, files, directory)
        changed = any(new is not None and new != old for old, new in zip(seen.files, now.files, strict=True))
        changed |= bool(now.listing) and now.listing != seen.listing
        seen = now
        if untold and not changed:
            yield
        untold = changed


def look(files: Sequence[str], directory: str | None) -> State:
    """Returns what *files*, and the YAML files in *directory*, are now. Blocks."""
    listing: tuple[str, ...] = ()
    if directory is not None:
        try:
            listing = directory_files(directory)
        except OSError:
            listing = ()
    return State(tuple(_stat(file) for file in files), tuple((file, _stat(file)) for file in listing))


def _stat(file: str) -> Stamp:
    try:
        found = os.stat(file)  # noqa: PTH116 - of a name, many times over
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
