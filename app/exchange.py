"""The record of one request, made by the outermost layer that knows it and carried in the scope.

Each field has one writer, named beside it. Times are seconds of the monotonic clock; 0.0 means "has not happened".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.types import Scope

    from app.asgi import Body
    from app.config.catalog import Catalog, Model, PeerModel
    from app.errors import HostlerError
    from app.metering.usage import Usage

KEY = "hostler.exchange"
"""Where an exchange lives in an ASGI scope."""

ASKED = "hostler.asked"
"""Where the name that a client asked for lives, if it is no model's: there is no exchange then."""


class Claim(Protocol):
    """A request's place in the queue, and later its hold on a model: a supervisor's lease."""

    @property
    def ticket(self) -> int:
        """By which the queue knows it; 0 before it has got there."""


class Exchange(msgspec.Struct):
    """One request for a model, from its arrival to its last byte.

    A struct, which is made in C: a data class takes twice as long, most of it for fields of what has not happened yet.
    """

    # written by resolve
    catalog: Catalog
    """The configuration this request is served by, whatever is reloaded meanwhile."""
    asked: str
    """The name the client sent."""
    requested: str
    """The name that is meant: after the active profile and a selector had their say."""
    model: Model | PeerModel
    """What that means."""
    streaming: bool
    """Whether the client asked for a stream."""
    body: Body
    """What is forwarded: after filters."""
    path: str
    """Path to ask the upstream for: percent-encoding as it arrived, `/upstream/…` and the like taken off."""
    query: bytes
    """Query string to ask the upstream with."""
    arrived_at: float
    selector: str = ""
    """The selector that has chosen the model; empty: none has."""

    # written by who takes the lease
    claim: Claim | None = None
    """None: no model of ours has been asked for yet."""
    queued_at: float = 0.0
    """When the model was asked for."""
    granted_at: float = 0.0
    swap_s: float = 0.0
    """How much of the time from the one to the other was for victims to stop and for the model to load."""

    # written by the forwarder
    asked_at: float = 0.0
    """When the upstream was asked."""
    status: int = 0
    """Status of the upstream's answer."""
    first_byte_at: float = 0.0

    # written by the loading stream
    failure: HostlerError | None = None
    """What the client was told of within a stream that had begun with status 200."""

    # written by trace
    outgoing: Callable[[], Sequence[tuple[bytes, bytes]]] | None = None
    """Called once, when the request goes to its upstream; returns headers to send instead of the client's of the same names."""

    # written by the layer that meters, when the answer has ended
    usage: Usage | None = None


def exchange_of(scope: Scope) -> Exchange:
    """Returns the exchange that resolve put into *scope*."""
    exchange = scope[KEY]
    assert isinstance(exchange, Exchange)
    return exchange
