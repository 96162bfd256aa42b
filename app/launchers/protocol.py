"""What a launcher is: the contract between the supervisor and whatever starts model servers.

A launcher knows how to start one kind of upstream (a local process now; a container, another host later) and how to end
it. It knows nothing of requests, queues, readiness or policy.

Theory of operation
-------------------
`launch()` returns an async context manager. **Entering starts, leaving is the stop procedure.** The supervisor enters it in
the task of one instance and leaves it by cancelling that task (or because the upstream ended by itself). So:

- Entering returns once the upstream is *running*, not once it is ready; readiness is the supervisor's business.
  It raises `LaunchError` when the upstream cannot be started; then nothing is left behind.
- Leaving returns once **nothing of the upstream is left**: its process reaped, its process group and its descendants in
  groups of their own gone, its port free. It shields itself from cancellation, and is bounded by the spec's `grace_s` plus a
  short margin: what has not ended by then is killed. Leaving never raises.
- Cancelled at any await while entering, it leaves nothing behind.
- `upstream.wait()` returns when the main process has ended by itself, as often as asked, by any number of tasks; waiting can be
  cancelled freely. Only this watcher declares an upstream dead.
- Everything the upstream prints goes to *log*, byte for byte, stdout and stderr merged; the launcher never makes it wait.
- `kill_all()` is synchronous and immediate: for the second Ctrl-C and for the end of a crashed Hostler.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from app.errors import UpstreamError

LogSink = Callable[[bytes], None]
"""Takes what an upstream printed: any bytes, not line by line. Must not block and must not raise."""


class LaunchError(UpstreamError):
    """An upstream could not be started: no such command, port taken, … The message says what and what to do."""

    status = 500


@dataclass(frozen=True, slots=True)
class LaunchSpec:
    """All that is needed to start and to stop one upstream. Equal specs start equal upstreams."""

    model: str
    """The model's id, for names and messages."""

    argv: tuple[str, ...]
    """The command, tokenised, macros expanded. Empty: `LaunchError` when started."""

    env: tuple[str, ...] = ()
    """`NAME=value` pairs laid over the inherited environment; of equal names the last one wins."""

    stop_argv: tuple[str, ...] = ()
    """Command that asks the upstream to stop, with `${PID}` still in it; empty: SIGTERM to the process group."""

    host: str = "127.0.0.1"
    """Where the upstream will listen, as its base URL says."""

    port: int | None = None
    """Its TCP port; None when the base URL points at a machine other than this one."""

    grace_s: float = 10.0
    """Seconds between the request to stop and the kill."""


@dataclass(frozen=True, slots=True)
class ExitStatus:
    """How an upstream's main process ended."""

    code: int | None
    """Exit code; None when a signal ended it or it is not known."""

    signal: str | None = None
    """Name of the signal that ended it, as `SIGKILL`."""

    def __str__(self) -> str:
        if self.signal is not None:
            return f"ended by {self.signal}"
        if self.code is None:
            return "ended in an unknown way"
        return f"exited with code {self.code}"


class Upstream(Protocol):
    """A running model server."""

    @property
    def pid(self) -> int | None:
        """Process id of the main process; None where there is none on this host."""

    async def wait(self) -> ExitStatus:
        """Returns when the main process has ended."""

    async def impostor(self) -> str | None:
        """Names who serves at its address if that is surely somebody else; None when it may be the upstream itself.

        Asked once, when the address has begun to answer: the port was free at the start, but may have been lost since.
        """


class Launcher(Protocol):
    """Starts and stops one kind of upstream; see the contract above."""

    def launch(self, spec: LaunchSpec, log: LogSink) -> AbstractAsyncContextManager[Upstream]:
        """Returns the life of one upstream as a context manager."""

    def kill_all(self) -> None:
        """Kills everything this launcher has running, at once, synchronously. Safe to call twice, and from a signal handler."""
