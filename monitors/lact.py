"""AMD, Intel and NVIDIA cards by the LACT daemon: one JSON object a line over a Unix socket, a new connection per sample.

Devices without memory of their own are left out: they are the processor's graphics, and no model runs there.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from monitors import figures
from monitors.protocol import GpuReading, Reading, Unavailable

CONNECT_S = 2.0
TALK_S = 5.0
"""For all questions and answers of one sample."""

MAX_ANSWER_BYTES = 4 << 20

VENDORS = {"1002": "amd", "1022": "amd", "10de": "nvidia", "8086": "intel"}


class Broken(Exception):
    """The daemon does not answer, or not as it should."""


def socket_paths() -> tuple[Path, ...]:
    """Returns where the daemon may listen: where the environment says, else for the system, else for this user."""
    if named := os.environ.get("LACT_DAEMON_SOCKET_PATH"):
        return (Path(named),)
    user = os.getuid() if hasattr(os, "getuid") else 0
    return (Path("/run/lactd.sock"), Path(f"/run/user/{user}/lactd.sock"))


def answer(line: str) -> object:
    """Returns the data in the daemon's answer *line*. Raises Broken if it is an error or no answer."""
    message = figures.from_json(line)
    if figures.at(message, "status") == "ok":
        return figures.at(message, "data")
    reason = figures.at(message, "data")
    raise Broken(f"lact: {figures.words(reason if isinstance(reason, str) else line) or 'an empty answer'}")


def devices(data: object) -> list[tuple[str, str]]:
    """Returns the id and name of each device in the answer to `list_devices`."""
    if not isinstance(data, list):
        return []
    found = [(figures.at(entry, "id"), figures.words(figures.at(entry, "name"))) for entry in data]
    return [(key, name) for key, name in found if isinstance(key, str) and key]


def reading(index: int, key: str, name: str, stats: object) -> GpuReading | None:
    """Returns the device *key* as its `device_stats` say, or None if it has no memory of its own."""
    total = figures.byte_count(figures.at(stats, "vram", "total"))
    if not total:
        return None
    vendor = VENDORS.get(key[:4].lower(), "")
    average = figures.watts(figures.at(stats, "power", "average"))
    return GpuReading(
        uuid=figures.words(key) or f"lact-{index}",
        name=name or f"{vendor.upper()} GPU {index}".strip(),
        index=index,
        vendor=vendor,
        utilization_percent=figures.percent(figures.at(stats, "busy_percent")),
        memory_total_bytes=total,
        memory_used_bytes=figures.byte_count(figures.at(stats, "vram", "used")),
        temperature_c=_temperature(figures.at(stats, "temps"), ("edge", "junction", "GPU")),
        memory_temperature_c=_temperature(figures.at(stats, "temps"), ("mem", "VRAM"), is_closed=True),
        # Some drivers say 0 for "I keep no average".
        power_w=average or figures.watts(figures.at(stats, "power", "current")),
        power_limit_w=figures.watts(figures.at(stats, "power", "cap_current")),
        fan_percent=figures.percent(figures.at(stats, "fan", "pwm_current"), 100 / 255),
        clock_mhz=figures.megahertz(figures.at(stats, "clockspeed", "gpu_clockspeed")),
        memory_clock_mhz=figures.megahertz(figures.at(stats, "clockspeed", "vram_clockspeed")),
        pci=figures.pci_address(key),
    )


def _temperature(temps: object, names: Iterable[str], *, is_closed: bool = False) -> float | None:
    """Returns the first temperature that goes by one of *names*, else any other that is not the memory's (*is_closed*: none)."""
    if not isinstance(temps, dict):
        return None
    others = [] if is_closed else sorted(str(key) for key in temps if str(key).lower() not in {"mem", "vram"})
    for key in (*names, *others):
        found = figures.celsius(figures.at(temps, key, "current"))
        if found is not None:
            return found
    return None


class Lact:
    """The LACT daemon, as a source."""

    name = "lact"

    def __init__(self, paths: Sequence[Path] = (), connect_s: float = CONNECT_S, talk_s: float = TALK_S) -> None:
        self._paths = tuple(paths)
        self._connect_s = connect_s
        self._talk_s = talk_s
        self._connection: socket.socket | None = None

    def open(self) -> None:
        """Looks for the daemon and at what it knows. Raises Unavailable if there is neither."""
        if not self.sample().gpus:
            raise Unavailable("LACT knows no device with memory of its own")

    def sample(self) -> Reading:
        """Asks for all devices over a connection of its own. Raises Broken if the daemon does not answer well."""
        connection = self._connection = self._connected()
        try:
            talk = _Talk(connection, time.monotonic() + self._talk_s)
            found: list[GpuReading] = []
            for index, (key, name) in enumerate(devices(answer(talk.ask("list_devices")))):
                try:
                    stats = answer(talk.ask("device_stats", {"id": key}))
                except Broken:
                    if talk.is_over:
                        raise
                    continue  # of this device only; the next question may be answered
                card = reading(index, key, name, stats)
                if card is not None:
                    found.append(card)
        except TimeoutError as error:
            raise Broken("lact: no answer in time") from error
        except OSError as error:
            raise Broken(f"lact: {error.strerror or type(error).__name__}") from error
        finally:
            self._connection = None
            connection.close()
        return Reading(gpus=tuple(found))

    def _connected(self) -> socket.socket:
        if sys.platform == "win32":  # pragma: win32
            raise Unavailable("LACT is for Linux")
        reasons: list[str] = []
        for path in self._paths or socket_paths():
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            connection.settimeout(self._connect_s)
            try:
                connection.connect(str(path))
            except OSError as error:
                connection.close()
                reasons.append(f"{path}: {error.strerror or error}")
            else:
                return connection
        raise Unavailable(f"no LACT daemon ({'; '.join(reasons)})")

    def close(self) -> None:
        """Ends a sample that waits for an answer."""
        connection = self._connection
        if connection is not None:
            try:
                # Wakes up a thread that waits for an answer; closing alone would not.
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it has just ended by itself


class _Talk:
    """Questions and answers over one connection, until a deadline."""

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self._connection = connection
        self._deadline = deadline
        self._read = b""
        self.is_over = False

    def ask(self, command: str, args: dict[str, str] | None = None) -> str:
        """Returns the line that answers *command*. Raises OSError, or Broken, if none comes in time."""
        question: dict[str, object] = {"command": command}
        if args is not None:
            question["args"] = args
        self._await()
        self._connection.sendall(json.dumps(question).encode() + b"\n")
        while b"\n" not in self._read:
            self._await()
            more = self._connection.recv(1 << 16)
            if not more or len(self._read) > MAX_ANSWER_BYTES:
                self.is_over = True
                raise Broken(f"lact: {'too long an answer' if more else 'hung up'} to {command}")
            self._read += more
        line, _, self._read = self._read.partition(b"\n")
        return line.decode("utf-8", "replace")

    def _await(self) -> None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            self.is_over = True
            raise Broken("lact: no answer in time")
        self._connection.settimeout(left)
