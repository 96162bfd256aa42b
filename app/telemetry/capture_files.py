"""Packed captures as files of one directory: `<id>.capture`, each written whole and renamed into place.

Everything here blocks: it is called in worker threads, by one at a time.

A file is not synced to the disk: what a power failure leaves half-written is told by its checksum when it is read. What a kill
leaves unfinished has another name and is removed at the next start. A disk that is full or cannot be written is tried no more
until the next start: one warning, and captures stay in memory. Prompts are private, so only our own user may read them.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable
from pathlib import Path

logger = logging.getLogger(__name__)

_NAME = re.compile(r"([1-9][0-9]{0,17})\.capture", re.ASCII)

_UNFINISHED = ".unfinished"


class CaptureFiles:
    """The files of one directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._may_write = True

    @property
    def is_writable(self) -> bool:
        """Whether writing has not failed so far."""
        return self._may_write

    def open(self) -> list[tuple[int, int]]:
        """Returns id and size of what is there, by id; makes the directory, and removes what was never finished."""
        found = []
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            with os.scandir(self._directory) as entries:
                for entry in entries:
                    match = _NAME.fullmatch(entry.name)
                    if match is not None:
                        found.append((int(match[1]), entry.stat().st_size))
                    elif entry.name.endswith(_UNFINISHED):
                        Path(entry).unlink()
        except OSError as exc:
            self._give_up(exc)
        return sorted(found)

    def write(self, number: int, packed: bytes) -> bool:
        """Writes one, in the place of one that is there; returns whether it could."""
        if not self._may_write:
            return False
        path = self._path(number)
        unfinished = path.with_suffix(_UNFINISHED)
        try:
            descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(packed)
            unfinished.replace(path)
        except OSError as exc:
            self._give_up(exc)
            try:
                unfinished.unlink(missing_ok=True)
            except OSError:
                logger.debug("%s is left behind", unfinished)
            return False
        return True

    def read(self, number: int) -> bytes:
        """Returns one. Raises OSError."""
        return self._path(number).read_bytes()

    def remove(self, numbers: Iterable[int]) -> None:
        """Removes those that are there."""
        for number in numbers:
            try:
                self._path(number).unlink(missing_ok=True)
            except OSError as exc:
                self._give_up(exc)

    def remove_all(self) -> None:
        """Removes all."""
        self.remove([number for number, _ in self.open()])

    def _path(self, number: int) -> Path:
        return self._directory / f"{number}.capture"

    def _give_up(self, exc: OSError) -> None:
        if self._may_write:
            self._may_write = False
            logger.warning("captures cannot be kept in %s and stay in memory from now on: %s", self._directory, exc)
