"""What Prometheus is told."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from app.scheduler.commands import Announce, StopCause
from app.scheduler.instances import ModelView, Phase, SchedulerView
from app.telemetry import prometheus
from app.telemetry.activity_record import ActivityRecord
from app.telemetry.prometheus import OTHER, RequestMetrics, Standing
from app.telemetry.upstream_metrics import labelled
from planners.protocol import ModelId

A = ModelId("a")
CHAT = "/v1/chat/completions"


def samples(exposition: bytes) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Returns every sample, as Prometheus's own parser reads it."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(exposition.decode())
        for sample in family.samples
    }


class Scrape:
    """Metrics, and what a scrape says of them."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.metrics = RequestMetrics(self.registry, {CHAT}, lambda name: not name.startswith("no-"))
        self.standing = Standing(self.registry)

    def value(self, name: str, **labels: str) -> float | None:
        return samples(generate_latest(self.registry)).get((name, frozenset(labels.items())))


def record(**fields: object) -> ActivityRecord:
    given: Mapping[str, object] = {"time": 0.0, "model": "a", "req_path": CHAT, "status": 200, **fields}
    return ActivityRecord(**given)  # type: ignore[arg-type]


def announce(phase: Phase, cause: StopCause | None = None) -> Announce:
    return Announce(A, phase, "why", cause)


def test_requests_are_counted_by_model_endpoint_and_status() -> None:
    scrape = Scrape()
    scrape.metrics.fold([record(), record(), record(status=429)])

    assert scrape.value("hostler_requests_total", model="a", endpoint=CHAT, status="200") == 2
    assert scrape.value("hostler_requests_total", model="a", endpoint=CHAT, status="429") == 1


def test_path_that_is_no_endpoint_is_no_label() -> None:
    scrape = Scrape()
    scrape.metrics.fold([record(req_path="/chosen/by/a/client")])

    assert scrape.value("hostler_requests_total", model="a", endpoint=OTHER, status="200") == 1


def test_models_beyond_the_limit_are_told_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prometheus, "MOST_MODELS", 2)
    scrape = Scrape()
    scrape.metrics.fold([record(model=f"m{number}") for number in range(5)])
    scrape.metrics.fold([record(model="m0")])

    assert scrape.value("hostler_requests_total", model="m0", endpoint=CHAT, status="200") == 2
    assert scrape.value("hostler_requests_total", model=OTHER, endpoint=CHAT, status="200") == 3


def test_names_of_no_model_are_told_together() -> None:
    scrape = Scrape()
    scrape.metrics.fold(record(model=f"no-{number}", status=404) for number in range(3))
    scrape.metrics.fold([record(status=404)])

    assert scrape.value("hostler_requests_total", model="(unknown)", endpoint=CHAT, status="404") == 3
    assert scrape.value("hostler_requests_total", model="a", endpoint=CHAT, status="404") == 1


def test_model_that_a_reload_has_removed_keeps_its_label() -> None:
    known = {"a"}
    registry = CollectorRegistry()
    metrics = RequestMetrics(registry, {CHAT}, known.__contains__)
    metrics.fold([record()])
    known.clear()
    metrics.fold([record()])

    labels = {"model": "a", "endpoint": CHAT, "status": "200"}
    assert registry.get_sample_value("hostler_requests_total", labels) == 2


def test_unknown_is_never_summed() -> None:
    scrape = Scrape()
    scrape.metrics.fold([record(input_tokens=7, output_tokens=3, cached_tokens=-1), record(input_tokens=5)])

    assert scrape.value("hostler_tokens_total", model="a", kind="input") == 12
    assert scrape.value("hostler_tokens_total", model="a", kind="output") == 3
    assert scrape.value("hostler_tokens_total", model="a", kind="cached") is None


def test_times_are_told_in_seconds() -> None:
    scrape = Scrape()
    scrape.metrics.fold(
        [record(duration_ms=2500, queued_ms=500.0, swap_ms=0.0, ttft_ms=1250.0, tokens_per_second=50.0)]
    )

    assert scrape.value("hostler_request_duration_seconds_sum", model="a") == 2.5
    assert scrape.value("hostler_queue_wait_seconds_sum", model="a") == 0.5
    assert scrape.value("hostler_swap_wait_seconds_count", model="a") == 1
    assert scrape.value("hostler_time_to_first_token_seconds_sum", model="a") == 1.25
    assert scrape.value("hostler_inter_token_seconds_sum", model="a") == pytest.approx(0.02)
    assert scrape.value("hostler_generated_tokens_per_second_sum", model="a") == 50


def test_wait_that_is_not_known_is_no_wait_of_zero() -> None:
    scrape = Scrape()
    scrape.metrics.fold([record()])

    assert scrape.value("hostler_queue_wait_seconds_count", model="a") is None


def test_load_and_stop_are_measured_from_phase_to_phase() -> None:
    scrape = Scrape()
    for now, news in (
        (10.0, announce(Phase.STARTING)),
        (14.0, announce(Phase.READY)),
        (20.0, announce(Phase.STOPPING, StopCause.EVICTED)),
        (21.5, announce(Phase.STOPPED)),
    ):
        scrape.metrics.announced(news, now)

    assert scrape.value("hostler_model_load_seconds_sum", model="a") == 4
    assert scrape.value("hostler_model_stop_seconds_sum", model="a") == 1.5
    assert scrape.value("hostler_model_ends_total", model="a", reason="evicted") == 1


@pytest.mark.parametrize("phases", [(Phase.STARTING, Phase.STOPPED), (Phase.READY, Phase.STOPPING, Phase.STOPPED)])
def test_model_that_ends_by_itself_has_failed_once(phases: tuple[Phase, ...]) -> None:
    scrape = Scrape()
    for phase in phases:
        scrape.metrics.announced(announce(phase), 1.0)

    assert scrape.value("hostler_model_ends_total", model="a", reason="failed") == 1


def test_failed_load_is_no_load() -> None:
    scrape = Scrape()
    scrape.metrics.announced(announce(Phase.STARTING), 1.0)
    scrape.metrics.announced(announce(Phase.STOPPED), 2.0)

    assert scrape.value("hostler_model_load_seconds_count", model="a") is None


def test_standing_is_that_of_the_last_look() -> None:
    scrape = Scrape()
    assert scrape.value("hostler_queue_limit") is None

    scrape.standing.look(SchedulerView({A: ModelView(Phase.READY, leases=2, waiting=3)}, 3, False), 1000)

    assert scrape.value("hostler_requests_in_flight", model="a") == 2
    assert scrape.value("hostler_requests_queued", model="a") == 3
    assert scrape.value("hostler_model_state", model="a", state="ready") == 1
    assert scrape.value("hostler_model_state", model="a", state="starting") == 0
    assert scrape.value("hostler_queue_limit") == 1000


# The models' own servers

LLAMA = """# HELP llamacpp:tokens_predicted_total Number of generation tokens processed.
# TYPE llamacpp:tokens_predicted_total counter
llamacpp:tokens_predicted_total 12
# HELP busy Slots.
# TYPE busy gauge
busy{slot="1",model="inner"} 3
"""


def test_samples_of_all_servers_carry_their_models() -> None:
    found = samples(labelled({"a": LLAMA, "b": LLAMA.replace(" 12", " 30")}))

    assert found["llamacpp:tokens_predicted_total", frozenset({("model", "a")})] == 12
    assert found["llamacpp:tokens_predicted_total", frozenset({("model", "b")})] == 30


def test_label_model_of_a_server_is_kept_under_another_name() -> None:
    found = samples(labelled({"a": LLAMA}))

    assert found["busy", frozenset({("model", "a"), ("exported_model", "inner"), ("slot", "1")})] == 3


@pytest.mark.parametrize("text", [None, "this is { no metric", 'x{a="b} 1', "x{,,} nan nan nan"])
def test_server_without_metrics_does_not_spoil_those_of_others(text: str | None) -> None:
    found = samples(labelled({"a": LLAMA, "b": text}))

    assert found["hostler_upstream_scrape_success", frozenset({("model", "a")})] == 1
    assert found["hostler_upstream_scrape_success", frozenset({("model", "b")})] == 0
    assert found["busy", frozenset({("model", "a"), ("exported_model", "inner"), ("slot", "1")})] == 3


def test_servers_that_disagree_on_a_type_are_not_mixed() -> None:
    other = '# TYPE busy counter\nbusy{why="not"} 9\n'

    found = samples(labelled({"a": LLAMA, "b": other}))

    assert [dict(labels)["model"] for name, labels in found if name.startswith("busy")] == ["a"]


def test_nothing_runs_and_nothing_is_told() -> None:
    assert samples(labelled({})) == {}
