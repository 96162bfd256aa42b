from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import anyio
import pytest
from starlette.routing import Router

from app.config.active import ActiveConfig
from app.config.catalog import Catalog
from app.config.loader import load_text
from app.endpoints.configuration import routes, without_secrets
from app.errors import ConfigError, Problem
from app.reload import Reloads
from tests.asgi import call
from tests.endpoints.catalogs import catalog, model

pytestmark = pytest.mark.anyio

AT = datetime(2026, 11, 22, 10, 0, 0, 123456, tzinfo=UTC)
LATER = datetime(2026, 11, 22, 11, 0, 0, tzinfo=UTC)

OLD = load_text("models: {a: {cmd: 'x ${PORT}', ttl: 5}}\nlogLevel: warn", "/etc/x.yaml", {})


async def shown(*then: Catalog | Exception, first: Catalog = OLD) -> dict[str, Any]:
    """Returns what is answered after reloads that find what *then* says, one after the other."""
    says: list[Catalog | Exception] = [first, *then]

    def load(_ports: Mapping[str, int]) -> Catalog:
        said = says.pop(0)
        if isinstance(said, Exception):
            raise said
        return said

    config = ActiveConfig(load)

    async def take_over(new: Catalog) -> None:
        config.replace(new)

    moments = iter([AT, LATER, LATER.replace(hour=12)])
    reloads = Reloads(config, take_over, wall=lambda: next(moments))
    async with anyio.create_task_group() as group:
        group.start_soon(reloads.run)
        for _ in then:
            try:
                await reloads.reload()
            except ConfigError:
                continue
        reply = await call(Router(routes(config.current, reloads)), "GET", "/api/config")
        group.cancel_scope.cancel()
    assert reply.status == 200
    found: dict[str, Any] = json.loads(reply.body)
    return found


async def test_what_holds_is_told_with_where_it_is_from() -> None:
    told = await shown()

    assert told["config"]["models"]["a"]["ttl"] == 5
    assert told["config"]["logLevel"] == "warn"
    assert sorted(told["differing"]) == [["logLevel"], ["models", "a", "cmd"], ["models", "a", "ttl"]]
    assert told["files"] == ["/etc/x.yaml"]
    assert told["loaded_at"] == "2026-11-22T10:00:00.123Z"
    assert told["warnings"] == []
    assert told["reload"] is None


async def test_warnings_are_told() -> None:
    told = await shown(first=load_text("colour: red", "/etc/x.yaml", {}))

    assert "colour" in told["warnings"][0]


async def test_reload_that_has_changed_something_is_told_with_what() -> None:
    told = await shown(load_text("models: {b: {cmd: 'x ${PORT}'}}\nlogLevel: warn", "/etc/x.yaml", {}))

    assert list(told["config"]["models"]) == ["b"]
    assert told["loaded_at"] == "2026-11-22T11:00:00.000Z"
    assert told["reload"]["ok"] is True
    assert told["reload"]["at"] == "2026-11-22T11:00:00.000Z"
    assert told["reload"]["plan"]["added"] == ["b"]
    assert told["reload"]["plan"]["removed"] == ["a"]
    assert told["reload"]["message"] == "added b, removed a, 0 models as they were"


async def test_reload_in_vain_is_told_with_its_place_and_leaves_what_holds() -> None:
    problem = Problem("expected a number", "/etc/x.yaml", "models.a.ttl", 4, "write e.g. ttl: 300")

    told = await shown(ConfigError(problem))

    assert told["config"]["models"]["a"]["ttl"] == 5
    assert told["loaded_at"] == "2026-11-22T10:00:00.123Z"
    assert told["reload"] == {
        "ok": False,
        "at": "2026-11-22T11:00:00.000Z",
        "message": str(problem),
        "problem": {
            "message": "expected a number",
            "source": "/etc/x.yaml",
            "path": "models.a.ttl",
            "line": 4,
            "remedy": "write e.g. ttl: 300",
        },
    }


async def test_reload_after_one_in_vain_is_what_counts() -> None:
    told = await shown(ConfigError(Problem("no")), replace(OLD, warnings=("odd",)))

    assert told["reload"]["ok"] is True
    assert told["loaded_at"] == told["reload"]["at"] == "2026-11-22T12:00:00.000Z"


async def test_configuration_that_no_file_says_is_not_told() -> None:
    told = await shown(first=catalog(model("a")))

    assert told["config"] is None
    assert told["differing"] == []


async def test_keys_and_secrets_are_hidden_wherever_they_stand() -> None:
    secrets = ["sesame-street", "peer-pass-1", "tell-nobody", "hunter22", "f00dcafe", "s3cret-s3cret", "pw4url"]
    text = """
apiKeys: [sesame-street]
models:
  a:
    cmd: server --port ${PORT} --api-key hunter22 --hf-token=f00dcafe --prompt "say tell-nobody" --max-tokens 5
    cmdStop: 'curl -H "Authorization: Bearer sesame-street" http://me:pw4url@localhost/stop'
    env: [HF_TOKEN=tell-nobody, PATH=/bin, "URL=http://me:pw4url@host/", EMPTY_TOKEN=]
    metadata: {owner: ann, password: s3cret-s3cret, note: "the key is sesame-street"}
    filters: {setParams: {api_key: s3cret-s3cret, max_tokens: 4}}
peers:
  p: {proxy: 'http://me:pw4url@gpu:1', models: [m], apiKey: peer-pass-1}
"""

    told = await shown(first=load_text(text, "c.yaml", {}))

    whole = json.dumps(told)
    assert [secret for secret in secrets if secret in whole] == []
    found = told["config"]["models"]["a"]
    assert found["env"] == [
        "HF_TOKEN=[REDACTED]",
        "PATH=/bin",
        "URL=http://[REDACTED]@host/",
        "EMPTY_TOKEN=",
    ]
    assert "--max-tokens 5" in found["cmd"]
    assert found["metadata"]["owner"] == "ann"
    assert found["filters"]["setParams"] == {"api_key": "[REDACTED]", "max_tokens": 4}
    assert told["config"]["apiKeys"] == ["[REDACTED]"]
    assert told["config"]["peers"]["p"]["apiKey"] == "[REDACTED]"


def test_what_is_no_secret_stays() -> None:
    settings: dict[str, Any] = {
        "logLevel": "info",
        "models": {"secret": {"cmd": "x --ctx 4096", "ttl": 0, "unlisted": False, "description": ""}},
        "apiKeys": [],
        "flag": {"token": True, "password": ""},
        "store": None,
    }

    assert without_secrets(settings) == settings


def test_numbers_may_be_secrets() -> None:
    assert without_secrets({"password": 1234}) == {"password": "[REDACTED]"}
