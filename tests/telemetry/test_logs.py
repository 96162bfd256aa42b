from __future__ import annotations

import io
import re
import threading
import tracemalloc
from datetime import UTC, datetime, timedelta

import anyio
import pytest

from app.config.catalog import LogSettings
from app.telemetry.logs import HISTORY, Follower, LogBook

pytestmark = pytest.mark.anyio


async def read_all(follower: Follower) -> bytes:
    return b"".join([chunk async for chunk in follower])


async def read_until(follower: Follower, end: bytes) -> bytes:
    got = b""
    with anyio.fail_after(10):
        while not got.endswith(end):
            got += await anext(follower)
    return got


@pytest.mark.parametrize(
    ("to_stdout", "expected"),
    [
        ("proxy", b"[INFO] ours\n"),
        ("upstream", b"theirs\n"),
        ("both", b"[INFO] ours\ntheirs\n"),
        ("none", b""),
    ],
)
def test_combined_log_and_standard_output_have_what_is_asked_for(to_stdout: str, expected: bytes) -> None:
    file = io.BytesIO()
    book = LogBook(LogSettings(to_stdout=to_stdout), file)
    book.proxy_line("INFO", "ours")
    book.model_sink("a")(b"theirs\n")
    book.flush()

    assert file.getvalue() == expected
    assert book.history("combined") == expected
    assert book.history("proxy") == b"[INFO] ours\n"
    assert book.history("upstream") == b"theirs\n"
    assert book.history("a") == b"theirs\n"


def test_models_have_logs_of_their_own_and_one_together() -> None:
    book = LogBook(LogSettings())
    first, second = book.model_sink("a"), book.model_sink("b")
    first(b"1")
    second(b"\x1b[32m\xff2\n")
    first(b"3\n")

    assert book.history("a") == b"13\n"
    assert book.history("b") == b"\x1b[32m\xff2\n"
    assert book.history("upstream") == b"1\x1b[32m\xff2\n3\n"
    assert book.names == ("proxy", "upstream", "combined", "a", "b")


def test_model_named_like_one_of_our_logs_cannot_write_into_it() -> None:
    book = LogBook(LogSettings())
    book.model_sink("proxy")(b"[INFO] forged\n")

    assert book.history("proxy") == b""
    assert book.tail("proxy") == "[INFO] forged"


def test_history_is_the_last_hundred_kibibytes() -> None:
    book = LogBook(LogSettings())
    sink = book.model_sink("a")
    for number in range(20_000):
        sink(b"%09d\n" % number)

    assert HISTORY == 102_400
    for name in ("a", "upstream"):
        assert book.history(name) == b"".join(b"%09d\n" % number for number in range(20_000 - 10_240, 20_000))


def test_history_of_a_log_that_does_not_exist_is_empty() -> None:
    assert LogBook(LogSettings()).history("nothing") == b""


def test_nothing_is_not_a_write() -> None:
    book = LogBook(LogSettings())
    book.model_sink("a")(b"")

    assert book.history("a") == b""


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("debug", b"[DEBUG] d\n[INFO] i\n[INFO] access\n[WARN] w\n[ERROR] e\n"),
        ("info", b"[INFO] i\n[INFO] access\n[WARN] w\n[ERROR] e\n"),
        ("warn", b"[WARN] w\n[ERROR] e\n"),
        (" ERROR ", b"[ERROR] e\n"),
        ("chatty", b"[INFO] i\n[INFO] access\n[WARN] w\n[ERROR] e\n"),
    ],
)
def test_lines_below_the_level_are_not_written(level: str, expected: bytes) -> None:
    book = LogBook(LogSettings(level=level))
    book.proxy_line("DEBUG", "d")
    book.proxy_line("INFO", "i")
    book.write_access("access")
    book.proxy_line("WARN", "w")
    book.proxy_line("ERROR", "e")

    assert book.history("proxy") == expected
    assert book.logs_access == (b"access" in expected)


def test_time_stamp_stands_before_the_level() -> None:
    book = LogBook(LogSettings(time_format="rfc3339nano"))
    before = datetime.now(UTC)
    book.proxy_line("WARN", "text")
    book.write_access("line")

    first, second = book.history("proxy").decode().splitlines()
    stamp, _, rest = first.partition(" ")
    assert rest == "[WARN] text"
    assert timedelta() <= datetime.fromisoformat(stamp) - before < timedelta(minutes=1)
    assert re.fullmatch(r"\S+ \[INFO\] line", second)


def test_new_settings_hold_for_lines_to_come() -> None:
    book = LogBook(LogSettings())
    sink = book.model_sink("a")
    book.proxy_line("DEBUG", "no")
    sink(b"no\n")
    book.reconfigure(LogSettings(level="debug", to_stdout="both"))
    book.proxy_line("DEBUG", "yes")
    sink(b"yes\n")

    assert book.history("combined") == b"[DEBUG] yes\nyes\n"


def test_no_text_can_begin_a_line_of_its_own_or_colour_the_terminal() -> None:
    book = LogBook(LogSettings())
    book.proxy_line("INFO", "a\n[ERROR] forged\r\x1b[31m\tb\x9b\n")

    assert book.history("proxy") == b"[INFO] a\n    [ERROR] forged\\x0d\\x1b[31m\tb\\x9b\n"


def test_text_with_half_a_character_is_written() -> None:
    book = LogBook(LogSettings())
    book.proxy_line("INFO", "\udcff")

    assert book.history("proxy") == b"[INFO] ?\n"


def test_tail_is_the_last_lines_as_a_person_would_see_them() -> None:
    book = LogBook(LogSettings())
    sink = book.model_sink("a")
    sink(b"one\n\n\x1b[31mtwo\x1b[0m \r\nload  1%\rload 50%\rload 99%\n\x1b]0;title\x07three\x00\xff\n")

    assert book.tail("a", lines=3) == "two\nload 99%\nthree\\x00\ufffd"
    assert book.tail("a", lines=1) == "three\\x00\ufffd"


def test_tail_shows_nothing_of_an_earlier_run() -> None:
    book = LogBook(LogSettings())
    book.model_sink("a")(b"old\n")
    sink = book.model_sink("a")

    assert book.tail("a") == ""
    sink(b"new\n")
    assert book.tail("a") == "new"


def test_tail_of_a_model_that_never_ran_is_empty() -> None:
    assert LogBook(LogSettings()).tail("a") == ""


async def test_reader_gets_history_and_then_what_comes() -> None:
    async with LogBook(LogSettings()) as book:
        sink = book.model_sink("a")
        sink(b"old\n")
        follower = book.subscribe("a", history=True)

        assert await read_until(follower, b"old\n") == b"old\n"
        sink(b"new\n")
        assert await read_until(follower, b"new\n") == b"new\n"


async def test_reader_without_history_gets_only_what_comes() -> None:
    async with LogBook(LogSettings()) as book:
        book.proxy_line("INFO", "old")
        follower = book.subscribe("proxy", history=False)
        book.proxy_line("INFO", "new")

        assert await read_until(follower, b"new\n") == b"[INFO] new\n"


async def test_reader_of_a_model_that_has_not_printed_anything_is_served_when_it_does() -> None:
    async with LogBook(LogSettings()) as book, anyio.create_task_group() as group:
        got: list[bytes] = []

        async def read() -> None:
            got.append(await read_all(book.subscribe("a", history=True)))

        group.start_soon(read)
        await anyio.wait_all_tasks_blocked()
        book.model_sink("a")(b"at last\n")
        book.close()

    assert got == [b"at last\n"]


async def test_reader_of_a_quiet_log_is_not_woken_for_the_others() -> None:
    async with LogBook(LogSettings()) as book, anyio.create_task_group() as group:
        group.start_soon(read_all, book.subscribe("a", history=True))
        await anyio.wait_all_tasks_blocked()
        waited_for = book._stream("a").changed
        book.model_sink("b")(b"noise\n")
        loud = book.subscribe("b", history=False)
        async with anyio.create_task_group() as inner:
            inner.start_soon(read_until, loud, b"more\n")
            await anyio.wait_all_tasks_blocked()
            book.model_sink("b")(b"more\n")

        assert waited_for is not None
        assert book._stream("a").changed is waited_for
        book.close()


async def test_waiting_reader_is_woken_by_another_thread() -> None:
    async with LogBook(LogSettings()) as book:
        for size in (5, 100_000):  # one told later, one at once
            follower = book.subscribe("a", history=False)
            sink = book.model_sink("a")

            async with anyio.create_task_group() as group:
                group.start_soon(read_until, follower, b"z")
                await anyio.wait_all_tasks_blocked()
                thread = threading.Thread(target=sink, args=(b"y" * size + b"z",))
                thread.start()
            thread.join()


async def test_writers_in_many_threads_lose_nothing() -> None:
    async with LogBook(LogSettings()) as book:
        follower = book.subscribe("proxy", history=False)

        def write(name: str) -> None:
            for number in range(200):
                book.proxy_line("INFO", f"{name} {number}")

        async with anyio.create_task_group() as group:
            for name in "abcd":
                group.start_soon(anyio.to_thread.run_sync, write, name)
        book.close()
        lines = (await read_all(follower)).decode().splitlines()

    for name in "abcd":
        assert [line for line in lines if f" {name} " in line] == [f"[INFO] {name} {number}" for number in range(200)]


async def test_closing_ends_readers_after_they_have_read_everything() -> None:
    async with LogBook(LogSettings()) as book:
        early = book.subscribe("proxy", history=True)
        async with anyio.create_task_group() as group:
            got: list[bytes] = []

            async def read() -> None:
                got.append(await read_all(early))

            group.start_soon(read)
            await anyio.wait_all_tasks_blocked()
            book.proxy_line("INFO", "last")
            book.close()

        assert got == [b"[INFO] last\n"]
        assert await read_all(book.subscribe("proxy", history=True)) == b"[INFO] last\n"


async def test_book_closed_before_it_was_entered_has_no_news() -> None:
    book = LogBook(LogSettings())
    book.proxy_line("INFO", "old")
    book.close()
    async with book:
        assert await read_all(book.subscribe("proxy", history=True)) == b"[INFO] old\n"


async def test_writing_goes_on_after_closing() -> None:
    file = io.BytesIO()
    async with LogBook(LogSettings(), file) as book:
        book.close()
        book.proxy_line("INFO", "shutdown complete")

    assert file.getvalue() == b"[INFO] shutdown complete\n"
    book.proxy_line("INFO", "bye")
    book.flush()
    assert file.getvalue() == b"[INFO] shutdown complete\n[INFO] bye\n"


async def test_leaving_the_book_ends_waiting_readers() -> None:
    async with anyio.create_task_group() as group, LogBook(LogSettings()) as book:
        group.start_soon(read_all, book.subscribe("a", history=True))
        await anyio.wait_all_tasks_blocked()
        book.proxy_line("INFO", "leaves a timer")


async def test_lone_line_reaches_standard_output_in_a_running_loop() -> None:
    class Told(io.BytesIO):
        def write(self, data: object) -> int:
            told.set()
            return super().write(data)  # type: ignore[arg-type]  # a buffer, as the outlet writes

    told = threading.Event()
    file = Told()
    async with LogBook(LogSettings(), file) as book:
        book.proxy_line("INFO", "alone")
        assert await anyio.to_thread.run_sync(told.wait, 10)

    assert file.getvalue() == b"[INFO] alone\n"


async def test_two_hundred_readers_get_every_byte() -> None:
    async with LogBook(LogSettings()) as book:
        lines = [b"%05d %s\n" % (number, b"x" * 100) for number in range(3000)]
        got: list[bytes] = []

        async def read(follower: Follower) -> None:
            got.append(await read_all(follower))

        async with anyio.create_task_group() as group:
            for _ in range(200):
                group.start_soon(read, book.subscribe("a", history=False))
            await anyio.wait_all_tasks_blocked()
            sink = book.model_sink("a")
            for number, line in enumerate(lines):
                sink(line)
                if number % 50 == 0:
                    await anyio.lowlevel.checkpoint()
            book.close()

    assert len(got) == 200
    assert set(got) == {b"".join(lines)}


async def test_flood_with_readers_that_never_read_takes_no_memory() -> None:
    async with LogBook(LogSettings()) as book:
        followers = [book.subscribe("a", history=True) for _ in range(200)]
        sink = book.model_sink("a")
        block = b"x" * 65_535 + b"\n"
        tracemalloc.start()
        try:
            for _ in range(1000):
                sink(block)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        book.close()

        assert peak < 8 << 20  # of 64 MiB written: the rings, at their fullest and while they grow
        got = await read_all(followers[0])
        missing = re.match("\n— (\\d+) bytes dropped —\n".encode(), got)
        assert missing is not None
        assert len(got) - missing.end() + int(missing[1]) == 1000 * len(block)


async def test_following_a_book_that_nobody_entered_is_a_mistake() -> None:
    with pytest.raises(AssertionError, match="entered"):
        await anext(LogBook(LogSettings()).subscribe("proxy", history=True))
