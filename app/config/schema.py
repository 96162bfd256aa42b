"""The JSON schema of the configuration file, for editors: `python -m app.config.schema > config.schema.json`."""

from __future__ import annotations

import json
import sys

from pydantic import JsonValue
from pydantic.json_schema import GenerateJsonSchema

from app.config.models import ConfigFile


def schema() -> dict[str, JsonValue]:
    """Returns the schema (draft 2020-12)."""
    document: dict[str, JsonValue] = {"$schema": GenerateJsonSchema.schema_dialect}
    document.update(ConfigFile.model_json_schema(by_alias=True))
    _drop_titles(document)
    document["title"] = "Hostler configuration"
    return document


def text() -> str:
    """Returns the schema as it stands in `config.schema.json`."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def _drop_titles(node: JsonValue) -> None:
    """Takes out the titles pydantic makes of names: they say nothing the name does not."""
    if isinstance(node, list):
        for member in node:
            _drop_titles(member)
    elif isinstance(node, dict):
        if isinstance(node.get("title"), str):
            del node["title"]
        for entry in node.values():
            _drop_titles(entry)


if __name__ == "__main__":
    sys.stdout.write(text())
