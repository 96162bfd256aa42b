"""When is an upstream ready? When its health endpoint says so, or, without one, when its port accepts a connection.

It is asked at once, then after 10 ms, growing to 100 ms; and at once again whenever it prints something, for servers say
in their log that they have loaded the moment they have. So a swap costs at most 0.1 s more than the load itself.
"""

from __future__ import annotations

import contextlib
from urllib.parse import urlsplit

import anyio

from app.config.catalog import ModelSpec
from app.errors import UpstreamError
from app.proxy.transport import UpstreamTransport

FIRST_PAUSE_S = 0.01
LAST_PAUSE_S = 0.1
GROWTH = 1.3

PROBE_LIMIT_S = 5.0
"""Seconds for one answer: a server that accepts and says nothing is asked again rather than waited for."""


class News:
    """Tells a prober that the upstream has printed something."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event = anyio.Event()

    def spread(self) -> None:
        """Wakes who waits."""
        self._event.set()

    async def wait(self, *, at_least_s: float, at_most_s: float) -> None:
        """Returns at the next news or after *at_most_s*, but not before *at_least_s* have passed."""
        await anyio.sleep(at_least_s)
        with anyio.move_on_after(at_most_s - at_least_s):
            await self._event.wait()
        self._event = anyio.Event()


async def wait_ready(spec: ModelSpec, transport: UpstreamTransport, news: News) -> None:
    """Returns when the upstream is ready. Probes for ever: the caller sets the limit, and watches for its exit."""
    url = urlsplit(spec.base_url)
    probe = _Probe(
        spec, transport, host=url.hostname or "127.0.0.1", port=url.port or 80, netloc=url.netloc, base=url.path
    )
    pause_s = FIRST_PAUSE_S
    while not await probe.asks():
        await news.wait(at_least_s=FIRST_PAUSE_S, at_most_s=pause_s)
        pause_s = min(pause_s * GROWTH, LAST_PAUSE_S)


class _Probe:
    """One upstream's question."""

    def __init__(
        self, spec: ModelSpec, transport: UpstreamTransport, *, host: str, port: int, netloc: str, base: str
    ) -> None:
        self._transport = transport
        self._address = host, port
        endpoint = spec.check_endpoint
        if endpoint is not None:
            endpoint = base.rstrip("/") + "/" + endpoint.lstrip("/")
        self._target = None if endpoint is None else endpoint.encode()
        self._headers = [(b"host", netloc.encode()), (b"user-agent", b"hostler"), (b"accept", b"*/*")]

    async def asks(self) -> bool:
        """Asks once. Any 2xx is a yes; every other answer, and none, is a no."""
        with anyio.move_on_after(PROBE_LIMIT_S), contextlib.suppress(UpstreamError, OSError):
            if self._target is None:
                stream = await anyio.connect_tcp(*self._address)
                await stream.aclose()
                return True
            response = await self._transport.request(b"GET", self._target, self._headers, b"")
            try:
                # Read to its end, the connection stays open, and the first request finds it warm.
                while await response.read_some():
                    pass
                return 200 <= response.status < 300
            finally:
                await response.aclose()
        return False
