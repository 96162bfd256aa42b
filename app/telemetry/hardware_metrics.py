"""The newest sample of the machine for Prometheus.

Names and labels of `llamaswap_…` are those that existing dashboards ask for. Source: compatibility specification 7.5. What is ours is
`hostler_…`. What a sample does not tell is left out, and there is nothing at all before the first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from app.telemetry.performance import memory_percent
from monitors.sampler import State

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from monitors.protocol import GpuReading, HostReading
    from monitors.sampler import Sample

GPU_FIGURES: Sequence[tuple[str, str, Callable[[GpuReading], float | None]]] = (
    ("llamaswap_gpu_temperature_celsius", "Temperature of the GPU.", lambda gpu: gpu.temperature_c),
    ("llamaswap_gpu_vram_temperature_celsius", "Temperature of its memory.", lambda gpu: gpu.memory_temperature_c),
    ("llamaswap_gpu_util_percent", "How busy the GPU is.", lambda gpu: gpu.utilization_percent),
    ("llamaswap_gpu_memory_util_percent", "How full its memory is.", memory_percent),
    ("llamaswap_gpu_memory_used_bytes", "Memory of the GPU in use.", lambda gpu: gpu.memory_used_bytes),
    ("llamaswap_gpu_memory_total_bytes", "Memory of the GPU.", lambda gpu: gpu.memory_total_bytes),
    ("llamaswap_gpu_fan_speed_percent", "Speed of its fan.", lambda gpu: gpu.fan_percent),
    ("llamaswap_gpu_power_draw_watts", "Power it takes.", lambda gpu: gpu.power_w),
    ("hostler_gpu_power_limit_watts", "Power it may take.", lambda gpu: gpu.power_limit_w),
)
"""Name, help, and the figure of a reading."""


class HardwareMetrics(Collector):
    """Tells the sample that is the newest when somebody scrapes, in whatever thread."""

    def __init__(self, registry: CollectorRegistry, latest: Callable[[], Sample | None]) -> None:
        self._latest = latest
        registry.register(self)

    def describe(self) -> Iterable[Metric]:
        """Returns nothing: there is no other collector of these names, so nobody has to look at us to find that out."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Yields what is known now."""
        sample = self._latest()
        if sample is None:
            return
        if sample.host is not None:
            yield from host_metrics(sample.host)
        yield from gpu_metrics(sample.gpus)
        ram = GaugeMetricFamily(
            "hostler_model_memory_bytes", "Resident memory of a model's processes.", labels=["model"]
        )
        gpu_memory = GaugeMetricFamily(
            "hostler_model_gpu_memory_bytes", "Memory of a GPU that a model's processes use.", labels=["model", "uuid"]
        )
        for tree in sample.trees:
            ram.add_metric([tree.name], tree.resident_bytes)
            for uuid, used in tree.gpus.items():
                gpu_memory.add_metric([tree.name, uuid], used)
        up = GaugeMetricFamily(
            "hostler_hardware_source_up", "Whether a source that is there has figures.", labels=["source"]
        )
        for source in sample.sources:
            if source.state in {State.OK, State.STALE}:
                up.add_metric([source.name], float(source.state is State.OK))
        yield from _told((ram, gpu_memory, up))


def host_metrics(host: HostReading) -> Iterator[Metric]:
    """Yields what is told of the machine itself."""
    cores = GaugeMetricFamily("llamaswap_cpu_util_percent", "Load of each core.", labels=["core"])
    for core, percent in enumerate(host.cpu_percent):
        cores.add_metric([str(core)], percent)
    yield from _told([cores])
    for name, text, value in (
        ("llamaswap_memory_total_bytes", "Memory of the machine.", host.memory_total_bytes),
        ("llamaswap_memory_used_bytes", "Memory in use.", host.memory_used_bytes),
        ("llamaswap_memory_free_bytes", "Memory that programs could get.", host.memory_free_bytes),
        ("llamaswap_swap_total_bytes", "Swap of the machine.", host.swap_total_bytes),
        ("llamaswap_swap_used_bytes", "Swap in use.", host.swap_used_bytes),
    ):
        yield GaugeMetricFamily(name, text, value=value)
    load = GaugeMetricFamily("llamaswap_load_average", "Programs that want to run.", labels=["interval"])
    for interval, average in zip(("1m", "5m", "15m"), host.load_average or (), strict=False):
        load.add_metric([interval], average)
    network = CounterMetricFamily(
        "llamaswap_network_bytes", "Traffic since the machine was started.", labels=["interface", "direction"]
    )
    for interface in host.interfaces:
        network.add_metric([interface.name, "recv"], interface.bytes_received)
        network.add_metric([interface.name, "sent"], interface.bytes_sent)
    used = GaugeMetricFamily("hostler_disk_used_bytes", "Used part of a file system.", labels=["mount"])
    total = GaugeMetricFamily("hostler_disk_total_bytes", "Size of a file system.", labels=["mount"])
    for disk in host.disks:
        used.add_metric([disk.mount], disk.used_bytes)
        total.add_metric([disk.mount], disk.total_bytes)
    yield from _told((load, network, used, total))


def gpu_metrics(gpus: Sequence[GpuReading]) -> Iterator[Metric]:
    """Yields what is told of accelerators; `id` counts them as `/api/performance` does."""
    for name, text, figure in GPU_FIGURES:
        family = GaugeMetricFamily(name, text, labels=["id", "name", "uuid"])
        for number, gpu in enumerate(gpus):
            value = figure(gpu)
            if value is not None:
                family.add_metric([str(number), gpu.name, gpu.uuid], value)
        yield from _told([family])


def _told(families: Iterable[Metric]) -> Iterator[Metric]:
    """Yields those of *families* that have anything in them."""
    return (family for family in families if family.samples)
