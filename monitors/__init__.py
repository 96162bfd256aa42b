"""Hardware sources: what the machine's processors, memory and accelerators are doing. Nothing of app."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from monitors.host import DiskSource, HostSource
from monitors.protocol import Source

SOURCES: Mapping[str, Callable[[], Source]] = {
    "psutil": HostSource,
    "disks": DiskSource,
}
"""Every source by its name. Of what several say of one device, that of the first here counts."""

STANDS_IN_FOR: Mapping[str, tuple[str, ...]] = {}
"""Sources that are only asked while none of those named has anything: what costs a child process, for what a library says too."""
