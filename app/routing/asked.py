"""What routing needs to know of a request, however it was encoded."""

from __future__ import annotations

import msgspec


class Asked(msgspec.Struct, frozen=True):
    """The model a client asked for, and how it wants the answer. In JSON: the members `model` and `stream`."""

    model: str = ""
    """As the client wrote it; empty when it named none."""
    streaming: bool = msgspec.field(default=False, name="stream")
