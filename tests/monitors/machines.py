"""Machines that are made up: folders that stand for `/`, and scripts that stand for the programs of vendors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

FIXTURES = Path(__file__).parent / "fixtures" / "inventory"


def recorded(name: str) -> str:
    """Returns a recorded output."""
    return (FIXTURES / name).read_text()


def tree(root: Path, files: Mapping[str, str]) -> Path:
    """Writes files below *root*, and returns that."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def script(folder: Path, body: str, name: str = "program") -> str:
    """Writes a shell script, and returns its path."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


def nvidia_smi(folder: Path, listing: str, architecture: str = "", capability: str = "", status: int = 0) -> str:
    """Writes an imitation that answers from recorded files, by the columns it is asked for."""
    return script(
        folder,
        f"""case "$1" in
*architecture) cat {FIXTURES / architecture} 2>/dev/null; exit {0 if architecture.startswith("nvidia-two") else 2};;
*compute_cap) cat {FIXTURES / capability} 2>/dev/null;;
*) cat {FIXTURES / listing}; exit {status};;
esac""",
        "nvidia-smi",
    )


def drm_card(root: Path, number: int, address: str, files: Mapping[str, str], *, is_open: bool = True) -> None:
    """Puts a card of the kernel's graphics subsystem below *root*. files: of the device."""
    device = f"sys/class/drm/card{number}/device"
    node = f"renderD{128 + number}"
    tree(root, {f"{device}/{name}": text for name, text in files.items()})
    event = f"DRIVER={files.get('driver_name', 'amdgpu')}\nPCI_CLASS=30000\nPCI_SLOT_NAME={address}\n"
    tree(root, {f"{device}/uevent": event})
    (root / device / "drm" / node).mkdir(parents=True)
    if is_open:
        tree(root, {f"dev/dri/{node}": ""})
