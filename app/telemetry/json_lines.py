"""Our own log lines for programs: one JSON object a line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime


def json_line(level: str, message: str, fields: Mapping[str, object], at: datetime | None = None) -> bytes:
    """Returns one line, its end included: time, level and message first, then *fields*. at: now if None; knows its time zone."""
    moment = (at or datetime.now(UTC)).astimezone(UTC)
    document = {
        "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "level": level,
        "message": message,
        **fields,
    }
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=False, default=str)
    # A lone surrogate, which no UTF-8 has, becomes the escape that JSON has for it.
    return (text + "\n").encode(errors="backslashreplace")
