from __future__ import annotations

import io
import os
import re
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from app.config.catalog import LogSettings
from app.telemetry.logs import BACKLOG, LogBook

ALL = LogSettings(to_stdout="both")


@contextmanager
def pipe() -> Iterator[tuple[int, BinaryIO]]:
    """A reader's descriptor and a writer's file, as standard output of a program in a pipeline is."""
    reader, writer = os.pipe()
    file = os.fdopen(writer, "wb")
    try:
        yield reader, file
    finally:
        os.close(reader)
        if not file.closed:
            file.close()


def read_until_closed(reader: int) -> bytes:
    parts = []
    while part := os.read(reader, 1 << 16):
        parts.append(part)
    return b"".join(parts)


def counted(data: bytes) -> tuple[int, int]:
    """Returns how many bytes there are and how many are said to be missing."""
    marker = re.compile("\n— (\\d+) bytes dropped —\n".encode())
    return len(marker.sub(b"", data)), sum(int(number) for number in marker.findall(data))


def test_what_is_written_before_there_is_a_loop_comes_out() -> None:
    file = io.BytesIO()
    book = LogBook(ALL, file)
    book.proxy_line("INFO", "first")
    book.model_sink("a")(b"\x1b[31mred\x1b[0m\n")

    assert book.flush()
    assert file.getvalue() == b"[INFO] first\n\x1b[31mred\x1b[0m\n"


def test_what_is_written_after_a_flush_comes_out_with_the_next() -> None:
    file = io.BytesIO()
    book = LogBook(ALL, file)
    book.proxy_line("INFO", "first")
    book.flush()
    book.proxy_line("INFO", "second")
    book.flush()

    assert file.getvalue() == b"[INFO] first\n[INFO] second\n"


def test_flush_without_anything_written_is_done_at_once() -> None:
    assert LogBook(ALL, io.BytesIO()).flush(0)


def test_flush_without_standard_output_is_done_at_once() -> None:
    assert LogBook(ALL).flush(0)


def test_flush_leaves_no_thread() -> None:
    book = LogBook(ALL, io.BytesIO())
    book.proxy_line("INFO", "first")
    book.flush()

    assert "standard output" not in {thread.name for thread in threading.enumerate()}


def test_pipe_that_nobody_empties_holds_up_nobody_and_no_memory() -> None:
    with pipe() as (reader, file):
        book = LogBook(ALL, file)
        sink = book.model_sink("a")
        line = b"x" * 1023 + b"\n"
        tracemalloc.start()
        try:
            for _ in range(32 << 10):
                sink(line)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

        assert not book.flush(0.01)
        # The rings of `upstream` and `combined`, at their fullest and while they grow; 32 MiB were written.
        assert peak < 8 * BACKLOG

        got: list[bytes] = []
        emptier = threading.Thread(target=lambda: got.append(read_until_closed(reader)))
        emptier.start()
        assert book.flush(10)
        file.close()
        emptier.join()
        there, missing = counted(got[0])
        assert missing > 0
        assert there + missing == 32 << 20


def test_broken_pipe_holds_up_nobody() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as file:
        book = LogBook(ALL, file)
        book.proxy_line("INFO", "nobody will read this")

        assert book.flush()
        assert book.history("combined") == b"[INFO] nobody will read this\n"


class FullForAWhile(io.RawIOBase):
    """A file on a disk that is full at first."""

    def __init__(self) -> None:
        self.full = True
        self.data = b""

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        assert isinstance(data, memoryview)
        if self.full:
            raise OSError("no space left on device")
        self.data += bytes(data[:3])
        return len(data[:3])


def test_what_could_not_be_written_is_told_once_it_can() -> None:
    file = FullForAWhile()
    book = LogBook(ALL, io.BufferedWriter(file))
    book.proxy_line("INFO", "lost")
    book.flush()
    file.full = False
    book.proxy_line("INFO", "seen")
    book.flush()

    assert file.data == "\n— 12 bytes dropped —\n[INFO] seen\n".encode()


def test_standard_output_set_to_non_blocking_gets_everything() -> None:
    with pipe() as (reader, file):
        os.set_blocking(file.fileno(), False)
        book = LogBook(ALL, file)
        book.model_sink("a")(b"y" * (BACKLOG // 2))
        assert not book.flush(0.05)  # the pipe is full, and nobody reads yet
        got: list[bytes] = []
        emptier = threading.Thread(target=lambda: got.append(read_until_closed(reader)))
        emptier.start()
        assert book.flush(10)
        file.close()
        emptier.join()

        assert got == [b"y" * (BACKLOG // 2)]
