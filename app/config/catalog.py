"""The catalog: what a configuration means. Frozen; replaced whole on reload; read by everyone else.

`ModelSpec` holds what starts and reaches a model, and nothing else: on reload a model whose spec is equal keeps its process
and its requests. What may change under a running process (ttl, priority, limits, names) stands in `Model`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING

from app.launchers.protocol import LaunchSpec
from planners.protocol import ModelId, SwapPlanner

if TYPE_CHECKING:
    from app.config.effective import Effective

JsonValue = None | bool | int | float | str | list["JsonValue"] | dict[str, "JsonValue"]
"""A value as JSON has it."""


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
class Filters:
    """What is changed in the JSON bodies of requests before they are forwarded. Paths descend by dots, as in `a.b`."""

    strip_params: tuple[str, ...] = ()
    """Paths that are removed; sorted, without `model`."""
    set_params: tuple[tuple[str, JsonValue], ...] = ()
    """Paths and the values they are given, sorted by path, without `model`."""
    set_params_by_id: Mapping[str, tuple[tuple[str, JsonValue], ...]] = field(
        default_factory=lambda: MappingProxyType({})
    )
    """The same, by the name that was requested; applied last."""

    def __bool__(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.strip_params or self.set_params or self.set_params_by_id)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a model can do, as the operator says; shown in the model list."""

    inputs: tuple[str, ...] = ()
    """Of text, audio, image."""
    outputs: tuple[str, ...] = ()
    tools: bool = False
    reranker: bool = False
    context: int = 0
    """Tokens; 0: not said."""


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
    filters: Filters = Filters()
    capabilities: Capabilities = Capabilities()
    metadata: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    """Free-form, shown under `meta.llamaswap` in the model list."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Another server that serves models, reached as `<peer>/<model>`."""

    id: str
    base_url: str
    models: tuple[str, ...]
    """Their names there."""
    api_key: str = ""
    """What it is asked with; empty: without a key. The client's own is never passed on."""
    filters: Filters = Filters()
    timeouts: Timeouts = Timeouts(response_header_s=60.0)


@dataclass(frozen=True, slots=True)
class PeerModel:
    """One model of one peer: what a request for it resolves to."""

    peer: Peer
    name: str
    """Its name there."""

    @property
    def id(self) -> str:
        """Its fully qualified name, `<peer>/<model>`."""
        return f"{self.peer.id}/{self.name}"


class Strategy(Enum):
    """How a selector chooses among its targets."""

    PIN = "pin"
    """The first one."""
    WARM = "warm"
    """The first that is ready, else the first that is starting, else the first."""
    SPILLOVER = "spillover"
    """The least busy of those in use, until each serves `spillover` requests; then one more."""


@dataclass(frozen=True, slots=True)
class Selector:
    """A name that stands for one of several models, chosen for each request."""

    id: str
    strategy: Strategy
    targets: tuple[str, ...]
    """Names of local models or of peers' models, as written."""
    spillover: int = 1
    name: str = ""
    description: str = ""
    unlisted: bool = False
    metadata: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Profile:
    """A set of names that mean something else while it is active."""

    id: str
    description: str
    pins: Mapping[str, str]
    """Name a client sends -> name that is meant; empty: there is no such model while the profile is active."""


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
class Records:
    """What is remembered of requests, and where."""

    store: str = ""
    """Path of the activity's file; empty: in memory."""
    store_max_age_s: float = 0.0
    """0: for ever."""
    store_max_bytes: int = 1024 << 20
    """0: any size."""
    in_memory: int = 1000
    """Requests remembered without a file."""
    capture_bytes: int = 5 << 20
    """Of captures in memory, compressed; 0: nothing is captured."""
    capture_folder: str = ""
    """Where captures are kept across restarts; empty: nowhere."""
    capture_folder_bytes: int = 256 << 20
    session_headers: tuple[str, ...] = ("X-Session-ID", "X-Litellm-Session-Id")
    """Headers that name a session, as written; the first that a request has counts."""
    session_names: tuple[bytes, ...] = (b"x-session-id", b"x-litellm-session-id")
    """The same in lower case, as a request's scope has them."""


@dataclass(frozen=True, slots=True)
class Monitoring:
    """Whether, and how often, we look at the machine itself."""

    is_on: bool = True
    every_s: float = 5.0


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
    min_residency_s: float = 0.0
    """Seconds a model stays, once it is ready, before it may be evicted."""
    max_queued: int = 1000
    """Requests that may wait at once, of all models."""
    preload: tuple[ModelId, ...] = ()
    logs: LogSettings = LogSettings()
    records: Records = Records()
    monitoring: Monitoring = Monitoring()
    include_aliases_in_list: bool = False
    peers: Mapping[str, Peer] = field(default_factory=lambda: MappingProxyType({}))
    selectors: Mapping[str, Selector] = field(default_factory=lambda: MappingProxyType({}))
    profiles: Mapping[str, Profile] = field(default_factory=lambda: MappingProxyType({}))
    api_keys: tuple[str, ...] = ()
    """Any of them lets a client in; none: nobody is asked for one."""
    ignore_paths: tuple[re.Pattern[str], ...] = ()
    """Paths below `/upstream/{model}` that never load a model; searched, not matched."""
    peer_models: Mapping[str, PeerModel] = field(default_factory=lambda: MappingProxyType({}))
    """Every name of every peer's model; of equal names the fully qualified one wins, ambiguous bare ones are left out."""
    sources: tuple[str, ...] = ()
    """The files it was read from."""
    blank_sources: tuple[str, ...] = ()
    """Those of them that held nothing, as a file does between being emptied and being written."""
    warnings: tuple[str, ...] = ()
    """What was odd but usable: unknown keys and the like."""
    effective: Effective | None = field(default=None, compare=False)
    """All of this by the names of the file, to be shown; None for a catalog that no file says."""

    def resolve(self, name: str) -> ModelId | None:
        """Returns the local model that *name* means (an id, else an alias), or None."""
        model = ModelId(name)
        if model in self.models:
            return model
        return self.aliases.get(name)

    def resolve_peer(self, name: str) -> PeerModel | None:
        """Returns the peer's model that *name* means, or None.

        That is `<peer>/<model>`, or the bare name of a model that only one peer has.
        """
        return self.peer_models.get(name)
