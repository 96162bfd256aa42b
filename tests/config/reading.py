"""Short ways to read a configuration in a test."""

from __future__ import annotations

from textwrap import dedent

import pytest

from app.config.catalog import Catalog, Model
from app.config.loader import load_text
from app.errors import ConfigError, Problem
from planners.protocol import ModelId


def read(text: str, **environ: str) -> Catalog:
    """Returns what *text* means."""
    return load_text(dedent(text), "config.yaml", environ)


def model(text: str, name: str = "a", **environ: str) -> Model:
    """Returns one model of *text*."""
    return read(text, **environ).models[ModelId(name)]


def refusal(text: str, **environ: str) -> Problem:
    """Returns why *text* is refused; fails when it is not."""
    with pytest.raises(ConfigError) as caught:
        read(text, **environ)
    return caught.value.problem


def attempt(text: str, **environ: str) -> Catalog | Problem:
    """Returns what *text* means, or why it is refused; anything else that is raised is a defect."""
    try:
        return load_text(text, "config.yaml", environ)
    except ConfigError as error:
        return error.problem
