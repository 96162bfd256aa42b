"""uvicorn's HTTP protocol, with less work for every request (docs/benchmarks.md).

- What a connection writes in one turn of the loop is one system call, made when the writes of all connections are (`app/turn.py`).
- The scope is built once, when the head is known; `app/http_cycle.py` takes the place of uvicorn's own `RequestResponseCycle`.
- The protocol itself tells who wants to know that the client has left (`app.asgi.Connection`), which would otherwise take a task
  that waits in `receive`.

Upgrades
--------
- `websocket` is handed over to uvicorn's protocol for that (`app/websocket_protocol.py`).
- `h2c` is ignored and the request served as the HTTP/1.1 request it is (RFC 9110, 7.8 leaves that to the server): curl
  --http2 and Java's own client offer it with every request they make, and are content without.
- Whoever asks for anything else could not go on without it: the application answers 501 (`UPGRADE` in the scope).

The parser takes what follows the head of an upgrade for another protocol, even if it is the body the head has announced. So such
a request is set aside and read again by a new parser, its `Upgrade` header left out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from app.asgi import CONNECTION, FIRST_VALUES, TASK, UPGRADE
from app.http_cycle import Cycle
from app.turn import TurnEnd

if TYPE_CHECKING:
    from collections import deque

    from starlette.types import Scope
    from uvicorn import Config
    from uvicorn.server import ServerState

BAD_HANDSHAKE = (
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 21\r\n"
    b"connection: close\r\n\r\nbad websocket request"
)


class CorkedProtocol(HttpToolsProtocol):
    """One client's connection."""

    cycle: Cycle | None  # type: ignore[assignment]  # ours
    pipeline: deque[tuple[Cycle, Scope]]  # type: ignore[assignment]
    done: asyncio.Future[None]
    _of_all: dict[str, Any]
    """What is the same in the scopes of all requests of the connection."""

    _when_lost: Callable[[], None] | None = None
    _is_lost = False
    _is_written_to = True
    """Whether the client is still sent anything."""
    _is_set_aside = False
    """Whether the request being read is only looked at, to be read again."""
    _is_upgrade = False
    """Whether it asks for a websocket."""
    _refused_upgrade = b""
    """The protocol that the next request asked for in vain."""

    def __init__(self, config: Config, server_state: ServerState, app_state: dict[str, Any], **named: Any) -> None:
        super().__init__(config, server_state, app_state, **named)
        # One for all connections of a server, and kept where uvicorn keeps what is.
        self._turn: TurnEnd = vars(server_state).setdefault("turn_end", TurnEnd())
        self._parts: list[bytes] = []
        """What is to be written at the end of the turn."""

    def watch(self, when_lost: Callable[[], None] | None) -> bool:
        """Has *when_lost* called once when the client leaves; see `app.asgi.Connection`."""
        self._when_lost = when_lost
        if when_lost is not None:
            # Reading may rest since the last piece of a large body; without it nobody would see the connection end.
            self.flow.resume_reading()
        return not self._is_lost

    def abort(self) -> None:
        """Cuts the connection at once; see `app.asgi.Connection`."""
        self._parts.clear()
        self.transport.abort()

    def hold(self, most: int | None) -> None:
        """Sets how much may be buffered for the client; see `app.asgi.Connection`."""
        self.transport.set_write_buffer_limits(most)

    # Writing

    def write(self, *data: bytes) -> None:
        """Writes *data* at the end of the loop's turn, with what else is written until then."""
        if not self._parts:
            self._turn.add(self.write_now)
        self._parts += data

    def write_now(self) -> None:
        """Writes what was to be written."""
        parts = self._parts
        if parts:
            self._parts = []
            if self._is_written_to:
                self.transport.write(parts[0] if len(parts) == 1 else b"".join(parts))

    def close(self) -> None:
        """Closes the connection once everything is written."""
        self.write_now()
        self.transport.close()

    # Of the connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begins."""
        super().connection_made(transport)
        self.done = self.loop.create_future()
        self.done.set_result(None)
        self._of_all = {
            "type": "http",
            "asgi": {"version": self.asgi_version, "spec_version": "2.3"},
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme,
            "root_path": self.root_path,
            "state": self.app_state,
            CONNECTION: self,
        }

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends, and tells who wants to know."""
        self._is_lost = True
        self._is_written_to = False
        self.connections.discard(self)
        if self.cycle is not None:
            self.cycle.leave()
        self.flow.resume_writing()
        if exc is None:
            self.transport.close()
        # All of these hold us, and we them: circles that would wait for the collector.
        self.parser = self.cycle = self.scope = None  # type: ignore[assignment]  # nobody asks any more
        self._of_all = {}
        when_lost, self._when_lost = self._when_lost, None
        if when_lost is not None:
            when_lost()

    def shutdown(self) -> None:
        """Ends it as soon as nothing is being answered; uvicorn calls this when the server is to end."""
        if self.cycle is None or self.cycle.response_complete:
            self.close()
        else:
            self.cycle.keep_alive = False

    # Of a request

    def data_received(self, data: bytes) -> None:
        """Feeds the parser; as uvicorn does it, but for upgrades."""
        while data:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as exc:
                if self._should_upgrade():
                    self.handle_websocket_upgrade()
                    return
                if not self._is_set_aside:
                    # CONNECT, which has been refused; what follows is for somebody else.
                    return
                data = self._without_upgrade() + data[exc.args[0] :]
            except httptools.HttpParserError:
                self.logger.warning("invalid HTTP request from %s", self.client)
                self.send_400_response("Invalid HTTP request received.")
                return
            else:
                return

    def _get_upgrade(self) -> bytes | None:
        """Returns which protocol is asked for: of several, one that we speak, else one that may be ignored, else all."""
        if self.parser.get_http_version() == "1.0":
            return None
        upgrade = _tokens(value for name, value in self.headers if name == b"upgrade")
        connection = _tokens(value for name, value in self.headers if name == b"connection")
        if not upgrade or b"upgrade" not in connection:
            return None
        return next((known for known in (b"websocket", b"h2c") if known in upgrade), b", ".join(upgrade))

    def on_message_begin(self) -> None:
        """Begins a head."""
        self.url = b""
        self.headers = []

    def on_header(self, name: bytes, value: bytes) -> None:
        """Takes a header."""
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Begins the request, unless it is to be read again."""
        parser = self.parser
        method = parser.get_method()
        self._is_upgrade = is_upgrade = parser.should_upgrade()
        if is_upgrade:
            self._is_upgrade = self._should_upgrade()
            if not self._is_upgrade and method != b"CONNECT":
                self._is_set_aside = True
                return
        url = self.url
        if url.startswith(b"/") and url.find(b"#") < 0:
            raw_path, _, query = url.partition(b"?")
        else:
            parsed = httptools.parse_url(url)
            raw_path, query = parsed.path, parsed.query or b""
        path = raw_path.decode("ascii")
        if "%" in path:
            path = unquote(path)
        if self.root_path:
            path = self.root_path + path
            raw_path = self.root_path.encode("ascii") + raw_path
        version = parser.get_http_version()
        first = dict(reversed(self.headers))
        scope = {
            **self._of_all,
            "http_version": version,
            "method": method.decode("ascii"),
            "path": path,
            "raw_path": raw_path,
            "query_string": query,
            "headers": self.headers,
            FIRST_VALUES: first,
        }
        if self._refused_upgrade:
            scope[UPGRADE] = self._refused_upgrade
            self._refused_upgrade = b""
        if self._is_upgrade:
            self.scope = scope  # type: ignore[assignment]  # what uvicorn has types for, and ours
            return
        before = self.cycle
        is_old = version == "1.0"
        self.cycle = cycle = Cycle(
            self,
            is_head=method == b"HEAD",
            is_old=is_old,
            keep_alive=not is_old and parser.should_keep_alive(),
            expects_continue=first.get(b"expect", b"").lower() == b"100-continue",
        )
        if before is None or before.response_complete:
            self._serve(cycle, scope)
        else:
            # Asked before the last answer was complete: it waits for that.
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, scope))

    def _serve(self, cycle: Cycle, scope: Scope) -> None:
        cycle.task = scope[TASK] = task = self.loop.create_task(cycle.run(self.app, scope))
        self.tasks.add(task)

    def on_body(self, body: bytes) -> None:
        """Takes a piece of the request's body."""
        cycle = self.cycle
        if cycle is not None and not (self._is_upgrade or cycle.response_complete):
            cycle.add(body)
            if len(cycle.body) > HIGH_WATER_LIMIT:
                self.flow.pause_reading()

    def on_message_complete(self) -> None:
        """Ends the request's body."""
        cycle = self.cycle
        if cycle is not None and not (self._is_set_aside or self._is_upgrade or cycle.response_complete):
            cycle.more_body = False
            cycle.tell()

    def on_response_complete(self) -> None:
        """Goes on to the next request."""
        self.server_state.total_requests += 1
        if not self.transport.is_closing():
            self.flow.resume_reading()
            if self.pipeline:
                self._serve(*self.pipeline.pop())

    # Upgrades

    def _without_upgrade(self) -> bytes:
        """Returns the head of the request that was set aside, for a new parser, which this puts in place."""
        upgrade = self._get_upgrade()
        self._refused_upgrade = upgrade if upgrade is not None and upgrade != b"h2c" else b""
        self._is_set_aside = False
        lines = [b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())]
        lines += [b": ".join(header) for header in self.headers if header[0] != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        return b"\r\n".join([*lines, b"\r\n"])

    def handle_websocket_upgrade(self) -> None:
        """Hands the connection over."""
        if self.cycle is not None and not self.cycle.response_complete:
            # Asked for while an earlier request is being answered: two protocols would write at once.
            self.transport.close()
            return
        self.flow.resume_reading()
        self.write_now()
        super().handle_websocket_upgrade()
        protocol = self.transport.get_protocol()
        assert isinstance(protocol, WebSocketsSansIOProtocol)
        if not protocol.handshake_initiated:
            # Its stricter parser gave up (more than 128 headers, a very long one), and says nothing.
            self.transport.write(BAD_HANDSHAKE)
            self.transport.close()


def _tokens(values: Iterable[bytes]) -> list[bytes]:
    """Returns the members of a list header, in lower case."""
    return [token for value in values for token in (part.strip() for part in value.lower().split(b",")) if token]
