"""Activity records as JSON, as lines of JSON, and as CSV. For a worker thread: they can be many."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

import msgspec

from app.telemetry.activity_record import in_turns
from app.telemetry.times import LAYOUTS

if TYPE_CHECKING:
    from app.telemetry.activity_query import Histogram, Page, Stats
    from app.telemetry.activity_record import ActivityRecord

Format = Literal["csv", "jsonl"]

CSV_COLUMNS = (
    "id",
    "timestamp",
    "model",
    "method",
    "req_path",
    "resp_content_type",
    "resp_status_code",
    "input_tokens",
    "output_tokens",
    "cache_tokens",
    "draft_tokens",
    "draft_acc_tokens",
    "prompt_per_second",
    "tokens_per_second",
    "measured",
    "duration_ms",
    "ttft_ms",
    "queued_ms",
    "swap_ms",
    "stop_reason",
    "streamed",
    "session_id",
    "key_fingerprint",
    "client",
    "req_bytes",
    "resp_bytes",
    "error_msg",
    "metadata",
)

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""How a cell begins that a spreadsheet would take for a formula and run."""

LAST_MOMENT = 253_370_764_800.0
"""The year 9999 begins."""

_rfc3339 = LAYOUTS["rfc3339nano"]

_encoder = msgspec.json.Encoder()


def record_json(record: ActivityRecord, *, has_capture: bool) -> bytes:
    """Returns *record* as existing clients know it, and what is ours after that. Source: compatibility specification 6.6."""
    document: dict[str, object] = {
        "id": record.id,
        "timestamp": _timestamp(record.time),
        "model": record.model,
        "req_path": record.req_path,
        "resp_content_type": record.resp_content_type,
        "resp_status_code": record.status,
        "tokens": {
            "cache_tokens": record.cached_tokens,
            "draft_tokens": record.drafted_tokens,
            "draft_acc_tokens": record.accepted_tokens,
            "input_tokens": record.input_tokens,
            "output_tokens": record.output_tokens,
            "prompt_per_second": _number(record.prompt_per_second),
            "tokens_per_second": _number(record.tokens_per_second),
        },
        "duration_ms": record.duration_ms,
        "has_capture": has_capture,
    }
    if record.error_msg:
        document["error_msg"] = record.error_msg
    if record.metadata:
        document["metadata"] = dict(sorted(record.metadata.items()))
    document |= {
        "method": record.method,
        "measured": record.measured,
        "streamed": record.streamed,
        "ttft_ms": _number(record.ttft_ms),
        "queued_ms": _number(record.queued_ms),
        "swap_ms": _number(record.swap_ms),
        "stop_reason": record.stop_reason,
        "session_id": record.session_id,
        "key_fingerprint": record.key_fingerprint,
        "client": record.client,
        "req_bytes": record.req_bytes,
        "resp_bytes": record.resp_bytes,
    }
    return _escaped(_encoder.encode(document))


def page_json(found: Page, *, number: int, limit: int, has_capture: Callable[[int], bool]) -> bytes:
    """Returns the answer that holds the page with this *number*, its final newline included."""
    records = b",".join([record_json(each, has_capture=has_capture(each.id)) for each in in_turns(found.records)])
    pages = -(-found.total // limit)
    rest = f'],"page":{number},"limit":{limit},"total":{found.total},"total_pages":{pages}}}\n'
    return b'{"data":[' + records + rest.encode()


def stats_json(stats: Stats) -> bytes:
    """Returns the answer that holds *stats*, its final newline included. What follows the histograms is ours."""
    document = {
        "total_requests": stats.requests,
        "total_input_tokens": stats.input_tokens,
        "total_output_tokens": stats.output_tokens,
        "total_cache_tokens": stats.cached_tokens,
        "prompt_histogram": _histogram(stats.prompt_speed),
        "gen_histogram": _histogram(stats.speed),
        "ttft_histogram": _histogram(stats.ttft),
        "queued_ms": _percentiles(stats.queued),
        "swap_ms": _percentiles(stats.swap),
    }
    return _encoder.encode(document) + b"\n"


def jsonl(records: Iterable[ActivityRecord], *, has_capture: Callable[[int], bool]) -> bytes:
    """Returns *records* as lines of JSON."""
    return b"".join([record_json(each, has_capture=has_capture(each.id)) + b"\n" for each in in_turns(records)])


def csv_head() -> bytes:
    """Returns the first line of a CSV file."""
    return _csv([CSV_COLUMNS])


def csv_lines(records: Iterable[ActivityRecord]) -> bytes:
    """Returns *records* as lines of CSV. A text that a spreadsheet would run as a formula has a `'` before it."""
    return _csv(_cells(record) for record in in_turns(records))


def _cells(record: ActivityRecord) -> Sequence[object]:
    cells = (
        record.id,
        _timestamp(record.time),
        record.model,
        record.method,
        record.req_path,
        record.resp_content_type,
        record.status,
        record.input_tokens,
        record.output_tokens,
        record.cached_tokens,
        record.drafted_tokens,
        record.accepted_tokens,
        _number(record.prompt_per_second),
        _number(record.tokens_per_second),
        _truth(record.measured),
        record.duration_ms,
        _number(record.ttft_ms),
        _number(record.queued_ms),
        _number(record.swap_ms),
        record.stop_reason,
        _truth(record.streamed),
        record.session_id,
        record.key_fingerprint,
        record.client,
        record.req_bytes,
        record.resp_bytes,
        record.error_msg,
        json.dumps(dict(record.metadata), separators=(",", ":"), sort_keys=True) if record.metadata else "",
    )
    return [f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell for cell in cells]


def _csv(rows: Iterable[Sequence[object]]) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out).writerows(rows)
    return out.getvalue().encode()


def _truth(value: bool) -> str:
    return "true" if value else "false"


def _timestamp(moment: float) -> str:
    # Within what can be written, whoever wrote the store.
    return _rfc3339(datetime.fromtimestamp(min(max(moment, 0.0), LAST_MOMENT), UTC).astimezone())


def _histogram(histogram: Histogram | None) -> dict[str, object] | None:
    if histogram is None:
        return None
    return {
        "bins": histogram.bins,
        "min": _number(histogram.minimum),
        "max": _number(histogram.maximum),
        "binSize": _number(histogram.bin_size),
        **_named(histogram.percentiles),
    }


def _percentiles(histogram: Histogram | None) -> dict[str, object] | None:
    if histogram is None:
        return None
    return {"count": sum(histogram.bins), **_named(histogram.percentiles)}


def _named(percentiles: Sequence[float]) -> dict[str, object]:
    return dict(zip(("p50", "p95", "p99"), map(_number, percentiles), strict=True))


def _number(value: float) -> float:
    """Returns *value* such that whole numbers are written without a fraction, as Go writes them."""
    return int(value) if value.is_integer() and abs(value) < 1e15 else value


def _escaped(text: bytes) -> bytes:
    # `errors.escape_json`, on bytes.
    return text.replace(b"&", b"\\u0026").replace(b"<", b"\\u003c").replace(b">", b"\\u003e")
