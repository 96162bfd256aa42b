"""The schema follows the models, and the example follows both."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest
import yaml

from app.config.loader import load
from app.config.models import ConfigFile
from app.config.schema import schema, text
from app.config.settings import Settings
from app.config.unknown import settings_in

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "config.example.yaml"
validator = jsonschema.Draft202012Validator(schema())


def every_model(model: type[Settings] = ConfigFile) -> Iterator[type[Settings]]:
    yield model
    for field in model.model_fields.values():
        for inner in settings_in(field.annotation):
            yield from every_model(inner)


def test_the_file_is_what_the_models_say() -> None:
    assert (ROOT / "config.schema.json").read_text(encoding="utf-8") == text(), "run: make schema"


def test_the_module_prints_it() -> None:
    environ = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        [sys.executable, "-m", "app.config.schema"], cwd=ROOT, env=environ, capture_output=True, check=True
    )

    assert schema() == json.loads(done.stdout)


def test_it_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())


def test_the_example_is_valid_and_loads_without_a_warning() -> None:
    validator.validate(yaml.safe_load(EXAMPLE.read_text(encoding="utf-8")))
    catalog = load(EXAMPLE, environ={}, strict=True)

    assert catalog.warnings == ()
    assert all(model.spec.launch.argv for model in catalog.models.values())


def test_every_setting_has_a_description() -> None:
    bare = [
        f"{model.__name__}.{name}"
        for model in every_model()
        for name, field in model.model_fields.items()
        if not field.description
    ]

    assert bare == []


def test_settings_models_are_found_below_the_top() -> None:
    """Guards the test above."""
    assert {"ModelFile", "GroupFile", "MatrixFile", "FifoFile", "CompatFile"} <= {
        model.__name__ for model in every_model()
    }


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"models": {"a": {"cmd": "x", "ttl": "${short}", "unlisted": "yes", "aliases": [1, "b"], "name": 5}}},
        {"routing": {"scheduler": {"settings": {"fifo": {"patience": 2.5}}}}},
        {"globalTTL": 30.0, "macros": {"a": 1}, "performance": {"every": "15s"}},
    ],
)
def test_valid(document: object) -> None:
    validator.validate(document)


@pytest.mark.parametrize(
    "document",
    [
        [],
        {"modles": {}},
        {"models": {"a": {"tll": 5}}},
        {"models": {"a": {"ttl": "30"}}},
        {"models": {"a": {"ttl": -2}}},
        {"models": {"a": {"unlisted": "true"}}},
        {"models": {"a": {"aliases": "b"}}},
        {"globalTtl": 5},
        {"startPort": 0},
    ],
)
def test_invalid(document: object) -> None:
    assert not validator.is_valid(document)
