"""A machine that is made up, as Hostler's API tells of one: for pictures, which should not show the machine they are taken on."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

CARDS = ("NVIDIA RTX 6000 Ada Generation", "NVIDIA GeForce RTX 4090")

CAPACITIES_MB = (49140, 24564)

EVERY_S = 5
SAMPLES = 180

Json = dict[str, Any]


def hardware(now: datetime) -> Json:
    """Returns what `GET /api/hardware` answers."""
    return {
        "schema_version": 1,
        "captured_at": now.isoformat(),
        "capture": {
            "scope": "inference_host",
            "method": "detected",
            "detector": {"name": "hostler", "version": "0.1.0"},
        },
        "architecture": {"name": "x86_64", "raw_name": "x86_64"},
        "operating_system": {"family": "linux", "name": "Debian GNU/Linux", "version": "13", "kernel": "6.12.48"},
        "environment": {"kind": "native", "name": None, "version": None},
        "cpu": {
            "vendor": "AMD",
            "model": "AMD Ryzen Threadripper 7970X",
            "socket_count": 1,
            "physical_core_count": 32,
            "logical_thread_count": 64,
        },
        "memory": {"capacity_bytes": 256 << 30},
        "accelerators": [
            {
                "index": index,
                "kind": "gpu",
                "vendor": "NVIDIA",
                "model": name,
                "architecture": "Ada Lovelace",
                "memory": {"kind": "dedicated", "capacity_bytes": capacity << 20},
                "driver": {"name": "nvidia", "version": "580.95.05"},
                "power_limit_watts": 300 + 150 * index,
            }
            for index, (name, capacity) in enumerate(zip(CARDS, CAPACITIES_MB, strict=True))
        ],
    }


def _wave(step: int, length: float, shift: float = 0.0) -> float:
    """Returns something between 0 and 1 that does not look drawn with a ruler."""
    slow = math.sin(2 * math.pi * (step / length + shift))
    fast = math.sin(step * 1.7 + shift * 9) * 0.05 + math.sin(step * 0.41 + shift * 5) * 0.1
    return min(1.0, max(0.0, 0.5 + 0.45 * slow + fast))


def performance(now: datetime, models: tuple[str, str]) -> Json:
    """Returns what `GET /api/performance` answers: a quarter of an hour in which *models*, one on each card, worked."""
    system: list[Json] = []
    cards: list[Json] = []
    used: list[Json] = []
    for step in range(SAMPLES):
        at = (now - timedelta(seconds=EVERY_S * (SAMPLES - 1 - step))).isoformat()
        load = _wave(step, 70)
        system.append(
            {
                "timestamp": at,
                "cpu_util_per_core": [
                    round(6 + 60 * load * _wave(step + core, 23, core / 16), 1) for core in range(16)
                ],
                "mem_total_mb": 257698,
                "mem_used_mb": round(41000 + 9000 * load),
                "mem_free_mb": round(216698 - 9000 * load),
                "swap_total_mb": 8192,
                "swap_used_mb": 212,
                "load_avg_1": round(2 + 9 * load, 2),
                "load_avg_5": round(3 + 6 * _wave(step, 70, -0.1), 2),
                "load_avg_15": round(4 + 2 * _wave(step, 140, -0.2), 2),
                "net_io": [
                    {
                        "name": "eth0",
                        "bytes_recv": 40_000_000 + step * 90_000 + round(60_000 * load),
                        "bytes_sent": 90_000_000 + step * 400_000 + round(250_000 * load),
                    }
                ],
            }
        )
        for index, (name, capacity) in enumerate(zip(CARDS, CAPACITIES_MB, strict=True)):
            busy = _wave(step, 52 + 20 * index, index / 3)
            # In the middle another model takes the second card's memory.
            full = (0.88, 0.41 if 70 < step < 110 else 0.78)[index]
            cards.append(
                {
                    "timestamp": at,
                    "id": index,
                    "name": name,
                    "uuid": f"GPU-{index}",
                    "temp_c": round(41 + 30 * busy),
                    "vram_temp_c": 0,
                    "gpu_util_pct": round(100 * busy),
                    "mem_util_pct": round(100 * full),
                    "mem_used_mb": round(capacity * full),
                    "mem_total_mb": capacity,
                    "fan_speed_pct": round(30 + 35 * busy),
                    "power_draw_w": round(60 + (230 + 130 * index) * busy),
                    "power_limit_w": 300 + 150 * index,
                    "unknown": ["vram_temp_c"],
                }
            )
            used.append(
                {
                    "timestamp": at,
                    "model": models[index],
                    "ram_mb": round(1800 + 500 * index),
                    "pid": 4100 + index,
                    "gpus": [{"uuid": f"GPU-{index}", "used_mb": round(capacity * full * 0.97)}],
                }
            )
    return {
        "enabled": True,
        "every_s": EVERY_S,
        "sys_stats": system,
        "gpu_stats": cards,
        "models": used,
        "sources": [{"name": "NVML", "state": "ok", "detail": "2 GPUs"}],
    }


def now() -> datetime:
    """Returns the time, in whole samples."""
    seconds = int(datetime.now(UTC).timestamp())
    return datetime.fromtimestamp(seconds - seconds % EVERY_S, UTC)
