"""A Hostler stand-in to be killed: `victim.py STATE_DIR PORT FLAG…` runs one fake upstream and says when it is up."""

from __future__ import annotations

import sys
from pathlib import Path

import anyio

from app.launchers.local import LocalLauncher
from app.launchers.protocol import LaunchSpec
from tests import fake_upstream


async def main() -> None:
    state_dir, port, *flags = sys.argv[1:]
    listening = anyio.Event()
    children = flags[flags.index("--children") + 1] if "--children" in flags else "0"
    text = b""

    def log(data: bytes) -> None:
        nonlocal text
        text += data
        if text.count(b"child ") == int(children) and b"listening" in text:
            listening.set()

    async with LocalLauncher(Path(state_dir)) as launcher:
        assert launcher._run is not None
        assert launcher._run._guard is not None
        async with launcher.launch(LaunchSpec("a", fake_upstream.argv(int(port), *flags), port=int(port)), log):
            await listening.wait()
            print(launcher._run.id, launcher._run._guard.pid, flush=True)
            await anyio.sleep_forever()


if __name__ == "__main__":
    anyio.run(main)
