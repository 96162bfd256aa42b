"""One exchange to its upstream and back, streaming.

Before the answer's head is here, whatever goes wrong is an UpstreamError: the client can still be told. From then on the
client has a status and perhaps half a body, and the one honest thing left is to let it see a broken connection. `StreamBroken`
says so to the outermost layer; the end of the body, which would make the answer look whole, is never sent.
"""

from __future__ import annotations

import logging
from time import monotonic
from typing import TYPE_CHECKING

from app.asgi import first_values
from app.errors import UpstreamError
from app.proxy.headers import request_headers, response_headers, with_instead
from app.proxy.sandbox import SANDBOX, UNCONFINED, may_run

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Scope, Send

    from app.exchange import Exchange
    from app.proxy.headers import RawHeaders
    from app.proxy.transport import UpstreamTransport

logger = logging.getLogger(__name__)


class StreamBroken(Exception):
    """The upstream's answer ended too soon, after its beginning was passed on. Logged already.

    Not an UpstreamError, so that nobody tries to render it: the response has begun.
    """


async def forward(
    exchange: Exchange,
    scope: Scope,
    send: Send,
    transport: UpstreamTransport,
    base_path: bytes | None = None,
    headers: RawHeaders | None = None,
    added: Callable[[Exchange], RawHeaders] | None = None,
) -> None:
    """Asks the upstream and passes its answer on as it arrives.

    Everything that has arrived goes out in one message, and nothing is waited for to fill one. Cancelled, it closes
    the connection to the upstream at once.

    base_path: put before the exchange's path, with a query perhaps; None: that of the transport's base URL.
    headers: what to send; None: the client's, as a local upstream gets them.
    added: makes headers to add to the answer's, when its head is here.
    Raises UpstreamError while nothing has been sent, StreamBroken afterwards.
    """
    method = scope["method"]
    body = exchange.body
    if headers is None:
        client = scope["client"]
        address = client[0].encode() if client else b""
        headers = request_headers(scope["headers"], method, body.size, address, transport.host, first_values(scope))
    if exchange.outgoing is not None:
        headers = with_instead(headers, exchange.outgoing())
    target = exchange.path.encode("latin-1")
    if base_path is None:
        base_path = transport.base_path
    if base_path or exchange.query or not target.startswith(b"/"):
        target = upstream_target(base_path, target, exchange.query)
    exchange.asked_at = monotonic()
    response = await transport.request(method, target, headers, body)
    try:
        exchange.status = status = response.status
        exchange.first_byte_at = monotonic()
        named = dict(response.headers)
        passed = response_headers(response.headers, status, named)
        if added is not None:
            passed += added(exchange)
        if may_run(response.headers, named) and UNCONFINED not in scope:
            passed.append(SANDBOX)
        await send({"type": "http.response.start", "status": status, "headers": passed})
        while True:
            try:
                data = await response.read_some()
            except UpstreamError as exc:
                logger.warning(
                    "the answer of status %d was cut: %s", status, exc, extra={"model": str(exchange.model.id)}
                )
                raise StreamBroken(str(exc)) from exc
            if response.at_end:
                await send({"type": "http.response.body", "body": data})
                return
            await send({"type": "http.response.body", "body": data, "more_body": True})
    finally:
        response.close()


def upstream_target(base_path: bytes, path: bytes, query: bytes) -> bytes:
    """Returns the request target: *base_path* and *path* joined by exactly one slash, and both queries, the base's first.

    Percent-encoding stays as it is. Source: compatibility specification 3.6.
    """
    if base_path:
        base_path, _, base_query = base_path.partition(b"?")
        if base_path.endswith(b"/"):
            base_path = base_path[:-1]
        query = b"%b&%b" % (base_query, query) if base_query and query else base_query or query
    target = base_path + path if path.startswith(b"/") else b"%b/%b" % (base_path, path)
    return b"%b?%b" % (target, query) if query else target
