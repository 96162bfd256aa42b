"""Ways to start an upstream: one file each, one contract (`protocol.py`)."""

from __future__ import annotations

from app.launchers.local import LocalLauncher

LAUNCHERS = {"local": LocalLauncher}
"""Every way there is, by the name a configuration uses."""
