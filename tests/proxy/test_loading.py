"""The loading stream by itself: its words, and two that write to one client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint
from starlette.types import Message, Scope

from app.asgi import Body
from app.errors import BackingOff, UpstreamError
from app.exchange import KEY
from app.proxy import loading
from app.proxy.forwarder import StreamBroken
from app.proxy.loading import LoadingStream, Pace, Unfitting, plain
from app.proxy.loading_text import Grammar, Holder, Standing, Story, comment, failure, message_of, span, waiting_for
from app.proxy.timing import timing_headers
from tests.proxy.test_forwarder import exchange_for

pytestmark = pytest.mark.anyio

NOTHING_NEW = b'data: {"choices":[{"delta":{"reasoning_content":"."}}]}\n\n'


def said(event: bytes) -> str:
    """Returns the text of a chat's event."""
    assert event.startswith(b"data: ")
    assert event.endswith(b"\n\n")
    text = json.loads(event[6:])["choices"][0]["delta"]["reasoning_content"]
    assert isinstance(text, str)
    return text


# Words


def test_story_of_a_chat() -> None:
    story = Story("qwen<3>", Grammar.OPENAI, 100.0)
    holder = Holder("b", 2)

    assert said(story.opening()) == "━━━━━\nllama-swap loading model: qwen<3>\n"
    assert b"qwen\\u003c3\\u003e" in story.opening()
    assert said(story.update(Standing(3, 12.4, (holder,)), 100.75)) == (
        "\nQueue position: #3 \nwaiting for b, which serves 2 requests; about 13 s "
    )
    assert story.update(Standing(3, 11.6, (holder,)), 101.5) == NOTHING_NEW
    assert said(story.update(Standing(2, 10.9, (holder,)), 102.25)) == "\nQueue position: #2 "
    assert said(story.update(Standing(2, 10.2, (Holder("b", 1),)), 103.0)) == (
        "\nwaiting for b, which serves 1 request; about 11 s "
    )
    assert said(story.update(Standing(1, 9.5), 103.75)) == "\nQueue position: #1 \nloading; about 10 s "
    assert story.update(None, 104.0) == NOTHING_NEW
    assert said(story.closing(113.256)) == "\nDone! (13.26s)\n━━━━━\n \n"


@pytest.mark.parametrize("grammar", [Grammar.ANTHROPIC, Grammar.RESPONSES])
def test_story_of_other_apis_says_nothing_when_nothing_is_new(grammar: Grammar) -> None:
    story = Story("a", grammar, 0.0)
    story.update(Standing(1, None, (Holder("b"),)), 1.0)

    assert story.update(Standing(1, None, (Holder("b"),)), 2.0) == b""
    assert story.update(None, 3.0) == b""


def test_story_in_pings_and_in_comments() -> None:
    pings, comments = Story("a", Grammar.ANTHROPIC, 0.0), Story("a", Grammar.RESPONSES, 0.0)
    standing = Standing(2, 5.0, (Holder("b", doing="stopping"),))

    assert pings.opening() == b'event: ping\ndata: {"type":"ping","status":"loading a"}\n\n'
    assert comments.opening() == b": loading a\n\n"
    told = b"Queue position: #2; waiting for b, which is stopping; about 5 s"
    assert pings.update(standing, 1.0) == b'event: ping\ndata: {"type":"ping","status":"%b"}\n\n' % told
    assert comments.update(standing, 1.0) == b": %b\n\n" % told
    assert comments.closing(6.25) == b": loaded a in 6.25 s\n\n"


def test_estimate_is_told_anew_only_when_it_is_not_what_a_clock_says() -> None:
    story = Story("a", Grammar.RESPONSES, 0.0)

    def told(wait_s: float | None, now: float) -> str:
        return story.update(Standing(1, wait_s), now).decode().strip(": \n")

    assert told(None, 0.0) == ""
    assert told(60.0, 1.0) == "about 60 s"
    assert told(51.0, 10.0) == ""
    assert told(None, 11.0) == ""
    assert told(45.0, 30.0) == "about 45 s"
    assert told(0.0, 75.0) == ""
    assert told(0.0, 100.0) == ""
    assert told(1.9, 100.0) == ""
    assert told(3.0, 101.0) == "about 3 s"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.0, "1 s"), (0.2, "1 s"), (1.2, "2 s"), (90.0, "90 s"), (91.0, "2 min"), (5400.0, "90 min"), (5401.0, "2 h")],
)
def test_spans_in_words(seconds: float, words: str) -> None:
    assert span(seconds) == words


def test_only_some_of_many_holders_are_named() -> None:
    many = tuple(Holder(f"m{n}", doing="loading" if n == 1 else "") for n in range(5))

    assert waiting_for(()) == ""
    assert waiting_for(many[:2]) == "waiting for m0, and m1, which is loading"
    assert waiting_for(many) == "waiting for m0, and m1, which is loading, and m2, and 2 more"


def test_comment_stays_one_line_whatever_a_model_is_called() -> None:
    assert comment("a\r\nb\nevent: x \ud800") == b": a b event: x ?\n\n"


def test_thought_survives_a_lone_surrogate() -> None:
    assert b"\\ud800" in Story("\ud800", Grammar.OPENAI, 0.0).opening()


@pytest.mark.parametrize(
    ("grammar", "event"),
    [
        (Grammar.OPENAI, b'data: {"src":"llama-swap","error":{"message":"\\u003cno\\u003e","type":"rate_limit_error","param":null,"code":"rate_limit_exceeded"}}\n\n'),
        (Grammar.ANTHROPIC, b'event: error\ndata: {"type":"error","error":{"type":"rate_limit_error","message":"\\u003cno\\u003e"}}\n\n'),
        (Grammar.RESPONSES, b'event: error\ndata: {"type":"error","code":"rate_limit_exceeded","message":"\\u003cno\\u003e","param":null,"sequence_number":0}\n\n'),
    ],
)  # fmt: skip
def test_failure_in_each_grammar(grammar: Grammar, event: bytes) -> None:
    assert failure(grammar, 429, "<no>") == event


def test_failure_with_a_code_of_its_own() -> None:
    assert b'"code":"queue_full"' in failure(Grammar.RESPONSES, 503, "full", "queue_full")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"error": {"message": "m"}}', "m"),
        (b'{"error": {"message": 5}, "message": "m"}', "m"),
        (b'{"error": "m"}', "m"),
        (b'{"message": "m", "detail": "d"}', "m"),
        (b'{"detail": "m"}', "m"),
        (b'{"other": 1}', '{"other": 1}'),
        (b"[1]", "[1]"),
        (b" not JSON\n", "not JSON"),
        (b"\xff", "\ufffd"),
        (b"[" * 100_000, "[" * 100_000),
        (b"", ""),
    ],
)
def test_message_of_an_error(body: bytes, message: str) -> None:
    assert message_of(body) == message


# Headers


def test_plain_replaces_what_the_client_accepts() -> None:
    headers = [(b"accept-encoding", b"gzip"), (b"accept", b"*/*"), (b"accept-encoding", b"br")]

    assert plain(headers) == [(b"accept", b"*/*"), (b"accept-encoding", b"identity")]


def timed(queued_at: float, granted_at: float, swap_s: float) -> dict[str, str]:
    """Returns the times told of a request that came at 10 and asked its upstream at 20."""
    exchange = exchange_for("/", b"", Body(b""))
    exchange.arrived_at, exchange.asked_at = 10.0, 20.0
    exchange.queued_at, exchange.granted_at, exchange.swap_s = queued_at, granted_at, swap_s
    return {name.decode().removeprefix("x-hostler-"): value.decode() for name, value in timing_headers(exchange)}


def test_times_add_up() -> None:
    assert timed(10.001, 19.9985, 7.5) == {"queued-ms": "2498", "swap-ms": "7500", "overhead-ms": "2.500"}


def test_time_of_a_lease_without_a_wait_is_overhead() -> None:
    assert timed(19.0, 19.0005, 0.0) == {"queued-ms": "0", "swap-ms": "0", "overhead-ms": "10000.000"}


def test_swap_is_never_longer_than_the_wait() -> None:
    assert timed(11.0, 12.0, 1.5) == {"queued-ms": "0", "swap-ms": "1000", "overhead-ms": "9000.000"}


# Two that write to one client

START: Message = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]}
END: Message = {"type": "http.response.body", "body": b"data: x\n\n"}
BRISK = Pace(update_s=0.005, silence_s=60.0)


class Client:
    """What a client got, and whether it reads."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.reads = anyio.Event()
        self.reads.set()
        self.inside = 0
        self.error: Exception | None = None
        self.got = anyio.Event()

    async def send(self, message: Message) -> None:
        assert not self.inside, "two send at once"
        self.inside += 1
        try:
            await self.reads.wait()
            await checkpoint()
        finally:
            self.inside -= 1
        if self.error is not None:
            raise self.error
        self.messages.append(message)
        self.got.set()

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.messages)

    async def until(self, text: bytes) -> None:
        while text not in self.body:
            self.got = anyio.Event()
            await self.got.wait()


def stream_to(client: Client, pace: Pace = BRISK, grammar: Grammar = Grammar.OPENAI, **more: Any) -> LoadingStream:
    standing: Callable[[], Standing | None] | None = more.get("standing", lambda: None)
    scope: Scope = {
        "http_version": "1.1",
        "headers": [],
        KEY: more.get("exchange") or exchange_for("/", b"", Body(b"")),
    }
    is_cancelled: Callable[[], bool] = more.get("is_cancelled", lambda: False)
    return LoadingStream(scope, client.send, "a", grammar, standing, pace, is_cancelled=is_cancelled)


def writers() -> list[str]:
    return [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("loading stream")]


async def test_answer_of_a_model_that_is_there_goes_through_untouched() -> None:
    client = Client()
    start: Message = {"type": "http.response.start", "status": 418, "headers": []}
    async with stream_to(client) as stream:
        stream.granted()
        await stream.send(start)
        await stream.send(END)

    assert client.messages == [start, END]


async def test_lease_that_comes_just_when_the_writer_would_begin_leaves_the_response_alone() -> None:
    client = Client()
    async with stream_to(client) as stream:
        while not writers():
            await asyncio.sleep(0)
        if not client.messages and not client.inside:
            stream.granted()
            await stream.send(START)
            await stream.send(END)

            assert client.messages == [START, END]


async def test_head_that_comes_while_a_slow_client_is_written_to_waits_for_that_and_no_more() -> None:
    client = Client()
    async with stream_to(client) as stream:
        await client.until(b"loading model")
        client.reads = anyio.Event()
        while not client.inside:
            await checkpoint()
        stream.granted()
        async with anyio.create_task_group() as group:

            async def answer() -> None:
                await stream.send(START)
                await stream.send(END)

            group.start_soon(answer)
            await checkpoint()

            assert not client.body.endswith(b"data: x\n\n")

            client.reads.set()

    assert client.body.count(b"Done!") == 1
    assert client.body.endswith(b'\\n \\n"}}]}\n\ndata: x\n\n')
    assert [message["type"] for message in client.messages].count("http.response.start") == 1


async def test_writer_that_fails_fails_the_request() -> None:
    client = Client()
    with pytest.raises(OSError, match="gone"):
        async with stream_to(client) as stream:
            await client.until(b"loading model")
            client.error = OSError("gone")
            while writers():
                await checkpoint()
            stream.granted()
            await stream.send(START)


@pytest.mark.parametrize("is_slow", [False, True])
async def test_cancelled_request_leaves_no_writer(is_slow: bool) -> None:
    client = Client()
    async with anyio.create_task_group() as group:

        async def request() -> None:
            async with stream_to(client):
                await anyio.sleep_forever()

        group.start_soon(request)
        await client.until(b"loading model")
        if is_slow:
            client.reads = anyio.Event()
            while not client.inside:
                await checkpoint()
        group.cancel_scope.cancel()

    assert writers() == []


@pytest.mark.parametrize("reads", [True, False])
async def test_cancelled_by_the_operator_is_told_to_a_client_that_reads(
    reads: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not reads:
        monkeypatch.setattr(loading, "LAST_WORD_S", 0.01)
    client = Client()
    ended: list[str] = []

    async def request() -> None:
        try:
            async with stream_to(client, is_cancelled=lambda: True):
                await anyio.sleep_forever()
        except asyncio.CancelledError:
            ended.append("cut")
            raise
        ended.append("told")

    task = asyncio.create_task(request())
    await client.until(b"loading model")
    if not reads:
        client.reads = anyio.Event()
    task.cancel()
    await asyncio.wait([task])

    assert ended == ["told" if reads else "cut"]
    assert (b"cancelled by the operator" in client.body) is reads
    assert writers() == []


async def test_error_is_told_in_a_response_that_has_begun() -> None:
    client = Client()
    exchange = exchange_for("/", b"", Body(b""))
    error = BackingOff("not now")
    async with stream_to(client, grammar=Grammar.ANTHROPIC, exchange=exchange):
        await client.until(b"loading a")
        raise error

    assert exchange.failure is error
    assert client.messages[-1] == {
        "type": "http.response.body",
        "body": b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"not now"}}\n\n',
    }


async def test_error_before_the_beginning_is_somebody_elses_to_tell() -> None:
    client = Client()
    with pytest.raises(BackingOff):
        async with stream_to(client, standing=None):
            raise BackingOff("not now")

    assert client.messages == []


@pytest.mark.parametrize("error", [StreamBroken("cut"), UpstreamError("late"), RuntimeError("a bug")])
async def test_error_after_the_answers_beginning_passes_through(error: Exception) -> None:
    client = Client()
    with pytest.raises(type(error)):
        async with stream_to(client) as stream:
            await client.until(b"loading model")
            stream.granted()
            await stream.send(START)
            raise error

    assert client.body.endswith(b'\\n \\n"}}]}\n\n')


async def test_answer_in_pieces_that_is_refused_is_told_once() -> None:
    client = Client()
    pieces: list[Callable[[LoadingStream], Awaitable[None]]] = [
        lambda stream: stream.send({"type": "http.response.start", "status": 503, "headers": []}),
        lambda stream: stream.send({"type": "http.response.body", "body": b'{"error":', "more_body": True}),
        lambda stream: stream.send({"type": "http.response.body", "body": b'"full"}'}),
    ]
    raised: list[Exception] = []
    async with stream_to(client) as stream:
        await client.until(b"loading model")
        stream.granted()
        try:
            for piece in pieces:
                await piece(stream)
        except Unfitting as exc:
            raised.append(exc)
            raise

    assert [str(each) for each in raised] == ["full"]
    error = json.loads(client.body.rpartition(b"data: ")[2])["error"]
    assert (error["message"], error["code"]) == ("full", "service_unavailable")


@pytest.mark.parametrize("content_type", [b"TEXT/Event-Stream; charset=utf-8", b"text/event-stream"])
async def test_event_stream_is_known_however_it_is_written(content_type: bytes) -> None:
    client = Client()
    headers = [(b"content-type", content_type), (b"content-encoding", b"Identity")]
    async with stream_to(client) as stream:
        await client.until(b"loading model")
        stream.granted()
        await stream.send({"type": "http.response.start", "status": 200, "headers": headers})
        await stream.send(END)

    assert client.body.endswith(b"data: x\n\n")
