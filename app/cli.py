"""The `hostler` command.

    hostler serve --config FILE [--config-dir FOLDER] [--listen HOST:PORT] [--watch-config]
                  [--tls-cert-file FILE --tls-key-file FILE] [--log-format text|json] [--pages-listen HOST:PORT]
    hostler check --config FILE [--config-dir FOLDER] [--strict]
    hostler simulate TRACE --config FILE [--against FILE] [--patience SECONDS …] [--load [MODEL=]SECONDS …]
                  [--stop [MODEL=]SECONDS …]
    hostler monitor [--every SECONDS] [--once] [--json]
    hostler demo [--listen HOST:PORT] [--write-config FILE]
    hostler engine --model FILE --port N …

Options may be written with one dash or two, and `serve` may be left out: `hostler -config FILE -listen :8080` works as
llama-swap's users type it, and `-watch-config=true`, too. Source: compatibility specification 1.1.
"""

from __future__ import annotations

import argparse
import contextlib
import ipaddress
import logging
import math
import os
import socket
import ssl
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from app import __build_date__, __commit__, __version__
from app.errors import HostlerError

if TYPE_CHECKING:
    from app.config.catalog import Catalog
    from app.server import TlsFiles

logger = logging.getLogger("app.cli")  # also when run by `python -m app.cli`

DEFAULT_LISTEN = "127.0.0.1:8080"
DEFAULT_TLS_LISTEN = "127.0.0.1:8443"
BACKLOG = 2048


class UsageError(HostlerError):
    """What was typed cannot be done as typed."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code: 0 done, 1 cannot, 2 not understood."""
    argv = _without_values_of_switches(sys.argv[1:] if arguments is None else arguments)
    if argv[:1] == ["engine"]:
        # Its flags are llama-server's; and it should import nothing of ours that it can do without.
        from app import engine

        return engine.main(argv[1:])
    if argv and argv[0].startswith("-") and argv[0].lstrip("-") not in {"h", "help", "version"}:
        argv.insert(0, "serve")
    parser = _parser()
    options = parser.parse_args(argv)
    if options.version:
        print(f"version: {__version__} ({__commit__}), built at {__build_date__}")
        return 0
    if options.command is None:
        parser.print_help()
        return 2
    commands: dict[str, Callable[[argparse.Namespace], int]] = {
        "serve": _serve,
        "check": _check,
        "simulate": _simulate,
        "monitor": _monitor,
        "demo": _demo,
    }
    try:
        return commands[options.command](options)
    except HostlerError as exc:
        print(f"hostler: {exc}", file=sys.stderr)
        return 1


def _without_values_of_switches(argv: Sequence[str]) -> list[str]:
    """Returns *argv* with `-switch=true` as `-switch` and without `-switch=false`, as Go's programs let one write them."""
    kept = []
    for argument in argv:
        name, equals, value = argument.partition("=")
        if equals and name.startswith("-") and name.lstrip("-") in {"watch-config", "strict", "version"}:
            if value in {"1", "t", "T", "true", "TRUE", "True"}:
                kept.append(name)
                continue
            if value in {"0", "f", "F", "false", "FALSE", "False"}:
                continue
        kept.append(argument)
    return kept


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="hostler", description="One URL for all the AI models on a machine.")
    parser.add_argument("-version", "--version", action="store_true", help="print the version and exit")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")

    serve = commands.add_parser("serve", help="serve the models of a configuration", allow_abbrev=False)
    _add_config(serve)
    _add_listen(serve)
    pages = "where models' own pages are served with all that browsers let pages do, and nothing else is (nowhere)"
    _add(serve, "pages-listen", metavar="HOST:PORT", default="", help=pages)
    _add(serve, "tls-cert-file", metavar="FILE", default="", help="serve HTTPS with this certificate (PEM)")
    _add(serve, "tls-key-file", metavar="FILE", default="", help="the certificate's key (PEM)")
    _add(serve, "watch-config", action="store_true", help="reload the configuration when it changes")
    _add(serve, "strict", action="store_true", help="refuse a file with unknown keys")
    how = "how Hostler's own log lines are written: text, or json, one object a line (text)"
    _add(serve, "log-format", choices=("text", "json"), default="text", help=how)

    check = commands.add_parser("check", help="say whether a configuration is right", allow_abbrev=False)
    _add_config(check)
    _add(check, "strict", action="store_true", help="unknown keys are errors")

    simulate = commands.add_parser(
        "simulate", help="say how long the requests of a trace would have waited", allow_abbrev=False
    )
    simulate.add_argument("trace", metavar="TRACE", help="a file of JSON lines, or the database of a store")
    _add_config(simulate)
    _add(simulate, "strict", action="store_true", help="refuse a file with unknown keys")
    _add(simulate, "against", metavar="FILE", default="", help="another configuration, to be shown beside it")
    patience = "instead of the configuration's; may be repeated, to compare them"
    _add(simulate, "patience", metavar="SECONDS", action="append", default=[], help=patience)
    for what, default in (("load", "10"), ("stop", "1")):
        seconds = f"how long a {what} takes, of all models or of one; may be repeated ({default})"
        _add(simulate, what, metavar="[MODEL=]SECONDS", action="append", default=[], help=seconds)

    monitor = commands.add_parser("monitor", help="show what can be seen of this machine", allow_abbrev=False)
    _add(monitor, "every", metavar="SECONDS", type=float, default=2.0, help="time between two looks (2)")
    _add(monitor, "once", action="store_true", help="look once and end")
    _add(monitor, "json", action="store_true", help="one JSON object for each look")

    demo = commands.add_parser("demo", help="serve two small models, nothing to prepare", allow_abbrev=False)
    _add_listen(demo)
    _add(demo, "write-config", metavar="FILE", help="only write the demo's configuration, as a start for one's own")

    commands.add_parser(
        "engine", help="run llama.cpp's server: an upstream that needs no other program", add_help=False
    )
    return parser


def _add(parser: argparse.ArgumentParser, name: str, **how: object) -> None:
    parser.add_argument(f"-{name}", f"--{name}", **how)  # type: ignore[arg-type]  # passed on as they are


def _add_config(parser: argparse.ArgumentParser) -> None:
    _add(parser, "config", metavar="FILE", default="", help="the YAML file")
    _add(parser, "config-dir", metavar="FOLDER", default="", help="a folder whose YAML files are merged on top of it")


def _add_listen(parser: argparse.ArgumentParser) -> None:
    where = f"where to listen ({DEFAULT_LISTEN}; with TLS {DEFAULT_TLS_LISTEN})"
    _add(parser, "listen", metavar="HOST:PORT", default="", help=where)


def _load(options: argparse.Namespace, ports: Mapping[str, int] | None = None) -> Catalog:
    """Reads the configuration that *options* name, for models that have *ports*. Raises ConfigError, UsageError."""
    from app.config.loader import load_sources

    if not options.config and not options.config_dir:
        raise UsageError("no configuration is given; name a file with --config, or a folder with --config-dir")
    return load_sources(
        options.config or None,
        options.config_dir or None,
        environ=os.environ,
        strict=options.strict,
        ports=ports or {},
    )


def _check(options: argparse.Namespace) -> int:
    catalog = _load(options)
    for warning in catalog.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    print(
        f"{options.config or options.config_dir}: {len(catalog.models)} models: {', '.join(catalog.models) or 'none'}"
    )
    return 0


def _simulate(options: argparse.Namespace) -> int:
    from app import simulate

    configs = {str(options.config or options.config_dir): _load(options)}
    if options.against:
        other = argparse.Namespace(config=options.against, config_dir="", strict=options.strict)
        configs[str(options.against)] = _load(other)
    text = simulate.report(
        Path(options.trace),
        configs,
        patiences=[simulate.parse_patience(each) for each in options.patience],
        load=simulate.parse_seconds("--load", options.load, simulate.DEFAULT_LOAD_S),
        stop=simulate.parse_seconds("--stop", options.stop, simulate.DEFAULT_STOP_S),
    )
    print(text)
    return 0


def _monitor(options: argparse.Namespace) -> int:
    from app import monitor_cli

    if not options.every >= monitor_cli.SHORTEST_S or math.isinf(options.every):
        raise UsageError(f"--every {options.every:g}: expected {monitor_cli.SHORTEST_S:g} seconds or more")
    return monitor_cli.watch(every_s=options.every, once=options.once, as_json=options.json)


def _demo(options: argparse.Namespace) -> int:
    from app import demo

    text = demo.demo_config(demo.model_file(), sys.executable)
    if options.write_config is not None:
        target = Path(options.write_config)
        if target.exists():
            raise UsageError(f"{target} exists already; name another file")
        target.write_text(text, encoding="utf-8")
        print(f"written: {target}; serve it with: hostler serve --config {target}")
        return 0
    path = demo.cache_folder() / "demo.yaml"
    path.write_text(text, encoding="utf-8")
    options.config, options.config_dir, options.watch_config, options.strict = str(path), "", False, True
    options.tls_cert_file = options.tls_key_file = ""
    options.log_format, options.pages_listen = "text", ""
    return _serve(options, greeting=demo.banner)


def _serve(options: argparse.Namespace, greeting: Callable[[Catalog, str], str] | None = None) -> int:
    from app.application import create_app
    from app.config.active import ActiveConfig
    from app.server import EXIT_FATAL, Server, server_config

    tls = _tls(options.tls_cert_file, options.tls_key_file)
    host, port = parse_listen(options.listen or (DEFAULT_TLS_LISTEN if tls else DEFAULT_LISTEN))
    config = ActiveConfig(lambda ports: _load(options, ports), directory=options.config_dir or None)
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(bind(host, port))
        port = listener.getsockname()[1]
        listeners = [listener]
        pages_port: int | None = None
        if options.pages_listen:
            pages_host, pages_port = parse_listen(options.pages_listen, "--pages-listen")
            if pages_port == port:
                raise UsageError(f"--pages-listen {options.pages_listen}: expected another port than that of --listen")
            pages = stack.enter_context(bind(pages_host, pages_port, "--pages-listen"))
            pages_port = pages.getsockname()[1]
            listeners.append(pages)
        app = create_app(
            config,
            on_fatal=lambda: server.end(EXIT_FATAL),
            watch_config=options.watch_config,
            json_logs=options.log_format == "json",
            pages_port=pages_port,
        )
        server = Server(server_config(app, host=host, port=port, tls=tls), app.services)
        url = f"{'https' if tls else 'http'}://{_url_host(host)}:{port}"
        with app.services.logs.handler:
            logger.info("Hostler %s listens on %s, process %d", __version__, url, os.getpid())
            if not is_loopback(host):
                logger.info(
                    "every machine that reaches this one's network can use it; --listen 127.0.0.1:%d keeps it here",
                    port,
                )
            if pages_port is not None:
                logger.info("models' own pages are on port %d", pages_port)
        if greeting is not None:
            app.services.logs.flush()
            print(greeting(config.current(), url), flush=True)
        server.run(sockets=listeners)
    return server.exit_code


def _tls(certificate: str, key: str) -> TlsFiles | None:
    """Returns what HTTPS is to be served with, or None for plain HTTP. Raises UsageError when it cannot be used."""
    from app.server import TlsFiles

    if not certificate and not key:
        return None
    if not certificate or not key:
        given, missing = ("--tls-cert-file", "--tls-key-file") if certificate else ("--tls-key-file", "--tls-cert-file")
        raise UsageError(f"{given} without {missing}; HTTPS takes both")
    for file in (certificate, key):
        try:
            Path(file).read_bytes()
        except OSError as exc:
            raise UsageError(f"{file} cannot be read: {exc.strerror}") from None
    try:
        # Tried here, where it can be told in order; a key under a passphrase would have the terminal asked for it.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password=_no_passphrase)
    except ssl.SSLError as exc:
        raise UsageError(
            f"{certificate} and {key} cannot be used for TLS: {exc.reason or exc}; both are PEM, "
            "and the key belongs to the first certificate"
        ) from None
    return TlsFiles(certificate, key)


def _no_passphrase() -> str:
    raise UsageError("the TLS key is protected by a passphrase, which nobody could type here; store it without one")


def parse_listen(text: str, option: str = "--listen") -> tuple[str, int]:
    """Returns the host and port of *text*: `host:port`, `[v6]:port`, or `:port` for all addresses. Raises UsageError."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise UsageError(f"{option} {text}: expected HOST:PORT, as {DEFAULT_LISTEN} or :8080")
    return host.removeprefix("[").removesuffix("]") or "0.0.0.0", int(port)


def bind(host: str, port: int, option: str = "--listen") -> socket.socket:
    """Returns a listening socket, bound before anything is started. Raises UsageError when it cannot be had."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as exc:
        raise UsageError(f"cannot listen on {host}:{port}: {exc.strerror or exc}") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError as exc:
        listener.close()
        raise UsageError(
            f"cannot listen on {host}:{port}: {exc.strerror or exc}; end what listens there, or choose another {option}"
        ) from None
    return listener


def is_loopback(host: str) -> bool:
    """Whether only programs on this machine can connect to *host*."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _url_host(host: str) -> str:
    if host in {"0.0.0.0", "::"}:
        host = "127.0.0.1"
    return f"[{host}]" if ":" in host else host


if __name__ == "__main__":
    sys.exit(main())
