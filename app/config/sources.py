"""Which files a configuration is made of."""

from __future__ import annotations

import os
from pathlib import Path

from app.errors import ConfigError, Problem

SUFFIXES = (".yml", ".yaml")


def source_files(config: str | None, directory: str | None) -> tuple[str, ...]:
    """Returns the files to read, in the order of their merging: *config*, then those in *directory* by their names.

    Raises ConfigError when there are none, when *directory* cannot be read, or when *config* is one of its files.
    """
    if config is None and directory is None:
        raise ConfigError(Problem("no configuration is named", remedy="give a file with --config, or --config-dir"))
    if directory is None:
        return (str(config),)
    try:
        found = directory_files(directory)
    except FileNotFoundError as exc:
        raise ConfigError(Problem("there is no such directory", directory, remedy="see --config-dir")) from exc
    except NotADirectoryError as exc:
        raise ConfigError(Problem("is not a directory", directory, remedy="name a file with --config")) from exc
    except PermissionError as exc:
        raise ConfigError(Problem("may not be read by this user", directory, remedy="change its permissions")) from exc
    except (OSError, ValueError) as exc:
        raise ConfigError(Problem(f"cannot be read: {exc}", directory)) from exc
    if config is None:
        if not found:
            remedy = "put one there, or name a file with --config"
            raise ConfigError(Problem("there is no *.yml or *.yaml file in it", directory, remedy=remedy))
        return found
    for file in found:
        if _same(file, config):
            message = f"is read twice: it is --config, and it is in --config-dir {directory}"
            raise ConfigError(Problem(message, config, remedy="leave --config out, or move the file"))
    return (config, *found)


def directory_files(directory: str) -> tuple[str, ...]:
    """Returns the YAML files that are directly in *directory*, links to files among them, sorted. Raises OSError."""
    with os.scandir(directory) as entries:
        return tuple(sorted(entry.path for entry in entries if entry.name.endswith(SUFFIXES) and not entry.is_dir()))


def _same(file: str, other: str) -> bool:
    try:
        return Path(file).samefile(other)
    except (OSError, ValueError):
        return False  # reading it will tell what is wrong
