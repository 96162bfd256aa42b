"""One request and its response, between our server's protocol and the application.

Does what uvicorn's own does (`RequestResponseCycle`) with less work: headers are looked at by C instead of by a loop in
Python, what is there already is not waited for, and what is written joins what else the connection writes in this turn of the loop.
"""

from __future__ import annotations

import asyncio
import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from starlette.types import ASGIApp, Message, Scope
    from uvicorn.protocols.http.flow_control import FlowControl

logger = logging.getLogger(__name__)

_PHRASES = {status.value: status.phrase.encode() for status in HTTPStatus}

STATUS_LINES = {status: b"HTTP/1.1 %d %b" % (status, _PHRASES.get(status, b"")) for status in range(100, 600)}

WITHOUT_BODY = frozenset({204, 304})

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

APOLOGY = b"Internal Server Error"


class Client(Protocol):
    """The connection on which a request came."""

    flow: FlowControl
    tasks: set[asyncio.Task[None]]
    """Whatever this server serves."""
    done: asyncio.Future[None]
    """To wait for it takes no time."""

    def write(self, *data: bytes) -> None:
        """Writes *data* at the end of the loop's turn."""

    def write_now(self) -> None:
        """Writes what was to be written."""

    def close(self) -> None:
        """Closes the connection once everything is written."""

    def on_response_complete(self) -> None:
        """Goes on to the next request."""


class Cycle:
    """One request and its response: `receive` and `send` are what the application gets."""

    __slots__ = (
        "_chunked", "_client", "_event", "_has_news", "_is_head", "_is_old", "_is_open", "_left", "_waits_for_continue", "body", "disconnected", "keep_alive",
        "more_body", "response_complete", "response_started", "task",
    )  # fmt: skip

    def __init__(
        self, client: Client, *, is_head: bool, is_old: bool, keep_alive: bool, expects_continue: bool
    ) -> None:
        """Begins.

        is_old: whether the client speaks HTTP/1.0.

        It does not hold its scope, where layers keep what holds `send`: such a circle would keep each request's bodies in memory until
        the collector comes by.
        """
        # the same for its whole life
        self._client = client
        self._is_head = is_head
        self._is_old = is_old
        self.task: asyncio.Task[None] | None = None
        """What serves it; set by who starts that."""

        # of the request
        self.body: bytes | bytearray = b""
        """What has arrived and was not received yet; a copy from the second piece on."""
        self.more_body = True
        self.disconnected = False
        """Whether the client has left before the response was complete."""
        self._waits_for_continue = expects_continue
        self._has_news = False
        """Whether `receive` has something to say."""
        self._event: asyncio.Event | None = None
        """What `receive` waits for; hardly ever needed."""

        # of the response
        self.keep_alive = keep_alive
        """Whether another request may follow on the connection."""
        self.response_started = False
        self.response_complete = False
        self._is_open = False
        """Whether there may be more of its body."""
        self._chunked = False
        self._left = -1
        """Bytes of the body that were announced and are not sent yet; -1: none were announced."""

    async def run(self, app: ASGIApp, scope: Scope) -> None:
        """Serves it."""
        try:
            await app(scope, self.receive, self.send)
        except asyncio.CancelledError:
            # The server ends, and has waited for as long as it does.
            logger.warning("a request was cut off: it was not answered in the time that there is when Hostler ends")
            await self._apologise()
        except Exception:
            logger.exception("the application has failed")
            await self._apologise()
        else:
            if not (self.response_complete or self.disconnected):
                if not self.response_started:
                    logger.error("the application has not answered")
                await self._apologise()
        finally:
            if self.task is not None:
                self._client.tasks.discard(self.task)

    async def _apologise(self) -> None:
        if self.response_started:
            # What is left unfinished must not look complete.
            self._client.close()
        else:
            headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(APOLOGY))]
            self.keep_alive = False
            await self.send({"type": "http.response.start", "status": 500, "headers": headers})
            await self.send({"type": "http.response.body", "body": APOLOGY})

    # What the protocol calls

    def add(self, data: bytes) -> None:
        """Takes in a piece of the body."""
        if not self.body:
            self.body = data
        else:
            if isinstance(self.body, bytes):
                self.body = bytearray(self.body)
            self.body += data
        self.tell()

    def leave(self) -> None:
        """Notes that the client has left: nothing more is sent, and `receive` says so."""
        if not self.response_complete:
            self.disconnected = True
            self._is_open = False
        self.tell()

    def tell(self) -> None:
        """Wakes `receive`: there is more of the body, its end is known, or the client has left."""
        self._has_news = True
        if self._event is not None:
            self._event.set()

    # What the application calls

    async def receive(self) -> Message:
        """Returns what has arrived of the body, waiting if that is nothing; after its end, that the client is not there any more."""
        if not (self.disconnected or self.response_complete):
            if self._waits_for_continue:
                self._waits_for_continue = False
                self._client.write(CONTINUE)
            self._client.flow.resume_reading()
            while not self._has_news:
                self._event = self._event or asyncio.Event()
                self._event.clear()
                await self._event.wait()
            self._has_news = False
        if self.disconnected or self.response_complete:
            self._has_news = True
            return {"type": "http.disconnect"}
        body, self.body = self.body, b""
        return {
            "type": "http.request",
            "body": body if isinstance(body, bytes) else bytes(body),
            "more_body": self.more_body,
        }

    def send(self, message: Message) -> Awaitable[None]:
        """Writes a message of the response; nothing, once the client has left. Raises RuntimeError for what cannot be sent.

        To be awaited, which takes as long as the client has too much to take. Not a coroutine function: nearly always that is no time.
        """
        client = self._client
        if client.flow.write_paused and not self.disconnected:
            return self._send_later(message)
        if self._is_open and message["type"] == "http.response.body":
            body = message.get("body", b"")
            is_last = not message.get("more_body", False)
            if self._chunked:
                if body:
                    client.write(b"%x\r\n" % len(body), body, b"\r\n0\r\n\r\n" if is_last else b"\r\n")
                elif is_last:
                    client.write(b"0\r\n\r\n")
            elif not self._is_head:
                self._send_unframed(body, is_last)
            if is_last:
                self._complete()
        elif not self.disconnected:
            if self.response_started or message["type"] != "http.response.start":
                raise RuntimeError(f"{message['type']} is out of turn")
            self._send_head(message)
        return client.done

    async def _send_later(self, message: Message) -> None:
        await self._client.flow.drain()
        await self.send(message)

    def _send_head(self, message: Message) -> None:
        status: int = message["status"]
        lines = [STATUS_LINES[status], *map(b": ".join, message.get("headers", ())), b""]
        head = b"\r\n".join(lines)
        # The cheapest check there is against a line smuggled in by a header: count them.
        if head.count(b"\n") != len(lines) - 1 or head.count(b"\r") != len(lines) - 1:
            raise RuntimeError("a line break in a header of a response")
        keep_alive = self.keep_alive
        connection = _value(head, b"\r\nconnection: ")
        chunked, left = False, -1
        if _value(head, b"\r\ntransfer-encoding: ") is not None:
            chunked = not self._is_head
        elif not (self._is_head or status in WITHOUT_BODY):
            length = _value(head, b"\r\ncontent-length: ")
            if length is not None:
                left = int(length)
            elif self._is_old:
                keep_alive = False  # the end of the body is the connection's
            else:
                chunked = True
                head += b"transfer-encoding: chunked\r\n"
        if connection is not None:
            keep_alive = keep_alive and b"close" not in connection.lower()
        elif not keep_alive:
            head += b"connection: close\r\n"
        self.response_started = self._is_open = True
        self.keep_alive = keep_alive
        self._chunked = chunked
        self._left = left
        self._waits_for_continue = False
        self._client.write(head + b"\r\n")

    def _send_unframed(self, body: bytes, is_last: bool) -> None:
        if self._left >= 0:
            self._left -= len(body)
            if self._left < 0 or (is_last and self._left):
                raise RuntimeError("the body of a response is not as long as its head has said")
        if body:
            self._client.write(body)

    def _complete(self) -> None:
        client = self._client
        self.response_complete = True
        self._is_open = False
        self.tell()
        if len(client.tasks) == 1:
            # Nobody else whose writes could join.
            client.write_now()
        if not self.keep_alive:
            client.close()
        client.on_response_complete()


def _value(head: bytes, name: bytes) -> bytes | None:
    """Returns what a header says; None: there is none. To search the whole head takes less than to look at one header after the other.

    name: in lower case, with the line's end before it and the blank after it.
    """
    at = head.find(name)
    if at < 0:
        return None
    at += len(name)
    return head[at : head.index(b"\r", at)]
