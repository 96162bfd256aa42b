"""The Anthropic dialect: messages, whole and streamed.

A stream opens with `message_start`, whose message knows the input, and ends with `message_delta`, whose usage is the total so
far; some servers report input there only. A whole message has `usage` and `stop_reason` on top; the usage is read with OpenAI's,
whose newer names it shares. `input_tokens` leaves out what was read from the cache (`cache_read_input_tokens`) and written to it
(`cache_creation_input_tokens`); both dialects are recorded as they are said.

https://docs.anthropic.com/en/api/messages-streaming
"""

from __future__ import annotations

from app.metering import openai
from app.metering.documents import NULL, Document, document, members, text
from app.metering.usage import Tally


def extract(event: Document, tally: Tally) -> None:
    """Reads a message's usage and `stop_reason`, whole or from the events that open and close it."""
    message = document(event.message)
    if message is not None and (usage := members(message.usage)):
        openai.count(usage, tally)
    if event.stop_reason is not NULL or event.delta is not NULL:
        ended = text(event.stop_reason) or openai.inner_text(members(event.delta), "stop_reason")
        tally.stop_reason = ended or tally.stop_reason
