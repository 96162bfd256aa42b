"""One finished request, as it is remembered, and its row in the store.

A `msgspec.Struct` and not a dataclass: one is made for every request, and a frozen dataclass of this many fields takes
five times as long to make (3.3 µs against 0.6, measured).
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import TypeVar

import msgspec

T = TypeVar("T")

LONGEST = 1024
"""Characters kept of any one text: model names and paths are the client's, and as long as it likes."""

METADATA_LONGEST = 16 << 10
"""Characters of JSON kept as metadata; a longer one is left out whole."""

NO_METADATA: Mapping[str, str] = MappingProxyType({})


class ActivityRecord(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What is known of a request when it has ended. Numbers are -1 where nothing is known.

    Which fields are 0 and which -1 for requests without usage: compatibility specification 6.4.
    """

    time: float
    """When it ended, in seconds since 1970."""
    model: str
    """Its model's id, or the name that the client gave, if there is no such model."""
    req_path: str
    """The path the model's server was asked for."""
    id: int = 0
    """Its number; 0 until it is in the log."""
    method: str = "POST"
    status: int = 0
    resp_content_type: str = ""
    duration_ms: int = 0
    """From its arrival to its end, waiting and loading included."""
    error_msg: str = ""
    metadata: Mapping[str, str] = NO_METADATA

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    """Of the input, those that the server had still in its cache."""
    drafted_tokens: int = 0
    """Tokens that a draft model proposed…"""
    accepted_tokens: int = 0
    """… and those of them that were taken."""
    prompt_per_second: float = 0.0
    tokens_per_second: float = 0.0
    measured: bool = False
    """Whether the speeds were measured here, for want of the server's own figures."""

    key_fingerprint: str = ""
    """Tells API keys apart without telling them."""
    client: str = ""
    """Its address."""
    session_id: str = ""
    streamed: bool = False
    ttft_ms: float = -1.0
    """From its arrival to the first token."""
    queued_ms: float = -1.0
    """Of that, waiting for its turn."""
    swap_ms: float = -1.0
    """Of that, waiting for models to be unloaded and loaded."""
    stop_reason: str = ""
    """Why the model stopped, in its own words: `stop`, `length`, `tool_calls`…"""
    req_bytes: int = -1
    resp_bytes: int = -1


Cell = str | int | float | None
Row = tuple[Cell, ...]

KNOWN_COLUMNS = (
    "id",
    "ts_created",
    "model_id",
    "req_path",
    "resp_content_type",
    "resp_status_code",
    "cache_tokens",
    "draft_tokens",
    "draft_acc_tokens",
    "input_tokens",
    "output_tokens",
    "prompt_per_second",
    "tokens_per_second",
    "duration_ms",
    "error_msg",
    "metadata_json",
)
"""What an existing store has. Source: compatibility specification 6.5."""

OUR_COLUMNS = {
    "ts_fraction": "REAL NOT NULL DEFAULT 0",
    "method": "TEXT NOT NULL DEFAULT 'POST'",
    "measured": "INTEGER NOT NULL DEFAULT 0",
    "key_fingerprint": "TEXT NOT NULL DEFAULT ''",
    "client": "TEXT NOT NULL DEFAULT ''",
    "session_id": "TEXT NOT NULL DEFAULT ''",
    "streamed": "INTEGER NOT NULL DEFAULT 0",
    "ttft_ms": "REAL NOT NULL DEFAULT -1",
    "queued_ms": "REAL NOT NULL DEFAULT -1",
    "swap_ms": "REAL NOT NULL DEFAULT -1",
    "stop_reason": "TEXT NOT NULL DEFAULT ''",
    "req_bytes": "INTEGER NOT NULL DEFAULT -1",
    "resp_bytes": "INTEGER NOT NULL DEFAULT -1",
}
"""What ours has besides, and how each is declared: an existing store gets them added."""

COLUMNS = (*KNOWN_COLUMNS, *OUR_COLUMNS)
"""The order of the cells in a `Row`."""


def row_of(number: int, record: ActivityRecord) -> Row:
    """Returns *record* as the row with the id *number*, with nothing in it that the store could choke on but odd characters."""
    second = math.floor(record.time)
    return (
        number,
        second,
        record.model[:LONGEST],
        record.req_path[:LONGEST],
        record.resp_content_type[:LONGEST],
        record.status,
        _count(record.cached_tokens),
        _count(record.drafted_tokens),
        _count(record.accepted_tokens),
        _count(record.input_tokens),
        _count(record.output_tokens),
        _measure(record.prompt_per_second),
        _measure(record.tokens_per_second),
        _count(record.duration_ms),
        record.error_msg[:LONGEST],
        _json(record.metadata) if record.metadata else "",
        record.time - second,
        record.method[:LONGEST],
        record.measured,
        record.key_fingerprint[:LONGEST],
        record.client[:LONGEST],
        record.session_id[:LONGEST],
        record.streamed,
        _measure(record.ttft_ms),
        _measure(record.queued_ms),
        _measure(record.swap_ms),
        record.stop_reason[:LONGEST],
        _count(record.req_bytes),
        _count(record.resp_bytes),
    )


def without_surrogates(row: Row) -> Row:
    """Returns *row* with halves of surrogate pairs, which JSON can say and UTF-8 cannot, written as escapes."""
    return tuple(cell.encode(errors="backslashreplace").decode() if isinstance(cell, str) else cell for cell in row)


def record_of(row: Row) -> ActivityRecord:
    """Returns the record that *row* holds. Whoever wrote the row: a cell of another type than ours is as good as empty."""
    (number, second, model, path, content_type, status, cached, drafted, accepted, given, generated) = row[:11]
    (prompt_speed, speed, duration, error, metadata, fraction, method, measured, key, client, session) = row[11:22]
    (streamed, ttft, queued, swap, stop_reason, req_bytes, resp_bytes) = row[22:]
    return ActivityRecord(
        id=_int(number),
        time=_float(second) + _float(fraction),
        model=_text(model),
        req_path=_text(path),
        method=_text(method),
        status=_int(status),
        resp_content_type=_text(content_type),
        duration_ms=_int(duration),
        error_msg=_text(error),
        metadata=_metadata(_text(metadata)),
        input_tokens=_int(given),
        output_tokens=_int(generated),
        cached_tokens=_int(cached),
        drafted_tokens=_int(drafted),
        accepted_tokens=_int(accepted),
        prompt_per_second=_float(prompt_speed),
        tokens_per_second=_float(speed),
        measured=bool(measured),
        key_fingerprint=_text(key),
        client=_text(client),
        session_id=_text(session),
        streamed=bool(streamed),
        ttft_ms=_float(ttft),
        queued_ms=_float(queued),
        swap_ms=_float(swap),
        stop_reason=_text(stop_reason),
        req_bytes=_int(req_bytes),
        resp_bytes=_int(resp_bytes),
    )


def in_turns(many: Iterable[T]) -> Iterator[T]:
    """Returns *many*, and lets go of the interpreter's lock now and then, for work in another thread than the event loop's.

    Otherwise the loop would wait 5 ms for the lock, each time that it needs it back.
    """
    for number, each in enumerate(many):
        yield each
        if number % 8 == 7:
            time.sleep(0)


def _count(number: int) -> int:
    # What JSON cannot say exactly nobody has counted.
    return number if -1 <= number < 1 << 53 else -1


def _measure(number: float) -> float:
    # NaN compares with nothing, so it ends here, too.
    return number if -1.0 <= number < 1e15 else -1.0


def _json(metadata: Mapping[str, str]) -> str:
    text = json.dumps(dict(sorted(metadata.items())), separators=(",", ":"))
    return text if len(text) <= METADATA_LONGEST else ""


_decoder = msgspec.json.Decoder(dict[str, str])


def _metadata(text: str) -> Mapping[str, str]:
    if text in {"", "{}", "null"}:
        return NO_METADATA
    try:
        return _decoder.decode(text)
    except msgspec.DecodeError:
        return NO_METADATA


def _text(cell: Cell) -> str:
    return cell if isinstance(cell, str) else ""


def _int(cell: Cell) -> int:
    return int(cell) if isinstance(cell, int | float) else -1


def _float(cell: Cell) -> float:
    return float(cell) if isinstance(cell, int | float) else -1.0
