"""What all settings models share, and the few that several parts use."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from app.config.field_types import Seconds
from app.config.tree import Scalar


class Settings(BaseModel):
    """A mapping of the file with a fixed set of keys.

    Keys it does not know are let through here and told of by `unknown`, which knows the line and the nearest key; the schema
    refuses them. A key without a value (`aliases:`) is as good as absent. What a value must be beyond its type is checked where
    the `Catalog` is built, in the documented order.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        alias_generator=to_camel,
        json_schema_extra={"additionalProperties": False},
        arbitrary_types_allowed=False,
    )

    @model_validator(mode="before")
    @classmethod
    def _without_empty(cls, value: Any) -> Any:
        if isinstance(value, Scalar) and value.kind == "null":
            return {}
        if not isinstance(value, dict):
            return value
        return {key: entry for key, entry in value.items() if not (isinstance(entry, Scalar) and entry.kind == "null")}


class TimeoutsFile(Settings):
    """Limits of the connections to one model server; 0 means none."""

    connect: Seconds = Field(default=30, description="Seconds to connect.")
    keepalive: Seconds = Field(default=30, description="Seconds between TCP keep-alive probes.")
    response_header: Seconds = Field(
        default=0, description="Seconds from the end of the request to the head of the answer."
    )
    tls_handshake: Seconds = Field(default=10, description="Seconds for the TLS handshake.")
    expect_continue: Seconds = Field(default=1, description="Seconds to wait for `100 Continue`.")
    idle_conn: Seconds = Field(default=90, description="Seconds an idle connection is kept for reuse.")


class PeerTimeoutsFile(TimeoutsFile):
    """Limits of the connections to one peer; 0 means none."""

    response_header: Seconds = Field(
        default=60, description="Seconds from the end of the request to the head of the answer."
    )
