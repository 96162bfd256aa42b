"""Settings models of the larger parts of a file. What is read but not acted on yet is marked where it is used (`NotActedOn`).

Key names and defaults: compatibility specification 2.6, 2.7, 2.10 to 2.14.
"""

from __future__ import annotations

from pydantic import Field

from app.config.field_types import Count, Duration, Flag, Free, Text
from app.config.settings import PeerTimeoutsFile, Settings


class FiltersFile(Settings):
    """Changes made to request bodies on their way."""

    strip_params: Text = Field(default="", description="Comma-separated parameters (JSON paths) taken out of requests.")
    strip_params_old: Text = Field(default="", alias="strip_params", description="Older spelling of stripParams.")
    set_params: dict[str, Free] = Field(default={}, description="Parameters (JSON paths) set in every request.")
    set_params_by_id: dict[str, dict[str, Free]] = Field(
        default={},
        alias="setParamsByID",
        description="Parameters by the name that was asked for; each name becomes an alias.",
    )


class CapabilitiesFile(Settings):
    """What a model can do, for the model list."""

    input: list[Text] = Field(default=[], alias="in", description="What it takes: text, audio, image.")
    output: list[Text] = Field(default=[], alias="out", description="What it gives: text, audio, image.")
    tools: Flag = Field(default=False, description="It can call functions.")
    reranker: Flag = Field(default=False, description="It ranks documents.")
    context: Count = Field(
        default=0, description="Length of its context in tokens; 0: not told.", json_schema_extra={"minimum": 0}
    )


class PeerFile(Settings):
    """Another server whose models are offered here."""

    proxy: Text = Field(default="", description="Its base URL, as https://gpu-box:8080.")
    models: list[Text] = Field(
        default=[], description="Names of its models there; here each is called <peer>/<name>, too."
    )
    api_key: Text = Field(default="", description="Key sent to it; the client's own is never passed on.")
    filters: FiltersFile = Field(default=FiltersFile(), description="Changes made to requests for it.")
    timeouts: PeerTimeoutsFile = Field(default=PeerTimeoutsFile(), description="Limits of the connections to it.")


class ProfileFile(Settings):
    """A named set of names that mean other models while it is active."""

    description: Text = Field(default="", description="For people.")
    pins: dict[str, Text] = Field(
        default={},
        description="Name -> model or selector it means while the profile is active; empty: there is no such model then.",
    )


class SelectorSettingsFile(Settings):
    """Settings of the selectors' strategies."""

    spillover: Count = Field(default=1, description="Requests a target takes before the next one is started.")


class SelectorFile(Settings):
    """A name that stands for one of several models, chosen for each request."""

    strategy: Text = Field(default="", description="warm, pin or spillover.")
    targets: list[Text] = Field(default=[], description="Models, or peers' models, to choose from.")
    settings: SelectorSettingsFile = Field(default=SelectorSettingsFile(), description="Settings of the strategy.")
    name: Text = Field(default="", description="Name for people.")
    description: Text = Field(default="", description="For people.")
    unlisted: Flag = Field(default=False, description="Not in the model list.")
    metadata: dict[str, Free] = Field(default={}, description="Anything; shown in the model list.")


class MatrixFile(Settings):
    """Sets of models that may run together, as expressions."""

    vars: dict[str, Text] = Field(default={}, description="Short name -> model id.")
    evict_costs: dict[str, Count] = Field(
        default={}, alias="evict_costs", description="Model -> what unloading it costs."
    )
    sets: dict[str, Text] = Field(default={}, description="Name -> expression.")


class StoreFile(Settings):
    """Where activity is kept."""

    path: Text = Field(default="", description="Path of an SQLite file.")
    max_age: Duration = Field(default=0.0, description="Time after which a request is forgotten, as 720h; 0s: never.")
    max_size: Count = Field(
        default=1024,
        description="MiB the file may grow to before the oldest requests are forgotten; 0: any.",
        json_schema_extra={"minimum": 0},
    )


class CapturesFile(Settings):
    """Where captured requests and answers are kept."""

    persist: Flag = Field(default=False, description="Kept in files beside the store, and so across restarts.")
    max_size: Count = Field(default=256, description="MiB of these files.", json_schema_extra={"minimum": 1})


class PerformanceFile(Settings):
    """The monitor of CPU, memory and GPUs."""

    disabled: Flag = Field(default=False, description="Nothing is monitored.")
    every: Duration = Field(default=5.0, description="Time between two samples, at least 5s.")


class ActivityPageFile(Settings):
    """The activity page."""

    session_id: list[Text] = Field(
        default=["X-Session-ID", "X-Litellm-Session-Id"],
        alias="session_id",
        description="Headers that name a session; [] for none.",
    )


class UiFile(Settings):
    """The web page."""

    activity: ActivityPageFile = Field(default=ActivityPageFile(), description="The activity page.")


class UpstreamFile(Settings):
    """The `/upstream` path."""

    ignore_paths: list[Text] = Field(
        default=[],
        description="Regular expressions (RE2) of paths that do not load a model; those of images, scripts and the like by default.",
    )
