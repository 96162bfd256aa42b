from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from app.config.active import ActiveConfig
from app.config.catalog import Catalog
from app.config.loader import load_sources
from app.errors import ConfigError, Problem
from tests.endpoints.catalogs import catalog, model

FIRST, SECOND = catalog(model("a")), catalog(model("b"))


def loading(*found: Catalog | ConfigError) -> ActiveConfig:
    """Returns a configuration whose files say *found*, one after the other."""
    left = list(found)

    def load(_ports: Mapping[str, int]) -> Catalog:
        next_one = left.pop(0)
        if isinstance(next_one, ConfigError):
            raise next_one
        return next_one

    return ActiveConfig(load)


def test_first_configuration_is_in_force() -> None:
    assert loading(FIRST).current() is FIRST


def test_wrong_first_configuration_is_told_of() -> None:
    with pytest.raises(ConfigError, match="bad"):
        loading(ConfigError(Problem("bad")))


def test_reading_anew_changes_nothing_until_it_is_put_in_force() -> None:
    config = loading(FIRST, SECOND)

    read = config.read()

    assert read is SECOND
    assert config.current() is FIRST
    config.replace(read)
    assert config.current() is SECOND


def test_wrong_configuration_leaves_the_old_one_in_force() -> None:
    config = loading(FIRST, ConfigError(Problem("bad")), SECOND)

    with pytest.raises(ConfigError):
        config.read()

    assert config.current() is FIRST
    assert config.read() is SECOND


def test_files_are_read_anew_for_models_that_have_their_ports() -> None:
    asked: list[Mapping[str, int]] = []

    def load(ports: Mapping[str, int]) -> Catalog:
        asked.append(ports)
        here = model("a")
        spec = replace(here.spec, launch=replace(here.spec.launch, port=5800))
        return catalog(replace(here, spec=spec), model("elsewhere"))

    config = ActiveConfig(load)
    config.read()

    assert asked == [{}, {"a": 5800}]


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    one, other = tmp_path / "1.yaml", tmp_path / "2.yaml"
    one.write_text("models: {a: {cmd: 'x ${PORT}'}}")
    other.write_text("\n")
    return one, other


@pytest.fixture
def config(files: tuple[Path, Path]) -> ActiveConfig:
    return ActiveConfig(lambda ports: load_sources(None, str(files[0].parent), environ={}, ports=ports))


@pytest.mark.parametrize("nothing", ["", " \n\n"])
def test_file_that_has_become_empty_is_refused(files: tuple[Path, Path], config: ActiveConfig, nothing: str) -> None:
    """A file is empty for a moment when it is written in place; its models must not be stopped for that."""
    files[0].write_text(nothing)

    with pytest.raises(ConfigError, match=r"1\.yaml: is empty and was not before.*write \{\}"):
        config.read()

    files[0].write_text("{}")
    assert not config.read().models


def test_file_that_was_empty_may_stay_so_or_be_filled(files: tuple[Path, Path], config: ActiveConfig) -> None:
    assert list(config.read().models) == ["a"]

    files[1].write_text("models: {b: {cmd: 'x ${PORT}'}}")
    new = config.read()

    assert list(new.models) == ["a", "b"]
    config.replace(new)
    files[1].write_text("")
    with pytest.raises(ConfigError, match=r"2\.yaml"):
        config.read()
    files[1].unlink()
    assert list(config.read().models) == ["a"]
