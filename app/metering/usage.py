"""What one answer has cost, and how it is put together from what the documents of that answer say.

-1 stands for "not known" and is never added to anything: `total` leaves it out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol, overload

from msgspec import Struct, field

from app.metering.documents import Document

UNKNOWN = -1

MOST = 2**53
"""Larger numbers are no counts: they would neither fit a database's integers nor be whole in JavaScript."""


class Usage(Struct, frozen=True, gc=False):
    """What an answer says it has cost. No dataclass: there is one for every request, and this is made in a tenth of the time.

    As built by default, nothing was found: everything is 0, as it is for an answer that failed. Where something was found,
    tokens in and out are 0 and all else is -1 unless it was said. Source: compatibility specification 6.4.
    """

    found: bool = False
    """Whether the answer said anything of its cost."""
    input_tokens: int = 0
    """Tokens of the prompt. llama.cpp and Anthropic leave those out that came from a cache, OpenAI and vLLM do not."""
    output_tokens: int = 0
    cached_tokens: int = 0
    """Tokens of the prompt that came from a cache."""
    drafted_tokens: int = 0
    """Tokens that speculative decoding proposed."""
    accepted_tokens: int = 0
    """Those of them that were right."""
    prompt_per_second: float = 0.0
    generated_per_second: float = 0.0
    upstream_ms: float = UNKNOWN
    """How long the upstream says it has worked, reading and writing together."""
    stop_reason: str = ""
    """Why the answer ended, in the upstream's word; empty: it did not say."""
    error_message: str = ""
    """What went wrong, in the upstream's words where it had some; empty: nothing did."""


class Timings(Struct, frozen=True, gc=False):
    """What a back end says of its own work, beside or instead of a dialect's usage. -1: it does not say."""

    input_tokens: int = UNKNOWN
    output_tokens: int = UNKNOWN
    cached_tokens: int = UNKNOWN
    drafted_tokens: int = UNKNOWN
    accepted_tokens: int = UNKNOWN
    prompt_per_second: float = UNKNOWN
    generated_per_second: float = UNKNOWN
    first_token_s: float = UNKNOWN
    """Time to the first token: where the prompt's speed is not said, it follows from this."""
    upstream_ms: float = UNKNOWN


class Tally(Struct):
    """What the documents of one answer have said so far. Extractors write into it."""

    found: bool = False
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = UNKNOWN
    timings: dict[str, Timings] = field(default_factory=dict)
    """Name of the member they came from -> the last ones seen. They are applied in this order."""
    stop_reason: str = ""
    error_message: str = ""

    def count(self, input_tokens: int, output_tokens: int, cached_tokens: int) -> None:
        """Takes up one report of usage; later ones overwrite earlier ones where they say something.

        A stream may report more than once: each time its total so far, or only what the earlier report could not know.
        """
        self.found = True
        if input_tokens > 0:
            self.input_tokens = input_tokens
        if output_tokens > 0:
            self.output_tokens = output_tokens
        if cached_tokens >= 0:
            self.cached_tokens = cached_tokens

    def time(self, member: str, timings: Timings) -> None:
        """Takes up what a back end says in *member*; the last one wins."""
        self.found = True
        self.timings[member] = timings

    def add(self, later: Tally) -> None:
        """Takes up what later documents have said."""
        if later.found:
            self.count(later.input_tokens, later.output_tokens, later.cached_tokens)
        self.timings |= later.timings
        self.stop_reason = later.stop_reason or self.stop_reason
        self.error_message = later.error_message or self.error_message

    def usage(self) -> Usage:
        """Returns what it all comes to."""
        if not self.found:
            return Usage(stop_reason=self.stop_reason, error_message=self.error_message)
        tokens_in, tokens_out, cached = self.input_tokens, self.output_tokens, self.cached_tokens
        drafted = accepted = UNKNOWN
        prompt_speed = speed = worked_ms = float(UNKNOWN)
        for said in self.timings.values():
            tokens_in = said.input_tokens if said.input_tokens >= 0 else tokens_in
            tokens_out = said.output_tokens if said.output_tokens >= 0 else tokens_out
            cached = said.cached_tokens if said.cached_tokens >= 0 else cached
            drafted = said.drafted_tokens if said.drafted_tokens >= 0 else drafted
            accepted = said.accepted_tokens if said.accepted_tokens >= 0 else accepted
            speed = said.generated_per_second if said.generated_per_second >= 0 else speed
            worked_ms = said.upstream_ms if said.upstream_ms >= 0 else worked_ms
            if said.prompt_per_second >= 0:
                prompt_speed = said.prompt_per_second
            elif said.first_token_s > 0:
                prompt_speed = max(tokens_in - max(cached, 0), 0) / said.first_token_s
        return Usage(
            found=True,
            input_tokens=tokens_in,
            output_tokens=tokens_out,
            cached_tokens=cached,
            drafted_tokens=drafted,
            accepted_tokens=accepted,
            prompt_per_second=prompt_speed,
            generated_per_second=speed,
            upstream_ms=worked_ms,
            stop_reason=self.stop_reason,
            error_message=self.error_message,
        )


class Extractor(Protocol):
    """Reads one dialect's or back end's reports. Registered in `app.metering.extractors`; a contract test runs over all.

    Called with every document of an answer worth reading, in their order: each event of a stream, or the whole body.
    Passes over what is not its business without a trace. Whatever the document holds, it never raises.
    """

    def __call__(self, document: Document, tally: Tally, /) -> None:
        """Puts what *document* says into *tally*."""


def whole(members: Mapping[str, object], name: str) -> int:
    """Returns the member *name* if it is a count, rounded down, else -1."""
    return int(number(members, name))


def number(members: Mapping[str, object], name: str) -> float:
    """Returns the member *name* if it is a sensible number, 0 or more, else -1."""
    value = members.get(name, UNKNOWN)
    # Exactly these types: True is no number here. What is not finite fails the comparison.
    if (type(value) is int or type(value) is float) and 0 <= value < MOST:
        return value
    return UNKNOWN


@overload
def total(values: Iterable[int]) -> int: ...
@overload
def total(values: Iterable[float]) -> float: ...
def total(values: Iterable[float]) -> float:
    """Returns the sum of the values that are known."""
    return sum(value for value in values if value >= 0)


def tokens_json(usage: Usage) -> dict[str, float]:
    """Returns *usage* under the names that activity records have. Source: compatibility specification 6.6."""
    return {
        "cache_tokens": usage.cached_tokens,
        "draft_tokens": usage.drafted_tokens,
        "draft_acc_tokens": usage.accepted_tokens,
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "prompt_per_second": usage.prompt_per_second,
        "tokens_per_second": usage.generated_per_second,
    }
