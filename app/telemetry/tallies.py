"""Counters and histograms by model that cost next to nothing to count in, read out in Prometheus' terms when somebody scrapes.

The library's own metrics take a lock and look a child up by the text of its labels for each observation; with a dozen of them
for each request that is 9 µs, these are 2. There is one writer, and readers in any thread: a reader may see an observation in
one of two figures and not yet in the other, as with the library's.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry


class Counts(Collector):
    """A counter with labels."""

    def __init__(self, name: str, text: str, labels: tuple[str, ...], registry: CollectorRegistry) -> None:
        self.by_labels: dict[tuple[str, ...], float] = {}
        """How much, by the values of the labels; for the writer to add to."""
        self._name = name
        self._text = text
        self._labels = labels
        registry.register(self)

    def describe(self) -> Iterable[Metric]:
        """Returns the name, for the registry to see that it is the only one."""
        return (CounterMetricFamily(self._name, self._text, labels=self._labels),)

    def collect(self) -> Iterator[Metric]:
        """Yields what has been counted."""
        family = CounterMetricFamily(self._name, self._text, labels=self._labels)
        for values, amount in self.by_labels.copy().items():
            family.add_metric(values, amount)
        yield family


class Distribution:
    """How often a figure was how large."""

    __slots__ = ("_bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        """How many were at most each of the bounds, and above the one before; the last: above all of them."""
        self.total = 0.0

    def observe(self, values: Collection[float]) -> None:
        """Counts *values* in."""
        counts, bounds = self.counts, self._bounds
        for value in values:
            counts[bisect_left(bounds, value)] += 1
        self.total += sum(values)


class Distributions(Collector):
    """A histogram with the label `model`."""

    def __init__(self, name: str, text: str, bounds: tuple[float, ...], registry: CollectorRegistry) -> None:
        self._by_model: dict[str, Distribution] = {}
        self._name = name
        self._text = text
        self._bounds = bounds
        self._le = (*(str(float(bound)) for bound in bounds), "+Inf")
        registry.register(self)

    def observe(self, model: str, values: Collection[float]) -> None:
        """Counts *values* in for *model*; none at all leave no trace."""
        if values:
            its = self._by_model.get(model)
            if its is None:
                its = self._by_model[model] = Distribution(self._bounds)
            its.observe(values)

    def describe(self) -> Iterable[Metric]:
        """Returns the name, for the registry to see that it is the only one."""
        return (HistogramMetricFamily(self._name, self._text, labels=("model",)),)

    def collect(self) -> Iterator[Metric]:
        """Yields what has been observed."""
        family = HistogramMetricFamily(self._name, self._text, labels=("model",))
        for model, its in self._by_model.copy().items():
            so_far, buckets = 0, []
            for le, count in zip(self._le, its.counts.copy(), strict=True):
                so_far += count
                buckets.append((le, so_far))
            family.add_metric((model,), buckets, its.total)
        yield family
