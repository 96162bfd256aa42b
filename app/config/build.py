"""From the file as written to what it means: the rules that go beyond types, in their documented order, and the `Catalog`.

The first rule that is broken is the one that is told of. Order and defaults: compatibility specification 2.6 and 2.7.
Pure but for `store`, which looks at the file system.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from app.config import patterns, peers, profiles, routing, selectors, store
from app.config.addresses import address, is_here, timeouts
from app.config.catalog import Capabilities, Catalog, Filters, LogSettings, Model, ModelSpec, Monitoring, Records
from app.config.commands import arguments
from app.config.filters import filters
from app.config.routing import Names
from app.config.sections import StoreFile
from app.launchers.protocol import LaunchSpec
from planners.protocol import ModelId

if TYPE_CHECKING:
    from app.config.models import ConfigFile, ModelFile
    from app.config.tree import Document, Path

COMFYUI = "comfyui_auto"
"""The model behind `/comfyui`: its page opens many requests and an endless WebSocket."""

MIN_HEALTH_CHECK_TIMEOUT_S = 15
DEFAULT_UNLOAD_TIMEOUT_S = 10
DEFAULT_CONCURRENCY_LIMIT = 10

TIME_FORMATS = frozenset(
    [
        "ansic",
        "unixdate",
        "rubydate",
        "rfc822",
        "rfc822z",
        "rfc850",
        "rfc1123",
        "rfc1123z",
        "rfc3339",
        "rfc3339nano",
        "kitchen",
        "stamp",
        "stampmilli",
        "stampmicro",
        "stampnano",
    ]
)
DEFAULT_IGNORED = r"\.(js|json|css|png|gif|jpg|jpeg|ico|txt)\Z"
"""Paths of a web page's parts: that one is still open in a browser is no reason to load a model."""

_LEVELS = ("debug", "info", "warn", "error")
_WINDOWS_STOP = "taskkill /f /t /pid ${PID}"


def catalog_of(document: Document, file: ConfigFile, *, windows: bool) -> Catalog:
    """Returns what *file*, which was read from *document*, means.

    Raises ConfigError at the first broken rule.
    """
    builder = _Builder(document, file, windows=windows)
    return builder.catalog()


class _Builder:
    """One pass over one file; collects warnings."""

    def __init__(self, document: Document, file: ConfigFile, *, windows: bool) -> None:
        self._document = document
        self._file = file
        self._windows = windows
        self._warnings: list[str] = []

    def catalog(self) -> Catalog:
        document, file = self._document, self._file
        found_peers = peers.peers(document, file)
        found_selectors = selectors.selectors(document, file)
        found_profiles = profiles.profiles(document, file)
        ignore_paths = self._ignore_paths()
        self._check_top_level()
        owner = self._aliases()
        models = {
            ModelId(model): self._model(ModelId(model), file.models[model], owner) for model in sorted(file.models)
        }
        names = Names(tuple(models), {alias: model for alias, model in owner.items() if alias not in file.models})
        planner = routing.planner(document, file, names)
        for model, priority in routing.priorities(document, file, names).items():
            models[model] = replace(models[model], priority=priority)
        patience_s = routing.patience_s(document, file)
        min_residency_s = routing.min_residency_s(document, file)
        max_queued = routing.max_queued(document, file)
        preload, warnings = routing.preload(document, file, names)
        self._warnings += warnings
        api_keys = self._api_keys()
        peer_models = peers.peer_models(document, found_peers, names)
        selectors.check(document, found_selectors, names, peer_models, planner)
        profiles.check(document, found_profiles, names, peer_models, found_selectors)
        return Catalog(
            models=MappingProxyType(models),
            aliases=MappingProxyType(dict(names.aliases)),
            planner=planner,
            patience_s=patience_s,
            min_residency_s=min_residency_s,
            max_queued=max_queued,
            preload=preload,
            logs=self._logs(),
            records=self._records(),
            # 0s is as if it were not there. Source: compatibility specification 2.6.
            monitoring=Monitoring(not file.performance.disabled, file.performance.every or 5.0),
            include_aliases_in_list=file.include_aliases_in_list,
            peers=MappingProxyType(found_peers),
            selectors=MappingProxyType(found_selectors),
            profiles=MappingProxyType(found_profiles),
            api_keys=api_keys,
            ignore_paths=ignore_paths,
            peer_models=MappingProxyType(peer_models),
            sources=document.sources,
            warnings=tuple(self._warnings),
        )

    def _ignore_paths(self) -> tuple[re.Pattern[str], ...]:
        written = self._file.upstream.ignore_paths
        if not written:
            return (re.compile(DEFAULT_IGNORED),)
        found = []
        for position, expression in enumerate(written):
            try:
                found.append(patterns.compiled(expression))
            except patterns.Unsupported as exc:
                path = ("upstream", "ignorePaths", position)
                message = f'"{expression}" is not a regular expression that can be used: {exc}'
                raise self._document.error(path, message) from exc
        return tuple(found)

    def _records(self) -> Records:
        file = self._file
        store = file.store or StoreFile()
        sessions = tuple(name.strip() for name in file.ui.activity.session_id if name.strip())
        for value, path in (
            (store.max_age, ("store", "maxAge")),
            (store.max_size, ("store", "maxSize")),
            (file.captures.max_size, ("captures", "maxSize")),
        ):
            if value < 0:
                raise self._document.error(path, f"expected 0 or more, got {value:g}")
        if file.captures.persist and file.store is None:
            raise self._document.error(
                ("captures", "persist"),
                "captures are kept beside the store, and there is none",
                "add store: {path: FILE}",
            )
        return Records(
            store=store.path,
            store_max_age_s=store.max_age,
            store_max_bytes=store.max_size << 20,
            in_memory=file.metrics_max_in_memory if file.metrics_max_in_memory > 0 else 1000,
            capture_bytes=max(file.capture_buffer, 0) << 20,
            capture_folder=f"{store.path}.captures" if file.captures.persist else "",
            capture_folder_bytes=file.captures.max_size << 20,
            session_headers=sessions,
            session_names=tuple(name.lower().encode() for name in sessions),
        )

    def _api_keys(self) -> tuple[str, ...]:
        for position, key in enumerate(self._file.api_keys):
            path = ("apiKeys", position)
            if not key:
                raise self._document.error(path, "a key must not be empty", "take the entry out, or give it a value")
            if any(character.isspace() or not character.isprintable() for character in key):
                raise self._document.error(path, "a key must not have spaces in it", "take them out")
        return tuple(dict.fromkeys(self._file.api_keys))

    def _check_top_level(self) -> None:
        document, file = self._document, self._file
        every = file.performance.every
        if every < 5 and every != 0:
            raise document.error(("performance", "every"), f"expected 5s or more, got {every:g}s", "write every: 5s")
        if not 1 <= file.start_port <= 65535:
            raise document.error(
                ("startPort",), f"expected a port, 1 to 65535, got {file.start_port}", "write startPort: 5800"
            )
        if file.global_ttl < 0:
            raise document.error(("globalTTL",), f"expected 0 or more, got {file.global_ttl}", "0 is never")
        if file.unload_timeout < 0:
            raise document.error(
                ("unloadTimeout",), f"expected 0 or more, got {file.unload_timeout}", "write unloadTimeout: 10"
            )
        if file.store is not None and (objection := store.objection(file.store.path)):
            path: Path = ("store", "path") if file.store.path.strip() else ("store",)
            raise document.error(path, objection, "write path: FILE below store, or take store out")
        if file.log_to_stdout not in {"proxy", "upstream", "both", "none"}:
            raise document.error(
                ("logToStdout",),
                f'expected proxy, upstream, both or none, got "{file.log_to_stdout}"',
                "write logToStdout: proxy",
            )

    def _aliases(self) -> dict[str, ModelId]:
        file = self._file
        owner: dict[str, ModelId] = {}
        for model in (ModelId(model) for model in sorted(file.models)):
            if not model.strip():
                raise self._document.error(("models", model), "a model needs an id", 'write a name instead of ""')
            for position, alias in enumerate(file.models[model].aliases):
                path: Path = ("models", model, "aliases", position)
                if alias in owner:
                    raise self._document.error(
                        path, f'"{alias}" is an alias of model "{owner[alias]}" already', "keep one of them"
                    )
                if alias in file.models and alias != model:
                    self._warn(path, f'"{alias}" is a model of its own, which is what the name will mean')
                owner[alias] = model
        return owner

    def _model(self, model: ModelId, file: ModelFile, owner: dict[str, ModelId]) -> Model:
        """Returns the model; the names in its setParamsByID are added to *owner*."""
        document = self._document
        path: Path = ("models", model)
        if file.ttl < -1:
            raise document.error(
                (*path, "ttl"), f"expected -1 or more, got {file.ttl}", "0 is never, -1 is as globalTTL says"
            )
        if file.unload_timeout < 0:
            raise document.error(
                (*path, "unloadTimeout"),
                f"expected 0 or more, got {file.unload_timeout}",
                "0 is as the top-level one says",
            )
        capabilities = self._capabilities(path, file)
        changes = self._filters(path, model, file, owner)
        base_url, host, port = self._address(path, file)
        self._refuse_nul(path, (("cmd", file.cmd), ("cmdStop", file.cmd_stop)))
        is_comfyui = model == COMFYUI
        limit = file.concurrency_limit if file.concurrency_limit > 0 else DEFAULT_CONCURRENCY_LIMIT
        default_stop = _WINDOWS_STOP if self._windows else ""
        launch = LaunchSpec(
            model=model,
            argv=arguments(file.cmd, windows=self._windows),
            env=self._env(path, file),
            stop_argv=arguments(file.cmd_stop or default_stop, windows=self._windows),
            host=host,
            port=port,
            grace_s=float(file.unload_timeout or self._file.unload_timeout or DEFAULT_UNLOAD_TIMEOUT_S),
        )
        spec = ModelSpec(
            launch=launch,
            base_url=base_url,
            check_endpoint=_check_endpoint(file.check_endpoint),
            health_check_timeout_s=float(max(self._file.health_check_timeout, MIN_HEALTH_CHECK_TIMEOUT_S)),
            timeouts=timeouts(document, (*path, "timeouts"), file.timeouts),
        )
        loading_state = file.send_loading_state
        return Model(
            id=model,
            spec=spec,
            cmd=file.cmd,
            aliases=tuple(
                dict.fromkeys((*file.aliases, *(name for name in sorted(changes.set_params_by_id) if name != model)))
            ),
            name=file.name.strip(),
            description=file.description.strip(),
            unlisted=file.unlisted,
            use_model_name=file.use_model_name,
            ttl_s=float(self._file.global_ttl if file.ttl == -1 else file.ttl),
            concurrency_limit=max(limit, 50) if is_comfyui else limit,
            send_loading_state=self._file.send_loading_state if loading_state is None else loading_state,
            ignore_websockets=file.compat.ignore_websockets or is_comfyui,
            filters=changes,
            capabilities=capabilities,
            metadata=MappingProxyType(dict(file.metadata)),
        )

    def _filters(self, path: Path, model: ModelId, file: ModelFile, owner: dict[str, ModelId]) -> Filters:
        found = filters(self._document, (*path, "filters"), file.filters)
        for name in found.set_params_by_id:
            here = (*path, "filters", "setParamsByID", name)
            if not name.strip():
                raise self._document.error(here, "a name must not be empty", 'write a name instead of ""')
            other = name if name in self._file.models else owner.get(name, model)
            if other != model:
                told = "is a model of its own" if other == name else f'is an alias of model "{other}" already'
                raise self._document.error(here, f'"{name}" {told}', "the name must be this model's alone")
            owner[name] = model
        return found

    def _capabilities(self, path: Path, file: ModelFile) -> Capabilities:
        for key, modalities in (("in", file.capabilities.input), ("out", file.capabilities.output)):
            for position, modality in enumerate(modalities):
                if modality not in {"text", "audio", "image"}:
                    raise self._document.error(
                        (*path, "capabilities", key, position), f'expected text, audio or image, got "{modality}"'
                    )
        if file.capabilities.context < 0:
            raise self._document.error(
                (*path, "capabilities", "context"), f"expected 0 or more, got {file.capabilities.context}"
            )
        written = file.capabilities
        return Capabilities(
            inputs=tuple(written.input),
            outputs=tuple(written.output),
            tools=written.tools,
            reranker=written.reranker,
            context=written.context,
        )

    def _address(self, path: Path, file: ModelFile) -> tuple[str, str, int | None]:
        """Returns base URL, host, and the port if it is this machine's."""
        if not file.proxy:
            # `llama:` with nothing below it: the reference loads it, and fails when it is asked for. So do we.
            self._warn(path, "the model is empty, it cannot be started", "give it a cmd")
            return "http://localhost", "localhost", None
        remedy = "write e.g. proxy: http://127.0.0.1:9000"
        base_url, host, port = address(self._document, (*path, "proxy"), file.proxy, remedy)
        return base_url, host, port if is_here(host) else None

    def _env(self, path: Path, file: ModelFile) -> tuple[str, ...]:
        self._refuse_nul((*path, "env"), enumerate(file.env))
        usable = []
        for position, entry in enumerate(file.env):
            if entry.find("=") > 0:
                usable.append(entry)
            else:
                self._warn((*path, "env", position), "is not NAME=value, ignored")
        return tuple(usable)

    def _refuse_nul(self, path: Path, texts: Iterable[tuple[str | int, str]]) -> None:
        for step, text in texts:
            if "\0" in text:
                raise self._document.error(
                    (*path, step), "holds a NUL character, which no command can be given", "take it out"
                )

    def _logs(self) -> LogSettings:
        level = self._file.log_level.strip().lower()
        if level not in _LEVELS:
            self._warn(
                ("logLevel",), f'expected debug, info, warn or error, got "{self._file.log_level}"; info is used'
            )
            level = "info"
        time_format = self._file.log_time_format.strip().lower()
        if time_format and time_format not in TIME_FORMATS:
            self._warn(
                ("logTimeFormat",), f'"{self._file.log_time_format}" is not the name of a time format; none is used'
            )
            time_format = ""
        return LogSettings(level, time_format, self._file.log_to_stdout)

    def _warn(self, path: Path, message: str, remedy: str = "") -> None:
        self._warnings.append(str(self._document.problem(path, message, remedy)))


def _check_endpoint(written: str) -> str | None:
    endpoint = written.strip()
    if endpoint == "none":
        return None
    return endpoint if not endpoint or endpoint.startswith("/") else f"/{endpoint}"
