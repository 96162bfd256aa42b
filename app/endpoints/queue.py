"""Who waits, for what and how long; which requests are in flight, and how one of them is ended.

Source of the cancel route and of the form of a request: compatibility specification 3.5, 3.10.
"""

from __future__ import annotations

import logging
import math
import re
import time
from typing import TYPE_CHECKING, Protocol

import msgspec
from anyio.lowlevel import checkpoint
from starlette.routing import Route

from app.asgi import send_bytes, send_error, send_json
from app.errors import NotFound, RequestError
from app.scheduler.instances import Phase

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from starlette.types import Receive, Scope, Send

    from app.config.catalog import Catalog
    from app.scheduler.instances import ModelView, QueuedView, SchedulerView
    from app.telemetry.inflight import InFlight
    from planners.protocol import ModelId

logger = logging.getLogger(__name__)

AT_ONCE = 200
"""Requests in flight that are written out before others get their turn of the loop: a millisecond or two."""

_ID = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)


class Waits(Protocol):
    """Knows who waits; the supervisor."""

    def view(self) -> SchedulerView:
        """Returns how all models stand."""

    def queue(self) -> Sequence[QueuedView]:
        """Returns everybody who waits, in order."""

    def wait_s(self, model: ModelId) -> float | None:
        """Returns how long a request for *model* that came now would wait; None: not known. KeyError: not configured."""


def routes(
    current: Callable[[], Catalog],
    waits: Waits,
    inflight: InFlight,
    clock: Callable[[], float] = time.monotonic,
) -> list[Route]:
    """Returns the routes of this module.

    current: gives the configuration in force.
    clock: the one that *waits* lives by.
    """
    return [
        Route("/api/queue", ShowQueue(current, waits, inflight, clock), methods=["GET"]),
        Route("/api/inflight", ShowInFlight(inflight), methods=["GET"]),
        Route("/api/inflight/{id}/cancel", Cancel(inflight), methods=["POST"]),
    ]


class ShowQueue:
    """ASGI endpoint: the queue, and the models that run, are waited for or have failed."""

    def __init__(
        self, current: Callable[[], Catalog], waits: Waits, inflight: InFlight, clock: Callable[[], float]
    ) -> None:
        self._current = current
        self._waits = waits
        self._inflight = inflight
        self._clock = clock

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Answers."""
        await _send_long(send, self.document())

    def document(self, at_most: int | None = None) -> dict[str, object]:
        """Returns what is answered. at_most: how many of those who wait are told of one by one; None: all."""
        now = self._clock()
        requests = {
            exchange.claim.ticket: str(entry.id)
            for entry in self._inflight.snapshot()
            if (exchange := entry.exchange) is not None and exchange.claim is not None
        }
        catalog = self._current()
        queued = self._waits.queue()
        models = {
            name: self._model(name, seen, now, is_configured=name in catalog.models)
            for name, seen in sorted(self._waits.view().models.items())
            if seen.phase is not Phase.STOPPED or seen.waiting or seen.failure
        }
        return {
            "queue": [_queued(each, requests, now) for each in queued[:at_most]],
            "length": len(queued),
            "limit": catalog.max_queued,
            "models": models,
        }

    def _model(self, name: ModelId, seen: ModelView, now: float, *, is_configured: bool) -> dict[str, object]:
        is_left_alone = now < seen.retry_at
        # Who would be refused would not wait.
        wait_s = self._waits.wait_s(name) if is_configured and not is_left_alone else None
        document: dict[str, object] = {
            "state": seen.phase.value,
            "in_flight": seen.leases,
            "waiting": seen.waiting,
            "estimated_ms": _ms(wait_s),
        }
        if seen.failure:
            document["failure"] = seen.failure
        if is_left_alone:
            document["retry_in_ms"] = math.ceil((seen.retry_at - now) * 1000)
        return document


def _queued(each: QueuedView, requests: Mapping[int, str], now: float) -> dict[str, object]:
    return {
        "position": each.position,
        "model": each.model,
        "ticket": each.ticket,
        "request_id": requests.get(each.ticket),
        "waited_ms": _ms(max(now - each.since, 0.0)),
        "estimated_ms": _ms(each.wait_s),
        "overdue": each.overdue,
        "held_by": [
            {"model": held.model, "state": held.phase.value, "in_flight": held.leases} for held in each.held_by
        ],
    }


async def _send_long(send: Send, document: object) -> None:
    """Sends as `send_json` does, but at a tenth of the time: these lists are as long as the queue."""
    encoded = msgspec.json.encode(document)
    # Only within strings are there any of these.
    for plain, escaped in ((b"<", b"\\u003c"), (b">", b"\\u003e"), (b"&", b"\\u0026")):
        encoded = encoded.replace(plain, escaped)
    await send_bytes(send, 200, encoded + b"\n", b"application/json")


def _ms(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)


class ShowInFlight:
    """ASGI endpoint: the requests in flight, the oldest first."""

    def __init__(self, inflight: InFlight) -> None:
        self._inflight = inflight

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Answers."""
        now = self._inflight.clock()
        requests: list[dict[str, object]] = []
        for entry in self._inflight.snapshot():
            requests.append(entry.document(now))
            if len(requests) % AT_ONCE == 0:
                await checkpoint()
        await _send_long(send, {"requests": requests})


class Cancel:
    """ASGI endpoint: ends the request named in the path. Answers at once; it may take a moment until it is gone."""

    def __init__(self, inflight: InFlight) -> None:
        self._inflight = inflight

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Cancels and answers."""
        named: str = scope["path_params"]["id"]
        if not _ID.fullmatch(named):
            await send_error(
                scope, send, RequestError("the id of a request is a number, as GET /api/inflight lists it")
            )
            return
        number = int(named)
        entry = self._inflight.get(number)
        if entry is None:
            await send_error(scope, send, NotFound("inflight request not found"))
            return
        self._inflight.cancel(number)
        logger.info("request %d cancelled by the operator", number, extra={"model": entry.model})
        await send_json(send, {"msg": "ok"})
