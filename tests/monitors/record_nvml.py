"""Records what NVML and nvidia-smi answer on this machine, as a fixture: `python -m tests.monitors.record_nvml OUT.json`.

Needs pynvml and the standard library only, so that it runs on a bare machine with a card. `recorded_nvml.Recorded` plays a recording.
Every call is kept as it was answered; an NVML error is kept as its number.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

CONSTANTS = (
    "NVML_SUCCESS",
    "NVML_TEMPERATURE_GPU",
    "NVML_CLOCK_GRAPHICS",
    "NVML_CLOCK_MEM",
    "NVML_FI_DEV_MEMORY_TEMP",
    "NVML_DEVICE_MIG_ENABLE",
)

QUESTIONS: dict[str, list[tuple[str | list[str], ...]]] = {
    "nvmlDeviceGetUUID": [()],
    "nvmlDeviceGetName": [()],
    "nvmlDeviceGetPciInfo": [()],
    "nvmlDeviceGetUtilizationRates": [()],
    "nvmlDeviceGetTemperatureV": [("NVML_TEMPERATURE_GPU",)],
    "nvmlDeviceGetTemperature": [("NVML_TEMPERATURE_GPU",)],
    "nvmlDeviceGetFieldValues": [(["NVML_FI_DEV_MEMORY_TEMP"],)],
    "nvmlDeviceGetPowerUsage": [()],
    "nvmlDeviceGetEnforcedPowerLimit": [()],
    "nvmlDeviceGetFanSpeed": [()],
    "nvmlDeviceGetClockInfo": [("NVML_CLOCK_GRAPHICS",), ("NVML_CLOCK_MEM",)],
    "nvmlDeviceGetMemoryInfo": [()],
    "nvmlDeviceGetComputeRunningProcesses": [()],
    "nvmlDeviceGetGraphicsRunningProcesses": [()],
    "nvmlDeviceGetMigMode": [()],
    "nvmlDeviceGetMaxMigDeviceCount": [()],
}
"""What the reader asks a device, with names of constants as arguments."""

FIELDS = "index,uuid,pci.bus_id,name,temperature.gpu,utilization.gpu,memory.used,memory.total,fan.speed,power.draw"
FIELDS += ",temperature.memory,enforced.power.limit,clocks.gr,clocks.mem"

PROGRAMS = {
    "csv": [
        "nvidia-smi",
        f"--query-gpu={FIELDS}",
        "--format=csv,nounits",
    ],
    "csv with an unknown field": ["nvidia-smi", "--query-gpu=index,name,no.such.field", "--format=csv,nounits"],
    "q": ["nvidia-smi", "-q"],
    "processes": ["nvidia-smi", "--query-compute-apps=pid,used_memory,gpu_uuid", "--format=csv,nounits"],
    "list": ["nvidia-smi", "-L"],
}


def key(function: str, arguments: tuple[object, ...]) -> str:
    """Returns the name under which an answer is kept."""
    return f"{function}{json.dumps(list(arguments))}" if arguments else function


def plain(value: Any) -> Any:
    """Returns an answer of pynvml as JSON has it."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if value is None or isinstance(value, str | int | float):
        return value
    if hasattr(value, "nvmlReturn"):
        return {"nvmlReturn": value.nvmlReturn, "value": {"uiVal": value.value.uiVal}}
    if hasattr(value, "_fields_"):
        return {name: plain(getattr(value, name)) for name, *_ in value._fields_ if name != "version"}
    if isinstance(value, list | tuple) or hasattr(value, "__len__"):
        return [plain(each) for each in value]
    return {name: plain(each) for name, each in vars(value).items()}


def asked(nvml: Any, function: Callable[..., Any], *arguments: object) -> Any:
    try:
        return plain(function(*arguments))
    except (nvml.NVMLError, nvml.NVMLLibraryMismatchError) as error:
        return {"error": getattr(error, "value", nvml.NVML_ERROR_FUNCTION_NOT_FOUND)}


def device(nvml: Any, handle: Any) -> dict[str, Any]:
    answers: dict[str, Any] = {}
    for function, calls in QUESTIONS.items():
        for names in calls:
            arguments = tuple(
                [getattr(nvml, one) for one in name] if isinstance(name, list) else getattr(nvml, name)
                for name in names
            )
            answers[key(function, arguments)] = asked(nvml, getattr(nvml, function), handle, *arguments)
    return answers


def recording(nvml: Any) -> dict[str, Any]:
    """Returns everything the library answers; what it answers of each slice stands at its card."""
    nvml.nvmlInit()
    try:
        devices = []
        for index in range(nvml.nvmlDeviceGetCount()):
            handle = nvml.nvmlDeviceGetHandleByIndex(index)
            answers = device(nvml, handle)
            most = answers["nvmlDeviceGetMaxMigDeviceCount"]
            slices: list[Any] = []
            for number in range(most if isinstance(most, int) else 0):
                try:
                    slices.append(device(nvml, nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, number)))
                except nvml.NVMLError as error:
                    slices.append({"error": error.value})
            devices.append({"answers": answers, "slices": slices})
        return {
            "driver": asked(nvml, nvml.nvmlSystemGetDriverVersion),
            "nvml": asked(nvml, nvml.nvmlSystemGetNVMLVersion),
            "constants": {name: getattr(nvml, name) for name in CONSTANTS},
            "devices": devices,
        }
    finally:
        nvml.nvmlShutdown()


def said(argv: list[str]) -> dict[str, Any]:
    try:
        run = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        return {"error": str(error)}
    return {"argv": argv, "status": run.returncode, "stdout": run.stdout, "stderr": run.stderr}


def main(path: str) -> None:
    import pynvml

    found = recording(pynvml) | {"programs": {name: said(argv) for name, argv in PROGRAMS.items()}}
    Path(path).write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
