"""The loading stream end to end: real sockets on both sides, a real supervisor, models that load when a test says so."""

from __future__ import annotations

import json
import logging
from typing import Any

import anthropic
import anyio
import httpx
import openai
import pytest
from starlette.types import Message

from app.config.catalog import Catalog
from planners.protocol import ModelId
from tests.asgi import Reply, call
from tests.endpoints import catalogs
from tests.endpoints.waiting import CALM, EAGER, RESTLESS, STEADY, World, until, world, writers
from tests.fakes import catalog, model

pytestmark = pytest.mark.anyio

CHAT = "/v1/chat/completions"
MESSAGES = "/v1/messages"
RESPONSES = "/v1/responses"
TELLING = [CHAT, MESSAGES, RESPONSES]
WAITING = [
    "/v1/completions",
    "/completion",
    "/infill",
    "/v/chat/completions",
    "/v/messages",
    "/v/responses",
    "/v/completions",
]

OPENING = ('data: {"choices":[{"delta":{"reasoning_content":"━━━━━\\nllama-swap loading model: a\\n"}}]}\n\n').encode()
ANSWER = b"data: {}\n\ndata: [DONE]\n\n"


def events(*documents: dict[str, Any]) -> tuple[bytes, ...]:
    """Returns named events, as Anthropic and OpenAI's Responses have them."""
    return tuple(f"event: {each['type']}\ndata: {json.dumps(each)}\n\n".encode() for each in documents)


MESSAGE: dict[str, Any] = {
    "id": "m", "type": "message", "role": "assistant", "model": "a", "content": [], "stop_reason": None,
    "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 1},
}  # fmt: skip

ANTHROPIC_EVENTS = events(
    {"type": "message_start", "message": MESSAGE},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hello"}},
    {"type": "content_block_stop", "index": 0},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": {"output_tokens": 1},
    },
    {"type": "message_stop"},
)

RESPONSE: dict[str, Any] = {
    "id": "r", "object": "response", "created_at": 1, "status": "completed", "model": "a", "output": [],
    "parallel_tool_calls": False, "tool_choice": "auto", "tools": [],
}  # fmt: skip

RESPONSES_EVENTS = events(
    {"type": "response.created", "sequence_number": 0, "response": {**RESPONSE, "status": "in_progress"}},
    {"type": "response.completed", "sequence_number": 1, "response": RESPONSE},
)


def telling(*names: str, **fields: Any) -> Catalog:
    """Returns a configuration of models that swap each other out and tell of their loading."""
    return catalog(*(model(name, send_loading_state=True, **fields) for name in names))


def thoughts(body: bytes) -> str:
    """Returns the loading text of a chat."""
    documents = [json.loads(line[6:]) for line in body.decode().splitlines() if line.startswith("data: {")]
    return "".join(
        choice["delta"].get("reasoning_content", "") for each in documents for choice in each.get("choices", ())
    )


# Chats


async def test_chat_is_told_of_loading_byte_for_byte_and_then_answered_on_the_same_response() -> None:
    async with world(telling("a"), CALM) as here:
        server = here.server("a", ready=False)
        async with here.stream("a") as stream:
            await stream.until("loading model")
            server.ready.set()
            body = await stream.rest()

        assert stream.response.status_code == 200
        told = {name: stream.response.headers.get(name) for name in ("content-type", "cache-control", "connection")}
        assert told == {"content-type": "text/event-stream", "cache-control": "no-cache", "connection": "keep-alive"}
        assert stream.response.headers["x-accel-buffering"] == "no"
        assert body.startswith(OPENING)
        assert body.endswith(
            b's)\\n\xe2\x94\x81\xe2\x94\x81\xe2\x94\x81\xe2\x94\x81\xe2\x94\x81\\n \\n"}}]}\n\n' + ANSWER
        )
        before, _, rest = body.removeprefix(OPENING).partition(b"\\nDone! (")
        assert before == b'data: {"choices":[{"delta":{"reasoning_content":"'
        seconds, _, _ = rest.partition(b"s)")
        assert f"{float(seconds):.2f}".encode() == seconds


async def test_dots_are_sent_while_there_is_nothing_new() -> None:
    async with world(telling("a")) as here:
        server = here.server("a", ready=False)
        async with here.stream("a") as stream:
            await stream.until('"."}}]}\n\ndata: {"choices":[{"delta":{"reasoning_content":"."}}]}\n\n')
            server.ready.set()
            body = await stream.rest()

    assert set(thoughts(body).removeprefix("━━━━━\nllama-swap loading model: a\n").partition("\nDone!")[0]) == {"."}


async def test_alias_is_told_by_the_models_real_id() -> None:
    async with world(telling("a", aliases=("al",)), CALM) as here:
        server = here.server("a", ready=False)
        async with here.stream("al") as stream:
            await stream.until("loading model: a\\n")
            server.ready.set()
            await stream.rest()


async def test_ready_model_sends_no_loading_text() -> None:
    async with world(telling("a")) as here:
        here.server("a")
        await here.load("a")
        async with here.stream("a") as stream:
            body = await stream.rest()

        assert body == ANSWER
        assert "x-hostler-overhead-ms" in stream.response.headers
        assert writers() == []


@pytest.mark.parametrize("path", [CHAT, MESSAGES, RESPONSES, "/v1/completions"])
async def test_client_that_wants_no_stream_gets_the_plain_answer(path: str) -> None:
    async with world(telling("a"), RESTLESS) as here:
        server = here.server("a", ready=False)
        server.content_type, server.pieces = "application/json", (b"{}",)
        async with anyio.create_task_group() as group:
            replies: list[httpx.Response] = []

            async def ask() -> None:
                replies.append(await here.client.post(path, json={"model": "a"}))

            group.start_soon(ask)
            await server.started.wait()
            server.ready.set()

    assert (replies[0].content, replies[0].headers["content-type"]) == (b"{}", "application/json")


async def test_model_that_does_not_want_it_tells_nothing() -> None:
    async with world(catalog(model("a")), RESTLESS) as here:
        server = here.server("a", ready=False)
        async with anyio.create_task_group() as group:

            async def load() -> None:
                await server.started.wait()
                assert writers() == []
                server.ready.set()

            group.start_soon(load)
            async with here.stream("a") as stream:
                assert await stream.rest() == ANSWER


async def test_below_upstream_nothing_is_told() -> None:
    async with world(telling("a"), RESTLESS) as here:
        server = here.server("a", ready=False)
        async with anyio.create_task_group() as group:

            async def load() -> None:
                await server.started.wait()
                server.ready.set()

            group.start_soon(load)
            async with here.stream("a", f"/upstream/a{CHAT}") as stream:
                assert await stream.rest() == ANSWER


async def test_who_holds_the_model_and_ones_place_are_told_when_they_change() -> None:
    async with world(telling("a", "b")) as here:
        here.server("a")
        held = here.server("b", ends=False)
        await here.load("b")
        async with here.stream("b") as holding, here.stream("a") as first:
            await holding.until("[DONE]")
            await first.until("\\nwaiting for b, which serves 1 request ")
            async with here.stream("a") as second:
                await second.until("\\nQueue position: #2 \\nwaiting for b, which serves 1 request ")
                await first.response.aclose()
                await second.until("\\nQueue position: #1 ")
                held.may_end.set()
                text = thoughts(await second.rest())

    assert text.count("Queue position: #2") == text.count("waiting for b") == 1
    assert text.endswith("━━━━━\n \n")


async def test_estimate_is_told_once_it_has_been_learned() -> None:
    async with world(telling("a", "b")) as here:
        here.server("a")
        here.server("b")
        await here.load("a")
        await here.load("b")
        loading = here.server("a", ready=False)
        async with here.stream("a") as stream:
            await stream.until("about 1 s ")
            loading.ready.set()
            assert thoughts(await stream.rest()).count("about 1 s") == 1


# Other dialects


async def test_anthropic_client_reads_a_stream_that_began_with_loading() -> None:
    async with world(telling("a"), EAGER) as here:
        server = here.server("a", ready=False)
        server.pieces = ANTHROPIC_EVENTS
        client = anthropic.AsyncAnthropic(base_url=here.url, api_key="x", max_retries=0)
        async with (
            client,
            client.messages.stream(model="a", max_tokens=9, messages=[{"role": "user", "content": "?"}]) as stream,
        ):
            server.ready.set()
            kinds = [event.type async for event in stream]
            assert await stream.get_final_text() == "hello"

    assert kinds[0] == "message_start"


async def test_messages_are_told_by_pings() -> None:
    async with world(telling("a", "b")) as here:
        server = here.server("a", ready=False)
        server.pieces = ANTHROPIC_EVENTS
        here.server("b", ends=False)
        async with here.stream("b") as holding, here.stream("a", MESSAGES) as stream:
            await holding.until("[DONE]")
            await stream.until("waiting for b")
            here.launcher.servers["b"].may_end.set()
            await holding.rest()
            await stream.until('"status":"loading"')
            server.ready.set()
            body = await stream.rest()

    assert body.startswith(b'event: ping\ndata: {"type":"ping","status":"loading a"}\n\nevent: ping\n')
    assert b'data: {"type":"ping","status":"waiting for b, which serves 1 request"}\n\n' in body
    assert body.endswith(b"".join(ANTHROPIC_EVENTS))
    assert b'"status":"loaded a in 0.' in body


async def test_openai_client_reads_a_chat_that_began_with_loading() -> None:
    chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "a"}
    async with world(telling("a"), EAGER) as here:
        server = here.server("a", ready=False)
        server.pieces = (
            f"data: {json.dumps({**chunk, 'choices': [{'index': 0, 'delta': {'content': 'hello'}}]})}\n\n".encode(),
            b"data: [DONE]\n\n",
        )
        async with openai.AsyncOpenAI(base_url=f"{here.url}/v1", api_key="x", max_retries=0) as client:
            stream = await client.chat.completions.create(
                model="a", messages=[{"role": "user", "content": "?"}], stream=True
            )
            server.ready.set()
            chunks = [chunk async for chunk in stream]

    assert [chunk.choices[0].delta.content for chunk in chunks][-1] == "hello"
    said = "".join(getattr(chunk.choices[0].delta, "reasoning_content", "") for chunk in chunks)
    assert said.startswith("━━━━━\nllama-swap loading model: a\n")


async def test_openai_client_reads_responses_that_began_with_loading() -> None:
    async with world(telling("a"), EAGER) as here:
        server = here.server("a", ready=False)
        server.pieces = RESPONSES_EVENTS
        client = openai.AsyncOpenAI(base_url=f"{here.url}/v1", api_key="x", max_retries=0)
        async with client, client.responses.stream(model="a", input="?") as stream:
            server.ready.set()
            kinds = [event.type async for event in stream]
            assert (await stream.get_final_response()).id == "r"

    assert kinds == ["response.created", "response.completed"]


async def test_responses_are_told_by_comments() -> None:
    async with world(telling("a"), EAGER) as here:
        server = here.server("a", ready=False)
        server.pieces = RESPONSES_EVENTS
        async with here.stream("a", RESPONSES) as stream:
            await stream.until(": loading a\n\n: waiting for a\n\n: waiting for a\n\n")
            server.ready.set()
            body = await stream.rest()

    said, _, answer = body.partition(b"event: ")
    assert all(line.startswith(b": ") or not line for line in said.splitlines())
    assert b"event: " + answer == b"".join(RESPONSES_EVENTS)


# Silences


@pytest.mark.parametrize("path", WAITING)
async def test_long_wait_for_a_model_is_broken_by_comments(path: str) -> None:
    async with world(telling("a"), EAGER) as here:
        server = here.server("a", ready=False)
        async with here.stream("a", path) as stream:
            await stream.until(": waiting for a\n\n: waiting for a\n\n")
            server.ready.set()
            body = await stream.rest()

        assert stream.response.headers["content-type"] == "text/event-stream"
        assert b"reasoning" not in body
        assert body.replace(b": waiting for a\n\n", b"") == ANSWER


@pytest.mark.parametrize("path", [*TELLING, *WAITING])
async def test_long_wait_for_the_answer_of_a_ready_model_is_broken_by_comments(path: str) -> None:
    async with world(telling("a"), EAGER) as here:
        server = here.server("a", answers=False)
        await here.load("a")
        async with here.stream("a", path) as stream:
            await stream.until(": waiting for a\n\n: waiting for a\n\n")
            server.may_answer.set()
            body = await stream.rest()

        assert body.replace(b": waiting for a\n\n", b"") == ANSWER


@pytest.mark.parametrize("path", TELLING)
async def test_long_wait_for_the_answer_after_the_loading_is_broken_by_comments(path: str) -> None:
    async with world(telling("a"), EAGER) as here:
        server = here.server("a", answers=False)
        async with here.stream("a", path) as stream:
            await stream.until("Done!" if path == CHAT else "loaded a in")
            stream.body = b""
            await stream.until(": waiting for a\n\n: waiting for a\n\n")
            server.may_answer.set()
            assert (await stream.rest()).endswith(ANSWER)


async def test_short_wait_leaves_the_response_to_the_upstream() -> None:
    async with world(telling("a")) as here:
        server = here.server("a", ready=False)
        server.status, server.content_type, server.pieces = "418 Teapot", "text/plain", (b"short",)
        async with anyio.create_task_group() as group:

            async def load() -> None:
                await server.started.wait()
                server.ready.set()

            group.start_soon(load)
            async with here.stream("a", "/v1/completions") as stream:
                assert (stream.response.status_code, await stream.rest()) == (418, b"short")


@pytest.mark.parametrize("path", ["/v1/audio/speech", "/v1/images/generations"])
async def test_what_may_be_no_event_stream_is_never_begun(path: str) -> None:
    async with world(telling("a"), RESTLESS) as here:
        server = here.server("a", answers=False)
        server.content_type, server.pieces = "audio/mpeg", (b"ID3",)
        async with anyio.create_task_group() as group:

            async def answer() -> None:
                await until(lambda: len(server.asked) == 1)
                assert writers() == []
                server.may_answer.set()

            group.start_soon(answer)
            async with here.stream("a", path) as stream:
                assert (await stream.rest(), stream.response.headers["content-type"]) == (b"ID3", "audio/mpeg")


# Failures


@pytest.mark.parametrize(
    ("path", "error"),
    [
        (CHAT, 'data: {"src":"llama-swap","error":{"message":"%s","type":"server_error","param":null,"code":"internal_error"}}'),
        (MESSAGES, 'event: error\ndata: {"type":"error","error":{"type":"api_error","message":"%s"}}'),
        (RESPONSES, 'event: error\ndata: {"type":"error","code":"internal_error","message":"%s","param":null,"sequence_number":0}'),
    ],
)  # fmt: skip
async def test_load_that_fails_ends_with_an_error_in_the_dialect(
    path: str, error: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "app.proxy.loading")
    async with world(telling("a"), CALM) as here:
        server = here.server("a", ready=False)
        server.failure = "no such file: llama-server"
        async with here.stream("a", path) as stream:
            server.ready.set()
            body = (await stream.rest()).decode()

        assert stream.response.status_code == 200
        message = "unspecific error: no such file: llama-server (model a; its log is at /logs/stream/a)"
        assert body.endswith("\n\n" + error % message + "\n\n")
        assert here.admitted.counts() == {}
    (record,) = [each for each in caplog.records if each.name == "app.proxy.loading"]
    assert record.levelno == logging.WARNING
    assert message in record.getMessage()
    assert record.__dict__["model"] == "a"


async def test_openai_client_raises_what_has_failed() -> None:
    async with world(telling("a"), CALM) as here:
        server = here.server("a", ready=False)
        server.failure = "no such file"
        async with openai.AsyncOpenAI(base_url=f"{here.url}/v1", api_key="x", max_retries=0) as client:
            stream = await client.chat.completions.create(
                model="a", messages=[{"role": "user", "content": "?"}], stream=True
            )
            server.ready.set()
            with pytest.raises(openai.APIError, match="no such file"):
                [chunk async for chunk in stream]


async def test_anthropic_client_raises_what_has_failed() -> None:
    async with world(telling("a"), CALM) as here:
        server = here.server("a", ready=False)
        server.failure = "no such file"
        async with (
            anthropic.AsyncAnthropic(base_url=here.url, api_key="x", max_retries=0) as client,
            client.messages.stream(model="a", max_tokens=9, messages=[{"role": "user", "content": "?"}]) as stream,
        ):
            server.ready.set()
            with pytest.raises(anthropic.APIStatusError, match="no such file"):
                await stream.get_final_text()


async def test_openai_client_reads_the_error_of_a_response_as_an_event() -> None:
    async with world(telling("a"), CALM) as here:
        server = here.server("a", ready=False)
        server.failure = "no such file"
        async with openai.AsyncOpenAI(base_url=f"{here.url}/v1", api_key="x", max_retries=0) as client:
            stream = await client.responses.create(model="a", input="?", stream=True)
            server.ready.set()
            (event,) = [event async for event in stream]

    assert event.type == "error"
    assert "no such file" in event.message


async def test_unloading_ends_a_loading_stream_with_an_error() -> None:
    async with world(telling("a")) as here:
        here.server("a", ready=False)
        async with here.stream("a") as stream:
            await stream.until("loading model")
            await here.supervisor.unload(None)
            assert b"group: model unloaded: a" in await stream.rest()


async def test_ending_the_program_ends_a_loading_stream_with_an_error() -> None:
    async with world(telling("a")) as here:
        here.server("a", ready=False)
        async with here.stream("a") as stream:
            await stream.until("loading model")
            await here.supervisor.shut_down(5)
            assert b"group is shutting down" in await stream.rest()


async def test_failure_without_a_wait_keeps_its_status() -> None:
    async with world(telling("a")) as here:
        here.server("a").failure = "no such file"
        async with here.stream("a") as stream:
            await stream.rest()
        async with here.stream("a") as again:
            await again.rest()

        assert again.response.status_code == 503
        assert "retry-after" in again.response.headers


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b'{"error": {"message": "out of memory"}}', "out of memory"),
        (b'{"error": "out of memory"}', "out of memory"),
        (b"no JSON", "no JSON"),
        (b"", "the model's server answered with status 500"),
    ],
)
async def test_upstreams_error_after_the_beginning_becomes_an_event(answer: bytes, message: str) -> None:
    async with world(telling("a"), CALM) as here:
        server = here.server("a")
        server.status, server.content_type, server.pieces = "500 Oh", "application/json", (answer,) if answer else ()
        async with here.stream("a") as stream:
            body = await stream.rest()

    error = json.loads(body.rpartition(b"data: ")[2])["error"]
    assert (error["message"], error["code"]) == (message, "internal_error")


async def test_endless_error_of_an_upstream_is_cut() -> None:
    async with world(telling("a"), CALM) as here:
        server = here.server("a", ends=False)
        server.status, server.pieces = "500 Oh", (b"x" * 40000,) * 3
        async with here.stream("a") as stream:
            body = await stream.rest()

    assert len(json.loads(body.rpartition(b"data: ")[2])["error"]["message"]) == 64 << 10


async def test_broken_error_of_an_upstream_is_told_as_far_as_it_came() -> None:
    async with world(telling("a"), CALM) as here:
        server = here.server("a")
        server.status, server.pieces, server.breaks = "500 Oh", (b"half a mess",), True
        async with here.stream("a") as stream:
            assert b'"message":"half a mess"' in await stream.rest()


@pytest.mark.parametrize(
    ("content_type", "headers", "why"),
    [
        ("application/json", "", "answered with application/json instead of an event stream"),
        ("text/event-stream", "Content-Encoding: gzip\r\n", "compressed its answer (gzip)"),
    ],
)
async def test_answer_that_would_corrupt_the_stream_becomes_an_error(content_type: str, headers: str, why: str) -> None:
    async with world(telling("a"), CALM) as here:
        server = here.server("a", ends=False)
        server.content_type, server.headers, server.pieces = content_type, headers, (b"\x1f\x8b",)
        async with here.stream("a") as stream:
            body = await stream.rest()

    error = json.loads(body.rpartition(b"data: ")[2])["error"]
    assert why in error["message"]
    assert error["code"] == "bad_gateway"


async def test_upstream_is_asked_not_to_compress() -> None:
    async with world(telling("a"), CALM) as here:
        server = here.server("a")
        async with here.client.stream(
            "POST", CHAT, json={"model": "a", "stream": True}, headers={"accept-encoding": "gzip, br"}
        ) as response:
            await response.aread()

        assert server.asked[0].header("accept-encoding") == ["identity"]


async def test_answer_that_breaks_after_the_loading_looks_broken() -> None:
    async with world(telling("a"), CALM) as here:
        server = here.server("a", ready=False, ends=False)
        server.breaks = True
        async with here.stream("a") as stream:
            await stream.until("loading model")
            server.ready.set()
            await stream.until("[DONE]")
            server.may_end.set()
            with pytest.raises(httpx.RemoteProtocolError):
                await stream.rest()


# Who comes, who goes


@pytest.mark.parametrize("path", [*TELLING, "/v1/completions"])
async def test_client_that_leaves_while_it_is_told_leaves_the_queue(path: str) -> None:
    async with world(telling("a", "b"), EAGER) as here:
        a = here.server("a")
        here.server("b", ends=False)
        async with here.stream("b") as holding:
            await holding.until("[DONE]")
            async with here.stream("a", path) as stream:
                await stream.until("waiting for")
                assert len(here.supervisor.queue()) == 1
            await until(lambda: not here.supervisor.queue() and not here.admitted.counts().get(ModelId("a")))
            await until(lambda: writers() == [])

        assert not a.started.is_set()


async def test_request_over_the_limit_is_refused_before_anything_is_written() -> None:
    async with world(telling("a", concurrency_limit=1)) as here:
        server = here.server("a", ready=False)
        async with here.stream("a") as stream:
            await stream.until("loading model")
            refused = await here.client.post(CHAT, json={"model": "a", "stream": True})
            server.ready.set()
            await stream.rest()

    assert refused.status_code == 429
    assert refused.json()["error"]["code"] == "concurrency_limit"


async def ask(here: World, name: str, on_send: Any = None, reply: Reply | None = None) -> Reply:
    """Asks for a chat without sockets, so that a test holds the client's end."""
    body = json.dumps({"model": name, "stream": True}).encode()
    return await call(
        here.app, "POST", CHAT, [(b"content-type", b"application/json")], body, on_send=on_send, reply=reply
    )


async def test_slow_client_holds_up_neither_its_own_request_nor_others() -> None:
    reads = anyio.Event()
    async with world(catalog(model("a", send_loading_state=True), model("b")), STEADY) as here:
        server = here.server("a", ready=False)
        here.server("b")

        async def slowly(_: Message) -> None:
            await reads.wait()

        reply = Reply()
        async with anyio.create_task_group() as group:
            group.start_soon(ask, here, "a", slowly, reply)
            await server.started.wait()
            server.ready.set()
            await until(lambda: len(server.asked) == 1)

            assert reply.messages == []

            reads.set()
        assert reply.body.startswith(OPENING)
        assert reply.body.endswith(ANSWER)
        assert reply.complete


async def test_first_words_of_the_answer_wait_for_no_timer() -> None:
    """With a pace of minutes, a wait for any timer would be seen."""
    async with world(telling("a"), CALM) as here:
        server = here.server("a", ready=False)
        reply = Reply()
        async with anyio.create_task_group() as group:
            group.start_soon(ask, here, "a", None, reply)
            await server.started.wait()
            server.ready.set()

    assert reply.complete
    assert [message.get("body", b"")[:8] for message in reply.messages[1:3]] == [b'data: {"', b'data: {"']
    assert b"Done!" in reply.messages[2]["body"]


async def test_old_client_is_not_promised_a_connection_that_lasts() -> None:
    async with world(telling("a"), CALM) as here:
        here.server("a")
        body = b'{"model": "a", "stream": true}'
        reply = await call(here.app, "POST", CHAT, [(b"connection", b"close")], body)

    assert reply.header("connection") is None
    assert reply.header("cache-control") == "no-cache"


# Headers of the answer


async def test_answer_says_where_its_time_has_gone() -> None:
    async with world(catalog(model("a"), model("b"))) as here:
        a = here.server("a", ready=False)
        here.server("b")
        await here.load("b")
        async with anyio.create_task_group() as group:

            async def load() -> None:
                # It takes the next probe, some milliseconds later, to see that it is ready.
                await a.probed.wait()
                a.ready.set()

            group.start_soon(load)
            swapped = await here.client.post(CHAT, json={"model": "a"})
        ready = await here.client.post(CHAT, json={"model": "a"})

    names = ("x-hostler-queued-ms", "x-hostler-swap-ms", "x-hostler-overhead-ms")
    told = [float(swapped.headers[name]) for name in names]
    assert all(each >= 0 for each in told)
    assert told[1] >= 1
    assert [ready.headers[name] for name in names[:2]] == ["0", "0"]
    assert float(ready.headers[names[2]]) > 0


async def test_error_of_an_upstream_says_it_as_well() -> None:
    async with world(catalog(model("a"))) as here:
        here.server("a").status = "404 Not Found"
        reply = await here.client.post("/upstream/a/missing", json={})

    assert (reply.status_code, "x-hostler-swap-ms" in reply.headers) == (404, True)


async def test_times_of_a_peer_are_its_own() -> None:
    async with world(catalog(model("m"))) as there:
        there.server("m")
        async with world(catalogs.catalog(peers=[catalogs.peer("p", "m", base_url=there.url)])) as here:
            reply = await here.client.post(CHAT, json={"model": "m"})

    assert reply.status_code == 200
    assert len(reply.headers.get_list("x-hostler-overhead-ms")) == 1
