"""`/metrics` and `/metrics/upstream` through the whole application: real configuration, real processes behind it."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from prometheus_client import parser
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.samples import Sample

from app.application import Application, create_app
from app.config.active import ActiveConfig
from app.config.loader import load
from app.endpoints import metrics
from app.telemetry.prometheus import UNKNOWN
from tests.asgi import Reply, call
from tests.fake_upstream import argv
from tests.ports import free_port
from tests.program import ROOT

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]

JSON = [(b"content-type", b"application/json")]
CHAT = "/v1/chat/completions"
PAGE = ROOT / "docs" / "metrics.md"


def config(*models: str, more: str = "") -> str:
    """Returns the YAML of models that may run side by side."""
    entries = ""
    for name in models:
        port = free_port()
        command = shlex.join(argv(port, "--model", name))
        entries += f"  {name}:\n    cmd: {command}\n    proxy: http://127.0.0.1:{port}\n"
    # The machine's figures, which come when they come, have tests of their own.
    more += "performance: {disabled: true}\n"
    return f"models:\n{entries}groups:\n  all: {{swap: false, members: [{', '.join(models)}]}}\n{more}"


@asynccontextmanager
async def running(folder: Path, text: str) -> AsyncIterator[Application]:
    """Runs the application, its services included."""
    file = folder / "config.yaml"
    file.write_text(text)
    app = create_app(ActiveConfig(lambda _ports: load(str(file), environ={})))
    async with app.services.running():
        yield app


async def ask(app: Application, model: str, path: str = CHAT, **members: object) -> Reply:
    """Asks *model*."""
    return await call(app, "POST", path, JSON, json.dumps({"model": model, **members}).encode())


async def scrape(app: Application, path: str = "/metrics") -> list[Metric]:
    """Returns what is told in Prometheus' own format."""
    reply = await call(app, path=path)
    assert reply.status == 200
    assert reply.header("content-type") == "text/plain; version=0.0.4; charset=utf-8"
    return list(parser.text_string_to_metric_families(reply.body.decode()))


def samples(families: list[Metric], name: str) -> Iterator[Sample]:
    return (sample for family in families for sample in family.samples if sample.name == name)


def value(families: list[Metric], name: str, **labels: str) -> float | None:
    """Returns the only value of *name* with exactly these labels, or None."""
    found = [sample.value for sample in samples(families, name) if sample.labels == labels]
    assert len(found) < 2
    return found[0] if found else None


async def test_counters_move_with_requests(tmp_path: Path) -> None:
    async with running(tmp_path, config("a", "b")) as app:
        for _ in range(2):
            await ask(app, "a")
        await ask(app, "a", stream=True)
        await ask(app, "b", "/v1/embeddings")
        found = await scrape(app)

    assert value(found, "hostler_requests_total", model="a", endpoint=CHAT, status="200") == 3
    assert value(found, "hostler_requests_total", model="b", endpoint="/v1/embeddings", status="200") == 1
    assert value(found, "hostler_tokens_total", model="a", kind="input") == 2
    assert value(found, "hostler_tokens_total", model="a", kind="output") == 2
    assert value(found, "hostler_request_duration_seconds_count", model="a") == 3
    assert value(found, "hostler_queue_wait_seconds_count", model="a") == 3
    assert value(found, "hostler_swap_wait_seconds_count", model="b") == 1
    assert value(found, "hostler_time_to_first_token_seconds_count", model="a") == 1
    assert value(found, "hostler_model_load_seconds_count", model="a") == 1


async def test_models_are_told_with_the_state_they_are_in(tmp_path: Path) -> None:
    async with running(tmp_path, config("a", "b")) as app:
        await ask(app, "a")
        found = await scrape(app)

    states = {
        (sample.labels["model"], sample.labels["state"])
        for sample in samples(found, "hostler_model_state")
        if sample.value
    }
    assert ("a", "ready") in states
    assert value(found, "hostler_model_state", model="a", state="starting") == 0
    assert value(found, "hostler_model_state", model="b", state="stopped") == 1
    assert value(found, "hostler_requests_in_flight", model="a") == 0
    assert value(found, "hostler_queue_limit") == 1000


async def test_names_that_clients_make_up_are_one_label(tmp_path: Path) -> None:
    async with running(tmp_path, config("a")) as app:
        for number in range(600):
            await ask(app, f"made-up-{number}")
        await ask(app, "a")
        body = (await call(app, path="/metrics")).body.decode()
        found = list(parser.text_string_to_metric_families(body))
        page = await call(app, path="/api/metrics/activity", query=b"model=made-up-599")

    assert value(found, "hostler_requests_total", model=UNKNOWN, endpoint=CHAT, status="404") == 600
    assert {sample.labels["model"] for sample in samples(found, "hostler_requests_total")} == {UNKNOWN, "a"}
    assert "made-up" not in body
    # The record has the name all the same.
    assert json.loads(page.body)["total"] == 1


async def test_odd_names_of_models_do_not_break_the_format(tmp_path: Path) -> None:
    text = config("a").replace("  a:", '  "q\\"u\\\\o\\nte":').replace("[a]", "[]")
    async with running(tmp_path, text) as app:
        await ask(app, 'q"u\\o\nte')
        found = await scrape(app)

    assert value(found, "hostler_requests_total", model='q"u\\o\nte', endpoint=CHAT, status="200") == 1


async def test_openmetrics_is_told_to_who_asks_for_it(tmp_path: Path) -> None:
    async with running(tmp_path, config("a")) as app:
        await ask(app, "a", stream=True)
        reply = await call(app, path="/metrics", headers=[(b"accept", b"application/openmetrics-text; version=1.0.0")])

    assert (reply.header("content-type") or "").startswith("application/openmetrics-text; version=1.0.0")
    assert reply.body.endswith(b"# EOF\n")
    found = list(openmetrics.text_string_to_metric_families(reply.body.decode()))  # type: ignore[no-untyped-call]  # its module has no types
    assert value(found, "hostler_requests_total", model="a", endpoint=CHAT, status="200") == 1


@pytest.mark.timeout(60)
async def test_document_names_the_metrics_that_there_are(tmp_path: Path) -> None:
    async with running(tmp_path, config("a")) as app:
        await ask(app, "a", stream=True)
        await ask(app, "a")
        told = {
            (each.name + ("_total" if each.type == "counter" else ""), each.type)
            for each in [*await scrape(app), *await scrape(app, "/metrics/upstream")]
            if each.name.startswith("hostler_") and not each.name.endswith("_created")
        }
    rows = re.findall(r"^\| `(hostler_\w+)` \| (\w+) \|", PAGE.read_text(), re.MULTILINE)

    assert len(rows) == len(set(rows))
    assert told == set(rows)


async def test_document_names_the_labels_that_there_are(tmp_path: Path) -> None:
    async with running(tmp_path, config("a")) as app:
        await ask(app, "a", stream=True)
        await ask(app, "a")
        await call(app, "POST", "/api/models/unload")
        found = [*await scrape(app), *await scrape(app, "/metrics/upstream")]
    documented = {
        name: set(re.findall(r"`(\w+)`", labels))
        for name, labels in re.findall(r"^\| `(hostler_\w+)` \| \w+ \| ([^|]*)\|", PAGE.read_text(), re.MULTILINE)
    }
    told: dict[str, set[str]] = {}
    for family in found:
        for sample in family.samples if not family.name.endswith("_created") else ():
            name = re.sub(r"_(bucket|count|sum)$", "", sample.name) if family.type == "histogram" else sample.name
            told.setdefault(name, set()).update(sample.labels.keys() - {"le"})

    assert {name: documented.get(name) for name in told} == told


# The models' own


SERVER = """
import sys, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TEXT = '''# TYPE tokens counter
tokens_total{model="x"} 3
# TYPE up gauge
up 1
'''

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        kind = sys.argv[2]
        if self.path == "/metrics" and kind == "hangs":
            threading.Event().wait()
        status = 404 if self.path == "/metrics" and kind == "has none" else 200
        if self.path == "/metrics" and kind == "hangs up":
            return
        body = {"endless": TEXT + "#" * (5 << 20), "broken": "{{{{", "binary": "\\udcff"}.get(kind, TEXT).encode(errors="surrogateescape")
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

ThreadingHTTPServer.daemon_threads = True
ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
"""A model's server of which only the metrics are of interest; its second argument says how it gives them."""


def servers(folder: Path, **kinds: str) -> str:
    """Returns the YAML of models with such servers, side by side."""
    program = folder / "server.py"
    program.write_text(SERVER)
    entries = ""
    for name, kind in kinds.items():
        port = free_port()
        command = shlex.join([sys.executable, "-I", "-S", str(program), str(port), kind])
        entries += f"  {name}:\n    cmd: {command}\n    proxy: http://127.0.0.1:{port}\n"
    return f"models:\n{entries}groups:\n  all: {{swap: false, members: [{', '.join(kinds)}]}}\n"


async def test_one_scrape_has_the_metrics_of_all_servers_that_have_any(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "LIMIT_S", 1.0)
    kinds = {
        "good": "gives",
        "better": "gives",
        "none": "has none",
        "stuck": "hangs",
        "bad": "broken",
        "worse": "binary",
        "rude": "hangs up",
        "long": "endless",
    }
    async with running(tmp_path, servers(tmp_path, **kinds, asleep="gives")) as app:
        async with anyio.create_task_group() as group:
            for model in kinds:
                group.start_soon(call, app, "POST", f"/api/models/load/{model}")
        found = await scrape(app, "/metrics/upstream")

    success = {each.labels["model"]: each.value for each in samples(found, "hostler_upstream_scrape_success")}
    assert success == {"good": 1, "better": 1, "none": 0, "stuck": 0, "bad": 0, "worse": 0, "rude": 0, "long": 0}
    assert {each.labels["model"] for each in samples(found, "up")} == {"good", "better"}
    assert value(found, "tokens_total", model="good", exported_model="x") == 3


async def test_nothing_is_loaded_for_a_scrape(tmp_path: Path) -> None:
    async with running(tmp_path, servers(tmp_path, asleep="gives")) as app:
        found = await scrape(app, "/metrics/upstream")
        shown = json.loads((await call(app, path="/running")).body)

    assert list(samples(found, "up")) == []
    assert shown == {"running": []}
