"""What is noted of one answer on its way out: once, for all layers that want to know.

The outermost of them makes it and puts it into the scope, and those further in find it there: each that counted by itself would
cost every chunk of a stream another call. So it knows what the client was sent, errors that are told further out included.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from starlette.types import Message, Scope, Send

    from app.telemetry.inflight import Entry, InFlight

ANSWER = "hostler.answer"
"""Where it lives in an ASGI scope."""


class Answer:
    """What one client was answered, to a request or to its asking for a websocket."""

    __slots__ = ("_send", "entry", "has_begun", "inflight", "is_open", "size", "status")

    def __init__(self, send: Send) -> None:
        self._send = send
        self.entry: Entry | None = None
        """What is kept up to date meanwhile of the list of requests in flight, …"""
        self.inflight: InFlight
        """… which this is; for who keeps that list to set, first this and then the entry."""
        self.status = 0
        """0 until there was one; 101 of a websocket that was accepted."""
        self.size = 0
        """Bytes of the body; 0 of a websocket."""
        self.has_begun = False
        """Whether there is no other way to answer any more."""
        self.is_open = False
        """Whether it is a websocket that can still be closed."""

    def send(self, message: Message) -> Awaitable[None]:
        """Notes and passes on. Not a coroutine function, since that would cost each chunk of a stream another coroutine."""
        if message["type"] == "http.response.body":
            if data := message.get("body"):
                size = len(data)
                self.size += size
                if self.entry is not None:
                    self.entry.resp_bytes += size
        else:
            self._note(message)
        return self._send(message)

    def _note(self, message: Message) -> None:
        kind = message["type"]
        self.has_begun = True
        if kind == "http.response.start" or kind == "websocket.http.response.start":  # noqa: PLR1714 - the first is quicker
            self.status = message["status"]
        elif kind == "websocket.accept":
            self.status = 101
            self.is_open = True
        elif kind == "websocket.close":
            self.is_open = False
            return
        else:
            if self.entry is not None:
                self.entry.resp_bytes += _size(message)
            return
        if self.entry is not None:
            self.inflight.answered(self.entry, self.status, message.get("headers", ()))


def _size(message: Message) -> int:
    """Returns the bytes of a message to a websocket, or of the body that it is refused with."""
    return len(message.get("body") or message.get("bytes") or (message.get("text") or "").encode())


def noted(scope: Scope, send: Send) -> tuple[Answer, Send]:
    """Returns what the answer to *scope* is noted in, and what sends it so that it is."""
    answer: Answer | None = scope.get(ANSWER)
    if answer is not None:
        return answer, send
    answer = scope[ANSWER] = Answer(send)
    return answer, answer.send
