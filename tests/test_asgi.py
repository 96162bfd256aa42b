from __future__ import annotations

import asyncio
import errno
import gc
import io
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from typing import IO

import anyio
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import given, strategies as st
from starlette.types import Message, Receive, Scope, Send

from app import asgi
from app.asgi import (
    Body,
    ClientDisconnected,
    Splice,
    cancel_on_disconnect,
    header,
    read_body,
    send_bytes,
    send_error,
    send_json,
)
from app.errors import NotFound, TooLarge
from tests.asgi import call

pytestmark = pytest.mark.anyio


def receiving(*parts: bytes, then_leaves: bool = False) -> Receive:
    """Returns what receives *parts* and waits for ever afterwards, or finds the client gone instead of the last part."""
    messages: list[Message] = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    if then_leaves:
        messages.append({"type": "http.disconnect"})
    else:
        messages[-1]["more_body"] = False

    async def receive() -> Message:
        if not messages:
            await anyio.sleep_forever()
        return messages.pop(0)

    return receive


async def content(body: Body) -> bytes:
    return b"".join([chunk async for chunk in body.chunks()])


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> list[IO[bytes]]:
    """Returns the temporary files that were made, in their order."""
    made: list[IO[bytes]] = []
    make = tempfile.TemporaryFile

    def noted() -> IO[bytes]:
        made.append(make())
        return made[-1]

    monkeypatch.setattr("app.asgi.tempfile.TemporaryFile", noted)
    return made


# read_body


@pytest.mark.parametrize("parts", [[b""], [b"abc"], [b"ab", b"c"], [b"", b"abc", b""], [b"a"] * 50])
async def test_body_is_received_whole(parts: list[bytes]) -> None:
    body = await read_body(receiving(*parts))

    assert body.data == b"".join(parts)
    assert body.size == len(body.data)
    assert not body.is_spooled
    assert await content(body) == body.data


async def test_message_may_leave_out_what_is_empty() -> None:
    async def receive() -> Message:
        return {"type": "http.request"}

    assert (await read_body(receive)).data == b""


async def test_body_of_just_the_limits_stays_in_memory(files: list[IO[bytes]]) -> None:
    for parts in ([b"abcd"], [b"ab", b"cd"]):
        body = await read_body(receiving(*parts), in_memory=4, limit=4)

        assert body.data == b"abcd"
    assert files == []


@pytest.mark.parametrize("parts", [[b"abcde"], [b"abcd", b"e"], [b"a", b"", b"bcd", b"e"], [b"abcde", b""]])
async def test_longer_body_is_spooled_and_its_file_closed_with_it(parts: list[bytes], files: list[IO[bytes]]) -> None:
    body = await read_body(receiving(*parts), in_memory=4, limit=5)

    assert body.is_spooled
    assert (body.data, body.size) == (b"", 5)
    assert await content(body) == b"abcde"
    body.close()
    body.close()
    assert [file.closed for file in files] == [True]


@pytest.mark.parametrize("parts", [[b"abcdef"], [b"abc", b"def"], [b"abcde", b"f", b"never read"]])
async def test_body_over_the_limit_is_refused_and_leaves_no_file(parts: list[bytes], files: list[IO[bytes]]) -> None:
    for in_memory in (4, 100):
        with pytest.raises(TooLarge, match="longer than 5 bytes") as caught:
            await read_body(receiving(*parts), in_memory=in_memory, limit=5)

        assert caught.value.status == 413
    assert all(file.closed for file in files)


async def test_nothing_is_read_beyond_the_limit() -> None:
    asked = 0

    async def receive() -> Message:
        nonlocal asked
        asked += 1
        return {"type": "http.request", "body": b"abc", "more_body": True}

    with pytest.raises(TooLarge):
        await read_body(receive, limit=5)

    assert asked == 2


@pytest.mark.parametrize("parts", [[], [b"ab"], [b"abcde"], [b"abcde", b"f"]])
async def test_client_that_leaves_before_the_end_is_noticed_and_leaves_no_file(
    parts: list[bytes], files: list[IO[bytes]]
) -> None:
    with pytest.raises(ClientDisconnected):
        await read_body(receiving(*parts, then_leaves=True), in_memory=4)

    assert all(file.closed for file in files)
    assert len(files) == (len(b"".join(parts)) > 4)


async def test_cancelled_while_receiving_leaves_no_file(files: list[IO[bytes]]) -> None:
    with anyio.CancelScope() as scope:

        async def receive() -> Message:
            if files:
                scope.cancel()
                await checkpoint()
            return {"type": "http.request", "body": b"abcde", "more_body": True}

        await read_body(receive, in_memory=4)

    assert scope.cancelled_caught
    assert [file.closed for file in files] == [True]


async def test_full_disk_is_an_error_and_leaves_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.BytesIO):
        def writelines(self, lines: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    full = Full()
    monkeypatch.setattr("app.asgi.tempfile.TemporaryFile", lambda: full)

    with pytest.raises(OSError, match="No space left"):
        await read_body(receiving(b"abcde"), in_memory=4)

    assert full.closed


# Body


async def test_body_is_replayed_as_often_as_asked() -> None:
    for body in (await read_body(receiving(b"abc")), await read_body(receiving(b"abc"), in_memory=1)):
        assert [await content(body) for _ in range(3)] == [b"abc"] * 3
        body.close()


async def test_body_that_was_read_in_part_is_replayed_from_its_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asgi, "CHUNK", 2)
    body = await read_body(receiving(b"abcdefg"), in_memory=1)
    chunks = body.chunks()
    assert await anext(chunks) == b"ab"
    assert await anext(chunks) == b"cd"

    assert [chunk async for chunk in body.chunks()] == [b"ab", b"cd", b"ef", b"g"]
    body.close()


async def test_empty_body_has_no_chunks() -> None:
    assert [chunk async for chunk in Body(b"").chunks()] == []


@pytest.mark.parametrize(
    ("splices", "after"),
    [
        ([], b"0123456789"),
        ([(0, 1, b"ab")], b"ab123456789"),
        ([(0, 0, b"ab")], b"ab0123456789"),
        ([(9, 10, b"ab")], b"012345678ab"),
        ([(10, 10, b"ab")], b"0123456789ab"),
        ([(2, 5, b"")], b"0156789"),
        ([(0, 10, b"")], b""),
        ([(0, 10, b"ab")], b"ab"),
        ([(2, 4, b"a"), (4, 6, b"bcd")], b"01abcd6789"),
        ([(2, 4, b""), (4, 4, b"x"), (4, 6, b"")], b"01x6789"),
        ([(0, 1, b"aaaa"), (5, 5, b"b"), (9, 10, b"cccc")], b"aaaa1234b5678cccc"),
    ],
)
async def test_spliced_body_is_the_same_in_memory_and_spooled(splices: list[Splice], after: bytes) -> None:
    in_memory = Body(b"0123456789").spliced(splices)
    original = await read_body(receiving(b"01234", b"56789"), in_memory=3)
    spooled = original.spliced(splices)

    for body in (in_memory, spooled):
        assert await content(body) == after
        assert await content(body) == after
        assert body.size == len(after)
    assert spooled.is_spooled
    assert await content(original) == b"0123456789"
    original.close()
    with pytest.raises(ValueError, match="closed file"):
        await content(spooled)


@given(data=st.data())
def test_spliced_body_is_what_slicing_gives(data: st.DataObject) -> None:
    before = data.draw(st.binary(max_size=40))
    edges = sorted(data.draw(st.lists(st.integers(0, len(before)), max_size=8)))
    splices = [
        (start, end, data.draw(st.binary(max_size=5))) for start, end in zip(edges[::2], edges[1::2], strict=False)
    ]
    expected = before
    for start, end, new in reversed(splices):
        expected = expected[:start] + new + expected[end:]

    async def main() -> None:
        with tempfile.TemporaryFile() as file:
            file.write(before)
            spooled = Body(b"", file, len(before)).spliced(splices)
            assert await content(spooled) == expected
            assert spooled.size == len(expected)

    anyio.run(main)
    assert Body(before).spliced(splices).data == expected


async def test_long_body_is_read_in_chunks_of_bounded_size() -> None:
    body = await read_body(receiving(b"x" * (asgi.CHUNK * 2 + 1)), in_memory=1)

    assert [len(chunk) async for chunk in body.chunks()] == [asgi.CHUNK, asgi.CHUNK, 1]
    body.close()


# cancel_on_disconnect


class Client:
    """A client that stays until it `leaves`."""

    def __init__(self) -> None:
        self._gone = anyio.Event()
        self.asked = 0

    def leaves(self) -> None:
        self._gone.set()

    async def receive(self) -> Message:
        self.asked += 1
        await self._gone.wait()
        return {"type": "http.disconnect"}


def watchers() -> list[str]:
    return [task.get_name() for task in asyncio.all_tasks() if task.get_name() == "disconnect watcher"]


async def nothing_left() -> None:
    """Asserts that no watcher is there after one turn of the loop, and that the task itself is not cancelled."""
    await asyncio.sleep(0)
    assert watchers() == []
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_client_that_leaves_cancels_the_block() -> None:
    client = Client()
    ended: list[str] = []

    with pytest.raises(ClientDisconnected):
        async with cancel_on_disconnect(client.receive):
            client.leaves()
            try:
                await anyio.sleep_forever()
            except asyncio.CancelledError:
                ended.append("cancelled")
                raise

    assert ended == ["cancelled"]
    await nothing_left()


async def test_messages_before_the_disconnect_are_passed_over() -> None:
    with pytest.raises(ClientDisconnected):
        async with cancel_on_disconnect(receiving(b"more", b"and more", then_leaves=True)):
            await anyio.sleep_forever()


async def test_block_that_ends_leaves_no_task_behind() -> None:
    client = Client()

    async with cancel_on_disconnect(client.receive):
        await checkpoint()
        assert watchers() == ["disconnect watcher"]

    await nothing_left()
    assert client.asked == 1


async def test_block_that_ends_at_once_leaves_no_task_behind() -> None:
    client = Client()

    async with cancel_on_disconnect(client.receive):
        pass

    client.leaves()
    await nothing_left()
    gc.collect()


async def test_client_that_leaves_after_the_block_cancels_nothing() -> None:
    client = Client()
    async with cancel_on_disconnect(client.receive):
        await checkpoint()

    client.leaves()
    for _ in range(3):
        await checkpoint()

    await nothing_left()


async def test_client_that_leaves_in_the_last_turn_of_the_block_cancels_nothing_after_it() -> None:
    client = Client()
    async with cancel_on_disconnect(client.receive):
        await checkpoint()
        client.leaves()

    await anyio.sleep(0)
    await nothing_left()


async def test_error_of_the_block_passes_through() -> None:
    with pytest.raises(NotFound):
        async with cancel_on_disconnect(Client().receive):
            raise NotFound("x")

    await nothing_left()


async def test_error_while_the_block_is_being_cancelled_passes_through() -> None:
    client = Client()

    with pytest.raises(NotFound):
        async with cancel_on_disconnect(client.receive):
            client.leaves()
            try:
                await anyio.sleep_forever()
            finally:
                raise NotFound("x")

    await nothing_left()


async def test_block_that_ends_in_spite_of_the_cancellation_still_has_no_client() -> None:
    client = Client()

    with pytest.raises(ClientDisconnected):
        async with cancel_on_disconnect(client.receive):
            client.leaves()
            try:
                await anyio.sleep_forever()
            except asyncio.CancelledError:
                pass

    await nothing_left()


async def test_cancellation_by_a_scope_passes_through_as_one() -> None:
    with anyio.CancelScope() as scope:
        async with cancel_on_disconnect(Client().receive):
            scope.cancel()
            await checkpoint()

    assert scope.cancelled_caught
    await nothing_left()


async def cancelled_task(client: Client, act: Callable[[asyncio.Task[None]], None]) -> asyncio.Task[None]:
    """Runs a task that waits in the block, does *act* to it and returns it when it has ended."""
    inside = anyio.Event()

    async def work() -> None:
        async with cancel_on_disconnect(client.receive):
            inside.set()
            await anyio.sleep_forever()

    task = asyncio.create_task(work())
    await inside.wait()
    await asyncio.sleep(0)
    act(task)
    await asyncio.wait([task])
    return task


async def test_cancellation_of_the_task_passes_through_as_one() -> None:
    def cancel(task: asyncio.Task[None]) -> None:
        task.cancel()

    task = await cancelled_task(Client(), cancel)

    assert task.cancelled()
    await nothing_left()


@pytest.mark.parametrize("cancelled_first", [True, False])
async def test_client_that_leaves_as_the_task_is_cancelled_does_not_undo_the_cancellation(
    cancelled_first: bool,
) -> None:
    client = Client()

    def both(task: asyncio.Task[None]) -> None:
        if cancelled_first:
            task.cancel()
            client.leaves()
        else:
            client.leaves()
            asyncio.get_running_loop().call_soon(task.cancel)

    task = await cancelled_task(client, both)

    assert task.cancelled()
    await nothing_left()


def after(turns: int, act: Callable[[], None]) -> None:
    """Does *act* in the loop's next turn but *turns*."""
    asyncio.get_running_loop().call_soon(*((after, turns - 1, act) if turns else (act,)))


@pytest.mark.parametrize("turns", [0, 1, 2])
async def test_client_that_leaves_as_a_scope_is_cancelled_ends_the_block_by_one_of_the_two(turns: int) -> None:
    client = Client()
    told: list[str] = []
    try:
        with anyio.CancelScope() as scope:
            async with cancel_on_disconnect(client.receive):
                await asyncio.sleep(0)
                client.leaves()
                after(turns, scope.cancel)
                await anyio.sleep_forever()
        told.append(f"scope {scope.cancelled_caught}")
    except ClientDisconnected:
        told.append("client")

    assert told in (["scope True"], ["client"])
    await nothing_left()


async def test_client_that_leaves_while_a_deadline_is_set_is_no_timeout() -> None:
    client = Client()

    with pytest.raises(ClientDisconnected):
        async with cancel_on_disconnect(client.receive):
            client.leaves()
            with anyio.fail_after(3600):
                await anyio.sleep_forever()

    await nothing_left()


async def test_deadline_that_passes_while_the_client_stays_is_a_timeout() -> None:
    with pytest.raises(TimeoutError):
        async with cancel_on_disconnect(Client().receive):
            with anyio.fail_after(0):
                await anyio.sleep_forever()

    await nothing_left()


async def test_client_that_leaves_in_a_shielded_stretch_is_noticed_at_its_end() -> None:
    client = Client()
    with anyio.move_on_after(3600):
        with pytest.raises(ClientDisconnected):
            async with cancel_on_disconnect(client.receive), anyio.create_task_group() as group:
                group.start_soon(anyio.sleep_forever)
                client.leaves()
                await anyio.sleep_forever()

    await nothing_left()


async def test_client_that_leaves_is_gone_for_the_application_that_waits() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await read_body(receive)
        async with cancel_on_disconnect(receive):
            await anyio.sleep_forever()

    with pytest.raises(ClientDisconnected):
        await call(app, "POST", body=b"x", disconnect_after=0)


# responses


def app_of(answer: Callable[[Scope, Send], Awaitable[None]]) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(scope, send)

    return app


async def test_bytes_are_sent_with_their_length_and_further_headers() -> None:
    reply = await call(app_of(lambda _, send: send_bytes(send, 404, b"no\n", headers=[(b"x-a", b"1")])))

    assert (reply.status, reply.body, reply.complete) == (404, b"no\n", True)
    assert reply.headers == [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"3"),
        (b"x-a", b"1"),
    ]


async def test_json_is_compact_harmless_in_a_page_and_ends_its_line() -> None:
    reply = await call(app_of(lambda _, send: send_json(send, {"a": ["<é>", 1]}, 201, [(b"x-a", b"1")])))

    assert reply.status == 201
    assert reply.body.decode() == '{"a":["\\u003cé\\u003e",1]}\n'
    assert reply.header("content-type") == "application/json"
    assert reply.header("content-length") == str(len(reply.body))
    assert reply.header("x-a") == "1"


async def test_error_is_sent_in_the_format_the_client_accepts() -> None:
    app = app_of(lambda scope, send: send_error(scope, send, NotFound("gone")))

    as_text = await call(app, headers=[(b"accept", b"text/plain")])
    as_json = await call(app)

    assert (as_text.status, as_text.body, as_text.complete) == (404, b"llama-swap: gone", True)
    assert as_json.header("content-type") == "application/json"


@pytest.mark.parametrize(
    ("headers", "value"),
    [([], b""), ([(b"a", b"1")], b"1"), ([(b"b", b"0"), (b"a", b"1"), (b"a", b"2")], b"1"), ([(b"ab", b"1")], b"")],
)
def test_header_is_the_first_of_its_name(headers: Sequence[tuple[bytes, bytes]], value: bytes) -> None:
    assert header({"headers": headers}, b"a") == value
