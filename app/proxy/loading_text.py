"""What a loading stream says, event by event. PURE.

Three grammars: what may stand before an API's first event without its official client stumbling over it.

- OpenAI's chats: chunks of `reasoning_content`, which clients show as thoughts. Text and markers are llama-swap's
  (compatibility specification 5.7); interfaces tell the loading text from real thoughts by the markers.
- Anthropic's: `ping` is the one event allowed before `message_start`. Its `status` is an addition that clients ignore.
- OpenAI's Responses: nothing is allowed before `response.created`, so comments, which every reader of event streams skips.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from enum import Enum
from typing import assert_never

from app.errors import anthropic_body, escape_json, json_body

MARKER = "━━━━━"

MOST_HOLDERS = 3
"""So many of the models that have to go are told by name."""


class Grammar(Enum):
    """Whose events a stream consists of."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    RESPONSES = "responses"


@dataclass(frozen=True, slots=True)
class Holder:
    """A model that has to go first."""

    model: str
    requests: int = 0
    """How many it still serves."""
    doing: str = ""
    """`loading` or `stopping`; empty: it is ready."""

    def __str__(self) -> str:
        if self.requests:
            return f"{self.model}, which serves {self.requests} request{'s' if self.requests > 1 else ''}"
        return f"{self.model}, which is {self.doing}" if self.doing else self.model


@dataclass(frozen=True, slots=True)
class Standing:
    """How a waiting request stands."""

    position: int
    """In the queue, counted from 1."""
    wait_s: float | None = None
    """How long it will still wait; None: too little is known."""
    holders: tuple[Holder, ...] = ()


class Story:
    """What one waiting client is told, in order: the opening, what is new now and then, the closing."""

    def __init__(self, model: str, grammar: Grammar, now: float) -> None:
        self._model = model
        self._grammar = grammar
        self._began_at = now

        # as told
        self._position = 1
        self._holders = ""
        self._ends_at: float | None = None

    def opening(self) -> bytes:
        """Returns the first event."""
        if self._grammar is Grammar.OPENAI:
            return thought(f"{MARKER}\nllama-swap loading model: {self._model}\n")
        return self._status(f"loading {self._model}")

    def update(self, standing: Standing | None, now: float) -> bytes:
        """Returns what to say now; b'' for nothing.

        standing: None when it is not known, or does not wait any more.
        """
        lines = [] if standing is None else self._news(standing, now)
        if self._grammar is Grammar.OPENAI:
            return thought("".join(f"\n{line} " for line in lines) or ".")
        return self._status("; ".join(lines)) if lines else b""

    def closing(self, now: float) -> bytes:
        """Returns the last event: the model is there."""
        took_s = now - self._began_at
        if self._grammar is Grammar.OPENAI:
            return thought(f"\nDone! ({took_s:.2f}s)\n{MARKER}\n \n")
        return self._status(f"loaded {self._model} in {took_s:.2f} s")

    def _status(self, text: str) -> bytes:
        if self._grammar is Grammar.ANTHROPIC:
            return b"event: ping\ndata: %b\n\n" % _json({"type": "ping", "status": text})
        return comment(text)

    def _news(self, standing: Standing, now: float) -> list[str]:
        lines = []
        if standing.position != self._position:
            self._position = standing.position
            lines.append(f"Queue position: #{standing.position}")
        holders = waiting_for(standing.holders)
        if not holders and self._holders:
            holders = "loading"
        if holders != self._holders or self._is_surprising(standing.wait_s, now):
            self._holders = holders
            parts = [holders] if holders else []
            if standing.wait_s is not None:
                self._ends_at = now + standing.wait_s
                parts.append(f"about {span(standing.wait_s)}")
            lines.append("; ".join(parts))
        return lines

    def _is_surprising(self, wait_s: float | None, now: float) -> bool:
        """Returns whether the estimate is news to who was told one before and can read a clock."""
        if wait_s is None:
            return False
        if self._ends_at is None:
            return True
        expected_s = max(self._ends_at - now, 0.0)
        return abs(wait_s - expected_s) > max(2.0, 0.25 * expected_s)


def waiting_for(holders: tuple[Holder, ...]) -> str:
    """Returns in words who has to go first; empty for nobody."""
    if not holders:
        return ""
    named = [str(holder) for holder in holders[:MOST_HOLDERS]]
    if len(holders) > MOST_HOLDERS:
        named.append(f"{len(holders) - MOST_HOLDERS} more")
    return "waiting for " + ", and ".join(named)


def span(seconds: float) -> str:
    """Returns a length of time in words, rounded up."""
    if seconds <= 90:
        return f"{max(math.ceil(seconds), 1)} s"
    if seconds <= 90 * 60:
        return f"{math.ceil(seconds / 60)} min"
    return f"{math.ceil(seconds / 3600)} h"


def thought(text: str) -> bytes:
    """Returns *text* as a piece of a chat model's thoughts, byte for byte as llama-swap sends it."""
    return b"data: %b\n\n" % _json({"choices": [{"delta": {"reasoning_content": text}}]})


def comment(text: str) -> bytes:
    """Returns *text* as a comment, which keeps a connection alive and is no event."""
    return b": %b\n\n" % " ".join(text.split()).encode(errors="replace")


def failure(grammar: Grammar, status: int, message: str, code: str | None = None) -> bytes:
    """Returns the event by which clients are told that the stream ends with an error.

    status, message, code: what the body of an error response would be made of.
    """
    match grammar:
        case Grammar.OPENAI:
            return b"data: %b\n\n" % json_body(status, message, code)
        case Grammar.ANTHROPIC:
            return b"event: error\ndata: %b\n\n" % anthropic_body(status, message)
        case Grammar.RESPONSES:
            told = json.loads(json_body(status, message, code))["error"]
            event = {"type": "error", "code": told["code"], "message": message, "param": None, "sequence_number": 0}
            return b"event: error\ndata: %b\n\n" % _json(event)
        case _:
            assert_never(grammar)


def message_of(body: bytes) -> str:
    """Returns what an error's *body* says, in whichever form; empty when that is nothing."""
    text = body.decode(errors="replace").strip()
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if not isinstance(document, dict):
        return text
    error = document.get("error")
    nested = error.get("message") if isinstance(error, dict) else None
    said = (nested, error, document.get("message"), document.get("detail"))
    return next((each for each in said if isinstance(each, str) and each), text)


def _json(document: object) -> bytes:
    text = escape_json(json.dumps(document, separators=(",", ":"), ensure_ascii=False))
    # A lone surrogate, which no UTF-8 has, becomes the escape that JSON has for it.
    return text.encode(errors="backslashreplace")
