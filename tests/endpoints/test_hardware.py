"""`GET /api/hardware`, before, while and after the machine has been looked at."""

from __future__ import annotations

import json
import logging
import os
import select
import threading
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from app.application import create_app
from app.config.active import ActiveConfig
from app.config.loader import load
from app.endpoints.hardware import Hardware
from monitors.inventory import Machine, describe
from monitors.inventory_programs import Programs
from tests.asgi import Reply, call
from tests.monitors.machines import script

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]

MEMBERS = [
    "schema_version",
    "captured_at",
    "capture",
    "architecture",
    "operating_system",
    "environment",
    "cpu",
    "memory",
    "accelerators",
]


def nothing() -> None:
    """Stops what needs no stopping."""


async def ask(endpoint: Callable[..., object]) -> Reply:
    """Asks the endpoint itself."""
    return await call(endpoint, "GET", "/api/hardware")  # type: ignore[arg-type]  # its signature is that of any ASGI app


async def test_machine_is_told_by_the_application(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("models: {}\n")
    app = create_app(ActiveConfig(lambda _ports: load(str(file), environ={})))
    sent: list[object] = []
    to_app, from_us = anyio.create_memory_object_stream[dict[str, str]](2)
    started = anyio.Event()

    async def send(message: object) -> None:
        sent.append(message)
        started.set()

    async with anyio.create_task_group() as group:
        group.start_soon(app, {"type": "lifespan", "asgi": {}}, from_us.receive, send)
        await to_app.send({"type": "lifespan.startup"})
        await started.wait()
        reply = await call(app, "GET", "/api/hardware")
        await to_app.send({"type": "lifespan.shutdown"})
    to_app.close()
    from_us.close()

    assert (reply.status, reply.header("content-type")) == (200, "application/json")
    assert list(json.loads(reply.body)) == MEMBERS
    assert sent[-1] == {"type": "lifespan.shutdown.complete"}


async def test_client_that_asks_early_waits_for_the_look() -> None:
    may_end = threading.Event()

    def look() -> dict[str, object]:
        assert may_end.wait(30)
        return {"schema_version": 1}

    endpoint = Hardware(look, nothing)
    reply = Reply()
    async with endpoint.running(), anyio.create_task_group() as group:

        async def early() -> None:
            await call(endpoint, "GET", "/api/hardware", reply=reply)

        group.start_soon(early)
        await anyio.wait_all_tasks_blocked()
        assert reply.messages == []
        may_end.set()

    assert (reply.status, reply.body) == (200, b'{"schema_version":1}\n')


async def test_machine_is_looked_at_once() -> None:
    looks: list[int] = []

    def look() -> dict[str, object]:
        looks.append(1)
        return {}

    endpoint = Hardware(look, nothing)
    async with endpoint.running():
        await ask(endpoint)
        await ask(endpoint)

    assert looks == [1]


async def test_client_does_not_wait_for_ever() -> None:
    may_end = threading.Event()

    def look() -> dict[str, object]:
        may_end.wait(30)
        return {}

    endpoint = Hardware(look, may_end.set, patience_s=0.05)
    async with endpoint.running():
        reply = await ask(endpoint)

    assert reply.status == 503
    assert b"the hardware is not known" in reply.body


async def test_look_that_fails_is_told_to_the_log_and_to_who_asks(caplog: pytest.LogCaptureFixture) -> None:
    def look() -> dict[str, object]:
        raise ZeroDivisionError("by nothing")

    endpoint = Hardware(look, nothing)
    with caplog.at_level(logging.INFO, "app.endpoints.hardware"):
        async with endpoint.running():
            reply = await ask(endpoint)

    assert reply.status == 503
    assert [record.getMessage() for record in caplog.records] == ["the hardware cannot be told"]


async def test_end_of_the_application_ends_the_tools_that_are_asked(tmp_path: Path) -> None:
    """The fixture that looks for processes left behind is the other judge."""
    started = tmp_path / "started"
    os.mkfifo(started)
    tools = dict.fromkeys(("rocm-smi", "systemd-detect-virt"), "/nonexistent/tool")
    tools["nvidia-smi"] = script(tmp_path, f"echo $$ > {started}; exec sleep 1000")
    programs = Programs(tools, limit_s=60)
    endpoint = Hardware(lambda: describe("1", Machine("linux", root=tmp_path), programs), programs.close)

    async with endpoint.running():
        pid = int(await anyio.to_thread.run_sync(started.read_text))
        handle = os.pidfd_open(pid)
    has_ended: list[int] = (await anyio.to_thread.run_sync(select.select, [handle], [], [], 10))[0]
    os.close(handle)

    assert has_ended
