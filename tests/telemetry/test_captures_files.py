"""Captures that outlive the program."""

from __future__ import annotations

import logging
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import anyio
import pytest
import zstandard
from anyio import from_thread

from app.endpoints.captures import decoded
from app.telemetry import captures as module
from app.telemetry.capture_files import CaptureFiles
from app.telemetry.captures import Captures
from tests.telemetry.capturing import idle, noise, record, running

pytestmark = pytest.mark.anyio

MIB = 1 << 20


def store(directory: Path, budget: int = 5 * MIB) -> Captures:
    return Captures(budget, decoded, directory)


async def filled(directory: Path, *answers: bytes) -> int:
    """Leaves a capture of each answer in *directory*; returns how many bytes they are."""
    async with running(store(directory)) as captures:
        for number, answer in enumerate(answers, 1):
            record(captures, number, chunks=[answer])
        await idle(captures)
        return captures.used_bytes


async def taken_over(captures: Captures, count: int) -> None:
    with anyio.fail_after(30):
        while len(captures) < count:
            await anyio.sleep(0.001)


async def body(captures: Captures, number: int) -> bytes | None:
    capture = await captures.get(number)
    return None if capture is None else capture.resp_body


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


async def test_captures_are_there_after_a_restart(tmp_path: Path) -> None:
    used = await filled(tmp_path / "c", b"one", noise(100_000), b"three")

    async with running(store(tmp_path / "c")) as captures:
        await taken_over(captures, 3)

        assert captures.ids().ids == [3, 2, 1]
        assert captures.used_bytes == used
        assert [await body(captures, number) for number in (1, 2, 3)] == [b"one", noise(100_000), b"three"]
        assert (await captures.search("three")).ids == [3]


async def test_bytes_are_let_go_once_they_are_in_a_file(tmp_path: Path) -> None:
    async with running(store(tmp_path)) as captures:
        record(captures, 1)
        record(captures, 2, chunks=[noise(100_000)])
        await idle(captures)

        assert [segment.packed for segment in captures._segments] == [None, None]
        assert captures.used_bytes == sum(path.stat().st_size for path in tmp_path.iterdir())


async def test_only_our_user_may_read_them(tmp_path: Path) -> None:
    await filled(tmp_path / "c", b"x")

    assert stat.S_IMODE((tmp_path / "c").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "c" / "1.capture").stat().st_mode) == 0o600


async def test_what_waits_is_written_at_the_end(tmp_path: Path) -> None:
    async with running(store(tmp_path)) as captures:
        for number in range(1, 201):
            record(captures, number, chunks=[noise(20_000, number)])

    assert len(names(tmp_path)) == 200
    async with running(store(tmp_path, 64 * MIB)) as captures:
        await taken_over(captures, 200)
        assert await body(captures, 200) == noise(20_000, 200)


async def test_evicted_captures_lose_their_files(tmp_path: Path) -> None:
    async with running(store(tmp_path, 50_000)) as captures:
        for number in range(1, 31):
            record(captures, number, chunks=[noise(5000, number)])
            if number % 10 == 0:
                await idle(captures)

        assert [f"{number}.capture" for number in sorted(captures._places)] == names(tmp_path)
        assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 50_000


async def test_smaller_budget_at_the_next_start_evicts_the_oldest(tmp_path: Path) -> None:
    used = await filled(tmp_path, noise(5000, 1), noise(5000, 2), noise(5000, 3))

    async with running(store(tmp_path, used - 1)) as captures:
        await taken_over(captures, 2)
        await idle(captures)

        assert captures.ids().ids == [3, 2]
    assert names(tmp_path) == ["2.capture", "3.capture"]


async def test_files_have_a_budget_of_their_own(tmp_path: Path) -> None:
    captures = Captures(10_000, decoded, tmp_path, 50_000)
    async with running(captures):
        for number in range(1, 21):
            record(captures, number, chunks=[noise(5000, number)])
            await idle(captures)
        record(captures, 21, chunks=[noise(12_000)])  # more than the memory's
        record(captures, 22, chunks=[noise(60_000)])  # more than either
        await idle(captures)

        assert captures.ids().ids == [21, 20, 19, 18, 17, 16, 15]
        assert captures.losses.too_large == 1
        captures.reconfigure(10_000, 30_000)
        await idle(captures)
        assert captures.used_bytes == sum(path.stat().st_size for path in tmp_path.iterdir()) <= 30_000
        captures.reconfigure(10_000, 0)
        assert not captures.is_on
        assert len(captures) == 0


async def test_failing_disk_does_not_move_its_budget_into_memory(tmp_path: Path) -> None:
    directory = tmp_path / "c"
    captures = Captures(10_000, decoded, directory, 1 << 20)
    async with running(captures):
        for number in range(1, 4):
            record(captures, number, chunks=[noise(5000, number)])
        await idle(captures)
        (directory / "4.unfinished").mkdir()
        for number in range(4, 11):
            record(captures, number, chunks=[noise(3000, number)])
        await idle(captures)

        assert captures.ids().ids == [10, 9, 8, 3, 2, 1]
        assert await body(captures, 1) == noise(5000, 1)
        assert await body(captures, 8) == noise(3000, 8)
        assert sum(segment.size for segment in captures._held) == captures._held_bytes <= 10_000
        await captures.delete_all()
        assert captures.used_bytes == 0


async def test_captures_of_this_run_are_newer_than_those_before(tmp_path: Path) -> None:
    await filled(tmp_path, b"one", b"two")
    captures = store(tmp_path)
    record(captures, 2, chunks=[b"anew"])
    record(captures, 3)
    async with running(captures):
        await taken_over(captures, 3)
        await idle(captures)

        assert captures.ids().ids == [3, 2, 1]
        assert await body(captures, 2) == b"anew"


@pytest.mark.parametrize("through", ["get", "search"])
@pytest.mark.parametrize("content", [b"", b"nonsense", None])
async def test_broken_file_is_skipped_and_removed_with_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, through: str, content: bytes | None
) -> None:
    await filled(tmp_path, b"good one", b"bad", b"good three")
    broken = tmp_path / "2.capture"
    broken.write_bytes(broken.read_bytes()[:-1] if content is None else content)

    async with running(store(tmp_path)) as captures:
        await taken_over(captures, 3)
        for _ in range(2):
            if through == "get":
                assert await captures.get(2) is None
            else:
                assert (await captures.search("good")).ids == [3, 1]
        await idle(captures)

        assert captures.ids().ids == [3, 1]
        assert await body(captures, 1) == b"good one"
    assert [each.levelno for each in caplog.records] == [logging.WARNING]
    assert names(tmp_path) == ["1.capture", "3.capture"]
    assert captures.losses.failed == 1


async def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    others = ["0.capture", "01.capture", "1.capture.bak", "readme", "x.capture", "9999999999999999999.capture"]
    for name in others:
        (tmp_path / name).write_bytes(b"x")
    async with running(store(tmp_path)) as captures:
        record(captures, 1)
        await idle(captures)
        await captures.delete_all()

    assert names(tmp_path) == sorted(others)


async def test_deleted_captures_stay_deleted(tmp_path: Path) -> None:
    await filled(tmp_path, b"one", b"two", b"three")
    async with running(store(tmp_path)) as captures:
        await taken_over(captures, 3)
        assert await captures.delete(2)
        assert names(tmp_path) == ["1.capture", "3.capture"]

        record(captures, 4)
        await captures.delete_all()
        assert names(tmp_path) == []
    assert names(tmp_path) == []


async def test_all_that_are_deleted_while_they_are_looked_for_are_gone(tmp_path: Path) -> None:
    await filled(tmp_path, b"one", b"two")
    captures = store(tmp_path)
    async with running(captures), anyio.create_task_group() as group:
        group.start_soon(captures.delete_all)
        await captures.delete_all()
    assert (names(tmp_path), len(captures)) == ([], 0)


async def test_capture_deleted_while_it_is_packed_leaves_no_file(tmp_path: Path) -> None:
    def delete_it(_body: bytes, _encoding: str) -> list[bytes]:
        assert from_thread.run(captures.delete, 1)
        return [b"decoded"]

    captures = Captures(MIB, delete_it, tmp_path)
    async with running(captures):
        record(captures, 1, headers=[(b"content-encoding", b"gzip")])
        await idle(captures)

        assert len(captures) == 0
    assert names(tmp_path) == []


async def test_capture_deleted_while_it_is_asked_for_is_not_called_broken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(store(tmp_path)) as captures, anyio.create_task_group() as group:
        record(captures, 1)
        await idle(captures)
        for token in range(int(captures._reading.total_tokens)):
            await captures._reading.acquire_on_behalf_of(token)
        group.start_soon(captures.get, 1)
        await anyio.wait_all_tasks_blocked()
        await captures.delete(1)
        for token in range(int(captures._reading.total_tokens)):
            captures._reading.release_on_behalf_of(token)

    assert captures.losses.failed == 0
    assert not caplog.records


async def test_file_that_somebody_has_deleted_is_forgotten(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with running(store(tmp_path)) as captures:
        record(captures, 1)
        await idle(captures)
        (tmp_path / "1.capture").unlink()

        assert await captures.get(1) is None
        assert not captures.has(1)
    assert [each.levelno for each in caplog.records] == [logging.WARNING]


async def test_capture_deleted_while_it_waits_is_not_written(tmp_path: Path) -> None:
    captures = store(tmp_path)
    record(captures, 1)
    record(captures, 2, chunks=[noise(100_000)])
    await captures.delete(1)
    await captures.delete(2)
    async with running(captures):
        await idle(captures)

    assert names(tmp_path) == []


async def test_no_secret_gets_into_a_file(tmp_path: Path) -> None:
    async with running(store(tmp_path)) as captures:
        record(captures, 1, request=b'{"api_key":"sk-123"}', chunks=[b'{"secret":', b'"sk-123"}', b" " * 100_000])
        await idle(captures)

    assert b"sk-123" not in zstandard.decompress((tmp_path / "1.capture").read_bytes())


async def test_more_than_may_wait_to_be_written_are_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PENDING", 2)
    captures = store(tmp_path)
    for number in (1, 2, 3):
        record(captures, number)
    async with running(captures):
        await idle(captures)

    assert names(tmp_path) == ["1.capture", "2.capture"]
    assert captures.losses.dropped == 1


async def test_directory_that_cannot_be_is_warned_of_once_and_memory_serves(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    async with running(store(tmp_path / "file" / "captures")) as captures:
        for number in range(1, 4):
            record(captures, number)
            await idle(captures)

        assert captures.ids().ids == [3, 2, 1]
        assert await captures.get(1) is not None
        await captures.delete(1)
        await captures.delete_all()
    assert [each.levelno for each in caplog.records] == [logging.WARNING]
    assert "stay in memory" in caplog.text


async def test_disk_that_fails_later_is_warned_of_once_and_memory_serves(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    directory = tmp_path / "c"
    async with running(store(directory)) as captures:
        record(captures, 1)
        await idle(captures)
        shutil.rmtree(directory)
        directory.touch()
        record(captures, 2)
        record(captures, 3)
        await idle(captures)

        assert [await captures.get(number) is not None for number in (2, 3)] == [True, True]
    assert [each.levelno for each in caplog.records] == [logging.WARNING]


FULL = """
import resource, signal, sys
from pathlib import Path
from app.telemetry.capture_files import CaptureFiles

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
files = CaptureFiles(Path(sys.argv[1]))
print(files.write(1, b"x" * 900), files.write(2, b"x" * 1100), files.write(3, b"x"))
"""


async def test_file_that_could_not_be_written_whole_leaves_nothing(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FULL, tmp_path], capture_output=True, text=True, check=True)

    assert done.stdout == "True False False\n"
    assert done.stderr.count("stay in memory") == 1
    assert names(tmp_path) == ["1.capture"]


KILLED = """
import os, signal, sys
from pathlib import Path
from app.telemetry.capture_files import CaptureFiles

files = CaptureFiles(Path(sys.argv[1]))
files.write(1, b"old")
Path.replace = lambda self, target: os.kill(os.getpid(), signal.SIGKILL)
files.write(int(sys.argv[2]), b"new")
"""


@pytest.mark.parametrize("number", [1, 2])
async def test_kill_before_the_rename_leaves_what_was_there_and_no_rest(tmp_path: Path, number: int) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, tmp_path, str(number)])
    assert done.returncode == -signal.SIGKILL
    assert names(tmp_path) == ["1.capture", f"{number}.unfinished"]
    files = CaptureFiles(tmp_path)

    assert files.open() == [(1, 3)]
    assert files.read(1) == b"old"
    assert names(tmp_path) == ["1.capture"]
