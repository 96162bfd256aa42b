"""`hostler monitor`, as it is typed, and with sources that a test makes."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console

from app.cli import main
from app.monitor_cli import Lines, gpu_cells, host_rows, picture, watch
from monitors.protocol import Disk, GpuReading, HostReading, Interface, ProcessMemory, Reading, Source
from monitors.sampler import Sample, SourceStatus, State
from tests.monitors.fakes import Fake
from tests.program import ROOT

pty = pytest.importorskip("pty", reason="there are no terminals to try it on")

GIB = 1 << 30

HOST = HostReading(
    (10.0, 30.0),
    32 * GIB,
    8 * GIB,
    24 * GIB,
    4 * GIB,
    1 * GIB,
    (0.5, 1.0, 1.5),
    (Interface("eth0", GIB, 2 * GIB), Interface("eth1", GIB, 0)),
    (Disk("/", 100 * GIB, 40 * GIB),),
)

CARD = GpuReading(
    "GPU-1",
    "card [bold]",
    utilization_percent=35.0,
    memory_total_bytes=24 * GIB,
    memory_used_bytes=6 * GIB,
    temperature_c=45.4,
    power_w=120.0,
    power_limit_w=300.0,
    processes=(ProcessMemory(12, 3 << 20),),
)

SAMPLE = Sample(
    datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    HOST,
    (CARD, GpuReading("x", "dumb")),
    (),
    (SourceStatus("psutil", State.OK), SourceStatus("nvml", State.ABSENT, "no [library]")),
)


def monitor(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "app.cli", "monitor", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=50
    )


@contextmanager
def watching(*arguments: str, stdout: int = subprocess.PIPE) -> Iterator[subprocess.Popen[bytes]]:
    """Runs it; it is killed if it has not ended."""
    command = [sys.executable, "-m", "app.cli", "monitor", *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=stdout, stderr=subprocess.PIPE) as running:
        try:
            yield running
        finally:
            running.kill()


def looked_at(*fakes: Fake, **options: Any) -> tuple[int, str]:
    """Returns the exit code and the output of one look at *fakes*."""
    out = io.StringIO()
    sources: Mapping[str, Callable[[], Source]] = {fake.name: fake.again for fake in fakes}
    code = watch(**{"every_s": 1.0, "once": True, "as_json": False, "out": out, "sources": sources, **options})
    return code, out.getvalue()


def test_one_look_tells_of_every_source_and_of_this_machine() -> None:
    done = monitor("--once")

    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"^\S+ source psutil: ok$", done.stdout, re.MULTILINE)
    assert re.search(r"^\S+ source pdh: absent: these counters are on Windows only$", done.stdout, re.MULTILINE)
    assert re.search(r"^\S+ host: cpu \d+ % of \d+ cores .*memory [\d.]+ of [\d.]+ GiB", done.stdout, re.MULTILINE)


def test_json_is_one_object_a_line_until_interrupted() -> None:
    with watching("--json", "--every", "0.5") as running:
        assert running.stdout is not None
        assert running.stderr is not None
        samples = [json.loads(running.stdout.readline()) for _ in range(2)]
        running.send_signal(signal.SIGINT)
        running.stdout.read()

        assert running.wait(20) == 0
        assert running.stderr.read() == b""
    assert samples[0]["sys_stats"][0]["timestamp"] < samples[1]["sys_stats"][0]["timestamp"]
    assert samples[0]["sys_stats"][0]["mem_total_mb"] > 0
    assert {"name": "psutil", "state": "ok"} in samples[0]["sources"]
    assert samples[0]["every_s"] == 0.5


def test_reader_that_goes_ends_it() -> None:
    with watching("--json", "--every", "0.5") as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.readline()
        running.stdout.close()

        assert running.wait(20) == 0
        assert running.stderr.read() == b""


def test_terminal_gets_a_table_until_interrupted() -> None:
    parent, child = pty.openpty()
    try:
        with watching("--every", "0.5", stdout=child) as running:
            os.close(child)
            shown = b""
            while shown.count(b"memory") < 2:
                shown += os.read(parent, 65536)
            running.send_signal(signal.SIGINT)
            assert running.wait(20) == 0
            assert running.stderr is not None
            assert running.stderr.read() == b""
    finally:
        os.close(parent)

    assert b"psutil" in shown
    # Redrawn in place: the cursor goes up.
    assert b"\x1b[1A" in shown


def test_terminal_gets_one_table_of_one_look() -> None:
    parent, child = pty.openpty()
    try:
        with watching("--once", stdout=child) as running:
            os.close(child)
            shown = b""
            try:
                while data := os.read(parent, 65536):
                    shown += data
            except OSError:
                pass  # Linux says so when the other end is gone
            assert running.wait(20) == 0
    finally:
        os.close(parent)

    assert b"psutil" in shown
    assert b"\x1b[1A" not in shown


@pytest.mark.parametrize("every", ["0", "-1", "0.1", "nan", "inf"])
def test_pace_that_no_driver_keeps_is_refused(every: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["monitor", f"--every={every}"]) == 1
    assert capsys.readouterr().err == f"hostler: --every {every}: expected 0.5 seconds or more\n"


def test_machine_of_which_nothing_is_found_is_an_error() -> None:
    code, text = looked_at(Fake(absent="no such thing"))

    assert code == 1
    assert text.endswith("source fake: absent: no such thing\n")


def test_look_waits_for_a_slow_source() -> None:
    slow = Fake("slow", Reading(gpus=[CARD]), hangs=True)
    asked: list[None] = []

    def on_hang() -> None:
        # The first time is when it is opened.
        asked.append(None)
        slow.let_go.set()

    slow.on_hang = on_hang
    code, text = looked_at(slow)

    assert (code, len(asked)) == (0, 2)
    assert "gpu 0 card [bold]: load 35 %" in text


def test_json_tells_of_the_processes_on_a_card() -> None:
    _, text = looked_at(Fake(reading=Reading(gpus=[CARD])), as_json=True)

    told = json.loads(text)
    assert told["sys_stats"] == []
    assert told["gpu_stats"][0]["mem_used_mb"] == 6144
    assert told["gpu_stats"][0]["processes"] == [{"pid": 12, "used_mb": 3}]


def test_lines_tell_of_a_source_again_when_it_has_changed() -> None:
    out = io.StringIO()
    lines = Lines(out)
    lines.show(SAMPLE, 1.0)
    first = len(out.getvalue())
    lines.show(SAMPLE, 1.0)
    again = out.getvalue()[first:]

    at = f"{SAMPLE.at.astimezone():%H:%M:%S}"
    host = (
        "cpu 20 % of 2 cores (busiest 30 %), memory 8.0 of 32.0 GiB, swap 1.0 of 4.0 GiB, load 0.50 1.00 1.50, "
        "network 2.00 GiB in and 2.00 GiB out since the start, disk / 40.0 of 100.0 GiB"
    )
    card = "load 35 %, memory 6.0 of 24.0 GiB (25 %), temperature 45 °C, power 120 W of 300 W, processes 1"
    assert out.getvalue()[:first].splitlines() == [
        f"{at} source psutil: ok",
        f"{at} source nvml: absent: no [library]",
        f"{at} host: {host}",
        f"{at} gpu 0 card [bold]: {card}",
        f"{at} gpu 1 dumb: no figures",
    ]
    assert "source" not in again
    assert "host: cpu" in again


def test_table_shows_brackets_as_they_are_and_what_is_not_known_as_a_dash() -> None:
    out = io.StringIO()
    Console(file=out, width=160).print(picture(SAMPLE))

    text = out.getvalue()
    assert re.search(r"nvml +absent: no \[library\]", text)
    assert re.search(r"0 +card \[bold\] +35 % +6.0 of 24.0 GiB \(25 %\) +45 °C", text)
    assert re.search(r"1 +dumb( +-){7}", text)


def test_table_without_host_and_cards_shows_the_sources() -> None:
    out = io.StringIO()
    Console(file=out, width=160).print(picture(Sample(SAMPLE.at, None, (), (), SAMPLE.sources)))

    assert "psutil" in out.getvalue()
    assert "host" not in out.getvalue()


def test_memory_of_which_only_the_use_is_known() -> None:
    assert dict(gpu_cells(GpuReading("x", "x", memory_used_bytes=GIB, power_w=3.0)))["memory"] == "1.0 GiB"


def test_host_without_swap_load_and_network() -> None:
    assert host_rows(HostReading((), GIB, 0, GIB)) == [("memory", "0.0 of 1.0 GiB")]
