"""vLLM: `metrics`, which it adds to OpenAI's answers with `--enable-per-request-metrics`.

In a stream they come with the last event. With `--per-request-spec-decode-metrics` they hold `speculative_decoding`.

https://docs.vllm.ai/en/latest/features/per_request_metrics/
"""

from __future__ import annotations

from app.metering.documents import Document, inner, members
from app.metering.usage import UNKNOWN, Tally, Timings, number, whole


def extract(event: Document, tally: Tally) -> None:
    """Reads `metrics`. The prompt's speed is what was not cached by the time to the first token."""
    said = members(event.metrics)
    if not said:
        return
    speculation = inner(said, "speculative_decoding")
    drafted = whole(speculation, "num_draft_tokens")
    accepted = whole(speculation, "num_accepted_draft_tokens")
    if min(drafted, accepted) < 0:
        drafted = accepted = UNKNOWN
    first_ms, between_ms = number(said, "time_to_first_token_ms"), number(said, "mean_itl_ms")
    tally.time(
        "metrics",
        Timings(
            drafted_tokens=drafted,
            accepted_tokens=accepted,
            first_token_s=first_ms / 1000 if first_ms > 0 else UNKNOWN,
            generated_per_second=1000 / between_ms if between_ms > 0 else UNKNOWN,
        ),
    )
