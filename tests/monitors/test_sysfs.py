"""Cards as the kernel's drivers show them, in made-up trees of files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from monitors.protocol import GpuReading, Unavailable
from monitors.sysfs import INTEGRATED_INTEL, Card, Counted, Sysfs, amd, counted, intel, marketing_name, pci_name
from tests.monitors.mangle import NASTY, assert_sane, steady

RADEON = {
    "vendor": "0x1002",
    "device": "0x744c",
    "revision": "0xc8",
    "gpu_busy_percent": "97",
    "mem_info_vram_total": "25753026560",
    "mem_info_vram_used": "11811160064",
    "mem_info_gtt_total": "67000000000",
    "mem_info_gtt_used": "52428800",
    "pp_dpm_sclk": "0: 500Mhz\n1: 2482Mhz *\n2: 2575Mhz",
    "pp_dpm_mclk": "0: 96Mhz\n1: 456Mhz\n2: 1249Mhz *",
    "power/runtime_status": "active",
    "hwmon/hwmon3/name": "amdgpu",
    "hwmon/hwmon3/temp1_label": "edge",
    "hwmon/hwmon3/temp1_input": "58000",
    "hwmon/hwmon3/temp2_label": "junction",
    "hwmon/hwmon3/temp2_input": "81000",
    "hwmon/hwmon3/temp3_label": "mem",
    "hwmon/hwmon3/temp3_input": "76000",
    "hwmon/hwmon3/power1_average": "287000000",
    "hwmon/hwmon3/power1_cap": "339000000",
    "hwmon/hwmon3/fan1_input": "1280",
    "hwmon/hwmon3/fan1_max": "3200",
}

ARC_XE = {
    "vendor": "0x8086",
    "device": "0xe20b",
    "tile0/physical_vram_size_bytes": "12884901888",
    "tile0/gt0/freq0/act_freq": "2400",
    "tile0/gt0/gtidle/idle_residency_ms": "1000000",
    "hwmon/hwmon5/name": "xe",
    "hwmon/hwmon5/energy1_label": "card",
    "hwmon/hwmon5/energy1_input": "500000000",
    "hwmon/hwmon5/energy2_label": "pkg",
    "hwmon/hwmon5/energy2_input": "400000000",
    "hwmon/hwmon5/temp2_label": "pkg",
    "hwmon/hwmon5/temp2_input": "47000",
    "hwmon/hwmon5/temp3_label": "vram",
    "hwmon/hwmon5/temp3_input": "50000",
    "hwmon/hwmon5/power1_max": "190000000",
    "hwmon/hwmon5/fan1_input": "980",
}

ARC_I915 = {
    "vendor": "0x8086",
    "device": "0x56a0",
    "../lmem_total_bytes": "17071177728",
    "../lmem_avail_bytes": "17070129152",
    "../gt_act_freq_mhz": "300",
    "../gt/gt0/rc6_residency_ms": "5000",
    "hwmon/hwmon6/energy1_input": "100",
}


def card(root: Path, number: int, pci: str, files: Mapping[str, str]) -> Path:
    """Puts a card below *root* as the kernel does, its device a link; returns the device."""
    device = root / "sys/devices/pci0000:00" / pci
    folder = root / "sys/class/drm" / f"card{number}"
    folder.mkdir(parents=True)
    for name, text in files.items():
        path = folder / name[3:] if name.startswith("../") else device / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    (folder / "device").symlink_to(device)
    (root / "sys/class/drm" / f"card{number}-DP-1").mkdir()
    return device


def opened(root: Path) -> Sysfs:
    source = Sysfs(root)
    source.open()
    return source


def test_amd_card(tmp_path: Path) -> None:
    card(tmp_path, 0, "0000:03:00.0", RADEON)
    ids = tmp_path / "usr/share/libdrm/amdgpu.ids"
    ids.parent.mkdir(parents=True)
    ids.write_text(
        "# List of AMDGPU IDs\n\n1.0.0\n744C,\tC4,\tAMD Radeon RX 7900 XT\n744C,\tC8,\tAMD Radeon RX 7900 XTX\n"
    )

    assert opened(tmp_path).sample().gpus == (
        GpuReading(
            uuid="0000:03:00.0",
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
            fan_percent=40.0,
            clock_mhz=2482.0,
            memory_clock_mhz=1249.0,
            pci="0000:03:00.0",
        ),
    )


def test_older_and_newer_names_of_amds_files(tmp_path: Path) -> None:
    renamed = {
        "hwmon/hwmon3/temp1_input": "44000",
        "hwmon/hwmon3/power1_input": "18000000",
        "hwmon/hwmon3/pwm1": "51",
        "hwmon/hwmon3/freq1_label": "sclk",
        "hwmon/hwmon3/freq1_input": "600000000",
        "hwmon/hwmon3/freq2_label": "mclk",
        "hwmon/hwmon3/freq2_input": "456000000",
        "product_name": "AMD Instinct MI50",
    }
    card(tmp_path, 1, "0000:43:00.0", {"vendor": "0x1002", "device": "0x66a1"} | renamed)
    (gpu,) = opened(tmp_path).sample().gpus

    assert (gpu.name, gpu.temperature_c, gpu.power_w) == ("AMD Instinct MI50", 44.0, 18.0)
    assert gpu.fan_percent == pytest.approx(20)
    assert (gpu.clock_mhz, gpu.memory_clock_mhz, gpu.memory_total_bytes, gpu.power_limit_w) == (
        600.0,
        456.0,
        None,
        None,
    )


def test_graphics_of_an_amd_processor_may_borrow_the_hosts_memory(tmp_path: Path) -> None:
    device = card(
        tmp_path, 0, "0000:c4:00.0", RADEON | {"mem_info_vram_total": "536870912", "mem_info_vram_used": "500000000"}
    )
    (device / "gpu_metrics").write_bytes(bytes([0x98, 0x00, 0x03, 0x00]) + bytes(100))
    (gpu,) = opened(tmp_path).sample().gpus

    assert gpu.is_unified
    assert (gpu.memory_total_bytes, gpu.memory_used_bytes) == (536870912 + 67000000000, 500000000 + 52428800)


def test_table_of_metrics_of_a_card_does_not_make_it_a_processor(tmp_path: Path) -> None:
    device = card(tmp_path, 0, "0000:03:00.0", RADEON)
    (device / "gpu_metrics").write_bytes(bytes([0x78, 0x00, 0x01, 0x03]) + bytes(100))

    assert not opened(tmp_path).sample().gpus[0].is_unified


def test_sleeping_card_is_not_read(tmp_path: Path) -> None:
    card(tmp_path, 0, "0000:03:00.0", RADEON | {"power/runtime_status": "suspended"})
    (gpu,) = opened(tmp_path).sample().gpus

    assert (gpu.uuid, gpu.utilization_percent, gpu.memory_used_bytes, gpu.power_w) == ("0000:03:00.0", 0.0, None, None)


def test_intel_card_by_xe(tmp_path: Path) -> None:
    device = card(tmp_path, 1, "0000:07:00.0", ARC_XE)
    names = tmp_path / "usr/share/hwdata/pci.ids"
    names.parent.mkdir(parents=True)
    names.write_text(
        "1002  AMD\n\te20b  Not this\n8086  Intel Corporation\n\te20b  Battlemage G21 [Arc B580]\n\t\te20b 1  No\n"
    )
    source = opened(tmp_path)
    (first,) = source.sample().gpus
    (device / "hwmon/hwmon5/energy1_input").write_text("500000001\n")
    (second,) = source.sample().gpus

    assert (first.name, first.pci, first.clock_mhz) == ("Intel Battlemage G21 [Arc B580]", "0000:07:00.0", 2400.0)
    assert (first.memory_total_bytes, first.memory_used_bytes) == (12884901888, None)
    assert (first.temperature_c, first.memory_temperature_c, first.power_limit_w) == (47.0, 50.0, 190.0)
    assert (first.power_w, first.utilization_percent) == (None, None)  # it takes two looks
    assert second.power_w is not None
    assert second.power_w > 0
    assert second.utilization_percent == 100.0


def test_intel_card_by_i915(tmp_path: Path) -> None:
    card(tmp_path, 0, "0000:07:00.0", ARC_I915)
    (gpu,) = opened(tmp_path).sample().gpus

    assert (gpu.name, gpu.clock_mhz) == ("Intel GPU 0x56a0", 300.0)
    assert (gpu.memory_total_bytes, gpu.memory_used_bytes) == (17071177728, 1048576)
    assert not gpu.is_unified


def test_intels_own_graphics_share_the_hosts_memory(tmp_path: Path) -> None:
    card(tmp_path, 0, INTEGRATED_INTEL, {"vendor": "0x8086", "device": "0x46a6", "../gt_act_freq_mhz": "1300"})
    (gpu,) = opened(tmp_path).sample().gpus

    assert gpu.is_unified


def test_power_and_utilization_by_difference() -> None:
    arc = Card(0, "intel", "0000:07:00.0", "Arc")
    reading = intel(arc, {}, Counted(100.0, 1_000_000, 5000), Counted(105.0, 501_000_000, 6000))

    assert reading.power_w == pytest.approx(100.0)
    assert reading.utilization_percent == pytest.approx(80.0)


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (Counted(1.0, 100, 100), Counted(1.0, 200, 200)),  # no time has passed
        (Counted(1.0, 100, 100), Counted(2.0, 50, 50)),  # started anew
        (Counted(1.0), Counted(2.0, 50, 50)),
        (Counted(1.0, 100, 100), Counted(2.0)),
    ],
)
def test_counts_that_cannot_be_compared_say_nothing(before: Counted, now: Counted) -> None:
    reading = intel(Card(0, "intel", "", "Arc"), {}, before, now)

    assert (reading.power_w, reading.utilization_percent) == (None, None)
    assert reading.uuid == "intel-0"


def test_idle_time_that_is_booked_late_is_no_negative_load() -> None:
    reading = intel(Card(0, "intel", "", "Arc"), {}, Counted(0.0, None, 0), Counted(1.0, None, 1500))

    assert reading.utilization_percent == 0.0


def test_several_vendors_at_once_and_others_left_to_others(tmp_path: Path) -> None:
    card(tmp_path, 10, "0000:03:00.0", RADEON)
    card(tmp_path, 2, "0000:07:00.0", ARC_XE)
    card(tmp_path, 0, "0000:01:00.0", {"vendor": "0x10de", "device": "0x2684"})

    assert [(gpu.index, gpu.vendor) for gpu in opened(tmp_path).sample().gpus] == [(2, "intel"), (10, "amd")]


def test_without_a_card_it_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="No such file"):
        Sysfs(tmp_path).open()
    card(tmp_path, 0, "0000:01:00.0", {"vendor": "0x10de"})
    with pytest.raises(Unavailable, match="no AMD or Intel card"):
        Sysfs(tmp_path).open()


def test_card_that_has_gone_makes_it_look_anew(tmp_path: Path) -> None:
    device = card(tmp_path, 0, "0000:03:00.0", RADEON)
    card(tmp_path, 1, "0000:07:00.0", ARC_XE)
    source = opened(tmp_path)
    (device / "vendor").unlink()
    with pytest.raises(FileNotFoundError, match="has gone"):
        source.sample()
    source.close()
    source.open()

    assert [gpu.vendor for gpu in source.sample().gpus] == ["intel"]


def test_file_that_cannot_be_read_is_not_there(tmp_path: Path) -> None:
    device = card(tmp_path, 0, "0000:03:00.0", RADEON)
    (device / "gpu_busy_percent").unlink()
    (device / "gpu_busy_percent").mkdir()  # even root cannot read it
    (gpu,) = opened(tmp_path).sample().gpus

    assert gpu.utilization_percent is None
    assert gpu.memory_used_bytes == 11811160064


VALUES = st.one_of(st.sampled_from(NASTY), st.text(max_size=20), st.integers().map(str), st.floats().map(str))


def flat(files: Mapping[str, str]) -> dict[str, str]:
    """Returns the files as the reader names them."""
    names = {name: name.replace("../", "card/").split("/") for name in files}
    return {
        "/".join(["hwmon", parts[-1]] if parts[0] == "hwmon" else parts): files[name] for name, parts in names.items()
    }


@steady
@given(st.dictionaries(st.sampled_from(sorted(flat(RADEON))), VALUES), st.booleans())
def test_whatever_amdgpu_says_is_read(changes: dict[str, str], is_unified: bool) -> None:
    assert_sane([amd(Card(0, "amd", "", "AMD GPU", is_unified), flat(RADEON) | changes)])


@steady
@given(st.dictionaries(st.sampled_from(sorted(flat(ARC_XE | ARC_I915))), VALUES), st.floats(0, 1e9), st.floats(0, 1e9))
def test_whatever_intels_drivers_say_is_read(changes: dict[str, str], then: float, now: float) -> None:
    files = flat(ARC_XE | ARC_I915)
    before = counted(files, then)
    changed = files | changes
    assert_sane([intel(Card(0, "intel", "", "Intel GPU"), changed, before, counted(changed, now))])


@steady
@given(st.text(), st.text(max_size=5), st.text(max_size=5))
def test_any_database_of_names_is_read(text: str, one: str, two: str) -> None:
    assert pci_name(text, one, two).isprintable()
    assert marketing_name(text, one, two).isprintable()
