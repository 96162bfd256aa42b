"""The machine's figures as Prometheus reads them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from prometheus_client import CollectorRegistry, generate_latest, parser
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import parser as openmetrics

from app.telemetry.hardware_metrics import HardwareMetrics
from monitors.protocol import Disk, GpuReading, HostReading, Interface
from monitors.sampler import Sample, SourceStatus, State, TreeMemory
from tests.program import ROOT

HOST = HostReading(
    (12.5, 100.0),
    32 << 30,
    8 << 30,
    24 << 30,
    2 << 30,
    1 << 20,
    (0.5, 1.25, 2.0),
    (Interface("eth0", 10_000_000_000, 20),),
    (Disk("/", 3000, 2000),),
    100,
    200,
)

CARD = GpuReading(
    "GPU-1",
    "card",
    utilization_percent=33.0,
    memory_total_bytes=24 << 30,
    memory_used_bytes=6 << 30,
    temperature_c=44.0,
    memory_temperature_c=50.0,
    power_w=120.5,
    power_limit_w=300.0,
    fan_percent=30.0,
)

SAMPLE = Sample(
    datetime(2026, 1, 2, tzinfo=UTC),
    HOST,
    (CARD, GpuReading("GPU-2", 'odd "name"', temperature_c=0.0)),
    (TreeMemory("a", 12, 5000, {"GPU-1": 700}),),
    (SourceStatus("psutil", State.OK), SourceStatus("nvml", State.STALE, "x"), SourceStatus("lact", State.ABSENT, "y")),
)


def exposed(sample: Sample | None) -> str:
    registry = CollectorRegistry()
    HardwareMetrics(registry, lambda: sample)
    return generate_latest(registry).decode()


def figures(text: str) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """Returns the samples in *text*: name -> labels -> value."""
    found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for family in parser.text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
    return found


def card(number: int, gpu: GpuReading) -> tuple[tuple[str, str], ...]:
    return (("id", str(number)), ("name", gpu.name), ("uuid", gpu.uuid))


def test_names_labels_and_values_are_those_that_dashboards_ask_for() -> None:
    first, second = (card(number, gpu) for number, gpu in enumerate(SAMPLE.gpus))

    assert figures(exposed(SAMPLE)) == {
        "llamaswap_cpu_util_percent": {(("core", "0"),): 12.5, (("core", "1"),): 100.0},
        "llamaswap_memory_total_bytes": {(): 32 << 30},
        "llamaswap_memory_used_bytes": {(): 8 << 30},
        "llamaswap_memory_free_bytes": {(): 24 << 30},
        "llamaswap_swap_total_bytes": {(): 2 << 30},
        "llamaswap_swap_used_bytes": {(): 1 << 20},
        "llamaswap_load_average": {
            (("interval", "1m"),): 0.5,
            (("interval", "5m"),): 1.25,
            (("interval", "15m"),): 2.0,
        },
        "llamaswap_network_bytes_total": {
            (("direction", "recv"), ("interface", "eth0")): 10_000_000_000,
            (("direction", "sent"), ("interface", "eth0")): 20,
        },
        "llamaswap_gpu_temperature_celsius": {first: 44.0, second: 0.0},
        "llamaswap_gpu_vram_temperature_celsius": {first: 50.0},
        "llamaswap_gpu_util_percent": {first: 33.0},
        "llamaswap_gpu_memory_util_percent": {first: 25.0},
        "llamaswap_gpu_memory_used_bytes": {first: 6 << 30},
        "llamaswap_gpu_memory_total_bytes": {first: 24 << 30},
        "llamaswap_gpu_fan_speed_percent": {first: 30.0},
        "llamaswap_gpu_power_draw_watts": {first: 120.5},
        "hostler_gpu_power_limit_watts": {first: 300.0},
        "hostler_disk_used_bytes": {(("mount", "/"),): 2000},
        "hostler_disk_total_bytes": {(("mount", "/"),): 3000},
        "hostler_model_memory_bytes": {(("model", "a"),): 5000},
        "hostler_model_gpu_memory_bytes": {(("model", "a"), ("uuid", "GPU-1")): 700},
        "hostler_hardware_source_up": {(("source", "psutil"),): 1, (("source", "nvml"),): 0},
    }


def test_help_and_type_precede_each() -> None:
    lines = exposed(SAMPLE).splitlines()

    names = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    for name in names:
        at = lines.index(next(line for line in lines if line.startswith(f"# TYPE {name} ")))
        assert lines[at - 1].startswith(f"# HELP {name} ")
        assert re.match(rf"{name}[ {{]", lines[at + 1])
    assert len(names) == len(set(names)) == 22


def test_openmetrics_is_valid() -> None:
    registry = CollectorRegistry()
    HardwareMetrics(registry, lambda: SAMPLE)
    encode, _ = choose_encoder("application/openmetrics-text")
    text = encode(registry).decode()
    assert text.endswith("# EOF\n")

    parsed: Iterable[Metric] = openmetrics.text_string_to_metric_families(text)  # type: ignore[no-untyped-call]
    families = {family.name: family.type for family in parsed}
    assert families["llamaswap_network_bytes"] == "counter"
    assert families["llamaswap_cpu_util_percent"] == "gauge"


def test_before_the_first_sample_there_is_nothing() -> None:
    assert exposed(None) == ""


def test_what_is_not_known_is_left_out_with_its_name() -> None:
    host = replace(HOST, load_average=None, interfaces=(), disks=(), cpu_percent=())
    names = figures(exposed(Sample(SAMPLE.at, host, (), (), ())))

    assert set(names) == {
        *(f"llamaswap_memory_{what}_bytes" for what in ("total", "used", "free")),
        *(f"llamaswap_swap_{what}_bytes" for what in ("total", "used")),
    }


def test_machine_of_which_only_the_accelerator_answers() -> None:
    names = figures(exposed(replace(SAMPLE, host=None, trees=(), sources=())))

    assert all(name.startswith(("llamaswap_gpu_", "hostler_gpu_")) for name in names)
    assert names


def documented() -> Iterator[tuple[str, str, frozenset[str]]]:
    page = (ROOT / "docs" / "monitoring.md").read_text()
    for name, kind, labels in re.findall(
        r"^\| `((?:hostler|llamaswap)_\w+)` \| (\w+) \| ([^|]*)\|", page, re.MULTILINE
    ):
        yield name, kind, frozenset(re.findall(r"`(\w+)`", labels))


def test_document_has_each_with_its_type_and_labels() -> None:
    told = {
        (sample.name, family.type, frozenset(sample.labels))
        for family in parser.text_string_to_metric_families(exposed(SAMPLE))
        for sample in family.samples
    }

    assert told == set(documented())


@pytest.mark.parametrize("state", [State.NEW, State.ABSENT, State.IDLE])
def test_source_that_is_not_asked_is_neither_up_nor_down(state: State) -> None:
    sample = Sample(SAMPLE.at, None, (), (), (SourceStatus("x", state),))

    assert exposed(sample) == ""
