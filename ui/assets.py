"""The files of the page as they lie in the package: read once, named by their content, compressed once.

All of this reads files or computes for milliseconds: it is called in a worker thread.
"""

from __future__ import annotations

import gzip
import mimetypes
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import brotli

from ui.preload import links, view_of

Encoding = Literal["br", "gzip"]
"""Browsers offer br where the connection is safe, and only gzip to another machine over plain HTTP."""

SUFFIX: Mapping[Encoding, str] = MappingProxyType({"br": ".br", "gzip": ".gz"})

POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' data: blob:; "
    b"connect-src 'self'; font-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
"""The Content-Security-Policy of the page: it runs and asks for nothing but what is ours."""

PLACEHOLDER = b"{{assets}}"
"""What stands in `index.html` for the folder of this tree's assets."""

PRELOAD = b"<!-- {{preload}} -->"
"""What stands there for the links to all that the address needs."""

_UNSERVED = (".d.ts", ".new", "~")
"""Endings of what only tools read, and of what is being written."""

_TEXTS = frozenset({".js", ".mjs", ".css", ".html", ".svg", ".json", ".txt", ".webmanifest"})

_WORTH_BYTES = 300
"""Shorter files are sent as they are: the header that says "compressed" would eat the gain."""

Fingerprint = tuple[tuple[str, int, int], ...]
"""Of each file: its path, when it was changed (ns), its length. What is the same has not been changed."""


@dataclass(frozen=True, slots=True)
class Asset:
    """One file."""

    path: str
    """Below the folder of the page, with forward slashes."""
    body: bytes
    media_type: str
    digest: str
    """Of the body: the first 16 characters of its SHA-256."""

    @property
    def is_compressible(self) -> bool:
        """Whether compressing it is worth the while."""
        return Path(self.path).suffix in _TEXTS and len(self.body) >= _WORTH_BYTES


@dataclass(frozen=True, slots=True)
class Tree:
    """The files at one time."""

    assets: Mapping[str, Asset]
    digest: str
    """Changes when any of them does."""
    fingerprint: Fingerprint
    encoded: dict[tuple[str, Encoding], bytes] = field(default_factory=dict)
    """Compressed bodies by the digest of the body: at most two for each asset and page."""
    pages: dict[tuple[str, str, str], Asset] = field(default_factory=dict)
    """The page as it is sent, by the folder of the assets and the view."""

    @property
    def is_whole(self) -> bool:
        """Whether the page and the modules of others that it needs are there."""
        return "index.html" in self.assets and "vendor/preact.js" in self.assets

    def page(self, prefix: str, path: str) -> Asset:
        """Returns `index.html` with *prefix* and the tree's digest put in as the folder of the assets.

        path: the address below `/ui/` that it is for; it names at once what is needed there.
        """
        folder = f"{prefix}/{self.digest}"
        # Addresses of one view are told the same: they are few, whatever is asked for.
        key = (prefix, *view_of(path))
        known = self.pages.get(key)
        if known is None:
            bodies = {name: each.body for name, each in self.assets.items()}
            body = bodies["index.html"].replace(PRELOAD, links(bodies, path, folder))
            known = asset("index.html", body.replace(PLACEHOLDER, folder.encode()))
            if key[1] in bodies:
                self.pages[key] = known
        return known


def asset(path: str, body: bytes) -> Asset:
    """Returns the asset of *body*, which is called *path*."""
    suffix = Path(path).suffix
    # By our own words where the machine's tables may say otherwise: browsers refuse a module that is not called JavaScript.
    media_type = {".js": "text/javascript", ".mjs": "text/javascript", ".svg": "image/svg+xml"}.get(suffix)
    media_type = media_type or mimetypes.types_map.get(suffix, "application/octet-stream")
    if suffix in _TEXTS:
        media_type += "; charset=utf-8"
    return Asset(path, body, media_type, sha256(body).hexdigest()[:16])


def package_folder() -> Path:
    """Returns where the installed package's files are."""
    return Path(str(files("ui")))


def read(static: Path, before: Tree | None = None) -> Tree:
    """Reads all files below *static*; returns *before* if nothing has changed since it was read."""
    fingerprint = tuple(sorted(_files(static)))
    if before is not None and before.fingerprint == fingerprint:
        return before
    assets = {path: asset(path, (static / path).read_bytes()) for path, _, _ in fingerprint}
    digest = sha256("".join(f"{path}\0{each.digest}\n" for path, each in assets.items()).encode()).hexdigest()[:16]
    return Tree(MappingProxyType(assets), digest, fingerprint)


def _files(static: Path) -> Fingerprint:
    found = []
    for folder, below, names in os.walk(static):
        below[:] = [each for each in below if not each.startswith(".") and not each.endswith(_UNSERVED)]
        for name in names:
            if not name.startswith(".") and not name.endswith(_UNSERVED):
                path = Path(folder, name)
                status = path.stat()
                found.append((path.relative_to(static).as_posix(), status.st_mtime_ns, status.st_size))
    return tuple(found)


def encoded(body: Asset, encoding: Encoding, built: Path) -> bytes:
    """Returns the body of an asset compressed: as it was made beforehand, or quickly now."""
    try:
        # Named by content: what was made of an older file is never taken for a newer one's.
        return (built / f"{body.digest}{SUFFIX[encoding]}").read_bytes()
    except FileNotFoundError:
        return compressed(body.body, encoding, best=False)


def compressed(body: bytes, encoding: Encoding, *, best: bool) -> bytes:
    """Returns *body* compressed. best: as small as can be, whatever it takes."""
    if encoding == "br":
        # Of 10, a file of the page takes two milliseconds, and is 7 % shorter than of 9, which takes as long.
        return bytes(brotli.compress(body, mode=brotli.MODE_TEXT, quality=11 if best else 10))
    return gzip.compress(body, compresslevel=9 if best else 6, mtime=0)


def build(static: Path, built: Path) -> tuple[int, int]:
    """Compresses every asset below *static* as small as can be into *built*, and clears away what is of no asset any more.

    Returns how many files there are, and their length in bytes.
    """
    built.mkdir(exist_ok=True)
    wanted: dict[str, tuple[Asset, Encoding]] = {
        each.digest + suffix: (each, encoding)
        for each in read(static).assets.values()
        if each.is_compressible
        for encoding, suffix in SUFFIX.items()
    }
    for path in built.iterdir():
        if path.name not in wanted:
            path.unlink()
    for name, (each, encoding) in wanted.items():
        if not (built / name).exists():
            (built / f"{name}~").write_bytes(compressed(each.body, encoding, best=True))
            (built / f"{name}~").replace(built / name)
    return len(wanted), sum(path.stat().st_size for path in built.iterdir())
