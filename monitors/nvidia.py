"""NVIDIA cards by NVML, the library that comes with the driver.

The reader asks one question after the other, each guarded by itself, because which of them a card answers depends on its
kind, its driver and our rights; the answers are plain values, and `reading` makes a reading of them.

Three kinds of chip need a word:

- A card cut up by MIG is read as itself, with its temperature and power but no memory, and as each of its slices, with memory
  and processes: so nothing counts twice. All have the card's PCI address, by which what another source says of the whole is
  left out.
- A chip that shares the host's memory (GB10, Thor, Orin) says N/A of its memory. What its processes use is added up instead,
  and the total is that of the host.
- A card that is lost or must be reset raises, so that the sampler opens the library anew.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from monitors import figures
from monitors.protocol import GpuReading, ProcessMemory, Reading, Unavailable

logger = logging.getLogger(__name__)

Answers = Mapping[str, object]
"""What one device has answered: question -> answer; what it would not say is left out."""

FATAL = ("Uninitialized", "DriverNotLoaded", "GpuIsLost", "ResetRequired", "LibRmVersionMismatch")
"""Errors after which no further answer of this session is worth anything, as the ends of their class names."""

LOOK_AGAIN = 60
"""Samples between two looks at which cards there are, and how they are cut up: one that was lost may be back."""

WHY_NOT = {
    "LibraryNotFound": "NVML is not installed; it comes with the NVIDIA driver",
    "DriverNotLoaded": "the NVIDIA driver is not loaded",
    "LibRmVersionMismatch": "the NVIDIA driver has been updated since it was loaded; restart the machine",
    "NoPermission": "this user may not ask the NVIDIA driver",
}


def reading(answers: Answers, host_memory_bytes: int | None = None) -> GpuReading:
    """Returns the device that has given *answers*.

    host_memory_bytes: the total of a chip that shares it, as `memory: "shared"` says.
    """
    index = figures.whole(answers.get("index")) or 0
    pci = figures.pci_address(str(answers.get("pci", "")))
    processes = tuple(_processes(answers))
    memory = answers.get("memory")
    is_unified = memory == "shared"
    total = figures.byte_count(host_memory_bytes if is_unified else figures.at(memory, "total"))
    used = figures.byte_count(figures.at(memory, "used"))
    return GpuReading(
        uuid=figures.words(answers.get("uuid")) or pci or f"nvidia-{index}",
        name=figures.words(answers.get("name")) or f"NVIDIA GPU {index}",
        index=index,
        vendor="nvidia",
        utilization_percent=figures.percent(answers.get("utilization")),
        memory_total_bytes=total or None,
        memory_used_bytes=sum(process.used_bytes for process in processes) if is_unified else used,
        is_unified=is_unified,
        temperature_c=figures.celsius(answers.get("temperature")),
        memory_temperature_c=figures.celsius(answers.get("memory_temperature")),
        power_w=figures.watts(answers.get("power"), 1e-3),
        power_limit_w=figures.watts(answers.get("power_limit"), 1e-3),
        fan_percent=figures.percent(answers.get("fan")),
        clock_mhz=figures.megahertz(answers.get("clock")),
        memory_clock_mhz=figures.megahertz(answers.get("memory_clock")),
        processes=processes,
        pci=pci,
    )


def _processes(answers: Answers) -> Iterator[ProcessMemory]:
    """Yields each process once: one that computes and draws is in both lists, with the same figure."""
    used: dict[int, int] = {}
    for kind in ("compute", "graphics"):
        listed = answers.get(kind)
        for entry in listed if isinstance(listed, list) else ():
            pid = figures.whole(figures.at(entry, "pid"))
            # Windows keeps the figure to itself in its usual driver model.
            size = figures.byte_count(figures.at(entry, "used"))
            if pid and size is not None:
                used[pid] = max(size, used.get(pid, 0))
    for pid in sorted(used):
        yield ProcessMemory(pid, used[pid])


def _library() -> Any:
    import pynvml

    return pynvml


def _host_memory() -> int:
    import psutil

    return psutil.virtual_memory().total


@dataclass(frozen=True, slots=True)
class _Device:
    """A card, or one slice of one."""

    index: int
    handle: Any
    slices: tuple[_Device, ...] = ()


class Nvml:
    """NVML, as a source.

    library: returns a module with the interface of `pynvml`, which is imported only when the source is opened.
    host_memory: the host's total, in bytes.
    """

    name = "nvml"

    def __init__(self, library: Callable[[], Any] = _library, host_memory: Callable[[], int] = _host_memory) -> None:
        self._library = library
        self._host_memory = host_memory
        # Held while NVML is being asked. It cannot be interrupted, and shutting it down beneath a call hangs, too.
        self._asking = threading.Lock()
        # From `open` to `close`.
        self._nvml: Any = None
        self._devices: list[_Device] = []
        self._lost: list[int] = []
        self._samples = 0

    def open(self) -> None:
        """Loads the library. Raises Unavailable without it, its driver or a card, and NVML's error if no card can be read."""
        try:
            nvml = self._library()
        except ImportError as error:
            raise Unavailable(f"nvidia-ml-py is not installed: {error}") from error
        with self._alone():
            try:
                nvml.nvmlInit()
            except nvml.NVMLError as error:
                raise Unavailable(WHY_NOT.get(_kind(error), f"NVML: {error}")) from error
            self._nvml = nvml
            self._devices, self._lost = [], []
            self._find()
            if not self._devices:
                raise Unavailable("the NVIDIA driver knows no card")

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        if not self._asking.acquire(timeout=1):
            raise TimeoutError("an earlier question to NVML still hangs in the driver")
        try:
            yield
        finally:
            self._asking.release()

    def _find(self) -> None:
        """Finds the cards there are and how they are cut up. Raises if there are some and none can be read."""
        nvml = self._nvml
        found: list[_Device] = []
        lost: list[int] = []
        failure: Exception | None = None
        for index in range(nvml.nvmlDeviceGetCount()):
            try:
                found.append(self._device(index))
            except nvml.NVMLError as error:
                failure = error
                lost.append(index)
                if index not in self._lost:
                    logger.warning("NVIDIA card %d cannot be read: %s", index, error)
        self._devices, self._lost = found, lost
        if failure is not None and not found:
            raise failure

    def _device(self, index: int) -> _Device:
        nvml = self._nvml
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
        slices: list[_Device] = []
        mode = self._ask(nvml.nvmlDeviceGetMigMode, handle)
        if isinstance(mode, list | tuple) and mode[0] == nvml.NVML_DEVICE_MIG_ENABLE:
            for number in range(self._ask(nvml.nvmlDeviceGetMaxMigDeviceCount, handle) or 0):
                # The places need not be taken from the first on.
                part = self._ask(nvml.nvmlDeviceGetMigDeviceHandleByIndex, handle, number)
                if part is not None:
                    slices.append(_Device(index, part))
        return _Device(index, handle, tuple(slices))

    def sample(self) -> Reading:
        """Returns all cards and slices."""
        with self._alone():
            if self._nvml is None:
                raise Unavailable("not open")
            self._samples += 1
            if self._samples % LOOK_AGAIN == 0:
                self._find()
            gpus: list[GpuReading] = []
            for device in self._devices:
                answers = self._of_card(device)
                shared = self._host_memory() if answers.get("memory") == "shared" else None
                gpus.append(reading(answers, shared))
                slices = [self._of_slice(part, answers) for part in device.slices]
                # One that does not know its own name is no more; the next look will tell how the card is cut up now.
                gpus += [reading(part) for part in slices if part["uuid"] is not None]
        return Reading(gpus=tuple(gpus))

    def _of_card(self, device: _Device) -> Answers:
        nvml, handle, ask = self._nvml, device.handle, self._ask
        pci = ask(nvml.nvmlDeviceGetPciInfo, handle)
        answers: dict[str, object] = {
            "index": device.index,
            "uuid": ask(nvml.nvmlDeviceGetUUID, handle),
            "name": ask(nvml.nvmlDeviceGetName, handle),
            "pci": _text(getattr(pci, "busId", "")),
            "utilization": getattr(ask(nvml.nvmlDeviceGetUtilizationRates, handle), "gpu", None),
            "temperature": self._temperature(handle),
            "memory_temperature": self._field(handle, nvml.NVML_FI_DEV_MEMORY_TEMP),
            "power": ask(nvml.nvmlDeviceGetPowerUsage, handle),
            "power_limit": ask(nvml.nvmlDeviceGetEnforcedPowerLimit, handle),
            "fan": ask(nvml.nvmlDeviceGetFanSpeed, handle),
            "clock": ask(nvml.nvmlDeviceGetClockInfo, handle, nvml.NVML_CLOCK_GRAPHICS),
            "memory_clock": ask(nvml.nvmlDeviceGetClockInfo, handle, nvml.NVML_CLOCK_MEM),
        }
        return answers if device.slices else {**answers, **self._memory(handle)}

    def _of_slice(self, part: _Device, card: Answers) -> Answers:
        nvml, handle = self._nvml, part.handle
        return {
            "index": part.index,
            "pci": card["pci"],
            "uuid": self._ask(nvml.nvmlDeviceGetUUID, handle),
            "name": self._ask(nvml.nvmlDeviceGetName, handle),
            # One chip, one temperature.
            "temperature": card["temperature"],
            "memory_temperature": card["memory_temperature"],
            **self._memory(handle),
        }

    def _memory(self, handle: Any) -> Answers:
        nvml = self._nvml
        memory: object
        try:
            info = nvml.nvmlDeviceGetMemoryInfo(handle)
            memory = {"total": info.total, "used": info.used} if info.total else "shared"
        except nvml.NVMLError as error:
            _raise_fatal(error)
            memory = "shared" if _kind(error) == "NotSupported" else None
        return {
            "memory": memory,
            "compute": self._listed(nvml.nvmlDeviceGetComputeRunningProcesses, handle),
            "graphics": self._listed(nvml.nvmlDeviceGetGraphicsRunningProcesses, handle),
        }

    def _listed(self, question: Callable[..., Any], handle: Any) -> list[dict[str, object]]:
        return [{"pid": entry.pid, "used": entry.usedGpuMemory} for entry in self._ask(question, handle) or ()]

    def _temperature(self, handle: Any) -> Any:
        nvml = self._nvml
        # The older function goes with CUDA 14, older drivers lack the newer one.
        found = self._ask(nvml.nvmlDeviceGetTemperatureV, handle, nvml.NVML_TEMPERATURE_GPU)
        return self._ask(nvml.nvmlDeviceGetTemperature, handle, nvml.NVML_TEMPERATURE_GPU) if found is None else found

    def _field(self, handle: Any, which: int) -> Any:
        values = self._ask(self._nvml.nvmlDeviceGetFieldValues, handle, [which])
        if not values or values[0].nvmlReturn != self._nvml.NVML_SUCCESS:
            return None
        return values[0].value.uiVal

    def _ask(self, question: Callable[..., Any], *args: Any) -> Any:
        """Returns the answer, or None if this device does not say. Raises what ends the session."""
        try:
            return question(*args)
        except (self._nvml.NVMLError, self._nvml.NVMLLibraryMismatchError, UnicodeDecodeError) as error:
            _raise_fatal(error)
            return None

    def close(self) -> None:
        """Lets go of the library, unless a question hangs in it."""
        if not self._asking.acquire(blocking=False):
            return
        try:
            nvml, self._nvml = self._nvml, None
            if nvml is not None:
                self._devices = []
                nvml.nvmlShutdown()
        except nvml.NVMLError as error:
            logger.debug("NVML does not shut down: %s", error)
        finally:
            self._asking.release()


def _kind(error: Exception) -> str:
    """Returns `GpuIsLost` of `NVMLError_GpuIsLost`."""
    return type(error).__name__.rpartition("_")[2]


def _raise_fatal(error: Exception) -> None:
    if _kind(error) in FATAL:
        raise error


def _text(value: object) -> str:
    return value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)
