"""The page from the working tree: `make ui-dev`."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import httpx
import pytest
import uvicorn

from tests.proxy.scripted import Peer, Script, answer, until, upstream
from ui.dev import create_app, main

pytestmark = pytest.mark.anyio


@pytest.fixture
def static(tmp_path: Path) -> Path:
    (tmp_path / "vendor").mkdir()
    (tmp_path / "styles").mkdir()
    (tmp_path / "index.html").write_text('<head><link rel="stylesheet" href="{{assets}}/styles/base.css"></head>')
    (tmp_path / "main.js").write_text("export {};\n")
    (tmp_path / "styles" / "base.css").write_text("p { margin: 0 }\n")
    (tmp_path / "vendor" / "preact.js").write_text("export {};\n")
    return tmp_path


@asynccontextmanager
async def workshop(static: Path, hostler: str = "http://127.0.0.1:1") -> AsyncIterator[httpx.AsyncClient]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        config = uvicorn.Config(
            create_app(hostler, static), log_config=None, access_log=False, timeout_graceful_shutdown=1
        )
        server = uvicorn.Server(config)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.serve, [listening])
            await until(lambda: server.started)
            async with httpx.AsyncClient(
                base_url=f"http://127.0.0.1:{listening.getsockname()[1]}", timeout=10
            ) as client:
                yield client
            server.should_exit = True


def once(what: bytes, seen: list[bytes]) -> Script:
    async def script(peer: Peer) -> None:
        received = await peer.read_request()
        lines = [received.line, *(name + b": " + value for name, value in received.headers), b"", received.body]
        seen.append(b"\r\n".join(lines))
        peer.write(what)

    return script


async def test_page_and_its_assets_are_those_of_the_tree_at_this_moment(static: Path) -> None:
    async with workshop(static) as client:
        page = await client.get("/ui/models/a")
        before = await client.get("/ui/assets/dev/main.js")
        (static / "main.js").write_text("export const changed = true;\n")
        after = await client.get("/ui/assets/dev/main.js")

    assert 'href="/ui/assets/dev/styles/base.css"' in page.text
    assert '<script src="/ui/dev/reload.js" defer></script></head>' in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert (before.text, after.text) == ("export {};\n", "export const changed = true;\n")
    assert {each.headers["cache-control"] for each in (page, before, after)} == {"no-store"}


async def test_missing_file_is_named(static: Path) -> None:
    async with workshop(static) as client:
        reply = await client.get("/ui/assets/dev/views/gone.js")

    assert (reply.status_code, reply.text) == (404, "no such file: ui/static/views/gone.js\n")


async def test_missing_modules_of_others_are_told_of(static: Path) -> None:
    (static / "vendor" / "preact.js").unlink()
    async with workshop(static) as client:
        reply = await client.get("/ui/")

    assert reply.status_code == 503
    assert "make ui" in reply.text


async def test_open_page_is_told_which_files_changed(static: Path) -> None:
    async with workshop(static) as client, client.stream("GET", "/ui/dev/events") as stream:
        lines = stream.aiter_lines()
        assert await anext(lines) == "retry: 300"
        (static / "styles" / "base.css").write_text("p { margin: 1px }\n")
        (static / "main.js").unlink()
        told: list[str] = []
        with anyio.fail_after(10):
            while len(told) < 2:
                line = await anext(lines)
                told += json.loads(line[6:]) if line.startswith("data: ") else []

    assert sorted(told) == ["main.js", "styles/base.css"]


async def test_everything_else_goes_to_hostler_and_back_as_it_is(static: Path) -> None:
    seen: list[bytes] = []
    reply = answer(b"there", b"Content-Type: text/plain", b"X-Own: a", b"Connection: close", status=b"202 Accepted")
    async with upstream(once(reply, seen)) as served, workshop(static, served.url) as client:
        origin = str(client.base_url).rstrip("/")
        got = await client.post("/api/models/load/a%2Fb?x=%20", content=b"body", headers={"origin": origin})

    assert (got.status_code, got.text, got.headers["x-own"]) == (202, "there", "a")
    head = seen[0].lower()
    assert head.startswith(b"post /api/models/load/a%2fb?x=%20 http/1.1\r\n")
    assert head.endswith(b"body")
    assert f"\r\norigin: {served.url}\r\n".encode() in head
    assert f"\r\nhost: {served.url.removeprefix('http://')}\r\n".encode() in head


async def test_origin_of_another_page_stays_what_it_is(static: Path) -> None:
    """So that Hostler refuses it."""
    seen: list[bytes] = []
    async with (
        upstream(once(answer(b"", b"Connection: close"), seen)) as served,
        workshop(static, served.url) as client,
    ):
        await client.post("/unload", headers={"origin": "http://evil.example"})

    assert b"\r\norigin: http://evil.example\r\n" in seen[0].lower()


async def test_stream_comes_as_it_is_made_and_ends_with_the_page(static: Path) -> None:
    gone = anyio.Event()

    async def script(peer: Peer) -> None:
        await peer.read_request()
        peer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        peer.write(b"9\r\ndata: 1\n\n\r\n")
        await peer.gone()
        gone.set()

    async with upstream(script) as served, workshop(static, served.url) as client:
        async with client.stream("GET", "/api/events") as stream:
            first = await anext(stream.aiter_text())
        with anyio.fail_after(10):
            await gone.wait()

    assert first == "data: 1\n\n"


async def test_hostler_that_is_not_there_is_named(static: Path) -> None:
    async with workshop(static) as client:
        reply = await client.get("/api/version")

    assert reply.status_code == 502
    assert "no Hostler answers at http://127.0.0.1:1" in reply.json()["error"]["message"]
    assert "HOSTLER_URL" in reply.json()["error"]["message"]


async def test_url_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("HOSTLER_URL", "localhost:8080")

    assert main([]) == 2
    assert "HOSTLER_URL=localhost:8080: expected a URL" in capsys.readouterr().err
