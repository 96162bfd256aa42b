"""`/api/residency` and `/api/models/{model}`, with a supervisor that starts real servers of the fake launcher."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import anyio
import pytest
from starlette.routing import Router

from app.config.catalog import Capabilities, Catalog, Peer
from app.endpoints import details, residency as endpoint
from app.errors import RequestError
from app.supervisor.supervisor import Supervisor
from app.telemetry.residency import Residency
from planners.groups import Group
from planners.protocol import ModelId
from tests import fakes
from tests.asgi import call
from tests.fakes import FakeLauncher, Logs

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(30)]

A, B = ModelId("a"), ModelId("b")


@dataclass
class Seen:
    """What the endpoints look at."""

    supervisor: Supervisor
    router: Router

    async def residency(self, query: bytes = b"") -> dict[str, Any]:
        reply = await call(self.router, path="/api/residency", query=query)
        assert reply.status == 200
        found: dict[str, Any] = json.loads(reply.body)
        return found

    async def model(self, name: str) -> dict[str, Any]:
        reply = await call(self.router, path=f"/api/models/{name}")
        assert reply.status == 200
        found: dict[str, Any] = json.loads(reply.body)
        return found


@asynccontextmanager
async def serving(
    catalog: Catalog, launcher: FakeLauncher | None = None, roots: Mapping[str, int] | None = None
) -> AsyncIterator[Seen]:
    residency = Residency()
    supervisor = Supervisor(catalog, launcher or FakeLauncher(), Logs(), on_announce=residency.announced)
    memory = {"at": "now", "ram_mb": 7, "gpus": []}
    sources = details.Sources(
        lambda: catalog,
        supervisor,
        residency,
        lambda: roots or {},
        lambda name, pid: memory if (name, pid) == ("a", 4711) else None,
    )
    async with anyio.create_task_group() as group:
        await group.start(supervisor.run)
        yield Seen(supervisor, Router([*endpoint.routes(residency), *details.routes(sources)]))
        await supervisor.shut_down(10.0)
        group.cancel_scope.cancel()


def pair() -> Catalog:
    return fakes.catalog(fakes.model("a"), fakes.model("b"), groups=(Group("g", (A, B)),))


async def test_swap_is_seen_with_who_went_for_whom_and_why() -> None:
    async with serving(pair()) as seen:
        async with seen.supervisor.lease(A):
            pass
        async with seen.supervisor.lease(B):
            found = await seen.residency()

    changes = found["changes"]
    assert [(each["model"], each["state"]) for each in changes] == [
        ("a", "starting"), ("a", "ready"), ("a", "stopping"), ("a", "stopped"), ("b", "starting"), ("b", "ready"),
    ]  # fmt: skip
    assert (changes[2]["room_for"], changes[2]["why"]) == ("b", "makes room for b: group g runs one model at a time")
    assert changes[4]["victims"] == ["a"]
    assert found["last"] == changes[-1]["id"]


async def test_news_alone_are_answered_to_who_has_seen_the_rest() -> None:
    async with serving(pair()) as seen:
        async with seen.supervisor.lease(A):
            pass
        last = (await seen.residency())["last"]
        await seen.supervisor.unload([A])

        found = await seen.residency(b"after=%d" % last)

    assert [(each["state"], each["cause"]) for each in found["changes"]] == [
        ("stopping", "unloaded"),
        ("stopped", None),
    ]


async def test_failure_is_told_in_the_words_of_the_error() -> None:
    launcher = FakeLauncher()
    launcher.model("a").launch_error = "no such file"
    async with serving(pair(), launcher) as seen:
        with pytest.raises(Exception, match="no such file"):
            async with seen.supervisor.lease(A):
                pass
        found = await seen.residency()
        model = await seen.model("a")

    assert (found["changes"][-1]["state"], found["changes"][-1]["why"]) == ("failed", "no such file")
    assert (model["state"], model["failure"]) == ("stopped", "no such file")
    assert 0 < model["retry_in_ms"] <= 1000


@pytest.mark.parametrize("query", [b"after=x", b"after=-1", b"after=1.5"])
async def test_id_that_is_none_is_refused(query: bytes) -> None:
    async with serving(pair()) as seen:
        with pytest.raises(RequestError, match="'after' is the id of a change"):
            await call(seen.router, path="/api/residency", query=query)


async def test_model_that_is_not_loaded_is_told_of_as_configured() -> None:
    made = fakes.model("org/a")
    launch = replace(made.spec.launch, env=("HF_TOKEN=abc123", "CUDA_VISIBLE_DEVICES=0", "HF_TOKEN=abc124"))
    model = replace(
        made,
        spec=replace(made.spec, launch=launch),
        cmd="server --api-key sekret --name abc123 --peer pe-key",
        aliases=("short",),
        name="A",
        description="d",
        ttl_s=30.0,
        concurrency_limit=3,
        capabilities=Capabilities(inputs=("text", "image"), outputs=("text",), tools=True, context=4096),
        metadata={"k": [1]},
    )
    peer = Peer("p", "http://127.0.0.1:9", (), "pe-key")
    catalog = replace(fakes.catalog(model), aliases={"short": model.id}, peers={"p": peer})
    async with serving(catalog) as seen:
        by_id, by_alias = await seen.model("org/a"), await seen.model("short")

    assert (
        by_id
        == by_alias
        == {
            "id": "org/a",
            "name": "A",
            "description": "d",
            "aliases": ["short"],
            "unlisted": False,
            "state": "stopped",
            "since": None,
            "started_at": None,
            "idle_since": None,
            "unloads_at": None,
            "in_flight": 0,
            "waiting": 0,
            "failure": "",
            "retry_in_ms": 0,
            "process": None,
            "learned": {"load_ms": None, "stop_ms": None, "request_ms": None},
            "cmd": "server --api-key [REDACTED] --name [REDACTED] --peer [REDACTED]",
            "cmd_stop": "",
            "env": ["HF_TOKEN", "CUDA_VISIBLE_DEVICES"],
            "proxy": made.spec.base_url,
            "check_endpoint": made.spec.check_endpoint,
            "health_check_timeout_s": made.spec.health_check_timeout_s,
            "unload_timeout_s": made.spec.launch.grace_s,
            "ttl_s": 30.0,
            "priority": 0,
            "concurrency_limit": 3,
            "use_model_name": "",
            "send_loading_state": False,
            "capabilities": {"function_calling": True, "vision": True},
            "inputs": ["text", "image"],
            "outputs": ["text"],
            "context_length": 4096,
            "metadata": {"k": [1]},
            "preload": False,
            "rules": [
                "in group (default) alone",
                "the models of other groups have to go for it, unless they are persistent",
            ],
        }
    )


async def test_model_that_serves_is_told_of_with_its_process_and_its_memory() -> None:
    catalog = fakes.catalog(replace(fakes.model("a"), ttl_s=60.0))
    async with serving(catalog, roots={"a": 4711}) as seen:
        async with seen.supervisor.lease(A):
            used = await seen.model("a")
        idle = await seen.model("a")

    assert (used["state"], used["in_flight"], used["idle_since"], used["unloads_at"]) == ("ready", 1, None, None)
    assert used["process"] == {
        "pid": 4711,
        "port": catalog.models[A].spec.launch.port,
        "memory": {"at": "now", "ram_mb": 7, "gpus": []},
    }
    assert used["started_at"] <= used["since"] <= idle["idle_since"] < idle["unloads_at"]
    assert used["learned"]["load_ms"] is not None


async def test_model_that_there_is_not_gets_404() -> None:
    async with serving(pair()) as seen:
        reply = await call(seen.router, path="/api/models/nobody")

    assert reply.status == 404
    assert json.loads(reply.body)["error"]["message"] == "model not found"
