"""`make ui-dev`: the page from the working tree, loaded anew in the browser when a file changes; for who works on it.

    HOSTLER_URL=http://box:8080 python -m ui.dev [--listen 127.0.0.1:8090]

All but `/ui/` is passed through to the Hostler that HOSTLER_URL names, so the page finds its API where it expects it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import httpx
import uvicorn
from anyio.to_thread import run_sync
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from ui.assets import POLICY, Tree, package_folder, read

LISTEN = "127.0.0.1:8090"
HOSTLER = "http://127.0.0.1:8080"

LOOK_EVERY_S = 0.3
"""Between two looks for changed files; there is no event for them that all systems have."""

RELOAD = """\
// Of `make ui-dev` alone. Styles are exchanged where they are; for anything else the page is loaded anew.
const events = new EventSource("/ui/dev/events");
events.onmessage = ({ data }) => {
  const changed = JSON.parse(data);
  if (!changed.every((path) => path.endsWith(".css"))) return location.reload();
  for (const link of document.querySelectorAll("link[rel=stylesheet]")) {
    const url = new URL(link.href);
    url.searchParams.set("at", Date.now());
    link.href = url;
  }
};
"""

_ONE_CONNECTION = frozenset({"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"})
"""Headers that speak of one connection only."""


class Workshop:
    """The page as it is now, and the way to a Hostler."""

    def __init__(self, hostler: str, static: Path) -> None:
        self._hostler = hostler.rstrip("/")
        self._static = static
        self._tree: Tree | None = None
        self._client = httpx.AsyncClient(
            timeout=httpx.Timeout(None, connect=5), limits=httpx.Limits(max_connections=None)
        )

    @asynccontextmanager
    async def running(self, _app: object) -> AsyncIterator[None]:
        """Holds the connections to Hostler."""
        async with self._client:
            yield

    async def page(self, request: Request) -> Response:
        """Answers below `/ui/`: an asset as it lies there, or else the page."""
        tree = self._tree = await run_sync(read, self._static, self._tree)
        path: str = request.path_params["path"]
        asset = tree.assets.get(path.removeprefix("assets/dev/"))
        headers = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
        if asset is not None and path != "index.html":
            return Response(asset.body, media_type=asset.media_type, headers=headers)
        is_visit = "text/html" in request.headers.get("accept", "")
        if path.startswith("assets/") or ("." in path.rpartition("/")[2] and not is_visit):
            return PlainTextResponse(f"no such file: ui/static/{path.removeprefix('assets/dev/')}\n", 404)
        if not tree.is_whole:
            return PlainTextResponse("ui/static/index.html or the modules of others are missing: make ui\n", 503)
        text = tree.assets["index.html"].body.decode().replace("{{assets}}", "/ui/assets/dev")
        text = text.replace("</head>", '<script src="/ui/dev/reload.js" defer></script></head>')
        return Response(text, media_type="text/html", headers={**headers, "content-security-policy": POLICY.decode()})

    async def reload(self, _request: Request) -> Response:
        """Answers with the script that waits for changes."""
        return Response(RELOAD, media_type="text/javascript", headers={"cache-control": "no-store"})

    async def events(self, _request: Request) -> Response:
        """Tells of changes as long as the page is open."""
        return StreamingResponse(self._changes(), media_type="text/event-stream", headers={"cache-control": "no-store"})

    async def _changes(self) -> AsyncIterator[str]:
        before = await run_sync(read, self._static, self._tree)
        yield "retry: 300\n\n"
        while True:
            await anyio.sleep(LOOK_EVERY_S)
            now = await run_sync(read, self._static, before)
            paths = now.assets.keys() | before.assets.keys()
            changed = sorted(path for path in paths if now.assets.get(path) != before.assets.get(path))
            before = now
            if changed:
                yield f"data: {json.dumps(changed)}\n\n"

    async def through(self, request: Request) -> Response:
        """Passes a request on to Hostler, and the answer back as it comes."""
        target = urlsplit(self._hostler)
        headers = [(name, value) for name, value in request.headers.items() if name not in {*_ONE_CONNECTION, "host"}]
        ours = f"{request.url.scheme}://{request.headers.get('host', '')}"
        # To Hostler it is its own page that asks; see app/middleware/ambient.py.
        headers = [
            (name, f"{target.scheme}://{target.netloc}" if (name, value) == ("origin", ours) else value)
            for name, value in headers
        ]
        raw = request.scope["raw_path"].decode("latin-1")
        query = request.scope["query_string"].decode("latin-1")
        has_body = "content-length" in request.headers or "transfer-encoding" in request.headers
        asked = self._client.build_request(
            request.method,
            httpx.URL(self._hostler).copy_with(raw_path=(raw + (f"?{query}" if query else "")).encode("latin-1")),
            headers=headers,
            content=request.stream() if has_body else None,
        )
        try:
            answer = await self._client.send(asked, stream=True)
        except httpx.TransportError as exc:
            told = f"no Hostler answers at {self._hostler} ({exc}): start one, or name another by HOSTLER_URL"
            return JSONResponse({"error": {"message": told}}, 502)
        response = StreamingResponse(_body(answer), answer.status_code)
        response.raw_headers = [
            (name.lower(), value) for name, value in answer.headers.raw if name.lower().decode() not in _ONE_CONNECTION
        ]
        return response


async def _body(answer: httpx.Response) -> AsyncIterator[bytes]:
    try:
        async for piece in answer.aiter_raw():
            yield piece
    finally:
        with anyio.CancelScope(shield=True):
            await answer.aclose()


async def _to_page(_request: Request) -> Response:
    return RedirectResponse("/ui/", 307)


def create_app(hostler: str, static: Path | None = None) -> Starlette:
    """Returns the application. hostler: the URL of the one to pass through to. static: the package's files by default."""
    workshop = Workshop(hostler, package_folder() / "static" if static is None else static)
    every = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
    return Starlette(
        routes=[
            Route("/", _to_page),
            Route("/ui", _to_page),
            Route("/ui/dev/reload.js", workshop.reload),
            Route("/ui/dev/events", workshop.events),
            Route("/ui/{path:path}", workshop.page),
            Route("/{path:path}", workshop.through, methods=every),
        ],
        lifespan=workshop.running,
    )


def main(arguments: list[str] | None = None) -> int:
    """Serves until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m ui.dev", description="Hostler's page from the working tree.")
    parser.add_argument("--listen", metavar="HOST:PORT", default=LISTEN)
    host, _, port = parser.parse_args(arguments).listen.rpartition(":")
    hostler = os.environ.get("HOSTLER_URL", HOSTLER)
    if urlsplit(hostler).scheme not in {"http", "https"} or not urlsplit(hostler).netloc:
        sys.stderr.write(f"HOSTLER_URL={hostler}: expected a URL, as {HOSTLER}\n")
        return 2
    sys.stderr.write(f"the page of the working tree: http://{host}:{port}/ui/; the rest: {hostler} (HOSTLER_URL)\n")
    uvicorn.run(
        create_app(hostler), host=host, port=int(port), log_level="warning", date_header=False, server_header=False,
        timeout_graceful_shutdown=1,
    )  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
