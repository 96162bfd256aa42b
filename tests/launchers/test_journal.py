"""Run journals: what the next start makes of those it finds, forged ones included."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from app.launchers import guard, journal
from app.launchers.journal import Journal, reap_dead_runs
from tests.launchers.conftest import living
from tests.launchers.test_guard import entry, sleeper


@pytest.fixture
def dead() -> tuple[int, int]:
    """The pid and start time of a process that has ended."""
    with subprocess.Popen(["true"]) as popen:
        found = guard.entry_of(popen.pid)
    assert found is not None
    return found.pid, found.start


def forge(state_dir: Path, run_id: str, owner: tuple[int, int], *lines: str, place: str | None = None) -> Path:
    runs = state_dir / "runs"
    runs.mkdir(exist_ok=True)
    path = runs / f"{run_id}.{owner[0]}.{owner[1]}.run"
    path.write_text("\n".join([journal._place() if place is None else place, *lines, ""]))
    return path


def test_a_journal_is_for_its_owners_eyes_and_goes_in_the_end(tmp_path: Path) -> None:
    written = Journal(tmp_path, "run")
    assert written.path is not None
    written.write(b"+ 1 2\n")

    assert written.path.stat().st_mode & 0o777 == 0o600
    assert written.path.parent.stat().st_mode & 0o777 == 0o700
    assert written.path.read_bytes().endswith(b"\n+ 1 2\n")

    written.remove()
    written.remove()
    assert list(written.path.parent.iterdir()) == []


def test_groups_of_a_dead_run_are_ended(tmp_path: Path, dead: tuple[int, int]) -> None:
    with sleeper() as left, sleeper() as gone:
        lines = [f"+ {one.pid} {entry(one).start}" for one in (left, gone)]
        path = forge(tmp_path, "r1", dead, *lines, f"- {gone.pid}")

        assert reap_dead_runs(tmp_path) == 1

        assert living([left, gone]) == [gone]
    assert not path.exists()


def test_a_recycled_pid_is_not_killed(tmp_path: Path, dead: tuple[int, int]) -> None:
    with sleeper() as stranger:
        path = forge(tmp_path, "r2", dead, f"+ {stranger.pid} {entry(stranger).start - 1}")

        assert reap_dead_runs(tmp_path) == 0

        assert living([stranger]) == [stranger]
    assert not path.exists()


def test_runs_of_living_hostlers_are_left_alone(tmp_path: Path) -> None:
    with sleeper() as owner, sleeper("r3:a:1") as left:
        path = forge(tmp_path, "r3", (owner.pid, entry(owner).start), f"+ {left.pid} {entry(left).start}")

        assert reap_dead_runs(tmp_path) == 0

        assert living([left]) == [left]
        assert path.exists()


def test_an_owner_whose_pid_was_recycled_is_dead(tmp_path: Path) -> None:
    with sleeper() as stranger, sleeper("r4:a:1") as left:
        forge(tmp_path, "r4", (stranger.pid, entry(stranger).start - 1))

        assert reap_dead_runs(tmp_path) == 1

        assert living([stranger, left]) == [stranger]


def test_a_journal_from_before_the_last_boot_kills_nobody(tmp_path: Path, dead: tuple[int, int]) -> None:
    with sleeper("r5:a:1") as stranger:
        path = forge(
            tmp_path, "r5", dead, f"+ {stranger.pid} {entry(stranger).start}", place="another-boot pid:[4026531836]"
        )

        assert reap_dead_runs(tmp_path) == 0

        assert living([stranger]) == [stranger]
    assert not path.exists()


def test_a_journal_of_another_container_is_left_alone(tmp_path: Path, dead: tuple[int, int]) -> None:
    boot = journal._place().split(" ")[0]
    with sleeper("r6:a:1") as stranger:
        path = forge(tmp_path, "r6", dead, place=f"{boot} pid:[1]")

        assert reap_dead_runs(tmp_path) == 0

        assert living([stranger]) == [stranger]
    assert path.exists()


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\0garbage", b"three words here\n+ 1 1\n"])
def test_a_damaged_head_leaves_the_marker_to_go_by(
    tmp_path: Path, dead: tuple[int, int], caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    with sleeper("r7:a:1") as left, sleeper() as stranger:
        path = forge(tmp_path, "r7", dead)
        path.write_bytes(content)

        assert reap_dead_runs(tmp_path) == 1

        assert living([left, stranger]) == [stranger]
    assert not path.exists()
    assert caplog.text.count("is damaged") == 1


def test_damaged_lines_are_passed_over_with_one_warning(
    tmp_path: Path, dead: tuple[int, int], caplog: pytest.LogCaptureFixture
) -> None:
    with sleeper() as left:
        path = forge(tmp_path, "r8", dead, "nonsense", f"+ {left.pid} {entry(left).start}", "+ 1", "+ 12")

        assert reap_dead_runs(tmp_path) == 1
        assert living([left]) == []

    assert not path.exists()
    assert caplog.text.count("is damaged") == 1


def test_a_damaged_journal_of_a_living_hostler_is_left_alone(tmp_path: Path) -> None:
    """It may just be being written."""
    with sleeper() as owner:
        path = forge(tmp_path, "r9", (owner.pid, entry(owner).start), place="")

        assert reap_dead_runs(tmp_path) == 0
        assert path.exists()


@pytest.mark.parametrize("name", ["x.run", "r.1.two.run", ".1.2.run", "r.1.2.3.run"])
def test_a_file_that_is_no_journal_is_left_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / name).write_text("mine")

    assert reap_dead_runs(tmp_path) == 0
    assert (tmp_path / "runs" / name).read_text() == "mine"
    if not name.startswith("."):
        assert "is not a run journal" in caplog.text


def test_an_unreadable_journal_is_told(tmp_path: Path, dead: tuple[int, int], caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "runs" / f"r.{dead[0]}.{dead[1]}.run").mkdir(parents=True)

    assert reap_dead_runs(tmp_path) == 0
    assert "cannot read the run journal" in caplog.text


def test_a_journal_that_goes_meanwhile_is_no_news(
    tmp_path: Path, dead: tuple[int, int], caplog: pytest.LogCaptureFixture
) -> None:
    path = forge(tmp_path, "r", dead)
    path.unlink()
    path.symlink_to("nowhere")

    assert reap_dead_runs(tmp_path) == 0
    assert caplog.text == ""


def test_a_journal_that_cannot_be_removed_is_told(
    tmp_path: Path, dead: tuple[int, int], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(*_: object, **__: object) -> None:
        raise PermissionError("read-only")

    forge(tmp_path, "r", dead)
    monkeypatch.setattr(Path, "unlink", read_only)

    assert reap_dead_runs(tmp_path) == 0
    assert "cannot remove" in caplog.text


def test_without_a_place_to_write_there_is_one_warning_and_no_journal(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "state").touch()
    silent = Journal(tmp_path / "state", "run")
    silent.write(b"+ 1 1\n")
    silent.remove()

    assert silent.path is None
    assert caplog.text.count("no run journal") == 1


def test_a_full_disk_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    written = Journal(tmp_path, "run")
    os.close(written._handle)
    written._handle = os.open("/dev/full", os.O_WRONLY)
    written.write(b"+ 1 1\n")
    written.write(b"+ 2 2\n")
    written.remove()

    assert caplog.text.count("cannot write the run journal") == 1


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"HOSTLER_STATE_DIR": "/s", "XDG_STATE_HOME": "/x", "HOME": "/h"}, "/s/runs"),
        ({"XDG_STATE_HOME": "/x", "HOME": "/h"}, "/x/hostler/runs"),
        ({"HOME": "/h"}, "/h/.local/state/hostler/runs"),
    ],
)
def test_the_place_follows_the_environment(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: str
) -> None:
    for name in ("HOSTLER_STATE_DIR", "XDG_STATE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert str(journal._runs(None)) == expected


def test_without_a_home_there_is_a_warning_and_no_journal(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("HOSTLER_STATE_DIR", raising=False)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)

    assert reap_dead_runs(None) == 0
    assert Journal(None, "run").path is None
    assert "cannot look for the journals" in caplog.text
    assert "no run journal" in caplog.text


def test_this_process_is_seen_as_living() -> None:
    me = guard.entry_of(os.getpid())
    assert me is not None

    assert journal.Owner("run", me.pid, me.start).is_alive
