"""What nearly every request gets, read in one go: an answer with OpenAI's usage and llama.cpp's timings, a chunk with a token, the last ones.

A shortcut and nothing more: what it reads, the extractors would read out of it as well, in three times as long. What has
anything else that one of them looks at fits no type here, and is left to them.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from app.metering.usage import MOST, UNKNOWN, Usage

_Count = Annotated[int, Meta(ge=0, lt=MOST)]
_Number = Annotated[float, Meta(ge=0, lt=MOST)]


class _Details(Struct, gc=False):
    cached_tokens: _Count = UNKNOWN


class _Counts(Struct, gc=False):
    prompt_tokens: _Count = UNKNOWN
    completion_tokens: _Count = UNKNOWN
    prompt_tokens_details: _Details | None = None
    # where the names are the newer ones
    input_tokens: None = None
    output_tokens: None = None
    input_tokens_details: None = None
    cache_read_input_tokens: None = None


class _Times(Struct, gc=False):
    prompt_n: _Count = UNKNOWN
    predicted_n: _Count = UNKNOWN
    cache_n: _Count = UNKNOWN
    prompt_ms: _Number = UNKNOWN
    predicted_ms: _Number = UNKNOWN
    prompt_per_second: _Number = UNKNOWN
    predicted_per_second: _Number = UNKNOWN
    draft_n: _Count = UNKNOWN
    draft_n_accepted: _Count = UNKNOWN


class _Choice(Struct, gc=False):
    finish_reason: str | None = None


class _Plain(Struct, gc=False):
    """Has nothing of other dialects, nor of an answer that failed."""

    metrics: None = None
    response: None = None
    message: None = None
    delta: None = None
    status: None = None
    stop_reason: None = None
    stop_type: None = None
    stopped_eos: None = None
    stopped_word: None = None
    stopped_limit: None = None
    error: None = None


class _Answer(_Plain, gc=False):
    usage: _Counts | None = None
    timings: _Times | None = None
    choices: list[_Choice] | None = None


class _Delta(Struct, forbid_unknown_fields=True, gc=False):
    """What else there may be says something."""

    role: str | None = None
    content: str | None = None
    reasoning_content: str | None = None


class _Piece(Struct, gc=False):
    delta: _Delta
    finish_reason: None = None


class _Chunk(_Plain, kw_only=True, gc=False):
    choices: tuple[_Piece]
    usage: None = None
    timings: None = None


_answer = msgspec.json.Decoder(_Answer).decode
_chunk = msgspec.json.Decoder(_Chunk).decode


def plain_usage(body: bytes) -> Usage | None:
    """Returns the usage in *body*; None: it is no such answer."""
    try:
        answer = _answer(body)
    except (ValueError, RecursionError):
        return None
    return _usage(answer)


def plain_end(event: bytes) -> Usage | None:
    """Returns what *event* of a stream says besides content: what it all has cost, or only why it ended; None: it is no such event."""
    try:
        answer = _answer(event)
    except (ValueError, RecursionError):
        return None
    if answer.usage is None and answer.timings is None:
        return Usage(stop_reason=_stop_reason(answer))
    return _usage(answer)


def _usage(answer: _Answer) -> Usage | None:
    counts, times = answer.usage, answer.timings
    if counts is None or (counts.prompt_tokens < 0 and counts.completion_tokens < 0):
        # Perhaps the total is all that is said.
        return None
    cached = UNKNOWN if (its := counts.prompt_tokens_details) is None else its.cached_tokens
    stop_reason = _stop_reason(answer)
    if times is None:
        return Usage(
            True, max(counts.prompt_tokens, 0), max(counts.completion_tokens, 0), cached, UNKNOWN, UNKNOWN,
            UNKNOWN, UNKNOWN, UNKNOWN, stop_reason,
        )  # fmt: skip
    if times.prompt_n < 0 or times.predicted_n < 0 or times.prompt_ms < 0 or times.predicted_ms < 0:
        return None
    has_draft = times.draft_n >= 0 and times.draft_n_accepted >= 0
    return Usage(
        True, times.prompt_n, times.predicted_n, times.cache_n if times.cache_n >= 0 else cached,
        times.draft_n if has_draft else UNKNOWN, times.draft_n_accepted if has_draft else UNKNOWN,
        times.prompt_per_second, times.predicted_per_second, times.prompt_ms + times.predicted_ms, stop_reason,
    )  # fmt: skip


def _stop_reason(answer: _Answer) -> str:
    stop_reason = ""
    for choice in answer.choices or ():
        stop_reason = choice.finish_reason or stop_reason
    return stop_reason


def plain_content(event: bytes) -> bool | None:
    """Returns whether *event* of a stream carries content and nothing else; None: it is no such event."""
    try:
        (piece,) = _chunk(event).choices
    except (ValueError, RecursionError):
        return None
    return bool(piece.delta.content or piece.delta.reasoning_content)
