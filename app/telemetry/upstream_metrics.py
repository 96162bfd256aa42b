"""Metrics of the models' own servers, told under our roof with a label that says whose they are. PURE but for the parser."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

MOST_SAMPLES = 20_000
"""Samples taken from one server: what is more is not told."""


def labelled(texts: Mapping[str, str | None]) -> bytes:
    """Returns the metrics of several servers as one exposition, each sample with the label `model`.

    texts: model -> what its server answered; None: it gave no metrics. A label `model` that a server uses itself becomes `exported_model`, as
    Prometheus would have it. What cannot be parsed counts as not given.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Merged(texts))
    return generate_latest(registry)


class _Merged(Collector):
    def __init__(self, texts: Mapping[str, str | None]) -> None:
        self._texts = texts

    def collect(self) -> Iterator[Metric]:
        """Yields one family for each name, with the samples of all servers."""
        families: dict[str, Metric] = {}
        given = GaugeMetricFamily(
            "hostler_upstream_scrape_success", "Whether a model's server gave metrics.", labels=["model"]
        )
        for model, text in self._texts.items():
            found = None if text is None else _parsed(text)
            given.add_metric([model], float(found is not None))
            for family in found or ():
                # Of two servers that disagree about what a name is, the first one is believed.
                known = families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
                if known.type != family.type:
                    continue
                known.samples += [_with_model(sample, model) for sample in family.samples]
        yield given
        yield from families.values()


def _parsed(text: str) -> list[Metric] | None:
    found = []
    samples = 0
    try:
        for family in text_string_to_metric_families(text):
            samples += len(family.samples)
            if samples > MOST_SAMPLES:
                break
            found.append(family)
    except (ValueError, KeyError, IndexError, TypeError):
        # The parser raises what its string operations happen to raise.
        return None
    return found


def _with_model(sample: Sample, model: str) -> Sample:
    labels = {("exported_model" if name == "model" else name): value for name, value in sample.labels.items()}
    return Sample(sample.name, {**labels, "model": model}, sample.value, sample.timestamp)
