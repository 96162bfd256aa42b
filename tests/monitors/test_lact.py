"""The LACT daemon: its answers, and an imitation of it on a real socket that is slow, broken, or not there."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from monitors import lact
from monitors.lact import Broken, Lact
from monitors.protocol import GpuReading, Unavailable
from tests.monitors.mangle import assert_sane, json_values, mangled, steady, warped

FIXTURES = {path.stem: path.read_text() for path in (Path(__file__).parent / "fixtures/lact").glob("*.json")}
KEYS = [entry["id"] for entry in json.loads(FIXTURES["devices"])["data"]]
ANSWERS = dict(zip(KEYS, ("amd", "integrated", "nvidia", "intel"), strict=True))

Reply = Callable[[dict[str, object]], bytes | None]


def good(question: dict[str, object]) -> bytes:
    """Answers as the daemon does."""
    arguments = question.get("args")
    name = ANSWERS[arguments["id"]] if isinstance(arguments, dict) else "devices"
    return FIXTURES[name].encode()


class Daemon:
    """Answers questions on a socket, each with `reply`, which a test may change; None: it hangs up."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.reply: Reply = good
        self.questions: list[dict[str, object]] = []
        self.connections = 0
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            with connection, connection.makefile("rb") as lines:
                self.connections += 1
                for line in lines:
                    question = json.loads(line)
                    if question == "stop":
                        return
                    self.questions.append(question)
                    answer = self.reply(question)
                    if answer is None:
                        break
                    try:
                        connection.sendall(answer)
                    except OSError:
                        break  # it has waited long enough

    def close(self) -> None:
        with socket.socket(socket.AF_UNIX) as last:
            last.connect(str(self.path))
            last.sendall(b'"stop"\n')
            self._thread.join(20)
        self._listener.close()
        self.path.unlink()


@contextmanager
def daemon(folder: Path) -> Iterator[Daemon]:
    served = Daemon(folder / "lactd.sock")
    try:
        yield served
    finally:
        served.close()


def source(served: Daemon, talk_s: float = 20) -> Lact:
    return Lact([served.path], talk_s=talk_s)


def test_devices_with_memory_of_their_own(tmp_path: Path) -> None:
    with daemon(tmp_path) as served:
        lact = source(served)
        lact.open()
        amd, nvidia, intel = lact.sample().gpus

    assert amd == GpuReading(
        uuid="1002:744C-1043:0506-0000:03:00.0",
        name="AMD Radeon RX 7900 XTX",
        index=0,
        vendor="amd",
        utilization_percent=97.0,
        memory_total_bytes=25753026560,
        memory_used_bytes=11811160064,
        temperature_c=58.0,
        memory_temperature_c=76.0,
        power_w=287.0,
        power_limit_w=339.0,
        fan_percent=pytest.approx(40.0),  # type: ignore[arg-type]
        clock_mhz=2482.0,
        memory_clock_mhz=1249.0,
        pci="0000:03:00.0",
    )
    assert (nvidia.index, nvidia.vendor, nvidia.power_w, nvidia.temperature_c) == (2, "nvidia", 22.11, 34.0)
    assert nvidia.memory_temperature_c == 40.0
    assert (intel.name, intel.vendor, intel.utilization_percent, intel.temperature_c) == (
        "INTEL GPU 3",
        "intel",
        None,
        47.0,
    )
    assert intel.memory_temperature_c is None


def test_a_connection_for_each_sample(tmp_path: Path) -> None:
    with daemon(tmp_path) as served:
        lact = source(served)
        lact.open()
        lact.sample()
        connections, asked = served.connections, served.questions

    assert connections == 2
    assert asked[:2] == [{"command": "list_devices"}, {"command": "device_stats", "args": {"id": KEYS[0]}}]
    assert len(asked) == 2 * 5


def test_the_socket_is_where_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LACT_DAEMON_SOCKET_PATH", str(tmp_path / "lactd.sock"))
    with daemon(tmp_path):
        Lact().open()


def test_sockets_of_the_system_and_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LACT_DAEMON_SOCKET_PATH", raising=False)

    of_system, of_user = lact.socket_paths()

    assert str(of_system) == "/run/lactd.sock"
    assert str(of_user).startswith("/run/user/")


def test_without_a_daemon_it_is_unavailable(tmp_path: Path) -> None:
    nobody = tmp_path / "nobody.sock"
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(nobody))
    lact = Lact([tmp_path / "missing.sock", nobody])
    with pytest.raises(Unavailable, match=r"missing\.sock: No such file.*nobody\.sock: Connection refused"):
        lact.open()
    lact.close()


def test_without_memory_there_is_nothing_to_read(tmp_path: Path) -> None:
    with daemon(tmp_path) as served:
        served.reply = lambda question: FIXTURES["integrated" if "args" in question else "devices"].encode()
        with pytest.raises(Unavailable, match="no device with memory"):
            source(served).open()


def test_device_that_is_in_trouble_does_not_cost_the_others(tmp_path: Path) -> None:
    def reply(question: dict[str, object]) -> bytes:
        return FIXTURES["error"].encode() if question.get("args") == {"id": KEYS[0]} else good(question)

    with daemon(tmp_path) as served:
        served.reply = reply
        gpus = source(served).sample().gpus

    assert [gpu.index for gpu in gpus] == [2, 3]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"nonsense\n", "nonsense"),
        (b'{"status":"ok"', "no answer in time"),
        (b"\n", "an empty answer"),
        (b"[" * 5000 + b"\n", "lact: "),
        (b'{"status":"error","data":"permission denied"}\n', "permission denied"),
        (b"\xff\xfe\n", "lact"),
        (None, "hung up"),
    ],
)
def test_broken_answers_are_told_and_the_next_sample_is_well(tmp_path: Path, answer: bytes | None, words: str) -> None:
    with daemon(tmp_path) as served:
        lact = source(served, talk_s=0.3 if answer and not answer.endswith(b"\n") else 20)
        served.reply = lambda _: answer
        with pytest.raises(Broken, match=words):
            lact.sample()
        served.reply = good

        assert len(lact.sample().gpus) == 3


def test_endless_answer_is_cut_off(tmp_path: Path) -> None:
    with daemon(tmp_path) as served:
        served.reply = lambda _: b"x" * (lact.MAX_ANSWER_BYTES + (1 << 20))
        with pytest.raises(Broken, match="too long"):
            source(served).sample()


def test_daemon_that_hangs_up_in_the_middle_fails_the_sample(tmp_path: Path) -> None:
    with daemon(tmp_path) as served:
        served.reply = lambda question: None if "args" in question else good(question)
        with pytest.raises(Broken, match="hung up"):
            source(served).sample()


def test_slow_answers_share_one_deadline(tmp_path: Path) -> None:
    goes_on = threading.Event()

    def reply(question: dict[str, object]) -> bytes:
        if "args" in question:
            goes_on.wait(20)
        return good(question)

    with daemon(tmp_path) as served:
        served.reply = reply
        with pytest.raises(Broken, match="no answer in time"):
            source(served, talk_s=0.2).sample()
        goes_on.set()


def test_close_ends_a_sample_that_waits(tmp_path: Path) -> None:
    asked, goes_on, failed = threading.Event(), threading.Event(), threading.Event()

    def reply(question: dict[str, object]) -> bytes:
        asked.set()
        goes_on.wait(20)
        return good(question)

    def sample() -> None:
        with pytest.raises(Broken):
            waiting.sample()
        failed.set()

    with daemon(tmp_path) as served:
        served.reply = reply
        waiting = source(served)
        thread = threading.Thread(target=sample)
        thread.start()
        asked.wait(20)
        waiting.close()
        has_failed = failed.wait(20)
        goes_on.set()
        thread.join(20)

    assert has_failed


def test_daemon_that_restarts_is_found_again(tmp_path: Path) -> None:
    with daemon(tmp_path) as served:
        lact = source(served)
        before = lact.sample().gpus
    with pytest.raises(Unavailable):
        lact.sample()
    with daemon(tmp_path):
        after = lact.sample().gpus

    assert before == after


@steady
@given(mangled(sorted(FIXTURES.values())))
def test_garbage_is_an_answer_or_broken(text: str) -> None:
    try:
        data = lact.answer(text)
    except Broken:
        return
    lact.devices(data)
    card = lact.reading(0, KEYS[0], "", data)
    assert_sane([card] if card else [])


@pytest.mark.slow
@steady
@given(st.data())
def test_warped_answers_are_read_without_complaint(data: st.DataObject) -> None:
    stats = data.draw(warped(json.loads(FIXTURES["amd"])["data"]))
    card = lact.reading(0, data.draw(st.text(max_size=20)), data.draw(st.just("") | st.just("AMD")), stats)
    assert_sane([card] if card else [])


@steady
@given(json_values())
def test_any_list_of_devices_is_read(data: object) -> None:
    assert all(key for key, _ in lact.devices(data))
