"""The watcher asks a thousand times a second here. That nothing was noticed is told by what is noticed next."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from app.config import watcher
from app.config.watcher import changes

pytestmark = pytest.mark.anyio


class Watched:
    """Counts what was noticed, and how often was looked."""

    def __init__(self) -> None:
        self.noticed = 0
        self.looks = 0
        self._news = anyio.Event()

    def looked(self) -> None:
        self.looks += 1

    def notice(self) -> None:
        self.noticed += 1
        self._news.set()
        self._news = anyio.Event()

    async def until_noticed(self, count: int) -> None:
        with anyio.fail_after(10):
            while self.noticed < count:
                await self._news.wait()
        assert self.noticed == count

    async def looks_again(self) -> None:
        """Returns when the files have been looked at, from beginning to end, after this was called."""
        before = self.looks
        with anyio.fail_after(10):
            while self.looks < before + 2:
                await anyio.sleep(0.001)


@asynccontextmanager
async def watching(
    monkeypatch: pytest.MonkeyPatch, *files: Path, directory: Path | None = None
) -> AsyncIterator[Watched]:
    watched = Watched()
    state: Callable[..., watcher.State] = watcher.look

    def noted(names: list[str], folder: str | None) -> watcher.State:
        found = state(names, folder)
        watched.looked()
        return found

    monkeypatch.setattr(watcher, "look", noted)

    async def watch() -> None:
        async for _ in changes(
            [str(file) for file in files], None if directory is None else str(directory), every_s=0.001
        ):
            watched.notice()

    async with anyio.create_task_group() as group:
        group.start_soon(watch)
        await watched.looks_again()
        yield watched
        group.cancel_scope.cancel()


async def test_files_as_they_were_are_no_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("a")

    async with watching(monkeypatch, file) as watched:
        await watched.looks_again()

        assert watched.noticed == 0


async def test_changed_file_is_noticed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, other = tmp_path / "config.yaml", tmp_path / "other.yaml"
    file.write_text("a")
    other.write_text("a")

    async with watching(monkeypatch, file, other) as watched:
        os.truncate(other, 0)
        await watched.until_noticed(1)
        await watched.looks_again()

        assert watched.noticed == 1


async def test_change_of_the_same_size_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("a")

    async with watching(monkeypatch, file) as watched:
        found = file.stat()
        os.utime(file, ns=(found.st_atime_ns, found.st_mtime_ns + 1))

        await watched.until_noticed(1)


async def test_file_replaced_by_another_of_the_same_time_and_size_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, new = tmp_path / "config.yaml", tmp_path / "new"
    file.write_text("a")
    new.write_text("b")
    found = file.stat()
    os.utime(new, ns=(found.st_atime_ns, found.st_mtime_ns))

    async with watching(monkeypatch, file) as watched:
        new.replace(file)

        await watched.until_noticed(1)


async def test_file_that_appears_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, new = tmp_path / "config.yaml", tmp_path / "new"
    new.write_text("a")

    async with watching(monkeypatch, file) as watched:
        new.replace(file)

        await watched.until_noticed(1)


async def test_file_that_disappears_is_no_change_but_its_coming_back_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, away = tmp_path / "config.yaml", tmp_path / "away"
    file.write_text("a")

    async with watching(monkeypatch, file) as watched:
        file.replace(away)
        await watched.looks_again()
        assert watched.noticed == 0

        away.replace(file)
        await watched.until_noticed(1)


async def test_folder_of_the_file_may_disappear_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, away = tmp_path / "folder", tmp_path / "away"
    folder.mkdir()
    (folder / "config.yaml").write_text("a")

    async with watching(monkeypatch, folder / "config.yaml") as watched:
        folder.replace(away)
        await watched.looks_again()
        assert watched.noticed == 0

        away.replace(folder)
        await watched.until_noticed(1)


async def test_swapped_symbolic_link_of_a_config_map_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Kubernetes does it: config.yaml -> ..data/config.yaml, ..data -> a folder with a date; the link is replaced."""
    for name in ("..2026_1", "..2026_2"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.yaml").write_text(name)
    (tmp_path / "..data").symlink_to("..2026_1")
    (tmp_path / "config.yaml").symlink_to("..data/config.yaml")

    async with watching(monkeypatch, tmp_path / "config.yaml") as watched:
        (tmp_path / "..data_tmp").symlink_to("..2026_2")
        (tmp_path / "..data_tmp").replace(tmp_path / "..data")

        await watched.until_noticed(1)


async def test_directory_as_it_was_is_no_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.yaml").write_text("a")

    async with watching(monkeypatch, directory=tmp_path) as watched:
        (tmp_path / "notes.txt").write_text("not ours")
        (tmp_path / "folder.yaml").mkdir()
        await watched.looks_again()

        assert watched.noticed == 0


@pytest.mark.parametrize("name", ["b.yaml", "b.yml"])
async def test_file_added_to_the_directory_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.yaml").write_text("a")
    (tmp_path / "new").write_text("b")

    async with watching(monkeypatch, directory=folder) as watched:
        (tmp_path / "new").replace(folder / name)

        await watched.until_noticed(1)


async def test_file_taken_out_of_the_directory_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text("a")

    async with watching(monkeypatch, tmp_path / "a.yaml", tmp_path / "b.yaml", directory=tmp_path) as watched:
        (tmp_path / "b.yaml").unlink()

        await watched.until_noticed(1)


async def test_file_changed_in_the_directory_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.yaml").write_text("a")

    async with watching(monkeypatch, directory=tmp_path) as watched:
        os.truncate(tmp_path / "a.yaml", 0)

        await watched.until_noticed(1)


async def test_directory_that_is_emptied_or_goes_is_no_change_but_its_coming_back_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, away = tmp_path / "folder", tmp_path / "away"
    folder.mkdir()
    (folder / "a.yaml").write_text("a")

    async with watching(monkeypatch, directory=folder) as watched:
        folder.replace(away)
        await watched.looks_again()
        assert watched.noticed == 0

        away.replace(folder)
        await watched.until_noticed(1)


async def test_file_that_is_being_written_is_told_of_once_and_when_it_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("")

    async with watching(monkeypatch, file) as watched:
        look: Callable[..., watcher.State] = watcher.look
        left = list("whole")

        def written_meanwhile(*where: object) -> watcher.State:
            found = look(*where)
            if left:
                file.write_text(file.read_text() + left.pop(0))
            return found

        monkeypatch.setattr(watcher, "look", written_meanwhile)
        await watched.until_noticed(1)

        assert left == []
        await watched.looks_again()
        assert watched.noticed == 1


async def test_change_made_while_one_is_being_taken_in_is_noticed(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("a")
    noticed = changes([str(file)], every_s=0.001)

    async with anyio.create_task_group() as group:
        first = anyio.Event()

        async def watch() -> None:
            async for _ in noticed:
                if first.is_set():
                    break
                first.set()
                file.write_text("longer still")

        group.start_soon(watch)
        with anyio.fail_after(10):
            while not first.is_set():
                file.write_text(file.read_text() + "b")
                await anyio.sleep(0.002)
    await noticed.aclose()  # type: ignore[attr-defined]  # it is a generator


async def test_change_between_reading_and_watching_is_noticed(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("models: {}")
    seen = watcher.look([str(file)], None)
    file.write_text("models: {}  # another one")

    with anyio.fail_after(10):
        async for _ in changes([str(file)], every_s=0.001, seen=seen):
            break
