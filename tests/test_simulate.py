"""`hostler simulate`: what it reads, what it tells, and what it says of what it cannot read."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from app.cli import main
from app.simulate import TraceError, parse_patience, parse_seconds, read_trace
from tests.program import ROOT

MODELS = "models:\n" + "".join(f"  {name}: {{cmd: 'server --port ${{PORT}}'}}\n" for name in "abc")


@pytest.fixture(autouse=True)
def _width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "44")  # 40 for the timeline of a model with a name of one letter


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "config.yaml"
    file.write_text(MODELS)
    return file


def trace(folder: Path, *requests: tuple[object, str, float]) -> Path:
    file = folder / "trace.jsonl"
    file.write_text(
        "".join(
            json.dumps({"time": time, "model": model, "seconds": seconds}) + "\n" for time, model, seconds in requests
        )
    )
    return file


def simulated(capsys: pytest.CaptureFixture[str], *typed: str | Path) -> list[str]:
    """Runs the command and returns the lines that it has printed."""
    assert main(["simulate", *map(str, typed)]) == 0
    return capsys.readouterr().out.splitlines()


def cells(lines: list[str], title: str) -> list[str]:
    """Returns the cells of the row of the table that is called *title*."""
    table = lines[lines.index("") + 1 :]
    (row,) = [line for line in table[: table.index("")] if re.match(rf" *{re.escape(title)}  ", line)]
    return re.split(r" {2,}", row.strip())[1:]


def test_program_prints_figures_and_a_timeline(config: Path, tmp_path: Path) -> None:
    """a loads, serves, stops; b loads and serves: 10 + 5 + 1 + 10 + 14 = 40 seconds in 40 characters."""
    file = trace(tmp_path, (100, "a", 5), (101, "b", 14))
    done = subprocess.run(
        [sys.executable, "-m", "app.cli", "simulate", str(file), "--config", str(config)],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "44"},
        capture_output=True,
        text=True,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert (
        done.stdout
        == f"""\
{file}: 2 requests for 2 models, which arrive within 1.0 s
a load takes 10 s (--load)
a stop takes 1 s (--stop)
not simulated: concurrencyLimit, profiles and selectors, failures; clients that give up, or come again when refused

{"":18}{config}
{"":18}{"patience 60":>{len(str(config))}}
{"swaps (loads)":16}  {"2":>{len(str(config))}}
{"evictions":16}  {"1":>{len(str(config))}}
{"idle for its ttl":16}  {"0":>{len(str(config))}}
{"makespan, s":16}  {"40.0":>{len(str(config))}}
{"served":16}  {"2":>{len(str(config))}}
{"refused":16}  {"0":>{len(str(config))}}
{"wait, s":16}  {"mean / p95 / max":>{len(str(config))}}
{"  all models":16}  {"17.5 / 25.0 / 25.0":>{len(str(config))}}
{"  a":16}  {"10.0 / 10.0 / 10.0":>{len(str(config))}}
{"  b":16}  {"25.0 / 25.0 / 25.0":>{len(str(config))}}

what each model did most, when it ran: + loading, # serving, - idle, x stopping

{config}, patience 60; a character is 1 s
a |++++++++++#####x{"":24}|
b |{"":16}++++++++++##############|
"""
    )


def test_program_says_what_is_wrong_with_a_trace_and_where(config: Path, tmp_path: Path) -> None:
    file = tmp_path / "trace.jsonl"
    file.write_text('{"time": 0, "model": "a", "seconds": 1}\n\n{"time": 0, "model": "a"}\n')
    done = subprocess.run(
        [sys.executable, "-m", "app.cli", "simulate", str(file), "--config", str(config)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"hostler: {file}:3: seconds missing; a line is ")
    assert done.stderr.count("\n") == 1


def test_two_configurations_stand_side_by_side(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(MODELS + "groups:\n  g: {swap: false, members: [a, b, c]}\n")
    file = trace(tmp_path, (0, "a", 1), (1, "b", 1), (20, "a", 1))
    lines = simulated(capsys, file, "--config", config, "--against", other)

    assert cells(lines, "swaps (loads)") == ["3", "2"]
    assert cells(lines, "evictions") == ["2", "0"]
    assert sum(line.endswith("|") for line in lines) == 4, "a timeline of two models for each"


def test_patience_is_tried_instead_of_the_configuration_s(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = trace(tmp_path, *((second, "b" if second == 30 else "a", 5.0) for second in range(200)))
    lines = simulated(capsys, file, "--config", config, "--patience=0", "--patience=60", "--patience=.inf")

    assert cells(lines, "swaps (loads)") == ["3", "3", "2"]
    assert cells(lines, "b") == ["15.0 / 15.0 / 15.0", "75.0 / 75.0 / 75.0", "185.0 / 185.0 / 185.0"]


def test_terms_of_the_configuration_count(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """b is urgent, and goes before a that has come earlier; c is unloaded when it has been idle for 5 s."""
    config.write_text(
        MODELS.replace("c: {", "c: {ttl: 5, ")
        + "routing:\n  scheduler:\n    settings:\n      fifo: {priority: {b: 5}, minResidency: 3}\n"
    )
    file = trace(tmp_path, (0, "c", 1), (1, "a", 0), (2, "b", 0), (100, "c", 0), (200, "c", 0))
    lines = simulated(capsys, file, "--config", config)

    assert cells(lines, "idle for its ttl") == ["1"]
    assert cells(lines, "a") == ["37.0 / 37.0 / 37.0"]
    assert cells(lines, "b") == ["22.0 / 22.0 / 22.0"]


def test_times_may_be_given_for_all_models_and_for_one_by_any_of_its_names(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config.write_text(MODELS.replace("b: {", "b: {aliases: [bee], "))
    file = trace(tmp_path, (0, "a", 1), (0, "bee", 1))
    lines = simulated(capsys, file, "--config", config, "--load", "2", "--load", "bee=30", "-stop=4", "--stop=a=7")

    assert lines[1:3] == ["a load takes 2 s, of bee 30 s (--load)", "a stop takes 4 s, of a 7 s (--stop)"]
    assert cells(lines, "b") == ["40.0 / 40.0 / 40.0"]


def test_refused_requests_are_told_of_with_the_reason(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = simulated(capsys, trace(tmp_path, (0, "a", 1), (1, "x", 1), (2, "x", 1)), "--config", config)

    assert cells(lines, "refused") == ["2"]
    assert f"{config}, patience 60: 2 requests for x refused: no local server found for requested model" in lines
    assert cells(lines, "x") == ["-"]


def test_trace_of_which_everything_is_refused_has_an_empty_timeline(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = simulated(capsys, trace(tmp_path, (0, "x", 1)), "--config", config)

    assert lines[-1].endswith("a character is 0 s")


def test_time_may_be_a_date(tmp_path: Path) -> None:
    file = trace(
        tmp_path, ("2026-01-31T12:00:00Z", "a", 1), ("2026-01-31T13:00:00.5+01:00", "a", 1), (1769860801, "a", 1)
    )
    first, second, third = read_trace(file)

    assert (second.at_s - first.at_s, third.at_s - first.at_s) == (0.5, 1)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("nonsense", "this is not JSON"),
        ("\udcff", "this is not JSON"),
        ("[" * 100_000, "this is not JSON"),
        ("7", "this is not a JSON object"),
        ('{"model": "a"}', "time and seconds missing"),
        ('{"time": 0, "model": 7, "seconds": 1}', "model is 7"),
        ('{"time": 0, "model": "", "seconds": 1}', 'model is ""'),
        ('{"time": 0, "model": "a", "seconds": -1}', "seconds is -1"),
        ('{"time": 0, "model": "a", "seconds": true}', "seconds is true"),
        ('{"time": 0, "model": "a", "seconds": 1e30}', "seconds is 1e+30"),
        ('{"time": 0, "model": "a", "seconds": NaN}', "seconds is NaN"),
        ('{"time": null, "model": "a", "seconds": 1}', "time is null"),
        ('{"time": 1e400, "model": "a", "seconds": 1}', "time is Infinity"),
        ('{"time": "yesterday", "model": "a", "seconds": 1}', 'time is "yesterday"'),
        ('{"time": "2026-01-31T12:00:00", "model": "a", "seconds": 1}', "with its zone"),
        (json.dumps({"time": "x" * 1000, "model": "a", "seconds": 1}), f'time is "{"x" * 39}…'),
    ],
)
def test_line_that_is_none_is_told_of(tmp_path: Path, line: str, told: str) -> None:
    file = tmp_path / "trace.jsonl"
    file.write_bytes(f"\n{line}\n".encode(errors="surrogateescape"))
    with pytest.raises(TraceError) as refused:
        list(read_trace(file))

    assert str(refused.value).startswith(f"{file}:2: ")
    assert told in str(refused.value)


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (["nowhere.jsonl"], "nowhere.jsonl cannot be read: No such file or directory"),
        (["."], ". cannot be read: Is a directory"),
        (["/dev/null"], "/dev/null: there is no request in it"),
        (["trace.jsonl", "--load", "z=3"], "--load z=…: there is no model z in config.yaml"),
        (["trace.jsonl", "--stop", "-3"], "--stop -3: expected SECONDS or MODEL=SECONDS"),
        (["trace.jsonl", "--patience", "long"], "--patience long: expected seconds, 0 or more, or inf"),
        (["trace.jsonl", "--against", "nowhere.yaml"], "nowhere.yaml"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], typed: list[str], told: str
) -> None:
    trace(config.parent, (0, "a", 1))
    monkeypatch.chdir(config.parent)

    assert main(["simulate", *typed, "--config", "config.yaml"]) == 1
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "x", "a=", "-1", "nan", "inf", "a=1e12"])
def test_seconds_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(TraceError, match="expected SECONDS"):
        parse_seconds("--load", [text], 1.0)


@pytest.mark.parametrize(("text", "seconds"), [("0", 0), ("1.5", 1.5), ("inf", float("inf")), (".inf", float("inf"))])
def test_patience_as_typed(text: str, seconds: float) -> None:
    assert parse_patience(text) == seconds


def database(file: Path, *statements: str) -> Path:
    with contextlib.closing(sqlite3.connect(file)) as connection, connection:
        for statement in statements:
            connection.execute(statement)
    return file


def test_llama_swap_s_store_is_a_trace(tmp_path: Path) -> None:
    """Its rows say when a request ended, to the second, and how long it took."""
    file = database(
        tmp_path / "store #1.db",
        "CREATE TABLE activity (id INTEGER PRIMARY KEY, ts_created INTEGER, model_id TEXT, duration_ms INTEGER)",
        "INSERT INTO activity VALUES (1, 1000, 'a', 2500), (2, 1003, 'b', 0), (3, 1004, 'b', -7)",
    )

    requests = [(each.at_s, each.model, each.service_s) for each in read_trace(file)]
    assert requests == [(997.5, "a", 2.5), (1003, "b", 0), (1004, "b", 0)]


def test_our_store_knows_how_long_requests_had_waited(tmp_path: Path) -> None:
    file = database(
        tmp_path / "store.db",
        "CREATE TABLE activity (id INTEGER PRIMARY KEY, ts_created INTEGER, ts_fraction REAL, model_id TEXT,"
        " duration_ms INTEGER, queued_ms REAL)",
        "INSERT INTO activity VALUES (1, 1000, 0.5, 'a', 3000, 2000), (2, 1000, 0.5, 'a', 3000, -1)",
    )

    assert [(each.at_s, each.service_s) for each in read_trace(file)] == [(997.5, 1), (997.5, 3)]


@pytest.mark.parametrize(
    ("statements", "told"),
    [
        (["CREATE TABLE other (id)"], "this database has no activity"),
        (
            [
                "CREATE TABLE activity (id, ts_created, model_id, duration_ms)",
                "INSERT INTO activity VALUES (4, NULL, 'a', 1)",
            ],
            "row 4 of activity has no time, duration or model",
        ),
    ],
)
def test_database_that_is_no_store_is_told_of(tmp_path: Path, statements: list[str], told: str) -> None:
    file = database(tmp_path / "store.db", *statements)
    with pytest.raises(TraceError, match=told):
        list(read_trace(file))


def test_broken_database_is_told_of(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    file.write_bytes(b"SQLite format 3\0" + bytes(range(256)) * 20)
    with pytest.raises(TraceError, match="cannot be read"):
        list(read_trace(file))


def test_figures_in_the_documents_are_those_it_prints(tmp_path: Path) -> None:
    """Types what docs/swapping.md shows, in order, and compares all that is printed."""
    text = (ROOT / "docs" / "swapping.md").read_text()
    (yaml,) = re.findall(r"^```yaml\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    (tmp_path / "abc.yaml").write_text(yaml)
    blocks = re.findall(r"^```console\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for block in blocks:
        shown = re.sub(r"^\$ .*\n", "", block, flags=re.MULTILINE)
        typed = "\n".join(re.findall(r"^\$ (.*)", block, re.MULTILINE))
        done = subprocess.run(
            ["/bin/sh", "-e", "-c", typed],
            cwd=tmp_path,
            env={**os.environ, "PATH": path, "COLUMNS": "80"},
            capture_output=True,
            text=True,
        )

        assert (done.returncode, done.stderr) == (0, "")
        assert shown == done.stdout
    assert len(blocks) == 2
