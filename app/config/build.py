"""From the file as written to what it means: the rules that go beyond types, in their documented order, and the `Catalog`. PURE.

The first rule that is broken is the one that is told of. Order and defaults: compatibility specification 2.6 and 2.7.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from app.config import routing
from app.config.catalog import Catalog, LogSettings, Model, ModelSpec, Timeouts
from app.config.commands import arguments
from app.config.routing import Names
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
        self._check_top_level()
        names = self._names()
        models = {model: self._model(model, file.models[model]) for model in names.models}
        planner = routing.planner(document, file, names)
        for model, priority in routing.priorities(document, file, names).items():
            models[model] = replace(models[model], priority=priority)
        patience_s = routing.patience_s(document, file)
        preload, warnings = routing.preload(document, file, names)
        self._warnings += warnings
        if file.api_keys:
            raise document.error(
                ("apiKeys",),
                "authentication is not built yet; refusing to serve without it",
                "take apiKeys out and let only this machine connect (--listen 127.0.0.1:8080)",
            )
        return Catalog(
            models=MappingProxyType(models),
            aliases=MappingProxyType(dict(names.aliases)),
            planner=planner,
            patience_s=patience_s,
            preload=preload,
            logs=self._logs(),
            include_aliases_in_list=file.include_aliases_in_list,
            sources=document.sources,
            warnings=tuple(self._warnings),
        )

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
        if file.store is not None and not file.store.path.strip():
            raise document.error(("store",), "store needs a path", "write path: FILE below it, or take store out")
        if file.log_to_stdout not in {"proxy", "upstream", "both", "none"}:
            raise document.error(
                ("logToStdout",),
                f'expected proxy, upstream, both or none, got "{file.log_to_stdout}"',
                "write logToStdout: proxy",
            )

    def _names(self) -> Names:
        file = self._file
        owner: dict[str, ModelId] = {}
        models = tuple(ModelId(model) for model in sorted(file.models))
        for model in models:
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
        return Names(models, {alias: model for alias, model in owner.items() if alias not in file.models})

    def _model(self, model: ModelId, file: ModelFile) -> Model:
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
        self._check_capabilities(path, file)
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
            timeouts=self._timeouts(path, file),
        )
        loading_state = file.send_loading_state
        return Model(
            id=model,
            spec=spec,
            cmd=file.cmd,
            aliases=tuple(file.aliases),
            name=file.name.strip(),
            description=file.description.strip(),
            unlisted=file.unlisted,
            use_model_name=file.use_model_name,
            ttl_s=float(self._file.global_ttl if file.ttl == -1 else file.ttl),
            concurrency_limit=max(limit, 50) if is_comfyui else limit,
            send_loading_state=self._file.send_loading_state if loading_state is None else loading_state,
            ignore_websockets=file.compat.ignore_websockets or is_comfyui,
            metadata=MappingProxyType(dict(file.metadata)),
        )

    def _check_capabilities(self, path: Path, file: ModelFile) -> None:
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

    def _address(self, path: Path, file: ModelFile) -> tuple[str, str, int | None]:
        """Returns base URL, host, and the port if it is this machine's."""
        if not file.proxy:
            # `llama:` with nothing below it: the reference loads it, and fails when it is asked for. So do we.
            self._warn(path, "the model is empty, it cannot be started", "give it a cmd")
            return "http://localhost", "localhost", None
        here = (*path, "proxy")
        url = file.proxy.strip()
        remedy = "write e.g. proxy: http://127.0.0.1:9000"
        if any(character.isspace() or not character.isprintable() for character in url):
            raise self._document.error(here, f"{url!r} is not a URL", remedy)
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError as exc:
            raise self._document.error(here, f'"{url}" is not a URL: {exc}', remedy) from exc
        if parts.scheme not in {"http", "https"} or not host:
            raise self._document.error(
                here, f'expected a URL that starts with http:// or https://, got "{url}"', remedy
            )
        if port == 0:
            raise self._document.error(here, f'"{url}" names no port that can be reached', remedy)
        base_url = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
        if port is None:
            port = 443 if parts.scheme == "https" else 80
        return base_url, host, port if _is_here(host) else None

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

    def _timeouts(self, path: Path, file: ModelFile) -> Timeouts:
        written = file.timeouts
        for name, field in type(written).model_fields.items():
            if getattr(written, name) < 0:
                here = (*path, "timeouts", str(field.alias))
                raise self._document.error(here, f"expected 0 or more, got {getattr(written, name)}", "0 is no limit")
        return Timeouts(
            connect_s=float(written.connect),
            keepalive_s=float(written.keepalive),
            response_header_s=float(written.response_header),
            tls_handshake_s=float(written.tls_handshake),
            expect_continue_s=float(written.expect_continue),
            idle_conn_s=float(written.idle_conn),
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


def _is_here(host: str) -> bool:
    """Whether *host* names this machine without a doubt."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified
