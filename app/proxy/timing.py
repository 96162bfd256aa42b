"""Where a request's time has gone, as headers of its answer. PURE."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.exchange import Exchange

NO_WAIT_S = 0.001
"""A shorter wait for a lease was none: what it took is overhead."""

_QUEUED = b"x-hostler-queued-ms"
_SWAP = b"x-hostler-swap-ms"
_OVERHEAD = b"x-hostler-overhead-ms"
_AT_ONCE = ((_QUEUED, b"0"), (_SWAP, b"0"))


def timing_headers(exchange: Exchange) -> list[tuple[bytes, bytes]]:
    """Returns the headers for an exchange whose upstream has been asked.

    Milliseconds: in the queue, without the swap; the swap, that is victims stopping and the model loading; and what Hostler
    itself took, from the request's head to the upstream's being asked, the receiving of its body included.
    """
    waited_s = exchange.granted_at - exchange.queued_at
    taken_s = exchange.asked_at - exchange.arrived_at
    if waited_s < NO_WAIT_S:
        return [*_AT_ONCE, (_OVERHEAD, b"%.3f" % (taken_s * 1000))]
    swap_s = min(exchange.swap_s, waited_s)
    return [
        (_QUEUED, b"%.0f" % ((waited_s - swap_s) * 1000)),
        (_SWAP, b"%.0f" % (swap_s * 1000)),
        (_OVERHEAD, b"%.3f" % ((taken_s - waited_s) * 1000)),
    ]
