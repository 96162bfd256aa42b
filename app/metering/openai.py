"""The OpenAI dialects: chat, completions, embeddings, rerank, Responses, audio and images.

All report `usage`, under two sets of names: `prompt_tokens` and `completion_tokens`, or `input_tokens` and `output_tokens`.
In a stream it comes with the last event (chat and completions, if `stream_options.include_usage` asks for it; some servers send
a running total with every one), or in the `response` of `response.completed`, or with `….done` and `….completed` of audio and
images. Embeddings and rerank report no output; a server that says only `total_tokens` there means its input. Speech to text may
bill by `seconds` instead: found, but no tokens.

https://platform.openai.com/docs/api-reference
"""

from __future__ import annotations

from collections.abc import Mapping

from app.metering.documents import NULL, Document, choices, document, inner, members, text
from app.metering.usage import UNKNOWN, Tally, whole


def extract(event: Document, tally: Tally) -> None:
    """Reads `usage`, the choices' `finish_reason`, and a response, bare or in an event."""
    if usage := members(event.usage):
        count(usage, tally)
    for choice in choices(event.choices):
        tally.stop_reason = text(choice.finish_reason) or tally.stop_reason
    if event.status is not NULL and text(event.object) == "response":
        _end(event, tally)
    elif (response := document(event.response)) is not None:
        if usage := members(response.usage):
            count(usage, tally)
        _end(response, tally)


def count(usage: Mapping[str, object], tally: Tally) -> None:
    """Takes up one report of usage, in whichever names. Source: compatibility specification 6.3."""
    tokens_in, tokens_out = whole(usage, "prompt_tokens"), whole(usage, "completion_tokens")
    if tokens_in == UNKNOWN:
        tokens_in = whole(usage, "input_tokens")
    if tokens_out == UNKNOWN:
        tokens_out = whole(usage, "output_tokens")
    if tokens_in == tokens_out == UNKNOWN:
        tokens_in = whole(usage, "total_tokens")
    cached = whole(usage, "cache_read_input_tokens")
    for name in ("input_tokens_details", "prompt_tokens_details"):
        if cached == UNKNOWN and (details := inner(usage, name)):
            cached = whole(details, "cached_tokens")
    tally.count(tokens_in, tokens_out, cached)


def _end(response: Document, tally: Tally) -> None:
    """Reads how a response of the Responses API stands: while it goes on, that is no end."""
    status = text(response.status)
    if status == "incomplete":
        status = inner_text(members(response.incomplete_details), "reason") or status
    if status not in {"", "in_progress", "queued"}:
        tally.stop_reason = status


def inner_text(holder: Mapping[str, object], name: str) -> str:
    """Returns the text *name* in *holder*, empty if it is none."""
    found = holder.get(name)
    return found if isinstance(found, str) else ""
