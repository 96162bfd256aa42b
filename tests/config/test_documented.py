"""The documentation says what there is: every setting has its line, with its default, and every example works."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from app.config.loader import load_text

ROOT = Path(__file__).parents[2]
SCHEMA: dict[str, Any] = json.loads((ROOT / "config.schema.json").read_text())
CONFIGURATION = (ROOT / "docs" / "configuration.md").read_text()

DOCUMENTED_DEFAULTS = {
    "models.*.proxy": "http://localhost:${PORT}",
    "models.*.sendLoadingState": "the top-level one",
    "performance.every": "5s",
    "store.maxAge": "0s",
}
"""What stands for a default that is no plain value in the schema."""


def settings(node: dict[str, Any] = SCHEMA, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields every key of the configuration with its schema; `*` stands for names of the operator's own."""
    if "$ref" in node:
        node = {**SCHEMA["$defs"][node["$ref"].rpartition("/")[2]], **node}
    for alternative in node.get("anyOf", ()):
        yield from settings(alternative, path)
    for key, entry in node.get("properties", {}).items():
        here = f"{path}.{key}" if path else key
        yield here, entry
        yield from settings(entry, here)
    if isinstance(node.get("additionalProperties"), dict):
        yield from settings(node["additionalProperties"], f"{path}.*")


def rows() -> dict[str, list[str]]:
    """Returns the cells of each line of a table that is about a key."""
    found = {}
    for line in CONFIGURATION.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]
        if len(cells) == 4 and (key := re.fullmatch("`(.+)`", cells[0])):
            found[re.sub("<.+?>", "*", key[1])] = cells
    return found


ROWS = rows()
SETTINGS = dict(settings())
PARENTS = {key.rpartition(".")[0] for key in SETTINGS}
SAME = {
    key: re.sub("<.+?>", "*", same[1])
    for key, cells in ROWS.items()
    if (same := re.search("the same keys as `(.+?)`", cells[3], re.IGNORECASE))
}
"""Key -> the key whose lines hold for it as well."""


def line_of(key: str) -> list[str] | None:
    for prefix, same in SAME.items():
        if key.startswith(f"{prefix}."):
            key = same + key.removeprefix(prefix)
    return ROWS.get(key)


def is_leaf(key: str) -> bool:
    return key not in PARENTS and f"{key}.*" not in PARENTS


def test_the_schema_is_walked() -> None:
    """Guards the tests below."""
    assert {"models.*.cmd", "peers.*.timeouts.connect", "matrix.sets", "groups.*.swap", "store.path"} <= SETTINGS.keys()
    assert len(SETTINGS) > 100


def test_every_setting_has_its_line() -> None:
    assert [key for key in SETTINGS if is_leaf(key) and line_of(key) is None] == []


def test_every_line_is_about_a_setting() -> None:
    assert [key for key in ROWS if key not in SETTINGS] == []


def test_every_line_says_what_the_setting_means() -> None:
    assert [key for key, cells in ROWS.items() if not all(cells)] == []


@pytest.mark.parametrize("key", [key for key in ROWS if is_leaf(key)])
def test_every_line_has_the_default(key: str) -> None:
    default = SETTINGS[key].get("default")
    expected = DOCUMENTED_DEFAULTS.get(key) or (
        default if default and isinstance(default, str) else json.dumps(default)
    )

    assert expected == ROWS[key][2].strip("`")


def test_what_makes_no_difference_yet_is_marked_so() -> None:
    """By the warnings of a file that has everything."""
    text = "metricsMaxInMemory: 1\ncaptureBuffer: 1\nstore: {path: x}\nperformance: {every: 9s}\nui: {activity: {session_id: []}}"
    unmarked = []
    for warning in load_text(text, "f", {}).warnings:
        key = warning.split(": ")[1]
        lines = [cells for name, cells in ROWS.items() if name == key or name.startswith(f"{key}.")]
        if "not acted on" in warning and not any("*Later*" in cells[3] for cells in lines):
            unmarked.append(key)

    assert unmarked == []


@pytest.mark.parametrize("example", re.findall(r"```yaml\n(.+?)```", CONFIGURATION, re.DOTALL))
def test_every_example_works(example: str) -> None:
    jsonschema.Draft202012Validator(SCHEMA).validate(yaml.safe_load(example))
    catalog = load_text(example, "example", {"HOME": "x"}, strict=True)

    assert [warning for warning in catalog.warnings if "not acted on" not in warning] == []


def test_links_within_the_page_lead_somewhere() -> None:
    headings = re.findall(r"^#+ (.+)$", CONFIGURATION, re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}

    assert set(re.findall(r"\]\(#([^)]+)\)", CONFIGURATION)) <= anchors
    assert [link for link in re.findall(r"\]\(([^#)]+)\)", CONFIGURATION) if not (ROOT / "docs" / link).exists()] == []
