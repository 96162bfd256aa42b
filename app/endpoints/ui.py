"""`/ui/…`: the web page, from the package's files. Source: compatibility specification 3.14.

The assets are asked for by URLs with the digest of all of them, so that browsers keep each for good and a new version is a new URL;
only the page itself is asked after each time. Whatever path it may be, it is looked up among the files that were read,
never in the file system: there is no way out of the folder.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from anyio.to_thread import run_sync
from starlette.responses import FileResponse
from starlette.routing import Route

from app.asgi import Headers, header, send_bytes
from app.config.catalog import Catalog
from app.endpoints.index import unmade_page
from app.middleware.paths import NO_SNIFF, send_redirect
from ui.assets import POLICY, Asset, Encoding, Tree, encoded, package_folder, read
from ui.icon import ico

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

PREFIX = "/ui/"
ASSETS = "assets/"

DOCUMENT_HEADERS = [
    (b"content-security-policy", POLICY),
    *NO_SNIFF,
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
]
"""What keeps others out of a document of ours. Scripts and styles are none: they would be 400 bytes heavier for nothing."""

FOR_GOOD = b"public, max-age=31536000, immutable"
ASK_AGAIN = b"no-cache"


class Page:
    """ASGI endpoint of the page and its assets."""

    def __init__(self, current: Callable[[], Catalog], folder: Path | None = None) -> None:
        """Prepares; reads nothing yet.

        current: gives the configuration in force, for the page that stands in for one that is not made.
        folder: the one with `static` and `built`; the package's by default.
        """
        self._current = current
        self._folder = package_folder() if folder is None else folder
        self._tree: Tree | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        path = scope["path"].removeprefix(scope.get("root_path", "")).removeprefix(PREFIX)
        is_named = path.startswith(ASSETS)
        tree = self._tree
        if tree is None or not is_named:
            # Files of a checkout change, and so do a package's that is brought up to date: seen at the next visit.
            tree = self._tree = await run_sync(read, self._folder / "static", self._tree)
        if is_named:
            digest, _, path = path.removeprefix(ASSETS).partition("/")
            found = tree.assets.get(path)
            # One of an older page, which asks for what it has not loaded yet: better the newer than none, but not for good.
            keep = FOR_GOOD if digest == tree.digest else ASK_AGAIN
        else:
            found = tree.assets.get(path) if path != "index.html" else None
            keep = ASK_AGAIN
        if found is None:
            if is_named or ("." in path.rpartition("/")[2] and path != "index.html" and not is_visit(scope)):
                await send_bytes(send, 404, b"404 page not found\n", headers=NO_SNIFF)
                return
            if not tree.is_whole:
                await send_bytes(
                    send, 503, unmade_page(self._current()), b"text/html; charset=utf-8",
                    [*DOCUMENT_HEADERS, (b"cache-control", b"no-store")],
                )  # fmt: skip
                return
            prefix = f"{scope.get('root_path', '')}{PREFIX}{ASSETS}".rstrip("/")
            found = await run_sync(tree.page, prefix, path)
        await self._send(scope, receive, send, tree, found, keep)

    async def _send(self, scope: Scope, receive: Receive, send: Send, tree: Tree, asset: Asset, keep: bytes) -> None:
        is_document = asset.media_type.startswith(("text/html", "image/svg"))
        headers = [*(DOCUMENT_HEADERS if is_document else NO_SNIFF), (b"cache-control", keep)]
        body = asset.body
        tag = asset.digest
        media_type = asset.media_type.encode()
        if asset.is_compressible:
            headers.append((b"vary", b"accept-encoding"))
        ranged = header(scope, b"range") and asset.path != "index.html"
        encoding = accepted(header(scope, b"accept-encoding")) if asset.is_compressible and not ranged else None
        if encoding is not None:
            key = (asset.digest, encoding)
            packed = tree.encoded.get(key)
            if packed is None:
                packed = tree.encoded[key] = await run_sync(encoded, asset, encoding, self._folder / "built")
            if len(packed) < len(body):
                body = packed
                tag += f"-{encoding}"
                headers.append((b"content-encoding", encoding.encode()))
        etag = f'"{tag}"'.encode()
        headers.append((b"etag", etag))
        if is_known(header(scope, b"if-none-match"), etag):
            await send({"type": "http.response.start", "status": 304, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
        elif ranged:
            await self._send_range(scope, receive, send, asset, headers)
        else:
            await send_bytes(send, 200, body, media_type, headers)

    async def _send_range(self, scope: Scope, receive: Receive, send: Send, asset: Asset, headers: Headers) -> None:
        """Lets starlette sort out the ranges, from the file."""
        text = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}
        path = self._folder / "static" / asset.path
        await FileResponse(path, headers={**text, "content-type": asset.media_type})(scope, receive, send)


def is_visit(scope: Scope) -> bool:
    """Returns whether somebody is going to a page, rather than a page asking for a file: the ids of models have dots, too."""
    return b"text/html" in header(scope, b"accept")


def accepted(listed: bytes) -> Encoding | None:
    """Returns the best encoding that an `Accept-Encoding` allows; None: as it is."""
    allowed = set()
    for member in listed.lower().split(b","):
        name, _, weight = member.partition(b";")
        if weight.replace(b" ", b"").rstrip(b"0") not in {b"q=", b"q=0."}:
            allowed.add(name.strip())
    if b"br" in allowed:
        return "br"
    return "gzip" if b"gzip" in allowed or b"*" in allowed else None


def is_known(listed: bytes, etag: bytes) -> bool:
    """Returns whether an `If-None-Match` names what we would send."""
    tags = [each.strip().removeprefix(b"W/") for each in listed.split(b",")]
    return etag in tags or b"*" in tags


class NoSlash:
    """ASGI endpoint: from `/ui` to the page, whose URLs are all below it."""

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Answers."""
        await send_redirect(scope, send, 307, f"{scope.get('root_path', '')}{PREFIX}".encode("latin-1"))


class Icon:
    """ASGI endpoint: the icon for browsers that have not seen the page, which names one itself."""

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Answers."""
        await send_bytes(
            send, 200, await run_sync(ico), b"image/x-icon", [(b"cache-control", b"public, max-age=86400"), *NO_SNIFF]
        )


def routes(current: Callable[[], Catalog], folder: Path | None = None) -> Sequence[Route]:
    """Returns the routes of this module; *folder* as for `Page`."""
    return [
        Route("/ui", NoSlash(), methods=["GET"]),
        Route("/ui/{path:path}", Page(current, folder), methods=["GET"]),
        Route("/favicon.ico", Icon(), methods=["GET"]),
    ]
