"""`deploy/`: the dashboard asks for what there is, and the files that go with it fit together."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest, parser

from app.application import Application, create_app
from app.config.active import ActiveConfig
from app.config.loader import load
from app.telemetry.hardware_metrics import HardwareMetrics
from app.telemetry.prometheus import RequestMetrics
from monitors.protocol import Disk, GpuReading, HostReading, Interface
from monitors.sampler import Sample, SourceStatus, State, TreeMemory
from tests.asgi import call
from tests.fake_upstream import argv
from tests.ports import free_port
from tests.program import ROOT
from tests.telemetry.activity_records import record

DEPLOY = ROOT / "deploy"
BOARD = DEPLOY / "grafana" / "dashboards" / "hostler.json"
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}

OF_THE_SCRAPE = {"instance", "job"}
"""Labels that Prometheus adds."""

EXISTING = {
    *(f"llamaswap_{name}" for name in ("cpu_util_percent", "load_average", "network_bytes_total")),
    *(f"llamaswap_memory_{name}_bytes" for name in ("total", "used", "free")),
    *(f"llamaswap_swap_{name}_bytes" for name in ("total", "used")),
    *(f"llamaswap_gpu_{name}_celsius" for name in ("temperature", "vram_temperature")),
    *(f"llamaswap_gpu_{name}_percent" for name in ("util", "memory_util", "fan_speed")),
    *(f"llamaswap_gpu_memory_{name}_bytes" for name in ("used", "total")),
    "llamaswap_gpu_power_draw_watts",
}
"""What dashboards may ask for by these names. Source: compatibility specification 7.5."""

FUNCTIONS = {"sum", "avg", "max", "min", "rate", "increase", "histogram_quantile"}


@dataclass(frozen=True)
class Selector:
    """One metric in an expression, and the labels that are asked for of it."""

    metric: str
    labels: frozenset[str]


@dataclass(frozen=True)
class Query:
    """What an expression leans on."""

    selectors: tuple[Selector, ...]
    grouping: frozenset[str] | None
    """Labels that are left; None: all of them."""


TOKEN = re.compile(
    r'"(?:[^"\\]|\\.)*"|\[[^\]]*\]|(?P<name>[A-Za-z_:][\w:]*)|[0-9.]+|[{}(),]|=~|!~|!=|[=+*/<>-]|(?P<stray>\S)'
)


def parse(expression: str) -> Query:
    """Takes as much of PromQL apart as our expressions use; what it does not know is an error."""
    tokens = list(TOKEN.finditer(expression))
    assert [match[0] for match in tokens if match["stray"]] == [], expression
    words = [match[0] for match in tokens]
    assert words.count("(") == words.count(")")
    assert words.count("{") == words.count("}")
    selectors: list[Selector] = []
    groupings: list[frozenset[str]] = []
    aggregates = False
    at = 0
    while at < len(words):
        word = words[at]
        after = words[at + 1] if at + 1 < len(words) else ""
        if not tokens[at]["name"]:
            at += 1
        elif word == "by":
            end = words.index(")", at)
            groupings.append(frozenset(words[at + 2 : end]) - {","})
            at = end + 1
        elif word in FUNCTIONS:
            assert after in {"(", "by"}, f"{word} of nothing: {expression}"
            aggregates |= word == "sum" and after == "("
            at += 1
        else:
            assert after != "(", f"{word} is no function: {expression}"
            end = words.index("}", at) if after == "{" else at
            labels = {words[n] for n in range(at + 1, end) if tokens[n]["name"]}
            selectors.append(Selector(word, frozenset(labels)))
            at = end + 1
    if aggregates:
        groupings.append(frozenset())
    return Query(tuple(selectors), frozenset.union(*groupings) if groupings else None)


@cache
def board() -> Mapping[str, Any]:
    document: Mapping[str, Any] = json.loads(BOARD.read_text())
    return document


def panels() -> list[Mapping[str, Any]]:
    """Returns all panels that are not the head of a row."""
    return [panel for panel in board()["panels"] if panel["type"] != "row"]


def targets() -> Iterator[tuple[str, str, str]]:
    """Yields title, expression and legend of everything that is asked."""
    for panel in panels():
        for target in panel["targets"]:
            yield panel["title"], target["expr"], target["legendFormat"]


EVERYTHING = Sample(
    at=datetime(2026, 1, 1, tzinfo=UTC),
    host=HostReading(
        cpu_percent=(1.0,),
        memory_total_bytes=3,
        memory_used_bytes=2,
        memory_free_bytes=1,
        load_average=(1.0, 2.0, 3.0),
        interfaces=(Interface("eth0", 1, 2),),
        disks=(Disk("/", 2, 1),),
    ),
    gpus=(
        GpuReading(
            "GPU-1",
            "a GPU",
            utilization_percent=1.0,
            memory_total_bytes=2,
            memory_used_bytes=1,
            temperature_c=1.0,
            memory_temperature_c=1.0,
            power_w=1.0,
            power_limit_w=2.0,
            fan_percent=1.0,
        ),
    ),
    trees=(TreeMemory("a", 1, 2, {"GPU-1": 1}),),
    sources=(SourceStatus("nvml", State.OK),),
)
"""A machine of which everything is known."""


def told(text: str) -> dict[str, set[str]]:
    """Returns the names of all metrics of an exposition that a query may ask for, each with the labels seen."""
    suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"], "gauge": [""]}
    found: dict[str, set[str]] = {}
    for family in parser.text_string_to_metric_families(text):
        for suffix in suffixes[family.type]:
            found.setdefault(family.name + suffix, set())
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


@pytest.fixture
def machine() -> dict[str, set[str]]:
    """What is told of a machine of which everything is known."""
    registry = CollectorRegistry()
    HardwareMetrics(registry, lambda: EVERYTHING)
    return told(generate_latest(registry).decode())


@asynccontextmanager
async def application(folder: Path) -> AsyncIterator[Application]:
    port = free_port()
    command = shlex.join(argv(port, "--model", "a"))
    file = folder / "config.yaml"
    file.write_text(f"models:\n  a:\n    cmd: {command}\n    proxy: http://127.0.0.1:{port}\n")
    app = create_app(ActiveConfig(lambda _ports: load(str(file), environ={})))
    async with app.services.running():
        yield app


async def scraped(app: Application) -> dict[str, set[str]]:
    """Returns what the application tells, after a request and an end of a model."""
    headers = [(b"content-type", b"application/json")]
    chat = await call(app, "POST", "/v1/chat/completions", headers, b'{"model": "a", "stream": true}')
    ended = await call(app, "POST", "/api/models/unload/a")
    assert (chat.status, ended.status) == (200, 200)
    return told((await call(app, path="/metrics")).body.decode())


@pytest.mark.anyio
async def test_every_metric_that_is_asked_for_is_told(tmp_path: Path, machine: dict[str, set[str]]) -> None:
    async with application(tmp_path) as app:
        own = await scraped(app)
    asked = {selector.metric for _, expression, _ in targets() for selector in parse(expression).selectors}
    asked |= set(re.findall(r"label_values\((\w+),", json.dumps(board()["templating"])))

    assert len(asked) > 30
    assert sorted(asked - own.keys() - machine.keys()) == []
    assert sorted(metric for metric in asked if metric.startswith("llamaswap_") and metric not in EXISTING) == []


def test_every_figure_of_the_specification_is_shown_and_told(machine: dict[str, set[str]]) -> None:
    asked = {selector.metric for _, expression, _ in targets() for selector in parse(expression).selectors}

    assert sorted(EXISTING - asked) == []
    assert sorted(EXISTING - machine.keys()) == []


@pytest.mark.anyio
async def test_every_label_that_is_asked_for_or_shown_is_there(tmp_path: Path, machine: dict[str, set[str]]) -> None:
    registry = CollectorRegistry()
    # The fake upstream measures no speeds.
    RequestMetrics(registry, ["/v1/chat/completions"], lambda _name: True).fold(
        [record(model="a", tokens_per_second=1.0, prompt_per_second=1.0, output_tokens=1, ttft_ms=1)]
    )
    async with application(tmp_path) as app:
        own = await scraped(app)
    seen = {
        name: labels
        for source in (told(generate_latest(registry).decode()), own)
        for name, labels in source.items()
        if labels
    }
    seen |= machine
    wrong = []
    for title, expression, legend in targets():
        query = parse(expression)
        for selector in query.selectors:
            here = seen[selector.metric] | OF_THE_SCRAPE
            left = here if query.grouping is None else query.grouping
            shown = set(re.findall(r"{{(\w+)}}", legend))
            wrong += [f"{title}: {selector.metric} has no {label}" for label in sorted(selector.labels - here)]
            wrong += [f"{title}: cannot group {selector.metric} by {label}" for label in sorted(left - here)]
            wrong += [f"{title}: shows {label}, which is gone" for label in sorted(shown - left)]

    assert wrong == []


def test_every_query_asks_for_the_instance_that_is_chosen() -> None:
    without = [
        f"{title}: {selector.metric}"
        for title, expression, _ in targets()
        for selector in parse(expression).selectors
        if "instance" not in selector.labels
    ]

    assert without == []


def test_quantiles_keep_the_bounds_of_the_buckets() -> None:
    wrong = [
        f"{title}: {expression}"
        for title, expression, _ in targets()
        if "histogram_quantile" in expression and not re.search(r"by \((\w+, )*le\) .*_bucket{", expression)
    ]

    assert wrong == []


@pytest.mark.parametrize(
    ("expression", "query"),
    [
        ('a{b="sum(c)"}', Query((Selector("a", frozenset({"b"})),), None)),
        (
            "sum by (x, y) (rate(a_total[5m])) / 2",
            Query((Selector("a_total", frozenset()),), frozenset({"x", "y"})),
        ),
        ('sum(a{b=~"$c", d!="e"})', Query((Selector("a", frozenset({"b", "d"})),), frozenset())),
        ("100 * a / b", Query((Selector("a", frozenset()), Selector("b", frozenset())), None)),
    ],
)
def test_expressions_are_taken_apart(expression: str, query: Query) -> None:
    assert parse(expression) == query


# The dashboard itself


def test_panels_have_what_grafana_needs() -> None:
    wrong = [
        panel["title"]
        for panel in panels()
        if not (
            panel["title"]
            and panel["datasource"] == DATASOURCE
            and panel["fieldConfig"]["defaults"]["unit"]
            and panel["targets"]
            and all(target["datasource"] == DATASOURCE and target["expr"] for target in panel["targets"])
        )
    ]

    assert wrong == []


def test_rows_are_there() -> None:
    rows = [panel["title"] for panel in board()["panels"] if panel["type"] == "row"]

    assert rows == ["Host", "GPU", "Requests", "Swaps and waits", "Tokens"]


def test_numbers_and_titles_of_panels_are_unique() -> None:
    numbers = [panel["id"] for panel in board()["panels"]]
    titles = [panel["title"] for panel in board()["panels"]]

    assert len(numbers) == len(set(numbers))
    assert len(titles) == len(set(titles))
    assert [
        panel["title"] for panel in panels() if len({t["refId"] for t in panel["targets"]}) < len(panel["targets"])
    ] == []


def test_panels_do_not_overlap_and_stay_on_the_page() -> None:
    places = [(panel["title"], panel["gridPos"]) for panel in board()["panels"]]
    overlapping = [
        (first, second)
        for (first, a), (second, b) in combinations(places, 2)
        if a["x"] < b["x"] + b["w"]
        and b["x"] < a["x"] + a["w"]
        and a["y"] < b["y"] + b["h"]
        and b["y"] < a["y"] + a["h"]
    ]

    assert overlapping == []
    assert [title for title, place in places if place["x"] < 0 or place["x"] + place["w"] > 24] == []


def test_dashboard_opens_as_the_specification_says() -> None:
    variables = {variable["name"]: variable for variable in board()["templating"]["list"]}

    assert board()["schemaVersion"] >= 42
    assert board()["time"] == {"from": "now-15m", "to": "now"}
    assert board()["refresh"] == "10s"
    assert (variables["datasource"]["type"], variables["datasource"]["query"]) == ("datasource", "prometheus")
    assert variables["instance"]["query"]["query"] == "label_values(instance)"


def test_every_variable_that_is_used_is_defined() -> None:
    defined = {variable["name"] for variable in board()["templating"]["list"]} | {"__rate_interval"}
    used = set(re.findall(r"\$\{?(\w+)", " ".join(expression for _, expression, _ in targets()))) | {"datasource"}

    assert used <= defined


# What goes with it


def compose() -> Mapping[str, Any]:
    document: Mapping[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return document


def mounts(service: str) -> dict[str, str]:
    """Returns target -> source of the files and folders of `deploy/` that a service is given."""
    short = (volume.split(":") for volume in compose()["services"][service]["volumes"] if isinstance(volume, str))
    return {target: source for source, target, *_ in short if source.startswith(".")}


def test_compose_file_is_one() -> None:
    checked = subprocess.run(
        [
            Path(sys.executable).with_name("check-jsonschema"),
            "--builtin-schema",
            "vendor.compose-spec",
            DEPLOY / "compose.yaml",
        ],
        capture_output=True,
        text=True,
    )

    assert checked.returncode == 0, checked.stdout


def test_what_is_mounted_is_there() -> None:
    given = {service: mounts(service) for service in compose()["services"]}

    assert {target for its in given.values() for target in its} == {
        "/etc/prometheus/prometheus.yml",
        "/etc/grafana/provisioning",
        "/etc/grafana/dashboards",
    }
    assert [source for its in given.values() for source in its.values() if not (DEPLOY / source).exists()] == []


def test_volumes_that_are_used_are_declared() -> None:
    named = {
        volume.split(":")[0]
        for service in compose()["services"].values()
        for volume in service["volumes"]
        if isinstance(volume, str) and not volume.startswith(".")
    }

    assert named == set(compose()["volumes"])


def test_image_is_built_from_the_dockerfile_here() -> None:
    assert (DEPLOY / compose()["services"]["hostler"]["build"] / "Dockerfile").is_file()


def test_images_of_others_are_pinned() -> None:
    images = [service["image"] for service in compose()["services"].values() if "build" not in service]

    assert len(images) == 2
    assert [image for image in images if not re.fullmatch(r"[\w/-]+:v?\d+\.\d+\.\d+", image)] == []


def test_nothing_is_published_beyond_this_machine() -> None:
    ports = {name: service.get("ports", []) for name, service in compose()["services"].items()}

    assert ports == {"hostler": ["127.0.0.1:8080:8080"], "prometheus": [], "grafana": ["127.0.0.1:3000:3000"]}


def test_nobody_looks_without_a_login_unless_asked_for_and_there_is_no_secret() -> None:
    environment = compose()["services"]["grafana"]["environment"]
    text = "".join(path.read_text() for path in DEPLOY.rglob("*.y*ml"))

    assert environment["GF_AUTH_ANONYMOUS_ENABLED"] == "${GRAFANA_ANONYMOUS:-false}"
    assert [key for key in environment if "PASSWORD" in key or "SECRET" in key] == []
    assert re.findall(r"(?i)^\s*\w*(?:password|token|secret)\w*:", text, re.MULTILINE) == []


@pytest.mark.anyio
async def test_prometheus_asks_hostler_where_it_answers(tmp_path: Path) -> None:
    jobs = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())["scrape_configs"]
    async with application(tmp_path) as app:
        statuses = [(await call(app, path=job.get("metrics_path", "/metrics"))).status for job in jobs]

    assert statuses == [200, 200]
    assert {target for job in jobs for each in job["static_configs"] for target in each["targets"]} == {"hostler:8080"}


def test_grafana_finds_prometheus_and_the_dashboard() -> None:
    sources = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/prometheus.yaml").read_text())["datasources"]
    providers = yaml.safe_load((DEPLOY / "grafana/provisioning/dashboards/hostler.yaml").read_text())["providers"]
    scrape = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())["global"]["scrape_interval"]
    home = compose()["services"]["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]

    assert [(source["type"], source["url"]) for source in sources] == [("prometheus", "http://prometheus:9090")]
    assert sources[0]["jsonData"]["timeInterval"] == scrape
    assert mounts("grafana")[providers[0]["options"]["path"]] == "./grafana/dashboards"
    assert home == f"{providers[0]['options']['path']}/{BOARD.name}"
