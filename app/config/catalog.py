"""The catalog: what a configuration means. Frozen; replaced whole on reload; read by everyone else.

`ModelSpec` holds what starts and reaches a model, and nothing else: on reload a model whose spec is equal keeps its process
and its requests. What may change under a running process (ttl, priority, limits, names) stands in `Model`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from app.launchers.protocol import LaunchSpec
from planners.protocol import ModelId, SwapPlanner


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Limits of one upstream's connections, in seconds; 0 means none."""

    connect_s: float = 30.0
    keepalive_s: float = 30.0
    """Period of TCP keep-alive probes."""
    response_header_s: float = 0.0
    """From the end of the request to the head of the response."""
    tls_handshake_s: float = 10.0
    expect_continue_s: float = 1.0
    idle_conn_s: float = 90.0
    """How long an idle connection is kept for reuse."""


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """All that starts and reaches one model. Hashable; compared on reload."""

    launch: LaunchSpec

    base_url: str
    """Where it serves, as `http://127.0.0.1:5800/prefix`; the path is put before request paths."""

    check_endpoint: str | None = "/health"
    """Path probed for readiness, below *base_url*; None: ready as soon as its port accepts a connection."""

    health_check_timeout_s: float = 120.0
    """Seconds from the start of the process until it must be ready."""

    timeouts: Timeouts = Timeouts()


@dataclass(frozen=True, slots=True)
class Model:
    """One local model: how it runs (`spec`) and how it is offered."""

    id: ModelId
    spec: ModelSpec
    cmd: str = ""
    """The command as written, macros expanded and comment lines removed; for `/running`."""
    aliases: tuple[str, ...] = ()
    name: str = ""
    description: str = ""
    unlisted: bool = False
    use_model_name: str = ""
    """Replaces `model` in forwarded bodies; empty: the requested name goes through."""
    ttl_s: float = 0.0
    """Idle seconds after which it is unloaded; 0: never."""
    priority: int = 0
    """Tickets of a higher priority are served first."""
    concurrency_limit: int = 10
    """Admitted requests at once, waiting ones included."""
    send_loading_state: bool = False
    ignore_websockets: bool = False
    metadata: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    """Free-form, shown under `meta.llamaswap` in the model list."""


@dataclass(frozen=True, slots=True)
class LogSettings:
    """How our own log lines look and where logs go."""

    level: str = "info"
    """debug, info, warn or error."""
    time_format: str = ""
    """Name of a time layout (`rfc3339`, …); empty: no time stamp."""
    to_stdout: str = "proxy"
    """proxy, upstream, both or none."""


@dataclass(frozen=True, slots=True)
class Catalog:
    """The whole configuration, resolved."""

    models: Mapping[ModelId, Model]
    """In the order of their ids."""

    aliases: Mapping[str, ModelId]
    """Every other name of a local model."""

    planner: SwapPlanner
    patience_s: float = 60.0
    """Seconds an older ticket may be overtaken by a ready model's newcomers."""
    preload: tuple[ModelId, ...] = ()
    logs: LogSettings = LogSettings()
    include_aliases_in_list: bool = False
    sources: tuple[str, ...] = ()
    """The files it was read from."""
    warnings: tuple[str, ...] = ()
    """What was odd but usable: unknown keys and the like."""

    def resolve(self, name: str) -> ModelId | None:
        """Returns the local model that *name* means (an id, else an alias), or None."""
        model = ModelId(name)
        if model in self.models:
            return model
        return self.aliases.get(name)
