"""`python -m ui.build`: compresses the page's files for the wheel. `make wheel` and the Dockerfile run it."""

from __future__ import annotations

import sys

from ui.assets import build, package_folder, read


def main() -> int:
    """Builds; returns the exit status."""
    folder = package_folder()
    if not read(folder / "static").is_whole:
        sys.stderr.write("the modules of others are missing in ui/static/vendor: `make ui` brings them\n")
        return 1
    count, size = build(folder / "static", folder / "built")
    sys.stdout.write(f"ui/built: {count} files, {size} bytes\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
