"""llama.cpp's server: `timings`, which it adds to every dialect it speaks, and the end of its own `/completion` and `/infill`.

Timings say what was really done: `prompt_n` leaves out the tokens that came from the cache, which are `cache_n`. They take the
place of the usage beside them. mlx-vlm, stable-diffusion.cpp and others have taken the names over.

https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md
"""

from __future__ import annotations

from app.metering.documents import Document, members, text, value
from app.metering.usage import UNKNOWN, Tally, Timings, number, total, whole


def extract(event: Document, tally: Tally) -> None:
    """Reads `timings`, and `stop_type` or its older form `stopped_…`."""
    if said := members(event.timings):
        drafted, accepted = whole(said, "draft_n"), whole(said, "draft_n_accepted")
        if min(drafted, accepted) < 0:
            drafted = accepted = UNKNOWN
        times = number(said, "prompt_ms"), number(said, "predicted_ms")
        tally.time(
            "timings",
            Timings(
                input_tokens=whole(said, "prompt_n"),
                output_tokens=whole(said, "predicted_n"),
                cached_tokens=whole(said, "cache_n"),
                drafted_tokens=drafted,
                accepted_tokens=accepted,
                prompt_per_second=number(said, "prompt_per_second"),
                generated_per_second=number(said, "predicted_per_second"),
                upstream_ms=total(times) if max(times) >= 0 else UNKNOWN,
            ),
        )
    tally.stop_reason = _end(event) or tally.stop_reason


def _end(event: Document) -> str:
    if event.stop_type is event.stopped_eos is event.stopped_word is event.stopped_limit:
        # All four are NULL, as in every other dialect.
        return ""
    if (kind := text(event.stop_type)) != "none" and kind:
        return kind
    for kind, flag in (("eos", event.stopped_eos), ("word", event.stopped_word), ("limit", event.stopped_limit)):
        if value(flag) is True:
            return kind
    return ""
