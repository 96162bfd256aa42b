"""NVML, over recorded answers: no card is needed."""

from __future__ import annotations

import copy
import json
import logging
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pynvml
import pytest
from hypothesis import given, strategies as st

from monitors.nvidia import LOOK_AGAIN, Nvml, reading
from monitors.protocol import GpuReading, ProcessMemory, Unavailable
from tests.monitors.mangle import assert_sane, json_values, steady, warped
from tests.monitors.record_nvml import recording
from tests.monitors.recorded_nvml import Recorded

FIXTURES = Path(__file__).parent / "fixtures"
NAMES = sorted(path.stem.removeprefix("nvml-") for path in FIXTURES.glob("nvml-*.json"))
HOST = 128 << 30


def recorded(name: str) -> Any:
    return json.loads((FIXTURES / f"nvml-{name}.json").read_text())


def source(library: Any) -> Nvml:
    return Nvml(lambda: library, lambda: HOST)


def sampled(name: str) -> tuple[GpuReading, ...]:
    nvml = source(Recorded(recorded(name)))
    nvml.open()
    try:
        return tuple(nvml.sample().gpus)
    finally:
        nvml.close()


def test_a_card_with_all_figures() -> None:
    card = sampled("two-cards")[0]

    assert card == GpuReading(
        uuid="GPU-1f0c5a3e-5b7e-4a59-9d0c-0d8f1a2b3c4d",
        name="NVIDIA GeForce RTX 4090",
        index=0,
        vendor="nvidia",
        utilization_percent=37.0,
        memory_total_bytes=25757220864,
        memory_used_bytes=18649448448,
        temperature_c=61.0,
        power_w=287431 * 1e-3,
        power_limit_w=450.0,
        fan_percent=44.0,
        clock_mhz=2745.0,
        memory_clock_mhz=10501.0,
        processes=(ProcessMemory(815, 313524224), ProcessMemory(1999, 8388608), ProcessMemory(4711, 17896046592)),
        pci="0000:01:00.0",
    )


def test_what_a_card_does_not_say_costs_nothing_else() -> None:
    card = sampled("two-cards")[1]

    assert card.processes == ()  # this user may not see them
    assert (card.index, card.pci, card.memory_temperature_c, card.memory_used_bytes) == (
        1,
        "000a:c1:00.0",
        41.0,
        482213888,
    )


def test_temperature_from_the_older_function_where_the_newer_is_missing() -> None:
    answers = recorded("two-cards")["devices"][0]["answers"]

    assert answers["nvmlDeviceGetTemperatureV[0]"] == {"error": pynvml.NVML_ERROR_FUNCTION_NOT_FOUND}
    assert sampled("two-cards")[0].temperature_c == 61.0


def test_slices_have_the_memory_and_the_card_the_rest() -> None:
    card, *slices = sampled("mig")

    assert card.memory_total_bytes is None
    assert card.memory_used_bytes is None
    assert card.processes == ()
    assert card.power_w == pytest.approx(98.765)
    assert [each.name for each in slices] == [
        "NVIDIA A100-SXM4-80GB MIG 3g.40gb",
        "NVIDIA A100-SXM4-80GB MIG 3g.40gb",
        "NVIDIA A100-SXM4-80GB MIG 1g.10gb",
    ]
    assert [each.memory_used_bytes for each in slices] == [21474836480, 39845888, 13631488]
    assert slices[0].processes == (ProcessMemory(3001, 20401094656),)
    assert {each.power_w for each in slices} == {None}
    assert {each.temperature_c for each in slices} == {38.0}
    assert {each.pci for each in (card, *slices)} == {"0000:07:00.0"}
    assert len({each.uuid for each in (card, *slices)}) == 4


def test_chip_that_shares_the_hosts_memory_adds_up_its_processes() -> None:
    (chip,) = sampled("shared-memory")

    assert chip.is_unified
    assert chip.memory_total_bytes == HOST
    assert chip.memory_used_bytes == 100739842048 + 228589568 + 19087360
    assert chip.pci == "000f:01:00.0"


def test_memory_of_zero_is_shared_memory() -> None:
    told = recorded("shared-memory")
    told["devices"][0]["answers"]["nvmlDeviceGetMemoryInfo"] = {"total": 0, "free": 0, "used": 0}
    nvml = source(Recorded(told))
    nvml.open()

    assert nvml.sample().gpus[0].is_unified


def test_memory_that_may_not_be_asked_for_is_not_called_shared() -> None:
    told = recorded("two-cards")
    told["devices"][0]["answers"]["nvmlDeviceGetMemoryInfo"] = {"error": pynvml.NVML_ERROR_NO_PERMISSION}
    nvml = source(Recorded(told))
    nvml.open()
    card = nvml.sample().gpus[0]

    assert not card.is_unified
    assert card.memory_total_bytes is None


def test_process_without_a_figure_is_left_out() -> None:
    (card,) = sampled("virtual")

    assert card.processes == ()
    assert card.memory_used_bytes == 1 << 30


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (pynvml.NVML_ERROR_LIBRARY_NOT_FOUND, "NVML is not installed"),
        (pynvml.NVML_ERROR_DRIVER_NOT_LOADED, "driver is not loaded"),
        (pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH, "restart the machine"),
        (pynvml.NVML_ERROR_NO_PERMISSION, "may not ask"),
        (pynvml.NVML_ERROR_UNKNOWN, "NVML: "),
    ],
)
def test_why_there_is_nothing_to_read(error: int, words: str) -> None:
    nvml = source(Recorded(recorded("virtual") | {"init": error}))
    with pytest.raises(Unavailable, match=words):
        nvml.open()
    nvml.close()
    nvml.close()


def test_without_the_package_it_is_unavailable() -> None:
    def missing() -> Any:
        raise ModuleNotFoundError("No module named 'pynvml'")

    with pytest.raises(Unavailable, match="nvidia-ml-py is not installed"):
        Nvml(missing).open()


def test_without_a_card_it_is_unavailable() -> None:
    library = Recorded(recorded("virtual") | {"devices": []})
    nvml = source(library)
    with pytest.raises(Unavailable, match="knows no card"):
        nvml.open()
    nvml.close()

    assert library.sessions == 0


def test_the_library_is_imported_only_when_opened() -> None:
    code = "import sys, monitors; monitors.SOURCES['nvml'](); print('pynvml' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert said.strip() == "False"


@pytest.mark.parametrize("error", [pynvml.NVML_ERROR_GPU_IS_LOST, pynvml.NVML_ERROR_RESET_REQUIRED])
@pytest.mark.parametrize("question", ["nvmlDeviceGetPowerUsage", "nvmlDeviceGetMemoryInfo"])
def test_lost_card_raises_so_that_the_source_is_opened_anew(error: int, question: str) -> None:
    told = recorded("two-cards")
    nvml = source(Recorded(told))
    nvml.open()
    nvml.sample()
    told["devices"][1]["answers"][question] = {"error": error}

    with pytest.raises(pynvml.NVMLError):
        nvml.sample()


def test_cards_beside_a_lost_one_are_read_and_it_is_when_it_is_back(caplog: pytest.LogCaptureFixture) -> None:
    told = recorded("two-cards")
    whole = told["devices"][0]
    told["devices"][0] = {"error": pynvml.NVML_ERROR_GPU_IS_LOST}
    nvml = source(Recorded(told))
    with caplog.at_level(logging.WARNING):
        nvml.open()
        before = [[card.index for card in nvml.sample().gpus] for _ in range(2 * LOOK_AGAIN)]
    told["devices"][0] = whole
    after = [[card.index for card in nvml.sample().gpus] for _ in range(LOOK_AGAIN)]

    assert before == [[1]] * (2 * LOOK_AGAIN)
    assert after[-1] == [0, 1]
    assert len(caplog.records) == 1  # told once, not at each look


def test_when_all_cards_are_lost_it_fails_and_is_tried_again() -> None:
    told = recorded("virtual")
    told["devices"] = [{"error": pynvml.NVML_ERROR_GPU_IS_LOST}]
    nvml = source(Recorded(told))
    with pytest.raises(pynvml.NVMLError):
        nvml.open()
    nvml.close()


def test_slice_that_has_gone_is_left_out() -> None:
    told = recorded("mig")
    nvml = source(Recorded(told))
    nvml.open()
    for name in told["devices"][0]["slices"][1]:
        told["devices"][0]["slices"][1][name] = {"error": pynvml.NVML_ERROR_INVALID_ARGUMENT}

    assert len(nvml.sample().gpus) == 3


def test_close_does_not_wait_for_a_question_that_hangs_and_open_says_so() -> None:
    library = Recorded(recorded("virtual"))
    nvml = source(library)
    nvml.open()
    hangs, goes_on = threading.Event(), threading.Event()
    unpatched = library.nvmlDeviceGetName

    def hang(handle: Any) -> Any:
        hangs.set()
        goes_on.wait(10)
        return unpatched(handle)

    library.__dict__["nvmlDeviceGetName"] = hang
    thread = threading.Thread(target=nvml.sample)
    thread.start()
    assert hangs.wait(10)
    nvml.close()
    still_open = library.sessions
    with pytest.raises(TimeoutError, match="hangs"):
        nvml.open()
    goes_on.set()
    thread.join(10)
    nvml.close()

    assert still_open == 1
    assert library.sessions == 0


def test_close_gives_the_library_back_and_it_opens_again() -> None:
    library = Recorded(recorded("virtual"))
    nvml = source(library)
    for _ in range(3):
        nvml.open()
        nvml.sample()
        nvml.close()
        nvml.close()

    assert library.sessions == 0
    with pytest.raises(Unavailable):
        nvml.sample()


def test_library_that_cannot_be_shut_down_is_let_go() -> None:
    library = Recorded(recorded("virtual"))

    def refuse() -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_UNINITIALIZED)

    library.__dict__["nvmlShutdown"] = refuse
    nvml = source(library)
    nvml.open()
    nvml.close()

    with pytest.raises(Unavailable):
        nvml.sample()


@pytest.mark.parametrize("name", NAMES)
def test_the_recorder_asks_all_that_the_reader_asks(name: str) -> None:
    """What `record_nvml` brings home from a machine must be enough to play the reader's part again."""
    library = Recorded(recorded(name))
    again = recording(_Recordable(library)) | {"constants": library.recording["constants"]}
    replayed = source(Recorded(json.loads(json.dumps(again))))
    replayed.open()

    assert tuple(replayed.sample().gpus) == sampled(name)


class _Recordable:
    """A recording, as the recorder expects the real library: with its errors and versions."""

    def __init__(self, library: Recorded) -> None:
        self._library = library

    def __getattr__(self, name: str) -> Any:
        if name.startswith("nvmlSystemGet"):
            return lambda: "1.0"
        return getattr(pynvml, name) if name.startswith("NVML_ERROR") else getattr(self._library, name)


@pytest.mark.parametrize("name", NAMES)
def test_recorded_readings_are_sane(name: str) -> None:
    found = sampled(name)

    assert found
    assert_sane(found)


@steady
@given(st.data())
def test_whatever_a_device_answers_is_read_without_complaint(data: st.DataObject) -> None:
    answers = {
        "index": 0,
        "uuid": "GPU-1",
        "name": "NVIDIA H100",
        "pci": "00000000:01:00.0",
        "memory": data.draw(st.sampled_from(["shared", {"total": 10, "used": 5}])),
        "compute": [{"pid": 1, "used": 5}],
        "graphics": [],
        "utilization": 5,
        "temperature": 40,
        "power": 1000,
        "clock": 1000,
    }
    mangled = data.draw(warped(answers))
    host = data.draw(st.integers(0, 1 << 50))

    assert_sane([reading(mangled if isinstance(mangled, dict) else answers, host)])


@steady
@given(st.dictionaries(st.sampled_from(["index", "uuid", "memory", "compute", "power", "fan", "pci"]), json_values()))
def test_nonsense_is_read_without_complaint(answers: dict[str, object]) -> None:
    assert_sane([reading(answers)])


@pytest.mark.parametrize("name", NAMES)
def test_any_question_may_fail_at_any_time(name: str) -> None:
    told = recorded(name)
    nvml = source(Recorded(told))
    nvml.open()
    answers = told["devices"][0]["answers"]
    for error in (pynvml.NVML_ERROR_NOT_SUPPORTED, pynvml.NVML_ERROR_TIMEOUT, pynvml.NVML_ERROR_UNKNOWN):
        for question, healthy in copy.deepcopy(answers).items():
            answers[question] = {"error": error}
            assert_sane(nvml.sample().gpus)
            answers[question] = healthy

    assert tuple(nvml.sample().gpus) == sampled(name)
