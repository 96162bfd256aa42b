"""The page and its assets as a browser asks for them."""

from __future__ import annotations

import gzip
import re
from collections.abc import Sequence
from pathlib import Path

import brotli
import pytest
from starlette.types import ASGIApp

from app.endpoints.ui import accepted, routes
from app.middleware.paths import CleanPaths, Dispatch
from tests.asgi import Reply, call
from tests.fakes import catalog, model
from ui.assets import POLICY, build, read

pytestmark = pytest.mark.anyio

SCRIPT = b"export const words = 'the same words again and again';\n" * 20
Headers = Sequence[tuple[bytes, bytes]]
VISIT = [(b"accept", b"text/html,application/xhtml+xml,*/*;q=0.8")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    static = tmp_path / "static"
    (static / "vendor").mkdir(parents=True)
    (static / "views").mkdir()
    (static / "index.html").write_text('<!doctype html><script type="module" src="{{assets}}/main.js"></script>')
    (static / "main.js").write_bytes(SCRIPT)
    (static / "views" / "models.js").write_text("// short\n")
    (static / "vendor" / "preact.js").write_text("export {};\n")
    (static / "vendor" / "preact.d.ts").write_text('export * from "preact";\n')
    (static / "favicon.svg").write_text("<svg/>")
    (static / ".secret").write_text("x")
    return tmp_path


def served(folder: Path) -> ASGIApp:
    found = routes(lambda: catalog(model("a")), folder)
    return CleanPaths(Dispatch(found, found[0].app))


async def get(folder: Path, path: str, headers: Headers = (), method: str = "GET") -> Reply:
    return await call(served(folder), method, path, headers)


def assets(page: Reply) -> str:
    """Returns the folder of the assets that *page* names."""
    found = re.search(rb'src="(/ui/assets/[0-9a-f]{16})/main.js"', page.body)
    assert found is not None, page.body
    return found[1].decode()


# The page


async def test_page_names_the_folder_of_its_assets(folder: Path) -> None:
    page = await get(folder, "/ui/")
    script = await get(folder, f"{assets(page)}/main.js")

    assert (page.status, page.header("content-type")) == (200, "text/html; charset=utf-8")
    assert (script.status, script.header("content-type")) == (200, "text/javascript; charset=utf-8")
    assert script.body == SCRIPT


@pytest.mark.parametrize(
    "path", ["/ui/models", "/ui/models/org%2Fm", "/ui/models/org/m", "/ui/playground/chat", "/ui/index.html"]
)
async def test_deep_link_is_the_page(folder: Path, path: str) -> None:
    page = await get(folder, path)

    assert page.status == 200
    assert assets(page)


async def test_name_with_a_dot_is_a_page_only_to_a_visitor(folder: Path) -> None:
    """Ids of models have dots; what a page asks for and is missing must not be answered with a page."""
    assert (await get(folder, "/ui/models/qwen-2.5", VISIT)).status == 200
    assert (await get(folder, "/ui/models/qwen-2.5", [(b"accept", b"*/*")])).status == 404


@pytest.mark.parametrize(
    "path", ["/ui/assets/0123456789abcdef/gone.js", "/ui/assets/0123456789abcdef/gone", "/ui/assets/x"]
)
async def test_missing_asset_is_never_the_page(folder: Path, path: str) -> None:
    reply = await get(folder, path, VISIT)

    assert (reply.status, reply.body) == (404, b"404 page not found\n")


@pytest.mark.parametrize(
    "path",
    [
        "/ui/..%2f..%2fetc/passwd.txt",
        "/ui/assets/0/..%2f..%2f..%2fsecret.txt",
        "/ui/assets/0/%2e%2e/%2e%2e/static/main.js",
        "/ui/assets/0/..%5c..%5cmain.js",
        "/ui/assets/0//etc/passwd",
        "/ui/.secret",
        "/ui/vendor/preact.d.ts",
        "/ui/assets/0/main.js%00.css",
    ],
)
async def test_nothing_outside_the_folder_can_be_had(folder: Path, path: str) -> None:
    (folder / "secret.txt").write_text("x")
    reply = await get(folder, path)

    assert reply.status in {307, 404}


async def test_page_is_asked_for_after_each_time_and_its_assets_never(folder: Path) -> None:
    page = await get(folder, "/ui/")
    script = await get(folder, f"{assets(page)}/main.js")

    assert page.header("cache-control") == "no-cache"
    assert script.header("cache-control") == "public, max-age=31536000, immutable"


async def test_asset_of_another_version_is_not_kept(folder: Path) -> None:
    reply = await get(folder, "/ui/assets/0123456789abcdef/main.js")

    assert (reply.status, reply.header("cache-control")) == (200, "no-cache")


async def test_changed_file_is_seen_at_the_next_visit(folder: Path) -> None:
    app = served(folder)
    before = await call(app, path="/ui/")
    (folder / "static" / "main.js").write_bytes(b"export {};\n")
    after = await call(app, path="/ui/")

    assert assets(before) != assets(after)
    assert (await call(app, path=f"{assets(after)}/main.js")).body == b"export {};\n"


async def test_page_is_fenced_in(folder: Path) -> None:
    page = await get(folder, "/ui/")

    assert page.header("content-security-policy") == POLICY.decode()
    assert "unsafe" not in POLICY.decode()
    assert page.header("x-content-type-options") == "nosniff"
    assert page.header("x-frame-options") == "DENY"
    assert page.header("referrer-policy") == "no-referrer"
    assert page.header("cross-origin-opener-policy") == "same-origin"


async def test_drawing_opened_by_itself_is_fenced_in_like_a_page(folder: Path) -> None:
    reply = await get(folder, "/ui/favicon.svg")

    assert reply.header("content-type") == "image/svg+xml; charset=utf-8"
    assert reply.header("content-security-policy") == POLICY.decode()


async def test_script_is_what_it_says(folder: Path) -> None:
    reply = await get(folder, "/ui/main.js")

    assert reply.header("x-content-type-options") == "nosniff"


async def test_without_a_slash_the_page_is_pointed_to(folder: Path) -> None:
    reply = await get(folder, "/ui")

    assert (reply.status, reply.header("location")) == (307, "/ui/")


async def test_other_methods_are_refused(folder: Path) -> None:
    reply = await get(folder, "/ui/", method="POST")

    assert (reply.status, reply.header("allow")) == (405, "GET, HEAD")


async def test_head_says_what_get_would(folder: Path) -> None:
    asked, told = await get(folder, "/ui/main.js"), await get(folder, "/ui/main.js", method="HEAD")

    assert told.headers == asked.headers


async def test_behind_a_path_of_a_reverse_proxy_the_page_names_it(folder: Path) -> None:
    reply = await call(served(folder), path="/ai/ui/", extra={"root_path": "/ai"})

    assert b'src="/ai/ui/assets/' in reply.body


# Without the modules of others


async def test_page_that_is_not_made_says_so(folder: Path) -> None:
    (folder / "static" / "vendor" / "preact.js").unlink()
    app = served(folder)
    reply = await call(app, path="/ui/models")

    assert (reply.status, reply.header("content-type")) == (503, "text/html; charset=utf-8")
    assert b"make ui" in reply.body
    assert reply.header("cache-control") == "no-store"

    (folder / "static" / "vendor" / "preact.js").write_text("export {};\n")
    assert (await call(app, path="/ui/models")).status == 200


async def test_nothing_at_all_is_no_failure(tmp_path: Path) -> None:
    assert (await get(tmp_path, "/ui/")).status == 503
    assert (await get(tmp_path, "/ui/assets/x/main.js")).status == 404


# Compressed


@pytest.mark.parametrize(
    ("listed", "encoding"),
    [
        (b"gzip, deflate, br, zstd", "br"),
        (b"gzip, deflate", "gzip"),
        (b"br;q=0, gzip;q=0.5", "gzip"),
        (b"BR", "br"),
        (b"br; q=0.000", None),
        (b"*", "gzip"),
        (b"identity", None),
        (b"", None),
    ],
)
def test_encoding_is_one_that_the_client_takes(listed: bytes, encoding: str | None) -> None:
    assert accepted(listed) == encoding


async def test_script_is_compressed_for_who_can_read_that(folder: Path) -> None:
    br = await get(folder, "/ui/main.js", [(b"accept-encoding", b"gzip, br")])
    gz = await get(folder, "/ui/main.js", [(b"accept-encoding", b"gzip")])
    plain = await get(folder, "/ui/main.js")

    assert (br.header("content-encoding"), brotli.decompress(br.body)) == ("br", SCRIPT)
    assert (gz.header("content-encoding"), gzip.decompress(gz.body)) == ("gzip", SCRIPT)
    assert (plain.header("content-encoding"), plain.body) == (None, SCRIPT)
    assert [each.header("vary") for each in (br, gz, plain)] == ["accept-encoding"] * 3
    assert len({each.header("etag") for each in (br, gz, plain)}) == 3


async def test_what_is_short_is_sent_as_it_is(folder: Path) -> None:
    reply = await get(folder, "/ui/views/models.js", [(b"accept-encoding", b"br")])

    assert reply.header("content-encoding") is None


async def test_what_was_compressed_beforehand_is_sent(folder: Path) -> None:
    asset = read(folder / "static").assets["main.js"]
    build(folder / "static", folder / "built")
    made = folder / "built" / f"{asset.digest}.br"
    made.write_bytes(made_by_hand := brotli.compress(SCRIPT, quality=0))
    reply = await get(folder, "/ui/main.js", [(b"accept-encoding", b"br")])

    assert reply.body == made_by_hand


async def test_what_was_compressed_before_a_change_is_not_sent(folder: Path) -> None:
    build(folder / "static", folder / "built")
    (folder / "static" / "main.js").write_bytes(SCRIPT + b"// changed\n")
    reply = await get(folder, "/ui/main.js", [(b"accept-encoding", b"br")])

    assert brotli.decompress(reply.body).endswith(b"// changed\n")


# Conditional and in part


@pytest.mark.parametrize("path", ["/ui/", "/ui/main.js"])
@pytest.mark.parametrize("weak", [b"", b"W/"])
async def test_what_the_client_has_is_not_sent_again(folder: Path, path: str, weak: bytes) -> None:
    accept = (b"accept-encoding", b"br")
    first = await get(folder, path, [accept])
    etag = (first.header("etag") or "").encode()
    again = await get(folder, path, [accept, (b"if-none-match", b'"other", ' + weak + etag)])
    changed = await get(folder, path, [accept, (b"if-none-match", b'"other"')])

    assert (again.status, again.body, again.header("etag")) == (304, b"", etag.decode())
    assert again.header("cache-control") == first.header("cache-control")
    assert changed.status == 200


async def test_part_is_sent_as_it_is(folder: Path) -> None:
    reply = await get(folder, "/ui/main.js", [(b"range", b"bytes=7-11"), (b"accept-encoding", b"br")])

    assert (reply.status, reply.body) == (206, SCRIPT[7:12])
    assert reply.header("content-range") == f"bytes 7-11/{len(SCRIPT)}"
    assert reply.header("content-encoding") is None


async def test_part_of_an_older_version_is_the_whole_newer_one(folder: Path) -> None:
    reply = await get(folder, "/ui/main.js", [(b"range", b"bytes=7-11"), (b"if-range", b'"older"')])

    assert (reply.status, reply.body) == (200, SCRIPT)


async def test_part_beyond_the_end_is_refused(folder: Path) -> None:
    reply = await get(folder, "/ui/main.js", [(b"range", b"bytes=99999-")])

    assert reply.status == 416


# The icon


async def test_icon_holds_a_picture(folder: Path) -> None:
    reply = await get(folder, "/favicon.ico")

    assert (reply.status, reply.header("content-type")) == (200, "image/x-icon")
    assert reply.body[:6] == b"\0\0\1\0\1\0"
    assert reply.body[22:30] == b"\x89PNG\r\n\x1a\n"
