"""Whether traces are asked for, by the environment variables that OpenTelemetry has for it, and whether they can be had.

Imports nothing of OpenTelemetry. Source of the names: OpenTelemetry specification, environment variables.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass

INSTALL = "pip install 'hostler[otel]'"

_NEEDED = ("opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.http")
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_SPOKEN = "http/protobuf"


@dataclass(frozen=True, slots=True)
class TracingSettings:
    """Where spans go. By default nowhere."""

    otlp: bool = False
    """To a collector, over HTTP."""
    console: bool = False
    """To standard output."""
    warnings: tuple[str, ...] = ()
    """What an operator has to know."""

    @property
    def is_on(self) -> bool:
        """Whether there is anything to be traced."""
        return self.otlp or self.console


def installed() -> bool:
    """Returns whether the packages of the extra are there."""
    try:
        return all(importlib.util.find_spec(name) is not None for name in _NEEDED)
    except ModuleNotFoundError:
        # Of a dotted name, the packages around it are imported first.
        return False


def settings_of(environ: Mapping[str, str], is_installed: Callable[[], bool] = installed) -> TracingSettings:
    """Returns what *environ* asks for. is_installed: asked only if anything is asked for."""
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return TracingSettings()
    names = [name for part in environ.get("OTEL_TRACES_EXPORTER", "").split(",") if (name := part.strip().lower())]
    if "none" in names:
        return TracingSettings()
    otlp = "otlp" in names or (not names and any(environ.get(name, "").strip() for name in _ENDPOINTS))
    console = "console" in names
    warnings = [
        f"OTEL_TRACES_EXPORTER={name} is not supported; otlp, console and none are"
        for name in names
        if name not in {"otlp", "console"}
    ]
    if (otlp or console) and not is_installed():
        warnings.append(
            f"the environment asks for traces (OTEL_…), and OpenTelemetry is not installed: {INSTALL}, "
            "or set OTEL_SDK_DISABLED=true; going on without"
        )
        otlp = console = False
    protocol = next((said for name in _PROTOCOLS if (said := environ.get(name, "").strip().lower())), _SPOKEN)
    if otlp and protocol != _SPOKEN:
        warnings.append(
            f"traces are sent as {_SPOKEN}, not as {protocol}: point OTEL_EXPORTER_OTLP_ENDPOINT to port 4318"
        )
    return TracingSettings(otlp, console, tuple(warnings))
