"""Answers as each dialect's public documentation describes them, written by hand, and what is to be read out of them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from app.metering.meter import Meter
from app.metering.usage import Usage
from tests.metering.record import FOLDER, Transcript, transcript

STREAM = "text/event-stream; charset=utf-8"
JSON = "application/json"


@dataclass(frozen=True)
class Case:
    """One answer and its usage."""

    name: str
    path: str
    body: bytes
    usage: Usage
    content_type: str = JSON
    status: int = 200


def found(
    tokens_in: int = 0,
    tokens_out: int = 0,
    cached: int = -1,
    stop: str = "",
    error: str = "",
    drafted: int = -1,
    accepted: int = -1,
    prompt_speed: float = -1,
    speed: float = -1,
    worked_ms: float = -1,
) -> Usage:
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
        stop_reason=stop,
        error_message=error,
    )


def packed(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def events(*data: object, end: str = "\n") -> bytes:
    """Returns a stream of nameless events, as OpenAI's are."""
    return b"".join(b"data: " + packed(each) + 2 * end.encode() for each in data)


def named(*data: dict[str, object], end: str = "\n") -> bytes:
    """Returns a stream of events that are named after their type, as Anthropic's are."""
    lines = (f"event: {each['type']}{end}data: {packed(each).decode()}{end}{end}" for each in data)
    return "".join(lines).encode()


DONE = b"data: [DONE]\n\n"


def chunk(delta: dict[str, object] | None = None, *, finish: str | None = None, **more: object) -> dict[str, object]:
    """Returns an event of a streamed chat completion."""
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": choices,
        **more,
    }


WORDS = [chunk({"content": f" word{n}"}) for n in range(60)]
"""More than what is kept of a stream's end."""

USAGE = {
    "prompt_tokens": 19,
    "completion_tokens": 60,
    "total_tokens": 79,
    "prompt_tokens_details": {"cached_tokens": 11, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 7},
}

TIMINGS = {
    "cache_n": 236,
    "prompt_n": 1,
    "prompt_ms": 30.5,
    "prompt_per_token_ms": 30.5,
    "prompt_per_second": 32.5,
    "predicted_n": 35,
    "predicted_ms": 661.25,
    "predicted_per_token_ms": 18.75,
    "predicted_per_second": 52.5,
}

METRICS = {
    "time_to_first_token_ms": 80.0,
    "generation_time_ms": 1240.5,
    "queue_time_ms": 12.25,
    "mean_itl_ms": 8.0,
    "tokens_per_second": 103.2,
}

SPECULATION = {"num_spec_tokens": 3, "num_spec_steps": 43, "num_draft_tokens": 129, "num_accepted_draft_tokens": 10}

MESSAGE: dict[str, object] = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": []}


def response(status: str, **more: object) -> dict[str, object]:
    """Returns a response of the Responses API."""
    whole = {"id": "resp_1", "object": "response", "status": status, "error": None, "incomplete_details": None}
    return {**whole, "output": [], "usage": None, **more}


RESPONSE_USAGE = {
    "input_tokens": 36,
    "input_tokens_details": {"cached_tokens": 4},
    "output_tokens": 87,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 123,
}

CASES = (
    # OpenAI
    Case(
        "chat",
        "/v1/chat/completions",
        packed({
            "object": "chat.completion",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hé!"}, "finish_reason": "stop"}],
            "usage": USAGE,
        }),
        found(19, 60, 11, "stop"),
    ),
    Case(
        "chat stream",
        "/v1/chat/completions",
        events(
            chunk({"role": "assistant", "content": ""}, usage=None),
            *WORDS,
            chunk({}, finish="tool_calls", usage=None),
            chunk(usage=USAGE),
        )
        + DONE,
        found(19, 60, 11, "tool_calls"),
        STREAM,
    ),
    Case(
        "chat stream without usage",
        "/v1/chat/completions",
        events(chunk({"role": "assistant", "content": ""}), *WORDS, chunk({}, finish="length")) + DONE,
        Usage(stop_reason="length"),
        STREAM,
    ),
    Case(
        "chat stream with a running total",
        "/v1/chat/completions",
        events(
            *(chunk({"content": "a"}, usage={"prompt_tokens": 5, "completion_tokens": n}) for n in range(1, 40)),
            chunk({}, finish="stop", usage={"prompt_tokens": 5, "completion_tokens": 40}),
        )
        + DONE,
        found(5, 40, -1, "stop"),
        STREAM,
    ),
    Case(
        "chat stream that breaks off",
        "/v1/chat/completions",
        events(chunk({"role": "assistant"}), *WORDS, {"error": {"message": "out of memory", "code": 500}}),
        Usage(error_message="out of memory"),
        STREAM,
    ),
    Case(
        "completions",
        "/v1/completions",
        packed({
            "object": "text_completion",
            "choices": [{"text": "a", "index": 0, "finish_reason": "length"}],
            "usage": {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12},
        }),
        found(5, 7, -1, "length"),
    ),
    Case(
        "completions stream",
        "/v1/completions",
        events(
            *({"object": "text_completion", "choices": [{"text": "a", "finish_reason": None}]} for _ in range(90)),
            {"object": "text_completion", "choices": [{"text": "", "finish_reason": "stop"}]},
            {"object": "text_completion", "choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 90}},
            end="\r\n",
        )
        + b"data: [DONE]\r\n\r\n",
        found(5, 90, -1, "stop"),
        STREAM,
    ),
    Case(
        "embeddings",
        "/v1/embeddings",
        packed({
            "object": "list",
            "data": [{"object": "embedding", "embedding": [0.5, -0.25], "index": 0}],
            "usage": {"prompt_tokens": 8, "total_tokens": 8},
        }),
        found(8),
    ),
    Case(
        "rerank with a total only",
        "/v1/rerank",
        packed({"results": [{"index": 0, "relevance_score": 0.5}], "usage": {"total_tokens": 56}}),
        found(56),
    ),
    Case(
        "responses",
        "/v1/responses",
        packed(response("completed", usage=RESPONSE_USAGE)),
        found(36, 87, 4, "completed"),
    ),
    Case(
        "responses that ended early",
        "/v1/responses",
        packed(response("incomplete", usage=RESPONSE_USAGE, incomplete_details={"reason": "max_output_tokens"})),
        found(36, 87, 4, "max_output_tokens"),
    ),
    Case(
        "responses that ended early and do not say why",
        "/v1/responses",
        packed(response("incomplete", usage=RESPONSE_USAGE)),
        found(36, 87, 4, "incomplete"),
    ),
    Case(
        "responses stream",
        "/v1/responses",
        named(
            {"type": "response.created", "response": response("in_progress")},
            {"type": "response.in_progress", "response": response("in_progress")},
            {"type": "response.output_item.added", "item": {"type": "message", "status": "in_progress"}},
            *({"type": "response.output_text.delta", "delta": "Hi", "sequence_number": n} for n in range(90)),
            {"type": "response.output_text.done", "text": "Hi" * 90},
            {"type": "response.completed", "response": response("completed", usage=RESPONSE_USAGE)},
        ),
        found(36, 87, 4, "completed"),
        STREAM,
    ),
    Case(
        "responses stream that fails",
        "/v1/responses",
        named(
            {"type": "response.created", "response": response("queued")},
            {"type": "response.output_text.delta", "delta": "Hi"},
            {"type": "response.failed", "response": response("failed", error={"code": "x", "message": "broken"})},
        ),
        Usage(stop_reason="failed", error_message="broken"),
        STREAM,
    ),
    Case(
        "responses stream with an error",
        "/v1/responses",
        named(
            {"type": "response.output_text.delta", "delta": "Hi"},
            {"type": "error", "code": "server_error", "message": "no more", "param": None},
        ),
        Usage(error_message="no more"),
        STREAM,
    ),
    Case(
        "image",
        "/v1/images/generations",
        packed({
            "created": 1,
            "data": [{"b64_json": "aaaa"}],
            "usage": {
                "total_tokens": 100,
                "input_tokens": 50,
                "output_tokens": 50,
                "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
            },
        }),
        found(50, 50),
    ),
    Case(
        "image stream",
        "/v1/images/generations",
        named(
            {"type": "image_generation.partial_image", "b64_json": "aaaa", "partial_image_index": 0},
            {
                "type": "image_generation.completed",
                "b64_json": "a" * 9000,
                "usage": {"input_tokens": 50, "output_tokens": 60, "total_tokens": 110},
            },
        ),
        found(50, 60),
        STREAM,
    ),
    Case(
        "speech to text",
        "/v1/audio/transcriptions",
        packed({
            "text": "Imagine",
            "usage": {
                "type": "tokens",
                "input_tokens": 14,
                "input_token_details": {"text_tokens": 0, "audio_tokens": 14},
                "output_tokens": 45,
                "total_tokens": 59,
            },
        }),
        found(14, 45),
    ),
    Case(
        "speech to text by the second",
        "/v1/audio/transcriptions",
        packed({"text": "Imagine", "usage": {"type": "duration", "seconds": 14}}),
        found(),
    ),
    Case(
        "speech to text stream",
        "/v1/audio/transcriptions",
        named(
            {"type": "transcript.text.delta", "delta": "I"},
            {"type": "transcript.text.done", "text": "I", "usage": {"input_tokens": 14, "output_tokens": 2}},
        ),
        found(14, 2),
        STREAM,
    ),
    Case("sound", "/v1/audio/speech", b"ID3\x04\x00\x00" + bytes(range(256)), Usage(), "audio/mpeg"),
    # Anthropic
    Case(
        "messages",
        "/v1/messages",
        packed({
            **MESSAGE,
            "stop_reason": "end_turn",
            "usage": {
                "input_tokens": 12,
                "cache_creation_input_tokens": 3,
                "cache_read_input_tokens": 100,
                "output_tokens": 6,
            },
        }),
        found(12, 6, 100, "end_turn"),
    ),
    Case(
        "messages stream",
        "/v1/messages",
        named(
            {
                "type": "message_start",
                "message": {
                    **MESSAGE,
                    "stop_reason": None,
                    "usage": {"input_tokens": 25, "cache_read_input_tokens": 0, "output_tokens": 1},
                },
            },
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            {"type": "ping"},
            *(
                {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}}
                for _ in range(60)
            ),
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 60}},
            {"type": "message_stop"},
        ),
        found(25, 60, 0, "tool_use"),
        STREAM,
    ),
    Case(
        "messages stream of a server that counts the input late",
        "/v1/messages",
        named(
            {"type": "message_start", "message": {**MESSAGE, "usage": {"input_tokens": 0, "output_tokens": 0}}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}},
            {
                "type": "message_delta",
                "delta": {"stop_reason": "max_tokens"},
                "usage": {"input_tokens": 30, "output_tokens": 1, "cache_read_input_tokens": 20},
            },
        ),
        found(30, 1, 20, "max_tokens"),
        STREAM,
    ),
    Case(
        "messages stream that breaks off",
        "/v1/messages",
        named(
            {"type": "message_start", "message": {**MESSAGE, "usage": {"input_tokens": 25, "output_tokens": 1}}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}},
            {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
        ),
        found(25, 1, error="Overloaded"),
        STREAM,
    ),
    Case("counting", "/v1/messages/count_tokens", packed({"input_tokens": 14}), Usage()),
    # llama.cpp
    Case(
        "chat of llama.cpp",
        "/v1/chat/completions",
        packed({"choices": [{"finish_reason": "stop"}], "usage": {"prompt_tokens": 237}, "timings": TIMINGS}),
        found(1, 35, 236, "stop", prompt_speed=32.5, speed=52.5, worked_ms=691.75),
    ),
    Case(
        "chat stream of llama.cpp that drafts",
        "/v1/chat/completions",
        events(
            chunk({"role": "assistant", "content": None}),
            *WORDS,
            chunk({}, finish="stop", timings={**TIMINGS, "draft_n": 40, "draft_n_accepted": 30}),
            chunk(usage=USAGE),
        )
        + DONE,
        found(1, 35, 236, "stop", drafted=40, accepted=30, prompt_speed=32.5, speed=52.5, worked_ms=691.75),
        STREAM,
    ),
    Case(
        "completion of llama.cpp",
        "/completion",
        packed({"content": " a", "stop": True, "stop_type": "eos", "timings": {**TIMINGS, "draft_n": 40}}),
        found(1, 35, 236, "eos", prompt_speed=32.5, speed=52.5, worked_ms=691.75),
    ),
    Case(
        "completion stream of llama.cpp",
        "/completion",
        events(
            *({"index": 0, "content": " a", "stop": False, "tokens_predicted": n} for n in range(90)),
            {"index": 0, "content": "", "stop": True, "stop_type": "limit", "timings": TIMINGS},
        ),
        found(1, 35, 236, "limit", prompt_speed=32.5, speed=52.5, worked_ms=691.75),
        STREAM,
    ),
    Case(
        "completion of an old llama.cpp",
        "/completion",
        packed({
            "content": " a",
            "stopped_eos": False,
            "stopped_word": True,
            "stopped_limit": False,
            "stop_type": "none",
            "timings": {"prompt_n": 3, "predicted_n": 4, "prompt_per_second": 5.5, "predicted_per_second": 6.5},
        }),
        found(3, 4, -1, "word", prompt_speed=5.5, speed=6.5),
    ),
    Case(
        "infill",
        "/infill",
        packed([{"content": "x", "timings": {"prompt_n": 9}}, {"content": " + b", "timings": TIMINGS}]),
        found(1, 35, 236, prompt_speed=32.5, speed=52.5, worked_ms=691.75),
    ),
    Case(
        "infill, one object",
        "/infill",
        packed({"content": " + b", "stop_type": "eos", "timings": TIMINGS}),
        found(1, 35, 236, "eos", prompt_speed=32.5, speed=52.5, worked_ms=691.75),
    ),
    Case("infill, nothing", "/infill", b"[]", Usage()),
    Case("infill, cut off", "/infill", b'[{"timings":{}},', Usage()),
    Case("an array from elsewhere", "/v1/embeddings", packed([{"timings": TIMINGS}]), Usage()),
    # vLLM
    Case(
        "chat of vLLM",
        "/v1/chat/completions",
        packed({
            "choices": [{"finish_reason": "stop"}],
            "usage": {"prompt_tokens": 42, "completion_tokens": 128},
            "metrics": METRICS,
        }),
        found(42, 128, -1, "stop", prompt_speed=42 / 0.08, speed=125.0),
    ),
    Case(
        "chat stream of vLLM that drafts",
        "/v1/chat/completions",
        events(
            chunk({"role": "assistant", "content": ""}),
            *WORDS,
            chunk({}, finish="stop"),
            chunk(usage=USAGE, metrics={**METRICS, "speculative_decoding": SPECULATION}),
        )
        + DONE,
        found(19, 60, 11, "stop", drafted=129, accepted=10, prompt_speed=8 / 0.08, speed=125.0),
        STREAM,
    ),
    Case(
        "chat of vLLM that only drafts",
        "/v1/chat/completions",
        packed({"usage": USAGE, "metrics": {"speculative_decoding": SPECULATION}}),
        found(19, 60, 11, drafted=129, accepted=10),
    ),
    Case(
        "chat of vLLM that says half of it",
        "/v1/chat/completions",
        packed({"usage": USAGE, "metrics": {"mean_itl_ms": 0, "speculative_decoding": {"num_draft_tokens": 9}}}),
        found(19, 60, 11),
    ),
    # what servers do besides
    Case(
        "stream with everything the format allows",
        "/v1/chat/completions",
        b"\xef\xbb\xbf: hello\r\rretry: 10\rid: 1\rdata:"
        + packed(chunk({"content": "a"}))
        + b'\r\r: still here\rdata:{"usage":\rdata: {"prompt_tokens": 3,\rdata\rdata:"completion_tokens":4}}\r\r',
        found(3, 4),
        STREAM,
    ),
    Case(
        "stream without empty lines, and without an end",
        "/v1/chat/completions",
        b"".join(b"data: " + packed(each) + b"\n" for each in [*WORDS, chunk({}, finish="stop")])
        + b"data: "
        + packed(chunk(usage=USAGE)),
        found(19, 60, 11, "stop"),
        STREAM,
    ),
    Case(
        "stream that never begins",
        "/v1/chat/completions",
        b": ping\n\n" * 20 + events(chunk({"role": "assistant"})) + b"data: no json\n\ndata: {\ndata: no\n\n",
        Usage(),
        STREAM,
    ),
    Case("nothing", "/v1/chat/completions", b"", Usage()),
    Case("blanks", "/v1/chat/completions", b" \n\t ", Usage()),
    Case("a number", "/v1/chat/completions", b"12", Usage()),
    Case("usage of a wrong kind", "/v1/chat/completions", b' {"usage": [1], "timings": 1, "metrics": null}', Usage()),
    Case(
        "numbers of wrong kinds",
        "/v1/chat/completions",
        packed({
            "usage": {
                "prompt_tokens": None,
                "input_tokens": True,
                "completion_tokens": "4",
                "output_tokens": 10**40,
                "cache_read_input_tokens": -3,
                "prompt_tokens_details": [1],
            },
            "choices": {"finish_reason": "stop"},
            "stop_reason": 3,
            "error": "",
        }),
        found(),
    ),
    # failures
    Case("refused", "/v1/x", packed({"error": {"message": "bad", "code": 1}}), Usage(error_message="bad"), JSON, 400),
    Case("refused in a word", "/v1/x", packed({"error": "bad", "message": "no"}), Usage(error_message="bad"), JSON, 400),
    Case("refused, old vLLM", "/v1/x", packed({"object": "error", "message": "bad"}), Usage(error_message="bad"), JSON, 400),
    Case("refused, FastAPI", "/v1/x", packed({"error": {}, "detail": "bad"}), Usage(error_message="bad"), JSON, 404),
    Case("refused, details", "/v1/x", packed({"detail": [1]}), Usage(error_message="404 Not Found"), JSON, 404),
    Case("refused in HTML", "/v1/x", b"<html>", Usage(error_message="502 Bad Gateway"), "text/html", 502),
    Case("refused by a number", "/v1/x", b"", Usage(error_message="599"), "", 599),
    Case("refused in a stream", "/v1/x", packed({"message": "bad"}), Usage(error_message="bad"), STREAM, 500),
    Case("refused at length", "/v1/x", packed({"error": "é" * 300}), Usage(error_message="é" * 250 + "..."), JSON, 500),
)  # fmt: skip


def give(meter: Meter, pieces: Iterable[bytes]) -> None:
    """Gives *pieces* to *meter* as the layer does that meters."""
    remaining = iter(pieces)
    for piece in remaining:
        meter.feed(piece)
        if meter.has_content:
            break
    take, room = meter.intake()
    taken = 0
    for piece in remaining:
        take(piece)
        taken += len(piece)
        if taken > room:
            take, room = meter.intake(taken)
            taken = 0


def recorded() -> list[Case]:
    """Returns the transcripts of the real engine."""
    return [_case(file, transcript(file.read_bytes())) for file in sorted(FOLDER.glob("*.txt"))]


def _case(file: Path, said: Transcript) -> Case:
    usage = Usage(**json.loads(file.with_suffix(".json").read_text()))
    return Case(f"recorded {file.stem}", said.path, said.body, usage, said.content_type, said.status)


ALL = (*CASES, *recorded())
