from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from app.config.catalog import LogSettings
from app.telemetry.logs import LogBook


@pytest.fixture
def book() -> Iterator[LogBook]:
    book = LogBook(LogSettings())
    with book.handler:
        yield book


def written(book: LogBook) -> str:
    return book.history("proxy").decode()


def test_records_of_ours_are_written_with_their_level(book: LogBook) -> None:
    logger = logging.getLogger("app.supervisor")
    logger.debug("not at this level")
    logger.info("started %s", "x")
    logger.warning("odd")
    logger.error("bad")
    logger.critical("worse")

    assert written(book) == "[INFO] started x\n[WARN] odd\n[ERROR] bad\n[ERROR] worse\n"


def test_model_stands_before_the_text(book: LogBook) -> None:
    logging.getLogger("app.supervisor").info("Health check passed", extra={"model": "a"})

    assert written(book) == "[INFO] <a> Health check passed\n"


def test_traceback_is_written_once_below_its_line(book: LogBook) -> None:
    try:
        raise ValueError("because")
    except ValueError:
        logging.getLogger("planners").exception("it failed")

    lines = written(book).splitlines()
    assert lines[0] == "[ERROR] it failed"
    assert lines[1] == "    Traceback (most recent call last):"
    assert lines[-1] == "    ValueError: because"
    assert written(book).count("because") == 2  # the line of the source that raises, and the error itself


def test_only_warnings_of_others_are_written(book: LogBook) -> None:
    logging.getLogger("uvicorn.error").info("Application startup complete.")
    logging.getLogger("uvicorn.error").error("Exception in ASGI application")
    logging.getLogger("asyncio").warning("Executing took 1 s")
    logging.getLogger("somebody.else").error("not ours")

    assert written(book) == "[ERROR] Exception in ASGI application\n[WARN] Executing took 1 s\n"


def test_new_level_holds_for_the_loggers(book: LogBook) -> None:
    book.reconfigure(LogSettings(level="debug"))
    logging.getLogger("monitors.nvidia").debug("details")
    book.reconfigure(LogSettings(level="error"))
    logging.getLogger("monitors.nvidia").warning("no")
    logging.getLogger("uvicorn.error").warning("no")

    assert written(book) == "[DEBUG] details\n"
    assert not logging.getLogger("app").isEnabledFor(logging.WARNING)


def test_leaving_puts_everything_back() -> None:
    logger = logging.getLogger("app")
    other = logging.NullHandler()
    logger.addHandler(other)
    before = (logger.level, logger.propagate, logger.handlers[:])
    book = LogBook(LogSettings(level="debug"))
    try:
        with book.handler:
            assert logger.handlers == [book.handler]
        logger.warning("nobody listens")
        book.reconfigure(LogSettings(level="error"))

        assert (logger.level, logger.propagate, logger.handlers[:]) == before
        assert written(book) == ""
    finally:
        logger.removeHandler(other)


def test_record_that_cannot_be_formatted_does_not_reach_who_logs(
    book: LogBook, capsys: pytest.CaptureFixture[str]
) -> None:
    # Not by a logger, for pytest listens there, too, and does raise.
    book.handler.handle(logging.LogRecord("app", logging.INFO, __file__, 1, "%d", ("not a number",), None))

    assert written(book) == ""
    assert "not a number" in capsys.readouterr().err
