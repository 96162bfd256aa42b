from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from app.asgi import ClientDisconnected, send_bytes
from app.config.catalog import LogSettings
from app.exchange import KEY
from app.middleware.access_log import AccessLog
from app.telemetry.json_lines import json_line
from app.telemetry.logs import LogBook
from tests.asgi import call
from tests.endpoints.catalogs import model

AT = datetime(2026, 1, 2, 4, 4, 5, 678901, timezone(timedelta(hours=1)))


def lines(book: LogBook) -> list[dict[str, Any]]:
    """Returns what was written, without its time."""
    found = [json.loads(line) for line in book.history("proxy").decode().splitlines()]
    for each in found:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", each.pop("time"))
    return found


def test_line_is_an_object_with_its_time_in_utc() -> None:
    assert json_line("WARN", "it's <odd>", {"model": "ä"}, AT) == (
        '{"time":"2026-01-02T03:04:05.678Z","level":"WARN","message":"it\'s <odd>","model":"ä"}\n'.encode()
    )


def test_line_has_the_time_of_now() -> None:
    before = datetime.now(UTC)
    told = datetime.fromisoformat(json.loads(json_line("INFO", "x", {}))["time"])

    assert abs((told - before).total_seconds()) < 60


def test_nothing_ends_a_line_but_its_end() -> None:
    line = json_line("INFO", "a\nb\r\x00\ud800\u2028", {"x": object()}, AT)

    assert line.count(b"\n") == 1
    assert json.loads(line)["message"] == "a\nb\r\x00\ud800\u2028"


def test_records_have_their_model_and_their_traceback_in_fields() -> None:
    book = LogBook(LogSettings(time_format="rfc3339"), as_json=True)
    logger = logging.getLogger("app.supervisor")
    with book.handler:
        logger.debug("not at this level")
        logger.info("ready: %s", "ready", extra={"model": "a"})
        try:
            raise ValueError("why")
        except ValueError:
            logger.exception("failed")
        book.proxy_line("WARN", "a\nline")
        book.proxy_line("DEBUG", "not at this level")
        book.record("DEBUG", "not at this level", {})

    first, second, third = lines(book)
    assert first == {"level": "INFO", "message": "ready: ready", "model": "a"}
    assert second.pop("exception").endswith("ValueError: why")
    assert second == {"level": "ERROR", "message": "failed"}
    assert third == {"level": "WARN", "message": "a\nline"}


def test_what_models_print_stays_as_it_is() -> None:
    book = LogBook(LogSettings(to_stdout="both"), as_json=True)
    book.model_sink("a")(b"\x1b[1mplain\n")

    assert book.history("combined") == b"\x1b[1mplain\n"


@pytest.mark.anyio
async def test_access_is_told_in_fields() -> None:
    class Exchange:
        model = model("llama")

    async def hello(scope: Scope, _receive: Receive, send: Send) -> None:
        scope[KEY] = Exchange
        await send_bytes(send, 201, b"hello")

    book = LogBook(LogSettings(), as_json=True)
    headers = [
        (b"user-agent", b'curl "7"\n'),
        (b"x-forwarded-for", b"10.0.0.1, 10.0.0.2"),
        (b"authorization", b"secret"),
    ]
    await call(AccessLog(hello, book), "PUT", "/a%0Ab", headers=headers, query=b"key=secret")

    [line] = lines(book)
    assert line.pop("duration_ms") >= 0
    assert line == {
        "level": "INFO",
        "message": "request",
        "client": "10.0.0.1",
        "method": "PUT",
        "path": "/a\nb",
        "status": 201,
        "bytes": 5,
        "user_agent": 'curl "7"\n',
        "model": "llama",
    }


@pytest.mark.anyio
async def test_access_without_a_model_has_none() -> None:
    async def leave(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise ClientDisconnected

    book = LogBook(LogSettings(), as_json=True)
    with pytest.raises(ClientDisconnected):
        await call(AccessLog(leave, book), path="/x", client=None)

    [line] = lines(book)
    assert (line["status"], line["client"], "model" in line) == (499, "-", False)
