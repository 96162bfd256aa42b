# ruff: noqa: N802 - the names are NVML's
"""Stands where pynvml would, and answers from a recording of `record_nvml`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import pynvml

from tests.monitors.record_nvml import key


class Recorded:
    """The interface of pynvml that the reader uses, over the answers in *recording*, which a test may change as it goes."""

    NVMLError = pynvml.NVMLError
    NVMLLibraryMismatchError = pynvml.NVMLLibraryMismatchError

    def __init__(self, recording: Mapping[str, Any]) -> None:
        self.recording = recording
        self.sessions = 0
        self.asked: set[str] = set()
        for name, value in recording["constants"].items():
            setattr(self, name, value)

    def nvmlInit(self) -> None:
        if "init" in self.recording:
            raise pynvml.NVMLError(self.recording["init"])
        self.sessions += 1

    def nvmlShutdown(self) -> None:
        self.sessions -= 1

    def nvmlDeviceGetCount(self) -> int:
        return len(self.recording["devices"])

    def nvmlDeviceGetHandleByIndex(self, index: int) -> Any:
        found = self.recording["devices"][index]
        if "error" in found:
            raise pynvml.NVMLError(found["error"])
        return found

    def nvmlDeviceGetMigDeviceHandleByIndex(self, handle: Any, number: int) -> Any:
        if "error" in handle["slices"][number]:
            raise pynvml.NVMLError(handle["slices"][number]["error"])
        return {"answers": handle["slices"][number], "slices": []}

    def __getattr__(self, function: str) -> Callable[..., Any]:
        if not function.startswith("nvmlDeviceGet"):
            raise AttributeError(function)

        def ask(handle: Any, *arguments: object) -> Any:
            name = key(function, arguments)
            self.asked.add(name)
            answer = handle["answers"][name]
            if isinstance(answer, dict) and "error" in answer:
                raise pynvml.NVMLError(answer["error"])
            return _object(answer)

        return ask


def _object(answer: Any) -> Any:
    if isinstance(answer, dict):
        return SimpleNamespace(**{name: _object(each) for name, each in answer.items()})
    return [_object(each) for each in answer] if isinstance(answer, list) else answer
