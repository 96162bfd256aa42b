"""What an answer that failed says went wrong. Source: compatibility specification 6.3.

Also read in a stream that began well: an event with an `error` is how an upstream says that it breaks off.
"""

from __future__ import annotations

from http import HTTPStatus

from msgspec import Raw

from app.metering.documents import Document, document, members, text
from app.metering.openai import inner_text
from app.metering.usage import Tally

LONGEST = 500
"""Bytes of a message that are kept."""


def extract(event: Document, tally: Tally) -> None:
    """Reads `error`, bare or in a response that failed, and the event of type `error` of the Responses API."""
    if event.error is event.response is event.type:
        # All three are NULL, as in nearly every event.
        return
    message = _message(event.error)
    if not message and (response := document(event.response)) is not None:
        message = _message(response.error)
    if not message and text(event.type) == "error":
        message = text(event.message)
    tally.error_message = cut(message) or tally.error_message


def failure(status: int, body: bytes) -> str:
    """Returns what an answer with another status than 200 says, else that status and what it is called."""
    said = document(body)
    if said is not None:
        for message in (_message(said.error), text(said.message), text(said.detail)):
            if message:
                return cut(message)
    return reason(status)


def _message(error: Raw) -> str:
    """Returns the message in *error*, or *error* itself if it is one."""
    return inner_text(members(error), "message") or text(error)


def reason(status: int) -> str:
    """Returns *status* and what it is called."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def cut(message: str) -> str:
    """Returns as much of *message* as is kept."""
    encoded = message.encode(errors="replace")
    return message if len(encoded) <= LONGEST else encoded[:LONGEST].decode(errors="ignore") + "..."
