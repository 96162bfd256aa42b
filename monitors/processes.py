"""What process trees use of the host's memory. One look at the process table serves all of them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import psutil


class Process(NamedTuple):
    """One line of the process table."""

    pid: int
    parent: int
    session: int
    """0: not known."""
    resident_bytes: int


@dataclass(frozen=True, slots=True)
class Tree:
    """One process and all that it has started, at one moment."""

    name: str
    pid: int
    """Of the process at the root."""
    resident_bytes: int
    """Memory of all of them; what they share counts for each."""
    pids: tuple[int, ...]


class ProcessTrees:
    """The trees of some roots, as something that the sampler can supervise like a source."""

    name = "processes"

    def __init__(self, roots: Callable[[], Mapping[str, int]]) -> None:
        """Prepares. roots: returns whose trees are looked at, name -> pid; called in worker threads."""
        self._roots = roots

    def open(self) -> None:
        """Has nothing to get ready."""

    def sample(self) -> tuple[Tree, ...]:
        """Returns the trees of those roots that live. Looks at nothing while there are none."""
        roots = self._roots()
        return trees(roots, processes()) if roots else ()

    def close(self) -> None:
        """Has nothing to let go of."""


def trees(roots: Mapping[str, int], table: Iterable[Process]) -> tuple[Tree, ...]:
    """Returns the tree of each of *roots* that is in *table*: its descendants, and what shares its session if it leads one."""
    by_pid: dict[int, Process] = {}
    children: dict[int, list[int]] = {}
    in_session: dict[int, list[int]] = {}
    for process in table:
        by_pid[process.pid] = process
        children.setdefault(process.parent, []).append(process.pid)
        if process.session:
            in_session.setdefault(process.session, []).append(process.pid)
    found = []
    for name, root in roots.items():
        if root not in by_pid:
            continue
        pids = {root}
        left = [root]
        while left:
            pid = left.pop()
            # Those who have left their parent and stayed in the session; their own children may have left that, too.
            for other in (*children.get(pid, ()), *(in_session.get(pid, ()) if by_pid[pid].session == pid else ())):
                if other not in pids:
                    pids.add(other)
                    left.append(other)
        ordered = (root, *sorted(pids - {root}))
        found.append(Tree(name, root, sum(by_pid[pid].resident_bytes for pid in ordered), ordered))
    return tuple(found)


def processes() -> Sequence[Process]:
    """Returns every process that can be seen."""
    if sys.platform == "linux":
        # A third of what psutil takes for it; there may be thousands.
        page = os.sysconf("SC_PAGE_SIZE")
        stats = (read_stat(f"/proc/{name}/stat") for name in os.listdir("/proc") if name.isdigit())  # noqa: PTH208 - faster
        return [process for text in stats if (process := parse_stat(text, page)) is not None]
    found = []  # pragma: darwin
    for process in psutil.process_iter(["pid", "ppid", "memory_info"]):  # pragma: darwin
        memory = process.info["memory_info"]
        found.append(Process(process.info["pid"], process.info["ppid"] or 0, 0, memory.rss if memory else 0))
    return found  # pragma: darwin


def parse_stat(text: bytes, page_bytes: int) -> Process | None:
    """Returns what `/proc/<pid>/stat` says; None if it is not that."""
    # The command's name stands in brackets and may itself hold brackets and blanks; numbers begin after the last one.
    head, _, rest = text.rpartition(b")")
    fields = rest.split()
    try:
        pid = int(head[: head.index(b"(")])
        return Process(pid, int(fields[1]), int(fields[3]), max(int(fields[21]), 0) * page_bytes)
    except (ValueError, IndexError):
        return None


def read_stat(path: str) -> bytes:
    """Returns a file of /proc; `open` would take twice as long, and there are thousands."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""  # it has just ended
    try:
        return os.read(file, 4096)
    except OSError:
        return b""
    finally:
        os.close(file)
