"""Activity records for tests, and programs that write them."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import msgspec

from app.telemetry.activity import ActivityLog
from app.telemetry.activity_query import Filter, page
from app.telemetry.activity_record import ActivityRecord

ROOT = Path(__file__).parents[2]

PLAIN = ActivityRecord(
    time=1_790_000_000.25,
    model="a",
    req_path="/v1/chat/completions",
    status=200,
    resp_content_type="application/json",
    duration_ms=12,
    input_tokens=5,
    output_tokens=7,
    cached_tokens=-1,
    drafted_tokens=-1,
    accepted_tokens=-1,
    prompt_per_second=100.5,
    tokens_per_second=20.0,
)


def record(**changes: Any) -> ActivityRecord:
    """Returns an ordinary record, with *changes*."""
    return msgspec.structs.replace(PLAIN, **changes)


async def read_all(log: ActivityLog) -> list[ActivityRecord]:
    """Returns all that the log has, the oldest first."""

    def ask(connection: sqlite3.Connection) -> list[ActivityRecord]:
        return page(connection, Filter(), sort="id", descending=False, limit=1_000_000, offset=0).records

    return await log.read(ask)


async def ids(log: ActivityLog) -> list[int]:
    """Returns the ids of all that the log has, in order."""
    return [each.id for each in await read_all(log)]


SPECIFIED = """
CREATE TABLE goose_db_version (id INTEGER PRIMARY KEY AUTOINCREMENT, version_id INTEGER NOT NULL, is_applied INTEGER NOT NULL);
INSERT INTO goose_db_version (version_id, is_applied) VALUES (0, 1), (1, 1);
CREATE TABLE activity (
    id INTEGER PRIMARY KEY AUTOINCREMENT, ts_created INTEGER NOT NULL, model_id TEXT NOT NULL, req_path TEXT NOT NULL,
    resp_content_type TEXT NOT NULL, resp_status_code INTEGER NOT NULL, cache_tokens INTEGER NOT NULL,
    draft_tokens INTEGER NOT NULL, draft_acc_tokens INTEGER NOT NULL, input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL, prompt_per_second REAL NOT NULL, tokens_per_second REAL NOT NULL,
    duration_ms INTEGER NOT NULL, error_msg TEXT NOT NULL DEFAULT '', metadata_json TEXT NOT NULL DEFAULT '{}'
);
CREATE INDEX idx_activity_ts ON activity (ts_created DESC, id DESC);
CREATE INDEX idx_activity_model ON activity (model_id, ts_created DESC, id DESC);
INSERT INTO activity VALUES
    (41, 1780000000, 'old', '/v1/chat/completions', 'text/event-stream', 200, 7, 9, 6, 4, 3, 10.5, 20.25, 2230, '', '{"fifo_priority":"0"}'),
    (42, 1780000001, 'gone', '/v1/embeddings', 'application/json', 404, 0, 0, 0, 0, 0, 0, 0, 1, 'no router for requested model', '{}');
"""
"""A store as existing installations have it. Source: compatibility specification 6.5."""


def make_specified_store(path: Path) -> None:
    """Makes a store as existing installations have it, with records 41 and 42."""
    connection = sqlite3.connect(path)
    connection.executescript(SPECIFIED)
    connection.close()
