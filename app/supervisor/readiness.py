"""When is an upstream ready? When its health endpoint says so, or, without one, when its port accepts a connection.

First it has to listen. No event tells an unprivileged process that another one listens, so its port is tried: a connection
that this machine itself refuses costs some 20 µs and nothing of the upstream's, so there can be many: 2 ms apart at first, and
3 % of what has been waited more, up to 20 ms.

Once it listens it is asked at once, then after 10 ms, growing to 100 ms; and whenever it prints something, for servers say in
their log that they have loaded the moment they have. Not at once after the last question, though, but 10 to 25 ms later:
there are servers that log each.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import anyio

from app.config.catalog import ModelSpec
from app.errors import UpstreamError
from app.proxy.transport import UpstreamTransport


@dataclass(frozen=True, slots=True)
class Pauses:
    """Between two looks, in seconds: growing, and cut short by news."""

    first_s: float
    last_s: float
    growth: float
    news_s: float
    """What has to pass even when there is news, at most."""

    def __iter__(self) -> Iterator[tuple[float, float]]:
        """Yields the least and the most to wait, for ever."""
        pause_s = self.first_s
        while True:
            yield min(pause_s, self.news_s), pause_s
            pause_s = min(pause_s * self.growth, self.last_s)


TRYING = Pauses(first_s=0.002, last_s=0.02, growth=1.03, news_s=0.005)
"""Between two attempts to connect to a port where nobody listens yet."""

ASKING = Pauses(first_s=0.01, last_s=0.1, growth=1.3, news_s=0.025)
"""Between two questions to a server that listens."""

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
        least_at = anyio.current_time() + at_least_s
        # In this order, so that the loop wakes once where there is no news: a wake-up costs more than what it is for.
        with anyio.move_on_after(at_most_s):
            await self._event.wait()
            await anyio.sleep_until(least_at)
        self._event = anyio.Event()


async def wait_ready(spec: ModelSpec, transport: UpstreamTransport, news: News) -> None:
    """Returns when the upstream is ready. Probes for ever: the caller sets the limit, and watches for its exit."""
    url = urlsplit(spec.base_url)
    probe = _Probe(
        spec, transport, host=url.hostname or "127.0.0.1", port=url.port or 80, netloc=url.netloc, base=url.path
    )
    for least_s, most_s in TRYING:
        if not probe.is_refused():
            break
        await news.wait(at_least_s=least_s, at_most_s=most_s)
    for least_s, most_s in ASKING:
        if await probe.asks():
            return
        await news.wait(at_least_s=least_s, at_most_s=most_s)


class _Probe:
    """One upstream's question."""

    def __init__(
        self, spec: ModelSpec, transport: UpstreamTransport, *, host: str, port: int, netloc: str, base: str
    ) -> None:
        self._transport = transport
        self._address = host, port
        self._nearby = [(family, address, port) for family, address in _loopback(host)]
        endpoint = spec.check_endpoint
        if endpoint is not None:
            endpoint = base.rstrip("/") + "/" + endpoint.lstrip("/")
        self._target = None if endpoint is None else endpoint.encode()
        self._headers = [(b"host", netloc.encode()), (b"user-agent", b"hostler"), (b"accept", b"*/*")]

    def is_refused(self) -> bool:
        """Whether surely nobody listens there. Takes no turn of the loop, and knows only of this machine's own addresses."""
        return bool(self._nearby) and all(_is_refused(*where) for where in self._nearby)

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


def _loopback(host: str) -> list[tuple[socket.AddressFamily, str]]:
    """Returns which addresses of this machine alone *host* stands for, none if it may be another."""
    if host == "localhost":
        return [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return []
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    return [(family, host)] if address.is_loopback else []


def _is_refused(family: socket.AddressFamily, address: str, port: int) -> bool:
    try:
        with socket.socket(family, socket.SOCK_STREAM) as attempt:
            return refuses(attempt, (address, port))
    except OSError as error:
        return error.errno == errno.EAFNOSUPPORT  # no IPv6 here; anything else tells nothing


def refuses(attempt: socket.socket, address: tuple[str, int]) -> bool:
    """Whether nobody listens at *address*, surely: tries to connect *attempt* and does not wait.

    To itself a machine answers at once; where it does not, nothing is known.
    """
    attempt.setblocking(False)
    code = attempt.connect_ex(address)
    if code == errno.EINPROGRESS:
        code = attempt.connect_ex(address)  # the answer has come before the first call returned: the second tells it
    if code in {0, errno.EISCONN}:
        # Where nobody listens the kernel may have given it this very port for its own: then it is connected to itself.
        return bool(attempt.getsockname() == attempt.getpeername())
    return code in {errno.ECONNREFUSED, errno.EADDRNOTAVAIL}
