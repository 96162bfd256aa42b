"""Websockets through `/upstream`: every test has a real client, our real server and a real model server."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from typing import Any

import anyio
import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus

from app.asgi import MESSAGE_LIMIT
from app.config.catalog import Catalog, Peer, PeerModel
from app.proxy import websocket as tunnel
from planners.groups import Group
from planners.protocol import ModelId
from tests.endpoints.sockets import PATIENCE_S, Host, SocketLauncher, closed, hosting, until
from tests.fakes import catalog, model
from tests.ports import free_port

pytestmark = pytest.mark.anyio


def one(**changes: Any) -> Catalog:
    return catalog(model("a", check_endpoint=None, **changes))


async def refusal(host: Host, path: str, **options: Any) -> tuple[int, str]:
    with pytest.raises(InvalidStatus) as caught:
        await host.open(path, **options)
    return caught.value.response.status_code, bytes(caught.value.response.body).decode()


async def body_of_404(host: Host) -> str:
    return (await refusal(host, "/nowhere"))[1]


def message(body: str) -> str:
    told: str = json.loads(body)["error"]["message"]
    return told


@pytest.mark.parametrize("sent", ["größe ☃", "", b"\x00\xff", b""])
async def test_message_comes_back_as_it_was(sent: str | bytes) -> None:
    async with hosting(one()) as host, host.open("/upstream/a/echo") as client:
        await client.send(sent)

        assert await client.recv() == sent


async def test_fragmented_message_is_one_message() -> None:
    async with hosting(one()) as host, host.open("/upstream/a/echo") as client:
        await client.send(["some ", "text", ""])

        assert await client.recv() == "some text"


async def test_messages_keep_their_order_and_kind() -> None:
    sent = [str(number) if number % 2 else bytes([number]) for number in range(200)]
    async with hosting(one()) as host, host.open("/upstream/a/echo") as client:
        for each in sent:
            await client.send(each)

        assert [await client.recv() for _ in sent] == sent


async def test_longest_message_passes_both_ways() -> None:
    sent = b"x" * MESSAGE_LIMIT
    async with hosting(one()) as host, host.open("/upstream/a/echo") as client:
        await client.send(sent)

        assert await client.recv() == sent


async def test_longer_message_of_a_client_is_refused_and_both_sides_learn_why() -> None:
    launcher = SocketLauncher()
    async with hosting(one(), launcher) as host, host.open("/upstream/a/echo") as client:
        with suppress(ConnectionClosed):
            # Refused by its length, perhaps before all of it is sent.
            await client.send(b"x" * (MESSAGE_LIMIT + 1))

        assert (await closed(client))[0] == 1009
        await until(lambda: bool(launcher.model("a").closed))
        assert launcher.model("a").closed[0][0] == 1009


async def test_longer_message_of_a_model_is_refused_and_both_sides_learn_why() -> None:
    launcher = SocketLauncher()
    async with hosting(one(), launcher) as host:
        async with host.open(f"/upstream/a/large?size={MESSAGE_LIMIT + 1}") as client:
            assert (await closed(client))[0] == 1009
        await until(lambda: bool(launcher.model("a").closed))

    assert launcher.model("a").closed[0][0] == 1009


async def test_handshake_goes_on_without_what_is_ours() -> None:
    headers = {
        "Authorization": "Bearer secret",
        "X-Api-Key": "secret",
        "Cookie": "a=b",
        "X-Custom": "größe",
        "Keep-Alive": "1",
        "Proxy-Authorization": "secret",
    }
    async with (
        hosting(one()) as host,
        host.open(
            "/upstream/a/told?q=%41&r",
            additional_headers=headers,
            origin="http://page",
            user_agent_header="agent/1",
            compression="deflate",
        ) as client,
    ):
        told = json.loads(await client.recv())
        names = [name for name, _ in told["headers"]]
        values = dict(told["headers"])

        assert told["path"] == "/told?q=%41&r"
        assert len(names) == len(set(names))
        assert values["host"] == f"127.0.0.1:{host.port}"
        assert (values["origin"], values["user-agent"], values["cookie"]) == ("http://page", "agent/1", "a=b")
        assert values["x-custom"] == "größe"
        assert values["x-forwarded-for"] == "127.0.0.1"
        assert not {"authorization", "x-api-key", "proxy-authorization", "keep-alive"} & set(names)
        assert "sec-websocket-extensions" not in names


async def test_base_path_and_encoding_are_kept() -> None:
    port = free_port()
    entry = model("org/a", port, check_endpoint=None, base_url=f"http://127.0.0.1:{port}/base?k=v")
    async with hosting(catalog(entry)) as host, host.open("/upstream/org%2Fa/told?x=1") as client:
        assert json.loads(await client.recv())["path"] == "/base/told?k=v&x=1"


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [(["first", "second"], "second"), (["third", "second"], "third"), (["first"], None), (None, None)],
)
async def test_subprotocol_is_the_models_choice(offered: list[str] | None, chosen: str | None) -> None:
    async with hosting(one()) as host, host.open("/upstream/a/echo", subprotocols=offered) as client:
        assert client.subprotocol == chosen


async def test_cookies_of_the_acceptance_reach_the_client() -> None:
    async with hosting(one()) as host, host.open("/upstream/a/cookie") as client:
        assert client.response is not None
        assert client.response.headers.get_all("set-cookie") == ["a=1", "b=2"]
        assert len(client.response.headers.get_all("sec-websocket-accept")) == 1


async def test_refusal_of_the_model_is_the_clients_to_read() -> None:
    async with hosting(one()) as host:
        with pytest.raises(InvalidStatus) as caught:
            await host.open("/upstream/a/refused")
        response = caught.value.response

        assert (response.status_code, response.body, response.headers["x-why"]) == (401, b"not you", "because")
        assert host.leases("a") == 0


async def test_redirect_of_the_model_is_the_clients_to_follow() -> None:
    """The model has an `/echo`, we have none: this client follows, and asks us."""
    async with hosting(one()) as host:
        assert await refusal(host, "/upstream/a/moved") == (404, await body_of_404(host))


async def test_refused_websocket_is_no_error_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async with hosting(one()) as host:
        await refusal(host, "/upstream/x/echo")

    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []


@pytest.mark.parametrize(
    ("code", "reason"),
    [(1000, ""), (1001, "bye"), (1003, "no"), (1008, "ä"), (1011, "oops"), (3000, "x" * 123), (4999, "mine")],
)
async def test_close_of_the_model_reaches_the_client(code: int, reason: str) -> None:
    async with hosting(one()) as host, host.open(f"/upstream/a/close?code={code}&reason={reason}") as client:
        assert await closed(client) == (code, reason)


@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (1001, "bye"), (3000, "x" * 123), (4999, "ä")])
async def test_close_of_the_client_reaches_the_model(code: int, reason: str) -> None:
    launcher = SocketLauncher()
    async with hosting(one(), launcher) as host:
        client = await host.open("/upstream/a/echo")
        await client.close(code, reason)
        await until(lambda: bool(launcher.model("a").closed))

        assert launcher.model("a").closed == [(code, reason)]


async def test_last_messages_before_a_close_arrive() -> None:
    async with hosting(one()) as host, host.open("/upstream/a/last-words") as client:
        assert [await client.recv(), await client.recv()] == ["one", "two"]
        assert await closed(client) == (4001, "done")


async def test_model_that_vanishes_closes_the_client_with_a_reason() -> None:
    async with hosting(one()) as host, host.open("/upstream/a/vanish") as client:
        assert await closed(client) == (1011, "the model's server has gone")
        await until(lambda: host.leases("a") == 0)


async def test_client_that_vanishes_is_gone_for_the_model() -> None:
    launcher = SocketLauncher()
    async with hosting(one(), launcher) as host:
        client = await host.open("/upstream/a/echo")
        client.transport.abort()
        await until(lambda: bool(launcher.model("a").closed))

        assert launcher.model("a").closed == [(1001, "")]
        await until(lambda: host.leases("a") == 0)


async def test_hundred_at_once_are_kept_apart() -> None:
    async def talk(number: int) -> None:
        async with host.open("/upstream/a/echo") as client:
            await client.send(f"hello {number}")
            answers[number] = await client.recv()
            if len(answers) == 100:
                all_here.set()
            await all_here.wait()

    answers: dict[int, str | bytes] = {}
    all_here = anyio.Event()
    async with hosting(one(concurrency_limit=100)) as host:
        with anyio.fail_after(PATIENCE_S):
            async with anyio.create_task_group() as group:
                for number in range(100):
                    group.start_soon(talk, number)
        await until(lambda: host.leases("a") == 0)

    assert answers == {number: f"hello {number}" for number in range(100)}


@pytest.mark.slow
async def test_slow_client_slows_the_model_down() -> None:
    launcher = SocketLauncher()
    async with hosting(one(), launcher) as host:
        client = await host.open("/upstream/a/flood", max_queue=1)
        served = launcher.model("a")
        before = -1
        while served.sent > before or served.sent == 0:
            before = served.sent
            # Turns of the loop in which nothing else happens: when nothing moved in them, everything is full.
            await anyio.sleep(0.2)

        assert served.sent * 65536 < 32 << 20
        for _ in range(before + 100):
            await client.recv()
        client.transport.abort()
        await until(lambda: host.leases("a") == 0)


@pytest.mark.slow
async def test_slow_model_slows_the_client_down_and_a_lost_client_is_noticed_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tunnel, "CLOSE_S", 0.1)
    launcher = SocketLauncher()
    async with hosting(one(), launcher, ping_interval_s=0.1) as host:
        client = await host.open("/upstream/a/stuck")
        sent = 0
        with anyio.move_on_after(1):
            while True:
                await client.send(b"x" * 65536)
                sent += 1

        assert 0 < sent * 65536 < 32 << 20
        client.transport.abort()
        await until(lambda: host.leases("a") == 0)
        launcher.model("a").may_read.set()


async def test_stuck_websocket_goes_on_where_it_was_stuck() -> None:
    launcher = SocketLauncher()
    async with hosting(one(), launcher) as host, host.open("/upstream/a/stuck", max_queue=None) as client:

        async def send() -> None:
            for number in range(200):
                await client.send(number.to_bytes(4, "big") * 16384)

        async with anyio.create_task_group() as group:
            group.start_soon(send)
            await anyio.wait_all_tasks_blocked()
            launcher.model("a").may_read.set()
            received = [await client.recv() for _ in range(200)]

        assert received == [number.to_bytes(4, "big") * 16384 for number in range(200)]


async def test_ping_of_a_client_is_answered() -> None:
    async with hosting(one()) as host, host.open("/upstream/a/echo") as client:
        with anyio.fail_after(PATIENCE_S):
            await (await client.ping())


# The model behind it


async def test_websocket_loads_its_model_and_holds_it() -> None:
    async with hosting(one()) as host:
        async with host.open("/upstream/a/echo") as client:
            await client.send("x")
            await client.recv()

            assert host.leases("a") == 1
            assert host.admitted.counts() == {"a": 1}
        await until(lambda: host.leases("a") == 0)

        assert host.admitted.counts() == {}
        assert host.launcher.story == ["start a"]


async def test_swap_waits_for_an_open_websocket() -> None:
    two = catalog(model("a", check_endpoint=None), model("b", check_endpoint=None), patience_s=0)

    async def ask_b() -> None:
        async with host.open("/upstream/b/echo") as other:
            await other.send("b")
            b_answers.append(await other.recv())

    b_answers: list[str | bytes] = []
    async with hosting(two) as host:
        client = await host.open("/upstream/a/echo")
        async with anyio.create_task_group() as group:
            group.start_soon(ask_b)
            await until(lambda: host.supervisor.view().waiting > 0)
            await client.send("still here")

            assert await client.recv() == "still here"
            assert host.launcher.story == ["start a"]
            await client.close()

        assert b_answers == ["b"]
        assert host.launcher.story == ["start a", "gone a", "start b"]


async def test_unload_cuts_an_open_websocket() -> None:
    async with hosting(one()) as host, host.open("/upstream/a/echo") as client:
        await host.supervisor.unload(None)

        assert await closed(client) == (1001, "the model is being stopped")
        assert host.launcher.story == ["start a", "gone a"]


async def test_client_that_leaves_while_the_model_loads_leaves_the_queue() -> None:
    launcher = SocketLauncher()
    launcher.model("a").may_start = anyio.Event()
    async with hosting(one(), launcher) as host:
        async with anyio.create_task_group() as group:
            group.start_soon(host.open("/upstream/a/echo").connect)
            await launcher.model("a").started.wait()
            assert host.supervisor.view().waiting == 1
            group.cancel_scope.cancel()
        await until(lambda: not host.supervisor.view().waiting)

        assert host.admitted.counts() == {}
        launcher.model("a").may_start.set()


@pytest.mark.parametrize(
    ("path", "status", "told"),
    [
        ("/upstream/x/echo", 404, "model not found"),
        ("/nowhere", 404, "404 page not found"),
        ("/upstream/full/echo", 429, "Too many requests"),
        ("/upstream/gone/echo", 500, "premature"),
        ("/upstream/ignored/echo", 409, "model ignored is not loaded; ignored websocket requests cannot start it"),
    ],
)
async def test_failure_before_the_handshake_has_its_status(path: str, status: int, told: str) -> None:
    models = catalog(
        model("full", concurrency_limit=0),
        model("gone", check_endpoint="/x", health_check_timeout_s=0.1),
        model("ignored", ignore_websockets=True),
    )
    async with hosting(models) as host:
        found, body = await refusal(host, path)

        assert found == status
        assert told in message(body) or status == 500


async def test_model_without_websockets_is_a_bad_gateway() -> None:
    async with hosting(one()) as host:
        await host.load("a")
        server = host.launcher.model("a").server
        assert server is not None
        server.close(close_connections=False)
        await until(lambda: not server.is_serving())
        status, body = await refusal(host, "/upstream/a/echo")

        assert status == 502
        assert "no connection to the model's server" in message(body)


async def test_model_without_a_path_is_redirected() -> None:
    async with hosting(one()) as host, host.open("/upstream/a?x=1") as client:
        # The client follows the redirect to the model's root, which echoes.
        await client.send("root")

        assert await client.recv() == "root"


async def test_ignored_websocket_is_tunnelled_without_holding_the_model() -> None:
    async with hosting(one(ignore_websockets=True, concurrency_limit=0)) as host:
        await host.load("a")
        async with host.open("/upstream/a/echo") as client:
            await client.send("x")

            assert await client.recv() == "x"
            assert host.leases("a") == 0
            assert host.admitted.counts() == {}


async def test_ignored_websocket_is_dropped_when_its_model_is_swapped_away() -> None:
    two = catalog(model("a", check_endpoint=None, ignore_websockets=True), model("b", check_endpoint=None))
    async with hosting(two) as host:
        await host.load("a")
        async with host.open("/upstream/a/echo") as client:
            await host.load("b")

            assert (await closed(client))[0] == 1001


async def test_websocket_of_a_peer_is_asked_with_its_key_and_name() -> None:
    port = free_port()
    peer = Peer("p", f"http://127.0.0.1:{port}/base", ("a",), api_key="theirs")
    here = replace(catalog(), peers={"p": peer}, peer_models={"p/a": PeerModel(peer, "a")})
    launcher = SocketLauncher()
    spec = model("a", port).spec.launch
    async with (
        launcher.launch(spec, lambda _: None),
        hosting(here) as host,
        host.open("/upstream/p/a/told", additional_headers={"Authorization": "Bearer mine"}) as client,
    ):
        told = json.loads(await client.recv())
        values = dict(told["headers"])

        assert told["path"] == "/base/told"
        assert values["host"] == f"127.0.0.1:{port}"
        assert values["authorization"] == "Bearer theirs"


async def test_shutdown_of_the_server_ends_open_websockets() -> None:
    clients: list[ClientConnection] = []
    async with hosting(one()) as host:
        clients.append(await host.open("/upstream/a/echo"))

    assert (await closed(clients[0]))[0] == 1012


async def test_ready_upstream_is_reached_without_a_claim() -> None:
    groups = (Group("g", (ModelId("a"),)),)
    async with hosting(catalog(model("a", check_endpoint=None), groups=groups)) as host:
        assert host.supervisor.running(ModelId("a")) is None

        await host.load("a")
        running = host.supervisor.running(ModelId("a"))

        assert running is not None
        assert running.model == "a"
        await host.supervisor.unload(None)
        assert host.supervisor.running(ModelId("a")) is None
