"""The configuration in force: one reference, replaced whole, and only by one that was read to its end without an error."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from app.config.catalog import Catalog
from app.config.watcher import look
from app.errors import ConfigError, Problem


class ActiveConfig:
    """Holds the catalog that requests are served by from now on. Those under way keep the one they began with."""

    def __init__(self, load: Callable[[Mapping[str, int]], Catalog], *, directory: str | None = None) -> None:
        """Loads for the first time. Raises ConfigError.

        load: reads the configuration anew, for models that have these ports; may block; called in a worker thread later on.
        directory: where files of it may come and go.
        """
        self._load = load
        self.directory = directory
        self._catalog = load({})
        self.seen = look(self._catalog.sources, directory)
        """What its files were when it was read for the first time."""

    def current(self) -> Catalog:
        """Returns the catalog in force."""
        return self._catalog

    def read(self) -> Catalog:
        """Returns what the files say now, without taking it over. Blocks. Raises ConfigError.

        A file that was something and is nothing now is an error, too. It may have been emptied a moment ago to be written anew, and
        would take all of its models with it.
        """
        models = self._catalog.models.values()
        new = self._load({model.id: model.spec.launch.port for model in models if model.spec.launch.port is not None})
        for source in new.blank_sources:
            if source in self._catalog.sources and source not in self._catalog.blank_sources:
                remedy = "reload once it is written; if nothing is to be in it, write {}"
                raise ConfigError(
                    Problem("is empty and was not before, so it may be just being written", source, remedy=remedy)
                )
        return new

    def replace(self, catalog: Catalog) -> None:
        """Puts *catalog* in force."""
        self._catalog = catalog
