"""Brings the records of Python's `logging` into the log book."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

    from app.telemetry.logs import Level, LogBook

OURS = ("app", "planners", "monitors")
"""Loggers that the configured level is for."""

OTHERS = ("uvicorn.error", "asyncio")
"""Loggers that speak for us; only their warnings and errors are news to an operator."""

_BY_NAME = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}


def severity_of(level: str) -> int:
    """Returns what `logging` calls the configured *level*; that of info for an unknown one, as existing files expect."""
    return _BY_NAME.get(level.strip().lower(), logging.INFO)


class BookHandler(logging.Handler):
    """Writes records into *book*, `<model> ` first where a record's `extra` names one; as JSON, it is a field, and so is a traceback.

    Entering it puts it in the place of whatever handled our loggers before; leaving it puts that back.
    """

    def __init__(self, book: LogBook) -> None:
        super().__init__()
        self._book = book
        self._severity = logging.INFO
        self._before: list[tuple[logging.Logger, int, bool, list[logging.Handler]]] = []

    def reconfigure(self, severity: int) -> None:
        """Takes another level."""
        self._severity = severity
        if self._before:
            self._set_levels()

    def emit(self, record: logging.LogRecord) -> None:
        """Writes one record, the traceback below it."""
        try:
            text = record.getMessage()
            model = getattr(record, "model", None)
            if record.exc_info and not record.exc_text:
                record.exc_text = (self.formatter or _plain).formatException(record.exc_info)
            if self._book.as_json:
                named = {"model": model, "exception": record.exc_text}
                fields = {name: value for name, value in named.items() if value is not None}
                self._book.record(_level(record.levelno), text, fields)
                return
            if model is not None:
                text = f"<{model}> {text}"
            if record.exc_text:
                text = f"{text}\n{record.exc_text}"
            self._book.proxy_line(_level(record.levelno), text)
        except Exception:
            self.handleError(record)

    def __enter__(self) -> Self:
        for name in (*OURS, *OTHERS):
            logger = logging.getLogger(name)
            self._before.append((logger, logger.level, logger.propagate, logger.handlers[:]))
            logger.handlers[:] = [self]
            logger.propagate = False
        self._set_levels()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        while self._before:
            logger, level, propagate, handlers = self._before.pop()
            logger.handlers[:] = handlers
            logger.propagate = propagate
            logger.setLevel(level)

    def _set_levels(self) -> None:
        for name in OURS:
            logging.getLogger(name).setLevel(self._severity)
        for name in OTHERS:
            logging.getLogger(name).setLevel(max(self._severity, logging.WARNING))


_plain = logging.Formatter()


def _level(number: int) -> Level:
    if number >= logging.ERROR:
        return "ERROR"
    if number >= logging.WARNING:
        return "WARN"
    return "INFO" if number >= logging.INFO else "DEBUG"
