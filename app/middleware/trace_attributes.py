"""What is said of a request in its spans. PURE.

Source of the names: OpenTelemetry semantic conventions, for HTTP spans and for generative AI spans. What was asked and what was
answered is never in a span.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from app.errors import HostlerError

if TYPE_CHECKING:
    from app.exchange import Exchange

Attributes = dict[str, str | int | float | bool | Sequence[str]]


class Operation(NamedTuple):
    """What an endpoint does, in the words of the conventions where they have one."""

    name: str
    output: str = ""
    """What kind of thing it makes, if that is a special one."""


_RERANK = Operation("rerank")
_IMAGE = Operation("generate_content", "image")

OPERATIONS: Mapping[str, Operation] = {
    "/chat/completions": Operation("chat"),
    "/messages": Operation("chat"),
    "/responses": Operation("chat"),
    "/completions": Operation("text_completion"),
    "/completion": Operation("text_completion"),
    "/infill": Operation("text_completion"),
    "/embeddings": Operation("embeddings"),
    "/embedding": Operation("embeddings"),
    "/messages/count_tokens": Operation("count_tokens"),
    "/rerank": _RERANK,
    "/reranking": _RERANK,
    "/audio/speech": Operation("generate_content", "speech"),
    "/audio/transcriptions": Operation("generate_content", "text"),
    "/images/generations": _IMAGE,
    "/images/edits": _IMAGE,
    "/sdapi/v1/txt2img": _IMAGE,
    "/sdapi/v1/img2img": _IMAGE,
}
"""Path that an upstream is asked for, without the version before it -> what it does. All else has a span of HTTP only."""


def operation_of(exchange: Exchange) -> Operation | None:
    """Returns what *exchange* is for; None if the conventions have nothing to do with it."""
    path = exchange.path
    return OPERATIONS.get(path[3:] if path.startswith("/v1/") else path)


def name_of(exchange: Exchange, model: str) -> str:
    """Returns the name of a span of work on *model*; empty if it has none but that of its route."""
    operation = operation_of(exchange)
    return "" if operation is None else f"{operation.name} {model}"


def of_request(exchange: Exchange, model: str) -> Attributes:
    """Returns what is known before the answer. model: by the name that it goes by there."""
    operation = operation_of(exchange)
    if operation is None:
        return {"gen_ai.request.model": model}
    attributes: Attributes = {
        "gen_ai.operation.name": operation.name,
        # Not who has made the model, but whose API is spoken.
        "gen_ai.provider.name": "anthropic" if "/messages" in exchange.path else "openai",
        "gen_ai.request.model": model,
    }
    if exchange.streaming:
        attributes["gen_ai.request.stream"] = True
    if operation.output:
        attributes["gen_ai.output.type"] = operation.output
    return attributes


def of_answer(exchange: Exchange) -> Attributes:
    """Returns what is known when the answer has ended and has been metered."""
    attributes: Attributes = {"gen_ai.response.model": exchange.model.id}
    usage = exchange.usage
    if usage is None:
        return attributes
    if usage.stop_reason:
        attributes["gen_ai.response.finish_reasons"] = (usage.stop_reason,)
    if usage.found:
        counts = (
            ("gen_ai.usage.input_tokens", usage.input_tokens),
            ("gen_ai.usage.output_tokens", usage.output_tokens),
            ("gen_ai.usage.cache_read.input_tokens", usage.cached_tokens),
        )
        attributes |= {name: count for name, count in counts if count >= 0}
    return attributes


def of_wait(exchange: Exchange) -> Attributes:
    """Returns how long a request has waited, in milliseconds; nothing if it was never granted a model of ours."""
    if not exchange.queued_at or not exchange.granted_at:
        return {}
    waited_s = exchange.granted_at - exchange.queued_at
    swap_s = min(exchange.swap_s, waited_s)
    return {"hostler.queue_ms": (waited_s - swap_s) * 1000, "hostler.swap_ms": swap_s * 1000}


def error_of(exchange: Exchange | None, status: int, raised: BaseException | None) -> tuple[str, bool]:
    """Returns the class of what went wrong, empty if nothing did, and whether the request has failed.

    One that the client is to blame for was answered as it should be.
    """
    if raised is None and exchange is not None and exchange.failure is not None:
        raised = exchange.failure
    if raised is not None:
        return type(raised).__name__, not isinstance(raised, HostlerError) or raised.status >= 500
    if status >= 400:
        return str(status), status >= 500
    if exchange is not None and exchange.usage is not None and exchange.usage.error_message:
        # In a stream that had begun with 200.
        return "error_in_stream", True
    return "", False
