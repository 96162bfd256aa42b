"""Playbooks that are read to their end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.playbook import Playbook


@pytest.fixture
def play() -> Iterator[type[Playbook]]:
    """Makes playbooks, and compares after the test what came of the last event of each."""
    books: list[Playbook] = []

    class Kept(Playbook):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            books.append(self)

    yield Kept
    for book in books:
        book.end()
