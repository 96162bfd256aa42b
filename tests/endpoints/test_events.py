from __future__ import annotations

import json
import re
import socket
import struct
import tracemalloc
from collections.abc import Callable

import anyio
import httpx
import pytest

from app.asgi import ClientDisconnected
from app.config.catalog import LogSettings, Profile
from app.endpoints.event_logs import LogFrames, whole
from app.endpoints.event_topics import IN_SNAPSHOT, message
from app.telemetry.logs import LogBook
from app.telemetry.ring import Piece
from tests.asgi import call
from tests.endpoints.watching import ID, PATIENCE_S, A, Reader, World, reading, watched

pytestmark = pytest.mark.anyio

ALL = ["modelStatus", "uiConfig", "profileChanged", "inflight", "queue"]
"""Types of the burst, after the logs."""

STATUS = (
    b'event:message\ndata:{"type":"modelStatus","data":"['
    rb"{\"id\":\"a\",\"name\":\"A \\u0026 co\",\"description\":\"first\",\"state\":\"stopped\",\"unlisted\":false,\"peerID\":\"\","
    rb"\"aliases\":[\"one\",\"uno\"],\"capabilities\":{\"function_calling\":true,\"vision\":true},\"context_length\":4096},"
    rb"{\"id\":\"b\",\"name\":\"\",\"description\":\"\",\"state\":\"stopped\",\"unlisted\":true,\"peerID\":\"\"},"
    rb"{\"id\":\"far/x\",\"name\":\"\",\"description\":\"\",\"state\":\"\",\"unlisted\":false,\"peerID\":\"far\"},"
    rb'{\"id\":\"far/y\",\"name\":\"\",\"description\":\"\",\"state\":\"\",\"unlisted\":false,\"peerID\":\"far\"}]"}'
    b"\n\n"
)


def has(kind: str, count: int = 1) -> Callable[[Reader], bool]:
    return lambda reader: len(reader.of(kind)) >= count


def states(reader: Reader) -> dict[str, str]:
    """Returns the newest state of each model."""
    return {model["id"]: model["state"] for model in reader.of("modelStatus")[-1]}


async def test_newcomer_is_told_how_things_stand_byte_for_byte() -> None:
    world = World()
    world.book.proxy_line("INFO", "ours <&>")
    world.book.model_sink("a")(b"\x1b[1ma's\xff\n")
    async with watched(world) as client, reading(client) as reader:
        await reader.until(has("queue"))

    burst = ID.sub(b"", reader.raw)
    assert burst.startswith(
        rb"event:message"
        b"\n"
        rb'data:{"type":"logData","data":"{\"data\":\"[INFO] ours \\u003c\\u0026\\u003e\\n\",\"source\":\"proxy\"}"}'
        b"\n\nevent:message\n"
        rb'data:{"type":"logData","data":"{\"data\":\"\\u001b[1ma'
        b"'s\xef\xbf\xbd"
        rb'\\n\",\"source\":\"upstream\"}"}'
        b"\n\n" + STATUS + b"event:message\n"
        rb'data:{"type":"uiConfig","data":"{\"activity\":{\"session_id\":[\"X-Session-ID\",\"X-Litellm-Session-Id\"]}}"}'
        b"\n\nevent:message\n"
        rb'data:{"type":"profileChanged","data":"{\"active\":null}"}'
        b"\n\nevent:message\n"
        rb'data:{"type":"inflight","data":"{\"operation\":\"snapshot\"}"}'
        b"\n\n"
    )
    assert [kind for kind, _ in reader.events] == ["logData", "logData", *ALL]


async def test_head_is_the_documented_one() -> None:
    async with watched(World()) as client, reading(client) as reader:
        headers = reader.reply.headers

    assert headers["content-type"] == "text/event-stream"
    assert headers["cache-control"] == "no-cache"
    assert headers["connection"] == "keep-alive"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-accel-buffering"] == "no"


async def test_head_request_does_not_wait() -> None:
    async with watched(World()) as client:
        reply = await client.head("/api/events")

    assert (reply.status_code, reply.headers["content-type"], reply.content) == (200, "text/event-stream", b"")


async def test_types_are_chosen_in_the_query() -> None:
    world = World()
    world.book.proxy_line("INFO", "not wanted")
    async with watched(world) as client, reading(client, "?types=profileChanged,%20reload&types=uiConfig") as reader:
        await reader.until(has("profileChanged"))
        world.bus.changed("modelStatus")
        world.bus.publish("reload", {"ok": True})
        await reader.until(has("reload"))

    assert [kind for kind, _ in reader.events] == ["uiConfig", "profileChanged", "reload"]
    assert b"id:" not in reader.raw


async def test_unknown_type_is_refused_with_those_there_are() -> None:
    async with watched(World()) as client:
        reply = await client.get("/api/events?types=modelStatus,models")

    assert reply.status_code == 400
    assert reply.json()["error"]["message"] == (
        "unknown type of event 'models' in ?types=; there are logData, modelStatus, uiConfig, profileChanged, inflight, "
        "queue, activity, reload, performance"
    )


async def test_head_arrives_even_if_there_is_nothing_to_tell() -> None:
    async with watched(World()) as client, reading(client, "?types=reload") as reader:
        assert reader.raw == b""


async def test_a_model_is_seen_to_load_and_to_go() -> None:
    world = World()
    behaviour = world.launcher.model("a", ready=False)
    async with watched(world) as client, reading(client, "?types=modelStatus") as reader:
        await reader.until(has("modelStatus"))
        seen = [states(reader)["a"]]
        async with anyio.create_task_group() as group:

            async def load() -> None:
                async with world.supervisor.lease(A):
                    pass

            group.start_soon(load)
            await reader.until(lambda reader: states(reader)["a"] == "starting")
            behaviour.ready.set()
            await reader.until(lambda reader: states(reader)["a"] == "ready")
        await world.supervisor.unload(None)
        await reader.until(lambda reader: states(reader)["a"] == "stopped")
        seen += [model["state"] for data in reader.of("modelStatus") for model in data if model["id"] == "a"]

    assert list(dict.fromkeys(seen)) in (
        ["stopped", "starting", "ready"],
        ["stopped", "starting", "ready", "stopping"],
    )


async def test_who_waits_is_told_while_anybody_does() -> None:
    world = World()
    world.launcher.model("a", ready=False)
    async with watched(world) as client, reading(client, "?types=queue") as reader:
        async with anyio.create_task_group() as group:

            async def wait() -> None:
                async with world.supervisor.lease(A):
                    pass

            group.start_soon(wait)
            await reader.until(lambda reader: reader.of("queue") and reader.of("queue")[-1]["length"] == 1)
            group.cancel_scope.cancel()
        waiting = reader.of("queue")[-1]["queue"][0]
        await reader.until(lambda reader: reader.of("queue")[-1]["length"] == 0)

    assert (waiting["model"], waiting["position"]) == ("a", 1)


async def test_profile_is_told_by_its_name() -> None:
    world = World()
    async with watched(world) as client, reading(client, "?types=profileChanged") as reader:
        await reader.until(has("profileChanged"))
        world.profile.current = Profile("night", "", {})
        world.bus.changed("profileChanged")
        await reader.until(has("profileChanged", 2))

    assert reader.of("profileChanged") == [{"active": None}, {"active": "night"}]


async def test_activity_and_reloads_are_told_each() -> None:
    world = World()
    async with watched(world) as client, reading(client, "?types=activity,reload") as reader:
        await anyio.wait_all_tasks_blocked()
        world.bus.publish("activity", 7)
        world.bus.publish("reload", {"ok": False, "message": "line 3: no"})
        world.bus.publish("activity", 8)
        await reader.until(has("activity", 2))

    assert reader.events == [
        ("activity", {"id": 7}),
        ("reload", {"ok": False, "message": "line 3: no"}),
        ("activity", {"id": 8}),
    ]


async def test_request_is_seen_to_come_to_grow_and_to_go() -> None:
    world = World()
    async with watched(world) as client, reading(client, "?types=inflight") as reader:
        await reader.until(has("inflight"))
        async with client.stream("GET", "/stream/1000000", headers={"authorization": "Bearer secret"}):
            await reader.until(
                lambda reader: any(data.get("request", {}).get("resp_bytes") for data in reader.of("inflight"))
            )
        await reader.until(lambda reader: reader.of("inflight")[-1]["operation"] == "remove")

    snapshot, *upserts, remove = reader.of("inflight")
    assert (snapshot, remove) == ({"operation": "snapshot"}, {"operation": "remove", "id": "1"})
    assert {data["operation"] for data in upserts} == {"upsert"}
    request = upserts[-1]["request"]
    assert list(request) == [
        "id", "timestamp", "model", "req_path", "method", "req_headers", "remote_ip", "resp_headers", "resp_bytes", "elapsed_ms",
    ]  # fmt: skip
    assert (request["id"], request["req_path"], request["remote_ip"]) == ("1", "/stream/1000000", "127.0.0.1")
    assert "secret" not in reader.raw.decode()


async def test_request_under_way_is_in_the_snapshot() -> None:
    world = World()
    async with (
        watched(world) as client,
        client.stream("GET", "/stream/100000000"),
        reading(client, "?types=inflight") as reader,
    ):
        await reader.until(has("inflight"))

    assert [request["req_path"] for request in reader.of("inflight")[0]["requests"]] == ["/stream/100000000"]


async def test_of_very_many_requests_the_later_ones_are_told_one_by_one() -> None:
    world = World()
    async with watched(world) as client:
        task = anyio.get_current_task()
        for _ in range(IN_SNAPSHOT + 50):
            world.inflight.enter({"path": "/x", "headers": []}, task)  # type: ignore[arg-type]  # only kept
        async with reading(client, "?types=inflight") as reader:
            await reader.until(has("inflight", 51))

    snapshot, *others = reader.of("inflight")
    assert [request["id"] for request in snapshot["requests"]] == [str(n) for n in range(1, IN_SNAPSHOT + 1)]
    assert [data["request"]["id"] for data in others] == [str(n) for n in range(IN_SNAPSHOT + 1, IN_SNAPSHOT + 51)]


async def test_logs_go_on_where_their_history_ends() -> None:
    world = World()
    world.book.proxy_line("INFO", "before")
    async with watched(world) as client, reading(client, "?types=logData") as reader:
        await reader.until(lambda reader: "before" in reader.text)
        for number in range(100):
            world.book.proxy_line("INFO", f"line {number}")
            if number % 10 == 0:
                await anyio.lowlevel.checkpoint()
        await reader.until(lambda reader: "line 99\n" in reader.text)

    assert reader.text == "[INFO] before\n" + "".join(f"[INFO] line {number}\n" for number in range(100))


async def test_characters_are_not_torn() -> None:
    world = World()
    text = "naïve € 𝄞 " * 50
    data = text.encode()
    async with watched(world) as client, reading(client, "?types=logData") as reader:
        sink = world.book.model_sink("a")
        for start in range(0, len(data), 3):
            sink(data[start : start + 3])
            if start % 30 == 0:
                await anyio.sleep(0)
        await reader.until(lambda reader: sum(len(event["data"]) for event in reader.of("logData")) >= len(text))

    assert "".join(event["data"] for event in reader.of("logData")) == text


async def test_client_that_comes_back_gets_the_logs_from_where_it_was() -> None:
    world = World()
    world.book.proxy_line("INFO", "seen")
    async with watched(world) as client:
        async with reading(client) as first:
            await first.until(has("queue"))
        world.book.proxy_line("INFO", "missed")
        async with reading(client, **{"Last-Event-ID": first.last_id}) as second:
            await second.until(lambda reader: "missed" in reader.text and reader.of("queue"))
        async with reading(client, **{"Last-Event-ID": "00000000-0-0"}) as of_another_run:
            await of_another_run.until(has("queue"))

    assert second.text == "[INFO] missed\n"
    assert [kind for kind, _ in second.events if kind != "logData"] == ALL
    assert of_another_run.text == "[INFO] seen\n[INFO] missed\n"


async def test_id_of_the_future_is_no_harm() -> None:
    async with LogBook(LogSettings()) as book:
        book.proxy_line("INFO", "x")
        frames = LogFrames(book, run="0123abcd")

        assert frames.places(b"0123abcd-999999-999999") == {"proxy": 0, "upstream": 0}


async def test_silence_is_broken_by_a_comment_that_no_parser_takes_for_an_event() -> None:
    """With an empty line after it, parsers like this one, once they have an id, would make an event without data of it."""
    world = World(heartbeat_s=0.01)
    world.book.proxy_line("INFO", "an id")
    async with watched(world) as client, reading(client, "?types=logData,reload") as reader:
        await reader.until(lambda reader: reader.raw.endswith(b"\n\n:\n:\n"))
        world.bus.publish("reload", {"ok": True})
        await reader.until(has("reload"))

    assert [kind for kind, _ in reader.events] == ["logData", "reload"]


async def test_stream_ends_in_order_when_the_program_does() -> None:
    world = World()
    async with watched(world) as client, reading(client) as reader:
        await reader.until(has("queue"))
        world.bus.close()
        await reader.to_the_end()

        # A stream cut short would have raised.
        assert world.bus.subscribers == 0


async def test_who_comes_when_the_program_ends_is_told_how_things_stand() -> None:
    world = World()
    async with watched(world) as client:
        world.bus.close()
        async with reading(client) as reader:
            await reader.to_the_end()

    assert [kind for kind, _ in reader.events] == ALL


async def test_client_that_leaves_is_forgotten() -> None:
    world = World()
    async with watched(world) as client:
        async with reading(client) as reader:
            await reader.until(has("queue"))
            assert world.bus.subscribers == 1
        with anyio.fail_after(PATIENCE_S):
            while world.bus.subscribers:
                await anyio.sleep(0.001)


@pytest.mark.slow
async def test_two_hundred_clients_get_everything_and_share_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def counted(kind: str, document: object) -> bytes:
        made.append(kind)
        return message(kind, document)

    world = World()
    lines = [f"line {number} {'x' * 90}" for number in range(500)]
    ready = anyio.Semaphore(0)
    texts: set[str] = set()
    ids: set[tuple[int, ...]] = set()

    async def follow(client: httpx.AsyncClient) -> None:
        async with reading(client, "?types=logData,activity,modelStatus") as reader:
            await reader.until(has("modelStatus"))
            ready.release()
            await reader.until(lambda reader: b'"id\\":500}' in reader.raw and b"line 499 " in reader.raw)
            texts.add(reader.text)
            ids.add(tuple(data["id"] for data in reader.of("activity")))

    async with watched(world) as client, anyio.create_task_group() as group:
        for _ in range(200):
            group.start_soon(follow, client)
        for _ in range(200):
            await ready.acquire()
        monkeypatch.setattr("app.endpoints.events.message", counted)
        monkeypatch.setattr("app.endpoints.event_logs.message", counted)
        for number, line in enumerate(lines):
            world.book.proxy_line("INFO", line)
            world.bus.publish("activity", number + 1)
            if number % 50 == 0:
                await anyio.lowlevel.checkpoint()

    assert texts == {"".join(f"[INFO] {line}\n" for line in lines)}
    assert ids == {tuple(range(1, 501))}
    assert made.count("activity") == 500
    # One would do, were they all woken in the same turn of the loop.
    assert made.count("logData") < 50


def stalled(world: World) -> socket.socket:
    """Connects a client that asks, with the smallest of buffers, and reads nothing."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    host, _, port = world.url.removeprefix("http://").partition(":")
    client.connect((host, int(port)))
    client.sendall(b"GET /api/events HTTP/1.1\r\nHost: x\r\n\r\n")
    return client


async def until_subscribed(world: World, count: int) -> None:
    with anyio.fail_after(PATIENCE_S):
        while world.bus.subscribers != count:
            await anyio.sleep(0.001)


@pytest.mark.slow
async def test_client_that_does_not_read_costs_no_memory_and_nobody_else_anything() -> None:
    """What is counted: every event reaches the other one, every chunk its client, while nothing of the first is taken."""
    world = World()
    async with watched(world) as client:
        lazy = stalled(world)
        try:
            await until_subscribed(world, 1)
            async with reading(client, "?types=activity,logData") as reader:
                await until_subscribed(world, 2)
                sink = world.book.model_sink("a")
                tracemalloc.start()
                try:
                    for number in range(50):
                        for _ in range(50):
                            world.bus.publish("activity", number)
                        for _ in range(8):
                            sink(b"y" * 65_535 + b"\n")
                        world.bus.changed("modelStatus")
                        await reader.until(
                            lambda reader, number=number: b'{\\"id\\":%d}' % number in reader.raw[-4096:]  # type: ignore[misc]
                        )
                        reader.raw = b""
                    stream = await client.get("/stream/500")
                    _, peak = tracemalloc.get_traced_memory()
                finally:
                    tracemalloc.stop()
            assert len(stream.content) == 50_000
            assert peak < 8 << 20
            assert world.bus.subscribers >= 1
        finally:
            lazy.close()


async def test_client_that_wakes_up_is_told_that_it_has_missed_something_and_how_things_stand() -> None:
    world = World()
    world.book.model_sink("a")(b"h" * 100_000)
    async with watched(world) as client, reading(client) as reader:
        await until_subscribed(world, 1)
        for number in range(3000):
            world.bus.publish("activity", number)
            world.bus.publish("inflight", number, key=number)
            world.bus.changed("modelStatus")
        world.bus.publish("reload", {"ok": True})
        await reader.until(has("reload"))

    after = reader.events[[kind for kind, _ in reader.events].index("resync") :]
    assert after[0] == ("resync", {"missed": 2 * (3000 - 1024), "types": ["activity", "inflight"]})
    assert after[1] == ("inflight", {"operation": "snapshot"})
    assert [data["id"] for kind, data in after if kind == "activity"] == [*range(3000 - 1024, 3000)]
    assert len(reader.of("modelStatus")) == 2


async def test_slow_reader_of_logs_is_told_how_much_is_missing() -> None:
    world = World()
    marker = re.compile(r"\n— (\d+) bytes dropped —\n")
    block = b"x" * 65_535 + b"\n"
    async with watched(world) as client, reading(client, "?types=logData") as reader:
        await until_subscribed(world, 1)
        sink = world.book.model_sink("a")
        for _ in range(100):
            sink(block)
        sink(b"the end\n")
        await reader.until(lambda reader: b"the end" in reader.raw)

    text = "".join(data["data"] for data in reader.of("logData"))
    missing = [int(number) for number in marker.findall(text)]
    assert missing
    assert len(marker.sub("", text)) + sum(missing) == 100 * len(block) + len("the end\n")


async def test_client_that_takes_nothing_for_long_is_cut_off() -> None:
    world = World(stalled_s=0.05)
    async with watched(world):
        lazy = stalled(world)
        try:
            await until_subscribed(world, 1)
            with anyio.fail_after(PATIENCE_S):
                while world.bus.subscribers:
                    world.bus.publish("reload", "x" * 100_000)
                    await anyio.sleep(0.01)
        finally:
            lazy.close()


async def test_client_that_takes_nothing_does_not_hold_up_the_end() -> None:
    world = World()
    async with watched(world):
        lazy = stalled(world)
        try:
            await until_subscribed(world, 1)
            for _ in range(200):
                world.bus.publish("reload", "x" * 100_000)
            await anyio.sleep(0.1)
            world.bus.close()
            await until_subscribed(world, 0)
        finally:
            lazy.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            lazy.close()


async def test_under_another_server_a_stalled_client_is_given_up_as_well() -> None:
    world = World(stalled_s=0.01)
    sent = 0

    async def on_send(_message: object) -> None:
        nonlocal sent
        sent += 1
        if sent == 4:
            await anyio.sleep_forever()

    async with watched(world):
        with pytest.raises(ClientDisconnected), anyio.fail_after(PATIENCE_S):
            await call(world.stream, path="/api/events", on_send=on_send)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", b""),
        (b"abc", b"abc"),
        ("€".encode(), "€".encode()),
        ("€".encode()[:2], b""),
        (b"a" + "€".encode()[:1], b"a"),
        (b"a" + "𝄞".encode()[:3], b"a"),
        (b"a" + "é".encode()[:1], b"a"),
        (b"\x80\x80\x80\x80", b"\x80\x80\x80\x80"),
        (b"\xe2\x82\xac\x82", b"\xe2\x82\xac\x82"),
        (b"a\x80", b"a\x80"),
    ],
)
def test_whole_leaves_the_beginning_of_a_character_for_later(data: bytes, expected: bytes) -> None:
    assert whole(Piece(data, len(data), 0)) == expected


def test_message_can_hold_anything() -> None:
    document = {"a": "\x00\u2028\ud800\n\r", "b": None}

    assert b"\r" not in message("x", document)
    assert json.loads(json.loads(message("x", document).split(b"data:")[1])["data"])["a"] == document["a"]
