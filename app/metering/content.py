"""Whether an event of a stream carries generated content. The first that does ends the wait for the first token."""

from __future__ import annotations

from app.metering.documents import NULL, Choice, Document, choices, members, text

_WITHOUT = frozenset(
    {
        "message_start",
        "content_block_start",
        "content_block_stop",
        "message_delta",
        "message_stop",
        "ping",
        "error",
        "keepalive",
    }
)
"""Types of events that open, close or keep alive. Those of the Responses API are all but the deltas."""


def has_content(event: Document) -> bool:
    """Returns whether *event* carries content: text, reasoning, a piece of a tool call, a sound, an image.

    An event of a kind not known here does: better a mark that is too early than none.
    """
    if event.error is not NULL:
        return False
    if event.choices is not NULL:
        return any(map(_says_something, choices(event.choices)))
    if event.type is not NULL:
        kind = text(event.type)
        return kind.endswith(".delta") or not (kind in _WITHOUT or kind.startswith("response."))
    return event.content is NULL or text(event.content) != ""


def _says_something(choice: Choice) -> bool:
    """Returns whether *choice* says more than who speaks."""
    if choice.delta is NULL:
        return text(choice.text) != ""
    return any(said for name, said in members(choice.delta).items() if name != "role")
