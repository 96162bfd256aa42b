"""`/api/performance`, its events and its switches: with sources that a test makes, and through the whole application."""

from __future__ import annotations

import json
import logging
import os
import re
import shlex
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import anyio
import pytest
from prometheus_client import parser
from starlette.routing import Router

from app.application import Application, create_app
from app.config.active import ActiveConfig
from app.config.catalog import Monitoring
from app.config.loader import load
from app.endpoints.performance import routes
from app.errors import RequestError
from app.telemetry import performance as telemetry
from app.telemetry.bus import Bus
from app.telemetry.performance import TOPIC, Performance
from monitors import SOURCES, STANDS_IN_FOR
from monitors.protocol import Disk, GpuReading, HostReading, Interface, Reading, Source
from monitors.sampler import Sample, Sampler, State, TreeMemory
from tests.asgi import Reply, call
from tests.fake_upstream import argv
from tests.monitors.fakes import HOST, Fake, gpu
from tests.ports import free_port
from tests.program import ROOT

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]

PATH = "/api/performance"

START = datetime(2026, 1, 2, 3, 4, 5, 6789, tzinfo=UTC)


FIVE = Monitoring()


class Moments:
    """Times of day, a second apart."""

    def __init__(self) -> None:
        self.next = START

    def __call__(self) -> datetime:
        now = self.next
        self.next += timedelta(seconds=1)
        return now


def monitor(
    *fakes: Fake, settings: Monitoring = FIVE, bus: Bus | None = None, **options: Any
) -> tuple[Performance, list[Sampler]]:
    """Returns a monitor that asks *fakes* in quick succession, whatever its settings say, and its samplers as they are made."""
    sources: Mapping[str, Callable[[], Source]] = {fake.name: fake.again for fake in fakes}
    made: list[Sampler] = []
    now = Moments()

    def make(every_s: float) -> Sampler:
        made.append(Sampler(sources, **{"first_s": 0.0, "every_s": every_s, "now": now, **options}))
        return made[-1]

    return Performance(settings, make, bus), made


@asynccontextmanager
async def running(performance: Performance) -> AsyncIterator[Router]:
    async with anyio.create_task_group() as group:
        group.start_soon(performance.run)
        yield Router(routes(performance))
        group.cancel_scope.cancel()


async def until(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(20):
        while not condition():
            await anyio.sleep(0.001)


async def get(app: Router | Application, query: str = "") -> Any:
    reply = await call(app, path=PATH, query=query.encode())
    assert (reply.status, reply.header("content-type")) == (200, "application/json")
    return json.loads(reply.body)


async def once(performance: Performance) -> Router:
    """Returns the endpoint after the first sample; the next is an hour off."""
    async with running(performance) as app:
        await until(lambda: performance.latest is not None)
        return app


async def test_members_are_the_documented_ones_in_their_order() -> None:
    host = HostReading(
        (12.345, 50.0),
        32 << 30,
        8 << 30,
        24 << 30,
        2 << 30,
        1 << 20,
        (0.5, 1.0, 1.5),
        (Interface("eth0", 10, 20),),
        (Disk("/", 3 << 20, 2 << 20),),
        100,
        200,
    )
    card = GpuReading(
        "GPU-1",
        "card",
        vendor="nvidia",
        utilization_percent=33.333,
        memory_total_bytes=24 << 30,
        memory_used_bytes=6 << 30,
        temperature_c=44.6,
        memory_temperature_c=50.0,
        power_w=120.5,
        power_limit_w=300.0,
        fan_percent=30.0,
        clock_mhz=1500.2,
        memory_clock_mhz=9000.0,
        pci="0000:01:00.0",
    )
    performance, _ = monitor(Fake(reading=Reading(host, [card, gpu("dumb", temperature_c=0.0)])))
    app = await once(performance)

    reply = await call(app, path=PATH)
    at = "2026-01-02T03:04:05.006789Z"
    assert reply.body.decode() == (
        '{"enabled":true,"gpu_stats":['
        f'{{"timestamp":"{at}","id":0,"name":"card","uuid":"GPU-1","temp_c":45,"vram_temp_c":50,"gpu_util_pct":33.33,'
        '"mem_util_pct":25.0,"mem_used_mb":6144,"mem_total_mb":24576,"fan_speed_pct":30.0,"power_draw_w":120.5,"unknown":[],'
        '"vendor":"nvidia","pci":"0000:01:00.0","unified":false,"power_limit_w":300.0,"clock_mhz":1500,"mem_clock_mhz":9000},'
        f'{{"timestamp":"{at}","id":1,"name":"card","uuid":"dumb","temp_c":0,"vram_temp_c":0,"gpu_util_pct":0,'
        '"mem_util_pct":0,"mem_used_mb":0,"mem_total_mb":0,"fan_speed_pct":0,"power_draw_w":0,'
        '"unknown":["vram_temp_c","gpu_util_pct","mem_util_pct","mem_used_mb","mem_total_mb","fan_speed_pct","power_draw_w"],'
        '"vendor":"","pci":"","unified":false,"power_limit_w":null,"clock_mhz":null,"mem_clock_mhz":null}],'
        f'"sys_stats":[{{"timestamp":"{at}","cpu_util_per_core":[12.35,50.0],"mem_total_mb":32768,"mem_used_mb":8192,'
        '"mem_free_mb":24576,"swap_total_mb":2048,"swap_used_mb":1,"load_avg_1":0.5,"load_avg_5":1.0,"load_avg_15":1.5,'
        '"net_io":[{"name":"eth0","bytes_recv":10,"bytes_sent":20}],"disks":[{"mount":"/","total_mb":3,"used_mb":2}],'
        '"disk_read_bytes":100,"disk_written_bytes":200}],"models":[],"sources":[],"every_s":5.0}'
    )


async def test_load_that_a_system_does_not_have_is_zero() -> None:
    performance, _ = monitor(Fake(reading=Reading(HOST)))
    (sample,) = (await get(await once(performance)))["sys_stats"]

    assert (sample["load_avg_1"], sample["load_avg_5"], sample["load_avg_15"]) == (0, 0, 0)


async def test_before_the_first_sample_there_is_null() -> None:
    performance, _ = monitor(Fake())

    document = await get(Router(routes(performance)))
    assert (document["gpu_stats"], document["sys_stats"], document["models"]) == (None, None, [])


async def test_machine_without_accelerators_has_null_for_them() -> None:
    performance, _ = monitor(Fake(reading=Reading(HOST)))

    document = await get(await once(performance))
    assert (document["gpu_stats"], len(document["sys_stats"])) == (None, 1)


async def test_machine_of_which_only_the_accelerator_answers() -> None:
    performance, _ = monitor(Fake(reading=Reading(gpus=[gpu()])))

    document = await get(await once(performance))
    assert (len(document["gpu_stats"]), document["sys_stats"]) == (1, None)


async def test_after_gives_what_is_strictly_later_oldest_first() -> None:
    performance, _ = monitor(Fake(reading=Reading(HOST, [gpu()])), settings=Monitoring(every_s=0.001))
    async with running(performance) as app:
        await until(lambda: performance.latest is not None and performance.latest.at >= START + timedelta(seconds=3))
        document = await get(app, "after=2026-01-02T03:04:06.006789Z")
        everything = await get(app)
        zoned = await get(app, "after=2026-01-02T05:04:06.006789123%2B02:00")

    moments = [sample["timestamp"] for sample in document["sys_stats"]]
    assert moments[:2] == ["2026-01-02T03:04:07.006789Z", "2026-01-02T03:04:08.006789Z"]
    assert moments == sorted(moments)
    assert [sample["timestamp"] for sample in document["gpu_stats"]] == moments
    assert everything["sys_stats"][0]["timestamp"] == "2026-01-02T03:04:05.006789Z"
    assert zoned["sys_stats"][0]["timestamp"] == moments[0]


async def test_nothing_new_is_an_empty_list() -> None:
    performance, _ = monitor(Fake(reading=Reading(HOST, [gpu()])))

    document = await get(await once(performance), "after=2100-01-01T00:00:00Z")
    assert (document["gpu_stats"], document["sys_stats"]) == ([], [])


async def test_empty_after_is_none() -> None:
    performance, _ = monitor(Fake())

    assert len((await get(await once(performance), "after="))["sys_stats"]) == 1


@pytest.mark.parametrize(
    "after",
    [
        "yesterday",
        "2026-01-02",
        "2026-01-02T03:04:05",
        "2026-13-02T03:04:05Z",
        "20260102T030405Z",
        "1",
        "2026-01-02 03:04:05Z",
    ],
)
async def test_time_that_is_none_is_refused(after: str) -> None:
    performance, _ = monitor(Fake())
    with pytest.raises(RequestError, match=r"^invalid 'after' timestamp, use RFC3339 format$"):
        await call(Router(routes(performance)), path=PATH, query=f"after={after}".encode())


async def test_switched_off_it_says_so() -> None:
    fake = Fake()
    performance, made = monitor(fake, settings=Monitoring(is_on=False))
    async with running(performance) as app:
        reply = await call(app, path=PATH)

    assert (reply.status, reply.body, reply.header("content-type")) == (503, b'{"enabled":false}', "application/json")
    assert made == []


async def test_switched_on_and_off_by_reloads() -> None:
    fake = Fake()
    performance, made = monitor(fake, settings=Monitoring(is_on=False))
    async with running(performance) as app:
        await anyio.wait_all_tasks_blocked()
        performance.reconfigure(Monitoring())
        await until(lambda: performance.latest is not None)
        assert len((await get(app))["sys_stats"]) == 1
        performance.reconfigure(Monitoring(is_on=False))
        assert (await call(app, path=PATH)).status == 503
        assert performance.latest is None
        await until(lambda: fake.closed == 1)
        performance.reconfigure(Monitoring())
        assert performance.latest is None
        await until(lambda: performance.latest is not None)
        # What was seen before is not of this time.
        assert len((await get(app))["sys_stats"]) == 1

    assert (len(made), fake.opened, fake.closed) == (2, 2, 2)


async def test_other_pace_keeps_what_has_been_seen_and_opens_nothing_anew() -> None:
    fake = Fake()
    performance, made = monitor(fake, settings=Monitoring(every_s=0.001))
    async with running(performance) as app:
        await until(lambda: fake.sampled > 5)
        performance.reconfigure(Monitoring(every_s=1800.0))
        assert len((await get(app))["sys_stats"]) == 2
        assert (await get(app))["every_s"] == 1800
        performance.reconfigure(Monitoring(every_s=0.001))
        sampled = fake.sampled
        await until(lambda: fake.sampled > sampled + 5)

    assert (len(made), fake.opened) == (1, 1)


async def test_reload_that_changes_nothing_here_changes_nothing() -> None:
    fake = Fake()
    performance, made = monitor(fake)
    async with running(performance):
        await until(lambda: performance.latest is not None)
        latest = performance.latest
        performance.reconfigure(Monitoring())
        await anyio.wait_all_tasks_blocked()

        assert performance.latest is latest
    assert len(made) == 1


async def test_pace_may_change_while_it_is_off() -> None:
    performance, made = monitor(Fake(), settings=Monitoring(is_on=False))
    async with running(performance):
        performance.reconfigure(Monitoring(is_on=False, every_s=60.0))
        performance.reconfigure(Monitoring(every_s=60.0))
        await until(lambda: performance.latest is not None)

    assert [each.every_s for each in made] == [60.0]


async def test_sources_are_told_with_what_is_wrong_with_them() -> None:
    performance, _ = monitor(Fake("good"), Fake("bad", fails=OSError("broken")), Fake("none", absent="no such thing"))
    async with running(performance) as app:
        await until(lambda: performance.latest is not None)

        assert (await get(app))["sources"] == [
            {"name": "good", "state": "ok"},
            {"name": "bad", "state": "stale", "detail": "OSError: broken"},
            {"name": "none", "state": "absent", "detail": "no such thing"},
        ]


async def test_event_tells_of_the_newest_sample_and_slow_readers_of_no_other() -> None:
    bus = Bus(tick_s=0.001)
    performance, _ = monitor(Fake(reading=Reading(HOST, [gpu()])), settings=Monitoring(every_s=0.001), bus=bus)
    with bus.subscribe([TOPIC]) as news:
        async with running(performance):
            await until(
                lambda: performance.latest is not None and performance.latest.at >= START + timedelta(seconds=3)
            )
            batch = await news.next()

    assert batch is not None
    (event,) = batch.events
    assert isinstance(event.data, dict)
    assert list(event.data) == ["enabled", "gpu_stats", "sys_stats", "models", "sources", "every_s"]
    assert len(event.data["gpu_stats"]) == len(event.data["sys_stats"]) == 1
    assert event.data["sys_stats"][0]["timestamp"] >= "2026-01-02T03:04:08"


async def test_failure_of_the_monitor_itself_is_told_and_it_begins_anew(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(telemetry, "REVIVAL_S", 0.001)
    moments = iter([START])

    def now() -> datetime:
        return next(moments, cast(datetime, "no time"))  # a mistake of ours, made on purpose

    performance, made = monitor(Fake(), settings=Monitoring(every_s=0.001), now=now)
    with caplog.at_level(logging.ERROR):
        async with running(performance):
            await until(lambda: len(made) > 2)

    assert "the hardware monitor failed" in caplog.text


PAGE = ROOT / "docs" / "monitoring.md"


def test_document_has_every_source_in_the_order_of_their_rank() -> None:
    table = PAGE.read_text().partition("| source |")[2].partition("\n\n")[0]

    assert re.findall(r"^\| `([\w-]+)` \|", table, re.MULTILINE) == list(SOURCES)
    for name, leaders in STANDS_IN_FOR.items():
        (row,) = re.findall(rf"^\| `{name}` \|.*", table, re.MULTILINE)
        assert {name, *leaders} == set(re.findall(r"`([a-z-]+)`", row))


def test_document_has_every_state_of_a_source() -> None:
    table = PAGE.read_text().partition("| state |")[2].partition("\n\n")[0]

    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == [state.value for state in State]


async def test_document_has_every_member() -> None:
    performance, _ = monitor(Fake(reading=Reading(HOST, [gpu()])), roots=lambda: {"me": os.getpid()})
    document = await get(await once(performance))

    page = PAGE.read_text()
    members = {*document, *document["sys_stats"][0], *document["gpu_stats"][0], *document["models"][0]}
    assert {name for name in members if f"`{name}`" not in page and f'"{name}"' not in page} == set()


# The whole application


@asynccontextmanager
async def application(folder: Path, text: str) -> AsyncIterator[Application]:
    file = folder / "config.yaml"
    file.write_text(text)
    app = create_app(ActiveConfig(lambda _ports: load(str(file), environ={})))
    async with app.services.running():
        yield app


async def sampled(app: Application, condition: Callable[[Any], bool]) -> Any:
    """Returns the first event of a sample that *condition* is true of."""
    with anyio.fail_after(30), app.services.bus.subscribe([TOPIC]) as news:
        while True:
            batch = await news.next()
            assert batch is not None
            for event in batch.events:
                if condition(event.data):
                    return event.data


async def ask(app: Application, model: str) -> Reply:
    body = json.dumps({"model": model}).encode()
    return await call(app, "POST", "/v1/chat/completions", [(b"content-type", b"application/json")], body)


async def test_running_model_is_told_of_with_its_memory(tmp_path: Path) -> None:
    port = free_port()
    command = shlex.join(argv(port, "--model", "a"))
    text = f"models:\n  a:\n    cmd: {command}\n    proxy: http://127.0.0.1:{port}\n"
    async with application(tmp_path, text) as app:
        assert (await ask(app, "a")).status == 200
        event = await sampled(app, lambda data: bool(data["models"]))
        document = await get(app)
        metrics = (await call(app, path="/metrics")).body.decode()

    (told,) = event["models"]
    assert list(told) == ["timestamp", "model", "pid", "ram_mb", "gpus"]
    assert told["model"] == "a"
    assert told["ram_mb"] > 5
    assert told["pid"] != os.getpid()
    assert told in document["models"]
    families = {family.name: family for family in parser.text_string_to_metric_families(metrics)}
    (ram,) = families["hostler_model_memory_bytes"].samples
    assert ram.labels == {"model": "a"}
    assert ram.value > 5 << 20
    assert families["llamaswap_memory_total_bytes"].samples[0].value > 1 << 28


async def test_reload_of_the_file_switches_it(tmp_path: Path) -> None:
    async with application(tmp_path, "models: {}\nperformance: {disabled: true}\n") as app:
        assert (await call(app, path=PATH)).status == 503
        assert "llamaswap_" not in (await call(app, path="/metrics")).body.decode()
        (tmp_path / "config.yaml").write_text("models: {}\nperformance: {every: 7s}\n")
        await app.services.reloads.reload()
        event = await sampled(app, lambda data: data["sys_stats"] is not None)
        assert event["every_s"] == 7
        (tmp_path / "config.yaml").write_text("models: {}\nperformance: {disabled: true}\n")
        await app.services.reloads.reload()

        assert (await call(app, path=PATH)).status == 503
        assert "llamaswap_" not in (await call(app, path="/metrics")).body.decode()


async def test_samples_are_live_events(tmp_path: Path) -> None:
    async with application(tmp_path, "models: {}\n") as app:
        seen = b""

        async def read(message: Mapping[str, Any]) -> None:
            nonlocal seen
            seen += message.get("body", b"")
            if seen:
                app.services.begin_drain()

        with anyio.fail_after(30):
            await call(app, path="/api/events", query=b"types=performance", on_send=read)

    data = json.loads(seen.split(b"data:", 1)[1].split(b"\n")[0])
    assert data["type"] == "performance"
    assert json.loads(data["data"])["enabled"] is True


async def test_memory_of_a_model_is_that_of_its_process_as_it_was_seen_last() -> None:
    performance, _ = monitor()
    assert performance.memory_of("a", 7) is None

    trees = (TreeMemory("a", 7, 3 << 20, {"GPU-1": 5 << 20, "gone": 0}),)
    card = replace(gpu(), uuid="GPU-1", name="Card")
    performance._take(Sample(START, None, (card,), trees, ()))

    assert performance.memory_of("a", 7) == {
        "at": "2026-01-02T03:04:05.006789Z",
        "ram_mb": 3,
        "gpus": [{"uuid": "GPU-1", "name": "Card", "used_mb": 5}, {"uuid": "gone", "name": "", "used_mb": 0}],
    }
    assert performance.memory_of("a", 8) is None
    assert performance.memory_of("b", 7) is None
