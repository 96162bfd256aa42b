"""Hardware sources: what the machine's processors, memory and accelerators are doing. Nothing of app."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from monitors.apple import Ioreg, Mactop
from monitors.host import DiskSource, HostSource
from monitors.lact import Lact
from monitors.nvidia import Nvml
from monitors.nvidia_smi import NvidiaSmi
from monitors.protocol import Source
from monitors.rocm_smi import RocmSmi
from monitors.sysfs import Sysfs
from monitors.windows import WindowsCounters

SOURCES: Mapping[str, Callable[[], Source]] = {
    "psutil": HostSource,
    "disks": DiskSource,
    "nvml": Nvml,
    "nvidia-smi": NvidiaSmi,
    "lact": Lact,
    "sysfs": Sysfs,
    "rocm-smi": RocmSmi,
    "mactop": Mactop,
    "ioreg": Ioreg,
    "pdh": WindowsCounters,
}
"""Every source by its name. Of what several say of one device, that of the first here counts."""

STANDS_IN_FOR: Mapping[str, tuple[str, ...]] = {
    "nvidia-smi": ("nvml",),
    "rocm-smi": ("lact", "sysfs"),
    "ioreg": ("mactop",),
    "pdh": ("nvml",),
}
"""Sources that are only asked while none of those named has anything: what costs a child process, for what a library says too."""
