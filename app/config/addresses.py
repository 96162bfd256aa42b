"""Where model servers and peers are: the `proxy` settings, and the limits of connections to them. PURE."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from app.config.catalog import Timeouts

if TYPE_CHECKING:
    from app.config.settings import TimeoutsFile
    from app.config.tree import Document, Path


class Address(NamedTuple):
    """A base URL and what it names."""

    base_url: str
    """Without a slash at its end, query or fragment."""
    host: str
    port: int


def address(document: Document, path: Path, written: str, remedy: str) -> Address:
    """Returns what *written*, at *path*, says. Raises ConfigError if it is not a URL that can be reached."""
    url = written.strip()
    if any(character.isspace() or not character.isprintable() for character in url):
        raise document.error(path, f"{url!r} is not a URL", remedy)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as exc:
        raise document.error(path, f'"{url}" is not a URL: {exc}', remedy) from exc
    if parts.scheme not in {"http", "https"} or not host:
        raise document.error(path, f'expected a URL that starts with http:// or https://, got "{url}"', remedy)
    if port == 0:
        raise document.error(path, f'"{url}" names no port that can be reached', remedy)
    if port is None:
        port = 443 if parts.scheme == "https" else 80
    return Address(f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}", host, port)


def is_here(host: str) -> bool:
    """Whether *host* names this machine without a doubt."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        return False
    return found.is_loopback or found.is_unspecified


def timeouts(document: Document, path: Path, written: TimeoutsFile) -> Timeouts:
    """Returns the limits that stand at *path*. Raises ConfigError for one below 0."""
    for name, field in type(written).model_fields.items():
        if getattr(written, name) < 0:
            here = (*path, str(field.alias))
            raise document.error(here, f"expected 0 or more, got {getattr(written, name)}", "0 is no limit")
    return Timeouts(
        connect_s=float(written.connect),
        keepalive_s=float(written.keepalive),
        response_header_s=float(written.response_header),
        tls_handshake_s=float(written.tls_handshake),
        expect_continue_s=float(written.expect_continue),
        idle_conn_s=float(written.idle_conn),
    )
