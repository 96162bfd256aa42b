"""The configuration file as it is written: names, types and defaults. What it means is `build`'s business.

Key names and defaults: compatibility specification 2.6 to 2.9. `Field(description=…)` is what the schema and the documentation say.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from app.config.field_types import Count, Flag, Free, NotActedOn, Seconds, Span, Text
from app.config.sections import (
    CapabilitiesFile,
    CapturesFile,
    FiltersFile,
    MatrixFile,
    PeerFile,
    PerformanceFile,
    ProfileFile,
    SelectorFile,
    StoreFile,
    UiFile,
    UpstreamFile,
)
from app.config.settings import Settings, TimeoutsFile


class FifoFile(Settings):
    """Settings of the scheduler."""

    priority: dict[str, Count] = Field(
        default={}, description="Model -> priority; a higher one is served first, 0 by default."
    )
    patience: Span = Field(
        default=60.0,
        description="Seconds an older request may be overtaken by newcomers for a model that is ready; "
        "0: strictly in order of arrival, .inf: as long as they come.",
        json_schema_extra={"minimum": 0},
    )
    min_residency: Seconds = Field(
        default=0,
        description="Seconds a model stays, once it is ready, before another one may take its place.",
        json_schema_extra={"minimum": 0},
    )


class CompatFile(Settings):
    """Concessions to particular model servers."""

    ignore_websockets: Flag = Field(
        default=False, description="Open WebSockets do not keep the model from being unloaded."
    )


class ModelFile(Settings):
    """One local model."""

    cmd: Text = Field(
        default="", description="Command that starts its server, run without a shell; # lines are comments."
    )
    cmd_stop: Text = Field(default="", description="Command that stops it, with ${PID}; SIGTERM by default.")
    proxy: Text = Field(default="", description="Where the server listens; http://localhost:${PORT} by default.")
    aliases: list[Text] = Field(default=[], description="Other names it can be asked for by.")
    env: list[Text] = Field(default=[], description="NAME=value pairs added to its environment.")
    check_endpoint: Text = Field(default="/health", description="Path that answers 2xx once it is ready, or none.")
    ttl: Seconds = Field(
        default=-1,
        description="Seconds without a request after which it is unloaded; 0: never, -1: as globalTTL says.",
        json_schema_extra={"minimum": -1},
    )
    unload_timeout: Seconds = Field(
        default=0,
        description="Seconds it may take to stop before it is killed; 0: as the top-level unloadTimeout says.",
        json_schema_extra={"minimum": 0},
    )
    unlisted: Flag = Field(default=False, description="Not in the model list, though it can be used.")
    use_model_name: Text = Field(default="", description="Name put into requests on their way to the server.")
    name: Text = Field(default="", description="Name for people.")
    description: Text = Field(default="", description="Description for people.")
    concurrency_limit: Count = Field(
        default=0,
        description="Requests at once, waiting ones included; more get 429. 0: 10.",
        json_schema_extra={"minimum": 0},
    )
    filters: FiltersFile = Field(default=FiltersFile(), description="Changes made to request bodies.")
    macros: dict[str, Free] = Field(
        default={}, description="Macros of this model alone; they replace global ones of the same name."
    )
    metadata: dict[str, Free] = Field(default={}, description="Anything; shown in the model list.")
    send_loading_state: Flag | None = Field(
        default=None, description="Streams tell that the model is loading; the top-level value by default."
    )
    timeouts: TimeoutsFile = Field(default=TimeoutsFile(), description="Limits of the connections to the server.")
    compat: CompatFile = Field(default=CompatFile(), description="Concessions to particular servers.")
    capabilities: CapabilitiesFile = Field(
        default=CapabilitiesFile(), description="What it can do, for the model list."
    )
    health_check_timeout: Annotated[
        Seconds, NotActedOn("has no effect in a model: the top-level healthCheckTimeout holds for all")
    ] = Field(default=120, description="Has no effect; the top-level one holds.")


class GroupFile(Settings):
    """Models that share a rule for being unloaded."""

    swap: Flag = Field(default=True, description="One member runs at a time.")
    exclusive: Flag = Field(default=True, description="Starting a member unloads the models of other groups.")
    persistent: Flag = Field(default=False, description="Other groups do not unload the members.")
    members: list[Text] = Field(default=[], description="Ids or aliases of models.")


class RouterSettingsFile(Settings):
    """Settings of the ways to decide who is unloaded."""

    groups: dict[str, GroupFile] = Field(
        default={}, description="Groups by name; models in none share a group that swaps."
    )
    matrix: MatrixFile | None = Field(default=None, description="Sets of models that may run together.")


class RouterFile(Settings):
    """Who is unloaded when a model is to start."""

    use: Text = Field(default="", description="group or matrix.")
    settings: RouterSettingsFile = Field(default=RouterSettingsFile(), description="Settings by the name in use.")


class SchedulerSettingsFile(Settings):
    """Settings of the schedulers."""

    fifo: FifoFile = Field(default=FifoFile(), description="First come, first served, by priority.")


class SchedulerFile(Settings):
    """Who is served first."""

    use: Text = Field(default="", description="fifo.")
    settings: SchedulerSettingsFile = Field(default=SchedulerSettingsFile(), description="Settings by the name in use.")


class RoutingFile(Settings):
    """Who is unloaded, and who is served first."""

    router: RouterFile = Field(default=RouterFile(), description="Who is unloaded when a model is to start.")
    scheduler: SchedulerFile = Field(default=SchedulerFile(), description="Who is served first.")


class OnStartupFile(Settings):
    """What is done at start."""

    preload: list[Text] = Field(default=[], description="Models loaded at start.")


class HooksFile(Settings):
    """What is done at certain moments."""

    on_startup: OnStartupFile = Field(default=OnStartupFile(), alias="on_startup", description="At start.")


class ConfigFile(Settings):
    """A configuration of Hostler."""

    models: dict[str, ModelFile] = Field(default={}, description="The local models by their ids.")
    health_check_timeout: Seconds = Field(
        default=120,
        description="Seconds a model may take from its start until it is ready; at least 15.",
        json_schema_extra={"minimum": 0},
    )
    start_port: Count = Field(
        default=5800,
        description="First of the ports handed out as ${PORT}.",
        json_schema_extra={"minimum": 1, "maximum": 65535},
    )
    global_ttl: Seconds = Field(
        default=0,
        alias="globalTTL",
        description="Seconds without a request after which a model without a ttl is unloaded; 0: never.",
        json_schema_extra={"minimum": 0},
    )
    unload_timeout: Seconds = Field(
        default=10,
        description="Seconds a model may take to stop before it is killed; 0: 10.",
        json_schema_extra={"minimum": 0},
    )
    send_loading_state: Flag = Field(default=False, description="Streams tell that the model is loading.")
    max_queued: Count = Field(
        default=1000,
        description="Requests that may wait for models at once; more get 503.",
        json_schema_extra={"minimum": 1},
    )
    include_aliases_in_list: Flag = Field(
        default=False, description="Aliases are models of their own in the model list."
    )
    macros: dict[str, Free] = Field(
        default={}, description="Values to be used as ${name}; each may use those above it."
    )
    log_level: Text = Field(default="info", description="debug, info, warn or error.")
    log_time_format: Text = Field(
        default="", description="How log lines tell the time: rfc3339, kitchen, … ; none by default."
    )
    log_to_stdout: Text = Field(default="proxy", description="What is printed: proxy, upstream, both or none.")
    hooks: HooksFile = Field(default=HooksFile(), description="What is done at certain moments.")
    groups: dict[str, GroupFile] = Field(default={}, description="Older place of routing.router.settings.groups.")
    routing: RoutingFile = Field(default=RoutingFile(), description="Who is unloaded, and who is served first.")
    matrix: MatrixFile | None = Field(default=None, description="Older place of routing.router.settings.matrix.")
    api_keys: list[Text] = Field(default=[], description="Keys of which clients must send one; none: nobody is asked.")
    log_requests: Flag = Field(default=False, description="Has no effect; kept for older files.")
    metrics_max_in_memory: Count = Field(
        default=1000, description="Requests kept in the list of activity while there is no store."
    )
    capture_buffer: Count = Field(
        default=5, description="MiB of captured requests and answers kept in memory; 0: none are captured."
    )
    store: StoreFile | None = Field(default=None, description="Where activity is kept; in memory by default.")
    captures: CapturesFile = Field(default=CapturesFile(), description="Where captures are kept.")
    ui: UiFile = Field(default=UiFile(), description="The web page.")
    performance: PerformanceFile = Field(default=PerformanceFile(), description="The hardware monitor.")
    upstream: UpstreamFile = Field(default=UpstreamFile(), description="The /upstream path.")
    profiles: dict[str, ProfileFile] = Field(
        default={}, description="Sets of names that mean other models while one of them is active."
    )
    selectors: dict[str, SelectorFile] = Field(default={}, description="Names that stand for one of several models.")
    peers: dict[str, PeerFile] = Field(default={}, description="Other servers whose models are offered here.")
