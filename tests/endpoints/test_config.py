from __future__ import annotations

import json
from collections.abc import Mapping

import anyio
import pytest
from starlette.routing import Router

from app.config.active import ActiveConfig
from app.config.catalog import Catalog
from app.endpoints.config import routes
from app.errors import ConfigError, Problem
from app.reload import Reloads
from tests.asgi import Reply, call
from tests.endpoints.catalogs import catalog, model

pytestmark = pytest.mark.anyio

OLD, NEW = catalog(model("a"), model("b")), catalog(model("a", ttl_s=1.0), model("c"))

PLAN = {
    "unchanged": [],
    "changed": [{"model": "a", "settings": ["ttl"], "restarts": False}],
    "added": ["c"],
    "removed": ["b"],
    "swapping_changed": False,
    "settings": [],
    "needs_restart": [],
}


async def ask(config: ActiveConfig, query: bytes = b"", method: str = "POST") -> Reply:

    async def take_over(new: Catalog) -> None:
        config.replace(new)

    reloads = Reloads(config, take_over)
    async with anyio.create_task_group() as group:
        group.start_soon(reloads.run)
        reply = await call(Router(routes(reloads)), method, "/api/config/reload", query=query)
        group.cancel_scope.cancel()
    return reply


def files(then: Catalog | ConfigError) -> ActiveConfig:
    """Returns a configuration whose files were changed after the start."""
    found = [OLD]

    def load(_ports: Mapping[str, int]) -> Catalog:
        if found:
            return found.pop()
        if isinstance(then, ConfigError):
            raise then
        return then

    return ActiveConfig(load)


@pytest.mark.parametrize("query", [b"", b"dry_run=0", b"dry_run=false", b"other=1"])
async def test_reload_takes_over_and_tells_what_has_changed(query: bytes) -> None:
    config = files(NEW)

    reply = await ask(config, query)

    assert reply.status == 200
    assert json.loads(reply.body) == {"reloaded": True, "plan": PLAN}
    assert config.current() is NEW


@pytest.mark.parametrize(
    "query", [b"dry_run=1", b"dry_run=true", b"dry_run", b"dry_run=", b"x=1&dry_run=yes&dry_run=0"]
)
async def test_dry_run_tells_what_would_change_and_changes_nothing(query: bytes) -> None:
    config = files(NEW)

    reply = await ask(config, query)

    assert reply.status == 200
    assert json.loads(reply.body) == {"reloaded": False, "plan": PLAN}
    assert config.current() is OLD


@pytest.mark.parametrize("query", [b"", b"dry_run=1"])
async def test_wrong_file_is_told_of_with_its_place_and_remedy(query: bytes) -> None:
    problem = Problem("expected a number, got 'soon'", "/etc/x.yaml", "models.a.ttl", 4, "write e.g. ttl: 300")
    config = files(ConfigError(problem))

    reply = await ask(config, query)

    assert reply.status == 422
    assert json.loads(reply.body) == {
        "src": "llama-swap",
        "error": {
            "message": "/etc/x.yaml:4: models.a.ttl: expected a number, got 'soon' (write e.g. ttl: 300)",
            "type": "invalid_request_error",
            "param": "models.a.ttl",
            "code": "config_error",
        },
        "problem": {
            "message": "expected a number, got 'soon'",
            "source": "/etc/x.yaml",
            "path": "models.a.ttl",
            "line": 4,
            "remedy": "write e.g. ttl: 300",
        },
    }
    assert config.current() is OLD


async def test_problem_of_a_whole_file_names_no_setting() -> None:
    reply = await ask(files(ConfigError(Problem("there is no such file", "/etc/x.yaml"))))

    assert json.loads(reply.body)["error"]["param"] is None


async def test_reload_is_asked_for_by_post() -> None:
    config = files(NEW)

    assert (await ask(config, method="GET")).status == 405
    assert config.current() is OLD
