"""A websocket through the whole program, to a model server that is a process."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest
from websockets.sync.client import connect

from tests.ports import free_port
from tests.program import hostler

pytestmark = pytest.mark.timeout(120)

ECHO = """
import asyncio, sys
from websockets.asyncio.server import serve

async def echo(websocket):
    async for message in websocket:
        await websocket.send(message)

def health(connection, request):
    return connection.respond(200, "ok") if request.path == "/health" else None

async def main():
    async with serve(echo, "127.0.0.1", int(sys.argv[1]), process_request=health) as server:
        await server.serve_forever()

asyncio.run(main())
"""


def echo_server(folder: Path) -> str:
    """Returns the YAML of a model, less its name, whose server echoes what its websockets are sent."""
    script = folder / "echo.py"
    script.write_text(ECHO)
    port = free_port()
    command = shlex.join([sys.executable, str(script), str(port)])
    return f"    cmd: {command}\n    proxy: http://127.0.0.1:{port}\n"


def test_websocket_loads_a_process_and_talks_to_it(tmp_path: Path) -> None:
    with hostler(tmp_path, f"models:\n  a:\n{echo_server(tmp_path)}") as program:
        url = program.url.replace("http", "ws", 1)
        with connect(f"{url}/upstream/a/x?secret=1", proxy=None) as websocket:
            websocket.send("text")
            websocket.send(b"y" * 500_000)

            assert [websocket.recv(), websocket.recv()] == ["text", b"y" * 500_000]
        program.until(lambda: '"GET /upstream/a/x HTTP/1.1" 101' in program.text())

        assert program.end() == 0
        assert "secret" not in program.text()
        assert program.nothing_is_left()
