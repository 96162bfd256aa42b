"""Figures of requests and models for Prometheus, in a registry of our own.

Nothing here is on the path of a request: finished requests are folded in by the batch (`RequestMetrics.fold`, from any thread), how
things stand is looked at when somebody scrapes (`Standing`).

Names: `hostler_`, then what is counted, then the base unit. Labels are bounded, for names are chosen by clients: requests for
names that are no model's are told together, as `(unknown)`; paths that are no endpoint of ours, and models beyond
`MOST_MODELS`, which reloads may bring about, as `(other)`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from app.scheduler.instances import Phase
from app.telemetry.tallies import Counts, Distributions

if TYPE_CHECKING:
    from app.scheduler.commands import Announce
    from app.scheduler.instances import SchedulerView
    from app.telemetry.activity_record import ActivityRecord

OTHER = "(other)"
"""Label of whatever is too much to be told one by one."""

UNKNOWN = "(unknown)"
"""Label of requests for what is no model."""

MOST_MODELS = 500
"""Different models that get labels of their own in one run."""

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
"""Upper bounds of waits and durations: from a cached embedding to a long answer behind a slow swap."""

BETWEEN_TOKENS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1)
"""Upper bounds of the seconds a token takes."""

PER_SECOND = (1, 2, 5, 10, 20, 30, 50, 75, 100, 150, 200, 500, 1000, 2000, 5000, 10000)
"""Upper bounds of tokens in a second, read and written."""


class RequestMetrics:
    """Counters and histograms of what has happened."""

    def __init__(
        self, registry: CollectorRegistry, endpoints: Collection[str], is_model: Callable[[str], bool]
    ) -> None:
        """Prepares.

        endpoints: paths that may be labels. is_model: says whether this is the id of a model now. Called in any thread.
        """
        self._endpoints = frozenset(endpoints)
        self._is_model = is_model
        self._models: set[str] = set()
        """Those that have labels of their own."""

        def counts(name: str, text: str, *labels: str) -> Counts:
            return Counts(f"hostler_{name}", text, labels, registry)

        def distributions(name: str, text: str, buckets: tuple[float, ...]) -> Distributions:
            return Distributions(f"hostler_{name}", text, buckets, registry)

        self._requests = counts("requests", "Finished requests.", "model", "endpoint", "status").by_labels
        self._tokens = counts("tokens", "Tokens read (input), generated (output) and so on.", "model", "kind").by_labels
        self._duration = distributions("request_duration_seconds", "From arrival to the last byte.", SECONDS)
        self._queued = distributions("queue_wait_seconds", "Waiting for a turn, the swap not counted.", SECONDS)
        self._swap = distributions("swap_wait_seconds", "Waiting for models to stop and to load.", SECONDS)
        self._first_token = distributions("time_to_first_token_seconds", "From arrival to the first token.", SECONDS)
        self._between = distributions("inter_token_seconds", "Mean time of a token after the first.", BETWEEN_TOKENS)
        self._reading = distributions("prompt_tokens_per_second", "Speed of reading prompts.", PER_SECOND)
        self._writing = distributions("generated_tokens_per_second", "Speed of generating.", PER_SECOND)
        self._loads = distributions("model_load_seconds", "From a model's start until it is ready.", SECONDS)
        self._stops = distributions("model_stop_seconds", "From the order to stop until a model is gone.", SECONDS)
        self._ends = counts("model_ends", "Ends of models, by reason.", "model", "reason").by_labels
        self._began: dict[str, tuple[Phase, float]] = {}
        """Models that load or stop, and since when."""

    def fold(self, records: Iterable[ActivityRecord]) -> None:
        """Takes in finished requests, those of a model together. From any thread, one at a time."""
        by_model: dict[str, list[ActivityRecord]] = {}
        for record in records:
            its = by_model.get(record.model)
            if its is None:
                by_model[record.model] = [record]
            else:
                its.append(record)
        for name, its in by_model.items():
            known = name in self._models or self._is_model(name)
            self._fold(self._label(name) if known else UNKNOWN, its)

    def _fold(self, model: str, records: Sequence[ActivityRecord]) -> None:
        # A figure at a time: that takes a third of what it takes to look at every figure for each record.
        for (path, status), count in Counter([(each.req_path, each.status) for each in records]).items():
            endpoint = path if path in self._endpoints else OTHER
            _add(self._requests, (model, endpoint, str(status)), count)
        self._duration.observe(model, [each.duration_ms / 1000 for each in records])
        self._queued.observe(model, [each.queued_ms / 1000 for each in records if each.queued_ms >= 0])
        self._swap.observe(model, [each.swap_ms / 1000 for each in records if each.swap_ms >= 0])
        self._first_token.observe(model, [each.ttft_ms / 1000 for each in records if each.ttft_ms >= 0])
        self._count(model, "input", [each.input_tokens for each in records if each.input_tokens > 0])
        self._count(model, "output", [each.output_tokens for each in records if each.output_tokens > 0])
        self._count(model, "cached", [each.cached_tokens for each in records if each.cached_tokens > 0])
        self._count(model, "drafted", [each.drafted_tokens for each in records if each.drafted_tokens > 0])
        self._count(model, "accepted", [each.accepted_tokens for each in records if each.accepted_tokens > 0])
        self._reading.observe(model, [each.prompt_per_second for each in records if each.prompt_per_second > 0])
        writing = [each.tokens_per_second for each in records if each.tokens_per_second > 0]
        self._writing.observe(model, writing)
        self._between.observe(model, [1 / speed for speed in writing])

    def _count(self, model: str, kind: str, tokens: Collection[int]) -> None:
        if tokens:
            _add(self._tokens, (model, kind), sum(tokens))

    def announced(self, news: Announce, now: float) -> None:
        """Takes in a change of a model's phase. now: seconds of a monotonic clock."""
        model = self._label(news.model)
        before = self._began.pop(news.model, None)
        match news.phase:
            case Phase.STARTING:
                self._began[news.model] = news.phase, now
            case Phase.READY:
                if before is not None:
                    self._loads.observe(model, [now - before[1]])
            case Phase.STOPPING:
                self._began[news.model] = news.phase, now
                _add(self._ends, (model, "failed" if news.cause is None else news.cause.value), 1)
            case Phase.STOPPED:
                if before is not None and before[0] is Phase.STOPPING:
                    self._stops.observe(model, [now - before[1]])
                else:
                    # Gone without having been told to: it could not be launched, or ended by itself at once.
                    _add(self._ends, (model, "failed"), 1)

    def _label(self, model: str) -> str:
        if model in self._models:
            return model
        if len(self._models) >= MOST_MODELS:
            return OTHER
        self._models.add(model)
        return model


class Standing(Collector):
    """How models and queue stood when somebody last looked, which is right before each scrape."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._seen: tuple[SchedulerView, int] | None = None
        registry.register(self)

    def look(self, view: SchedulerView, max_queued: int) -> None:
        """Takes the picture that the next scrapes, from any thread, are told of."""
        self._seen = view, max_queued

    def describe(self) -> Iterable[Metric]:
        """Returns nothing: there is no other collector of these names, so nobody has to look at us to find that out."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Yields the gauges; none before the first look."""
        if self._seen is None:
            return
        view, max_queued = self._seen
        serving = GaugeMetricFamily("hostler_requests_in_flight", "Requests that models serve.", labels=["model"])
        queued = GaugeMetricFamily("hostler_requests_queued", "Requests that wait for models.", labels=["model"])
        state = GaugeMetricFamily("hostler_model_state", "1 for the state a model is in.", labels=["model", "state"])
        for model, its in view.models.items():
            serving.add_metric([model], its.leases)
            queued.add_metric([model], its.waiting)
            for phase in Phase:
                state.add_metric([model, phase.value], float(phase is its.phase))
        limit = GaugeMetricFamily("hostler_queue_limit", "Requests that may wait at once.", value=max_queued)
        yield from (serving, queued, state, limit)


def _add(counts: dict[tuple[str, ...], float], labels: tuple[str, ...], amount: float) -> None:
    counts[labels] = counts.get(labels, 0) + amount
