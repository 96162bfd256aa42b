"""Fixtures that every test may lean on, and the one that watches what tests leave behind."""

from __future__ import annotations

from collections.abc import Iterator

import psutil
import pytest
from hypothesis import HealthCheck, Phase, given, settings, strategies as st


def pytest_collection_finish(session: pytest.Session) -> None:
    """Has Hypothesis read all modules, for their constants, and the tables of Unicode, as it does once.

    Else the first test that draws anything would do so, on its own time, and be too slow for its health check.
    """
    if any(item.get_closest_marker("hypothesis") for item in session.items):
        _draw_something()


@settings(database=None, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(st.tuples(st.text(), st.integers(), st.floats()))
def _draw_something(_drawn: object) -> None:
    """Looks at nothing."""


@pytest.fixture
def anyio_backend() -> str:
    """Runs `@pytest.mark.anyio` tests on asyncio, the only loop Hostler has."""
    return "asyncio"


@pytest.fixture(autouse=True, scope="session")
def _state_of_tests_only(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keeps journals of the programs that tests start out of the user's own state directory."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOSTLER_STATE_DIR", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(autouse=True)
def _nothing_is_left_behind() -> Iterator[None]:
    """Fails a test that leaves a child process or a listening socket of this process behind."""
    me = psutil.Process()
    before = {child.pid for child in me.children(recursive=True)}
    listening_before = _listening(me)

    yield

    left = [child for child in me.children(recursive=True) if not _belongs_to(child, before)]
    _, left = psutil.wait_procs(left, timeout=5) if left else ([], [])
    told = [f"{child.pid} {' '.join(child.cmdline())}" for child in left]
    for child in left:
        child.kill()
    assert not told, f"processes left behind: {told}"

    assert _listening(me) <= listening_before, "a listening socket was left behind"


def _belongs_to(process: psutil.Process, pids: set[int]) -> bool:
    """Whether it is one of *pids*, or was started by one: a browser that serves many tests has processes of its own."""
    try:
        return process.pid in pids or any(parent.pid in pids for parent in process.parents())
    except psutil.NoSuchProcess:
        return True


def _listening(process: psutil.Process) -> set[tuple[str, int]]:
    return {
        (connection.laddr.ip, connection.laddr.port)
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Names bytes by their argument alone: packed ones hold the time, even in their length, and workers must agree on names."""
    if isinstance(val, bytes) and not (len(val) <= 40 and val.isascii() and val.decode().isprintable()):
        return f"{argname}-bytes"
    return None
