"""Upstreams that are processes on this machine, each the leader of a session of its own.

Theory of operation
-------------------
An upstream is more than the process we started: a shell that waits for the real server, workers, daemons in sessions of
their own. All of it belongs to the upstream and goes with it. What belongs is read from the process table
(`guard.members`): group, session, ancestry, and the marker in the environment.

The stop procedure:

1. look who belongs, while the tree still hangs together;
2. ask: `stop_argv` if there is one, else SIGTERM to the group. A stop command that fails, or that has not ended the process
   within the grace, is followed by SIGTERM;
3. wait for the main process, and then for the rest of its group, until the grace is over; SIGKILL to the group;
4. what is left elsewhere has not been asked yet: SIGTERM, a short grace, SIGKILL, until a look finds nothing;
5. reap, release, forget.

A main process that ended by itself leaves only the rest: SIGTERM to the group and on with 3, with the short grace.
Pipes are not waited for: whoever holds them is found by the table. The main process is reaped last, so that its number
cannot be given to a stranger while its group is being signalled.

Looking costs tens of microseconds per process on the machine, so it is done in a thread: twice in a smooth stop.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

import anyio

from app.launchers import guard, ports, posix
from app.launchers.child import Child, describe_spawn_error
from app.launchers.journal import reap_dead_runs
from app.launchers.protocol import ExitStatus, LaunchError, LaunchSpec, LogSink
from app.launchers.run import Run
from app.launchers.tie import Tie, find_tie

if TYPE_CHECKING:
    from types import TracebackType

logger = logging.getLogger(__name__)

T = TypeVar("T")

SHORT_GRACE_S = 2.0
"""For what was not asked at first: descendants outside the group, and leftovers of a main process that ended by itself."""

TERM_MARGIN_S = 1.0
"""Between SIGTERM and SIGKILL after a stop command that did not end the process within the whole grace."""

KILL_LIMIT_S = 5.0
"""How long a killed process may take to go; a big GPU context takes a while. Longer means it hangs in the kernel."""

TIDY_S = 10.0
"""Between two looks for adopted orphans that have ended while their upstream goes on."""

LOOK_LIMIT_S = 2.0
"""For one look at the process table: reading about a process that hangs in the kernel may hang, too."""


class LocalUpstream:
    """A running local process, as `protocol.Upstream`."""

    def __init__(
        self, spec: LaunchSpec, child: Child, marker: str, env: dict[str, str], log: LogSink, tie: Tie
    ) -> None:
        self._spec = spec
        self._child = child
        self._marker = f"{guard.MARKER}={marker}\0".encode()
        self._env = env
        self._log = log
        self._tie = tie
        # What has been seen of it, beyond the main process; grows while it is being stopped.
        self._known: dict[int, int] = {}
        self.sessions = {child.pid}
        """Sessions and groups that are its own."""

    @property
    def pid(self) -> int:
        """Process id of the main process, which is also its group's and its session's."""
        return self._child.pid

    @property
    def model(self) -> str:
        """The model it serves."""
        return self._spec.model

    async def wait(self) -> ExitStatus:
        """Returns when the main process has ended."""
        await self._child.exited.wait()
        assert self._child.status is not None
        return self._child.status

    async def impostor(self) -> str | None:
        """Names who listens on its port, if that is surely somebody else."""
        port = self._spec.port
        if port is None:
            return None
        return await _in_thread(
            lambda: ports.impostor(port, self.pid, lambda: {entry.pid for entry in self._look()}, self._child.start)
        )

    def kill(self) -> None:
        """Kills its group, now."""
        self._child.signal(signal.SIGKILL)

    async def stop(self) -> None:
        """Performs the stop procedure. To be shielded from cancellation; bounded; does not raise."""
        try:
            await self._end_all()
        except Exception:
            logger.exception("stopping failed; killing the process group", extra={"model": self._spec.model})
            self.kill()
            with anyio.move_on_after(KILL_LIMIT_S):
                await self._child.exited.wait()
        finally:
            self._child.release()

    async def _end_all(self) -> None:
        await self._members()
        if self._child.status is None:
            deadline = anyio.current_time() + self._spec.grace_s
            if self._spec.stop_argv:
                deadline = await self._ask_by_command(deadline)
            else:
                self._child.signal(signal.SIGTERM)
        else:
            deadline = anyio.current_time() + SHORT_GRACE_S
            self._child.signal(signal.SIGTERM)
        if await self._end_group(deadline):
            await self._end_rest()

    async def _ask_by_command(self, deadline: float) -> float:
        """Runs the stop command until the process has ended; returns the deadline after which its group is killed."""
        argv = [word.replace("${PID}", str(self.pid)) for word in self._spec.stop_argv]
        try:
            command = Child(argv, self._env, self._log, self._tie)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            self._warn("the stop command cannot be run: %s; sending SIGTERM", describe_spawn_error(error, argv))
            self._child.signal(signal.SIGTERM)
            return deadline
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self._until_stop_command_is_done, command, deadline, group.cancel_scope.cancel)
                await self._child.exited.wait()
                # A command like `docker stop` may be about to finish; one that hangs must not delay a swap.
                group.cancel_scope.deadline = min(deadline, anyio.current_time() + TERM_MARGIN_S)
        finally:
            command.signal(signal.SIGKILL)
            with anyio.move_on_after(KILL_LIMIT_S, shield=True):
                await command.exited.wait()
            command.release()
        if self._child.status is None:
            # It failed (then there is time left), or did its best in vain (then a last chance).
            self._child.signal(signal.SIGTERM)
            return max(deadline, anyio.current_time() + TERM_MARGIN_S)
        return deadline

    async def _until_stop_command_is_done(self, command: Child, deadline: float, give_up: Callable[[], None]) -> None:
        with anyio.CancelScope(deadline=deadline):
            await command.exited.wait()
            if command.status != ExitStatus(0) and self._child.status is None:
                self._warn("the stop command %s; sending SIGTERM", command.status)
                give_up()
                return
            await self._child.exited.wait()
            return
        self._warn("the stop command has not ended the process within %g s; sending SIGTERM", self._spec.grace_s)
        give_up()

    async def _end_group(self, deadline: float) -> bool:
        """Waits for the group, which has been asked to end, until *deadline*, then kills it; returns if more may be left."""
        with anyio.CancelScope(deadline=deadline):
            await self._child.exited.wait()
        if self._child.status is not None:
            left = await self._members()
            if not left:
                return False
            await posix.wait_ended([entry for entry in left if entry.group == self.pid], deadline)
        else:
            self._warn("has not ended within %g s of being asked: killing it", self._spec.grace_s)
        # Harmless when all have ended: the number is ours until the main process is reaped.
        self.kill()
        with anyio.move_on_after(KILL_LIMIT_S):
            await self._child.exited.wait()
        return True

    async def _end_rest(self) -> None:
        """Ends what is left outside the group, and reaps what this process has adopted."""
        left = await self._members()
        if left:
            for entry in left:
                guard.send(entry, signal.SIGTERM)
            await posix.wait_ended(left, anyio.current_time() + SHORT_GRACE_S)
            deadline = anyio.current_time() + KILL_LIMIT_S
            while (left := await self._members()) and anyio.current_time() < deadline:
                for entry in left:
                    guard.send(entry, signal.SIGKILL)
                await posix.wait_ended(left, deadline)
        if left:
            self._warn("cannot be ended: processes %s hang in the kernel", ", ".join(str(entry.pid) for entry in left))

    async def _members(self) -> list[guard.Entry]:
        """Returns the living processes of this upstream, but for the main one. Reaps the dead that nobody else will."""
        found = await _in_thread(self._look)
        if found is None:
            self._warn("the process table cannot be read: descendants outside the process group may be missed")
            return []
        self._known |= {entry.pid: entry.start for entry in found}
        self.sessions |= {entry.session for entry in found}
        posix.reap_adopted([entry for entry in found if entry.is_zombie and entry.pid != self.pid])
        return [entry for entry in found if not entry.is_zombie and entry.pid != self.pid]

    def _look(self) -> list[guard.Entry]:
        known = dict(self._known)
        return guard.members(guard.census(), self._marker, sessions=self.sessions, known=known, since=self._child.start)

    def _warn(self, message: str, *args: object) -> None:
        logger.warning("model %r: %s", self._spec.model, message % args, extra={"model": self._spec.model})


class LocalLauncher:
    """Starts upstreams as processes on this machine; see `protocol.Launcher`.

    To be entered before use, so that what killed Hostlers left is ended first, and left in the end. A launcher that was not
    entered works, too; its guard then ends with Hostler.

    state_dir: where run journals live; None: as `HOSTLER_STATE_DIR`, `XDG_STATE_HOME` or the home directory say.
    """

    def __init__(self, state_dir: Path | None = None) -> None:
        self._state_dir = state_dir
        self._tie = Tie()
        self._numbers = itertools.count(1)
        self._run: Run | None = None
        self._running: dict[int, LocalUpstream] = {}
        self._tidying: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        await anyio.to_thread.run_sync(reap_dead_runs, self._state_dir)
        self._tie = await anyio.to_thread.run_sync(find_tie)
        self._opened()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        run, self._run = self._run, None
        if run is not None:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(run.close)

    @asynccontextmanager
    async def launch(self, spec: LaunchSpec, log: LogSink) -> AsyncIterator[LocalUpstream]:
        """Returns the life of one upstream as a context manager: entering starts it, leaving ends it."""
        if not spec.argv or not spec.argv[0]:
            raise LaunchError(f"cannot start model {spec.model!r}: its command is empty; set `cmd`")
        if spec.port is not None and (holder := await ports.taken_by(spec.host, spec.port)) is not None:
            raise LaunchError(
                f"cannot start model {spec.model!r}: port {spec.port} of {spec.host} is taken by {holder}; "
                "end that, or give the model another port"
            )
        # No await from here to the yield: a cancellation finds either nothing or an upstream that will be stopped.
        run = self._opened()
        upstream = self._start(run, spec, log)
        try:
            yield upstream
        finally:
            with anyio.CancelScope(shield=True):
                await upstream.stop()
            del self._running[upstream.pid]
            run.remove(upstream.pid)
            if not self._running and self._tidying is not None:
                self._tidying.cancel()
                self._tidying = None

    def roots(self) -> dict[str, int]:
        """Returns the main process of each model that runs here; for any thread."""
        return {upstream.model: pid for pid, upstream in tuple(self._running.items())}

    def kill_all(self) -> None:
        """Kills everything this launcher has running, at once, synchronously. Safe to call twice, and from a signal handler."""
        for upstream in tuple(self._running.values()):
            upstream.kill()
        if self._run is not None:
            # What has left its group; and what was being started when the signal came.
            guard.end_run(self._run.id, {}, since=self._run.since, limit_s=1.0)

    def tidy(self) -> None:
        """Reaps orphans that Hostler has adopted and that have ended, and comes back in a while.

        By a timer: SIGCHLD belongs to the loop and to whoever else starts processes here. Without this an upstream that
        keeps starting things in the background would fill the process table in the end: also without a subreaper
        where Hostler is process 1 of a container.
        """
        sessions = {session for upstream in self._running.values() for session in upstream.sessions}
        # Only what is surely an upstream's and surely adopted: the status of others' children stays theirs.
        posix.reap_adopted(
            [entry for entry in posix.ended_children() if entry.session in sessions and entry.pid not in self._running]
        )
        self._tidying = asyncio.get_running_loop().call_later(TIDY_S, self.tidy)

    def _opened(self) -> Run:
        if self._run is None:
            self._run = Run(self._state_dir)
        return self._run

    def _start(self, run: Run, spec: LaunchSpec, log: LogSink) -> LocalUpstream:
        marker = f"{run.id}:{spec.model}:{next(self._numbers)}"
        env = dict(os.environ)
        for pair in spec.env:
            name, _, value = pair.partition("=")
            env[name] = value
        env[guard.MARKER] = marker
        try:
            child = Child(spec.argv, env, log, self._tie)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            reason = describe_spawn_error(error, spec.argv)
            raise LaunchError(f"cannot start model {spec.model!r}: {reason}") from error
        upstream = LocalUpstream(spec, child, marker, env, log, self._tie)
        self._running[child.pid] = upstream
        run.add(child.pid, child.start)
        if self._tidying is None:
            self._tidying = asyncio.get_running_loop().call_later(TIDY_S, self.tidy)
        return upstream


async def _in_thread(function: Callable[[], T]) -> T | None:
    """Returns what *function* returns, computed in a thread; None when that takes over LOOK_LIMIT_S.

    With a limiter of its own: stopping does not queue behind uploads that fill the usual pool.
    """
    with anyio.move_on_after(LOOK_LIMIT_S):
        return await anyio.to_thread.run_sync(function, abandon_on_cancel=True, limiter=anyio.CapacityLimiter(1))
    return None
