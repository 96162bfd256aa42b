"""Every route of the compatibility specification (3.5) against the whole program.

The tables stand here and not in the code under test: a row that gets lost there must be missed here.
"""

from __future__ import annotations

import http.client
import shlex
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from tests.fake_upstream import argv
from tests.ports import free_port
from tests.program import PATIENCE_S, Program, hostler

pytestmark = pytest.mark.timeout(120)

POSTS = (
    "/v1/chat/completions",
    "/v1/responses",
    "/v1/completions",
    "/v1/messages",
    "/v1/messages/count_tokens",
    "/v1/embeddings",
    "/reranking",
    "/rerank",
    "/v1/rerank",
    "/v1/reranking",
    "/infill",
    "/completion",
    "/v1/audio/speech",
    "/v1/audio/voices",
    "/v1/audio/transcriptions",
    "/v1/images/generations",
    "/v1/images/edits",
    "/sdapi/v1/txt2img",
    "/sdapi/v1/img2img",
    "/audioapi/v1/tasks/run",
    "/v/chat/completions",
    "/v/responses",
    "/v/completions",
    "/v/messages",
    "/v/messages/count_tokens",
    "/v/embeddings",
    "/v/rerank",
    "/v/reranking",
)

GETS = ("/v1/audio/voices", "/sdapi/v1/loras", "/props")

PREFIXES = ("/v/", "/audioapi/")
"""Taken off the path before the upstream is asked."""


class Row(NamedTuple):
    """A route that is Hostler's own."""

    method: str
    path: str
    status: int
    media_type: str = ""
    """Empty where it does not matter."""
    starts: str = ""
    """What the body starts with, or the `Location` of a redirect."""


OWN = (
    Row("GET", "/v1/models", 200, "application/json", '{"data":['),
    Row("GET", "/models", 200, "application/json", '{"data":['),
    Row("GET", "/health", 200, "text/plain; charset=utf-8", "OK"),
    Row("GET", "/wol-health", 200, "text/plain; charset=utf-8", "OK"),
    Row("GET", "/running", 200, "application/json", '{"running":['),
    Row("GET", "/logs", 200, "text/plain; charset=utf-8", "["),
    Row("HEAD", "/logs/stream", 200, "text/plain; charset=utf-8"),
    Row("HEAD", "/logs/stream/proxy", 200, "text/plain; charset=utf-8"),
    Row("HEAD", "/logs/stream/upstream", 200, "text/plain; charset=utf-8"),
    Row("HEAD", "/logs/stream/an/id", 200, "text/plain; charset=utf-8"),
    Row("HEAD", "/logs/stream/alias", 200, "text/plain; charset=utf-8"),
    Row("GET", "/logs/stream/nobody", 400, "text/plain; charset=utf-8", "invalid logger."),
    Row("GET", "/", 302, "text/html; charset=utf-8", "/ui"),
    Row("GET", "/ui", 307, "text/html; charset=utf-8", "/ui/"),
    Row("GET", "/ui/favicon.svg", 200, "image/svg+xml; charset=utf-8", "<svg"),
    Row("GET", "/favicon.ico", 200, "image/x-icon"),
    Row("GET", "/ui/nothing.js", 404, "text/plain; charset=utf-8", "404 page not found\n"),
    Row("GET", "/upstream", 302, "text/html; charset=utf-8", "/ui/models"),
    Row("GET", "/upstream/an/id", 301, "text/html; charset=utf-8", "/upstream/an/id/"),
    Row("POST", "/upstream/an/id", 308, "", "/upstream/an/id/"),
    Row("GET", "/upstream/alias?q=1", 301, "text/html; charset=utf-8", "/upstream/alias/?q=1"),
    Row(
        "GET", "/upstream/nobody/x", 404, "application/json", '{"src":"llama-swap","error":{"message":"model not found"'
    ),
    Row(
        "POST",
        "/api/models/unload/nobody",
        404,
        "application/json",
        '{"src":"llama-swap","error":{"message":"model not',
    ),
    Row("GET", "/api/profiles", 200, "application/json", '{"active":null,"profiles":[{"id":"night"'),
    Row(
        "PUT",
        "/api/profiles/active",
        400,
        "application/json",
        '{"src":"llama-swap","error":{"message":"invalid profile',
    ),
    Row("GET", "/api/config", 200, "application/json", '{"config":{"models":{"an/id":{'),
    Row(
        "POST",
        "/api/config/reload?dry_run=1",
        200,
        "application/json",
        '{"reloaded":false,"plan":{"unchanged":["an/id"]',
    ),
    Row(
        "GET", "/api/queue", 200, "application/json", '{"queue":[],"length":0,"limit":1000,"models":{"an/id":{"state":"'
    ),
    Row("GET", "/api/inflight", 200, "application/json", '{"requests":[]}\n'),
    Row(
        "POST",
        "/api/inflight/1000000/cancel",
        404,
        "application/json",
        '{"src":"llama-swap","error":{"message":"inflight request not found"',
    ),
    Row("POST", "/api/models/load/alias", 200, "application/json", '{"msg":"ok"}\n'),
    Row(
        "POST",
        "/api/models/load/nobody",
        404,
        "application/json",
        '{"src":"llama-swap","error":{"message":"model not found"',
    ),
    Row("HEAD", "/api/events", 200, "text/event-stream"),
    Row("GET", "/api/metrics/activity", 200, "application/json", '{"data":['),
    Row(
        "GET", "/api/metrics/activity?limit=0", 400, "application/json", '{"src":"llama-swap","error":{"message":"limit'
    ),
    Row("GET", "/api/metrics/stats", 200, "application/json", '{"total_requests":'),
    Row("GET", "/api/activity/export", 200, "application/jsonl; charset=utf-8"),
    Row("GET", "/api/captures", 200, "application/json", '{"ids":['),
    Row("GET", "/api/captures/1000000", 404, "application/json", '{"src":"llama-swap","error":{"message":"capture not'),
    Row("GET", "/api/captures/x", 400, "application/json", '{"src":"llama-swap","error":{"message":"invalid capture'),
    Row("GET", "/metrics", 200, "text/plain; version=0.0.4; charset=utf-8", "# HELP hostler_requests_total"),
    Row("GET", "/metrics/upstream", 200, "text/plain; version=0.0.4; charset=utf-8", "# HELP hostler_upstream"),
    Row("GET", "/api/hardware", 200, "application/json", '{"schema_version":1,"captured_at":"'),
    Row("GET", "/api/performance", 200, "application/json", '{"enabled":true,"gpu_stats":'),
    Row(
        "GET",
        "/api/performance?after=now",
        400,
        "application/json",
        '{"src":"llama-swap","error":{"message":"invalid \'after\' timestamp, use RFC3339 format"',
    ),
    Row("GET", "/api/version", 200, "application/json", '{"build_date":"'),
    Row("GET", "/comfyui?q=1", 301, "text/html; charset=utf-8", "/comfyui/?q=1"),
    Row("POST", "/comfyui", 308, "", "/comfyui/"),
    Row(
        "GET", "/comfyui/", 404, "application/json", '{"src":"llama-swap","error":{"message":"local model comfyui_auto'
    ),
    Row("GET", "/v1/chat/completions", 405, "text/plain; charset=utf-8", "Method Not Allowed\n"),
    Row("DELETE", "/health", 405, "text/plain; charset=utf-8", "Method Not Allowed\n"),
    Row("POST", "/unload", 405, "text/plain; charset=utf-8", "Method Not Allowed\n"),
    Row("GET", "/api/models/unload/an/id", 405, "text/plain; charset=utf-8", "Method Not Allowed\n"),
)

OPEN = ("/", "/health", "/wol-health", "/favicon.ico", "/upstream", "/nothing")
"""Paths that ask for no key, be there something or not."""

PROTECTED = (
    *(("POST", path) for path in POSTS),
    *(("GET", path) for path in GETS),
    *((row.method, row.path) for row in OWN if row.path not in OPEN and row.status != 405),
    ("GET", "/unload"),
    ("POST", "/api/models/unload"),
    ("POST", "/api/models/unload/an/id"),
    ("GET", "/upstream/an/id/"),
)

UNLOADS = (
    Row("GET", "/unload", 200, "text/plain; charset=utf-8", "OK"),
    Row("POST", "/api/models/unload", 200, "application/json", '{"msg":"ok"}\n'),
    Row("POST", "/api/models/unload/an/id", 200, "text/plain; charset=utf-8", "OK"),
    Row("POST", "/api/models/unload/alias", 200, "text/plain; charset=utf-8", "OK"),
)

PRELOADED = "hooks: {on_startup: {preload: [an/id]}}\nprofiles: {night: {pins: {small: alias}}}\n"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    with hostler(tmp_path_factory.mktemp("routes"), _config(PRELOADED)) as running:
        running.until(lambda: running.running() == {"an/id": "ready"})
        yield running


@pytest.fixture(scope="module")
def client(program: Program) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=program.url, timeout=PATIENCE_S) as one:
        yield one


def _config(more: str = "") -> str:
    """Returns the YAML of one model, `an/id`, that is also called `alias`."""
    port = free_port()
    command = shlex.join(argv(port, "--model", "fake"))
    return f"models:\n  an/id:\n    cmd: {command}\n    proxy: http://127.0.0.1:{port}\n    aliases: [alias]\n{more}"


def _upstream_path(path: str) -> str:
    prefix = next((prefix for prefix in PREFIXES if path.startswith(prefix)), "/")
    return "/" + path.removeprefix(prefix)


def _served(answer: httpx.Response) -> tuple[int, str | None, str | None]:
    return answer.status_code, answer.headers.get("x-fake-method"), answer.headers.get("x-fake-path")


# Routes that name a model


@pytest.mark.parametrize("model", ["an/id", "alias"])
@pytest.mark.parametrize("path", POSTS)
def test_json_reaches_the_upstream(client: httpx.Client, path: str, model: str) -> None:
    answer = client.post(path, params={"q": "1"}, json={"input": 1, "model": model})

    assert _served(answer) == (200, "POST", f"{_upstream_path(path)}?q=1")


@pytest.mark.parametrize("path", POSTS)
def test_multipart_form_reaches_the_upstream(client: httpx.Client, path: str) -> None:
    answer = client.post(path, data={"model": "an/id"}, files={"file": ("a.wav", b"\x00\xff")})

    assert _served(answer) == (200, "POST", _upstream_path(path))


@pytest.mark.parametrize("path", POSTS)
def test_url_encoded_form_reaches_the_upstream(client: httpx.Client, path: str) -> None:
    answer = client.post(path, data={"model": "an/id", "input": "1"})

    assert _served(answer) == (200, "POST", _upstream_path(path))


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", GETS)
def test_query_reaches_the_upstream(client: httpx.Client, path: str, method: str) -> None:
    answer = client.request(method, f"{path}?a=1&model=an/id")

    assert _served(answer) == (200, method, f"{path}?a=1&model=an/id")


@pytest.mark.parametrize("path", POSTS)
def test_json_that_names_no_model_there_is_is_not_found(client: httpx.Client, path: str) -> None:
    unknown = client.post(path, json={"model": "nobody"})
    unnamed = client.post(path, json={"input": 1})

    assert (unknown.status_code, unknown.json()["error"]["message"]) == (404, "no router for requested model")
    assert (unnamed.status_code, unnamed.json()["error"]["message"]) == (404, "no model id could be identified")


@pytest.mark.parametrize("path", GETS)
def test_query_that_names_no_model_there_is_is_not_found(client: httpx.Client, path: str) -> None:
    unknown = client.get(path, params={"model": "nobody"})
    unnamed = client.get(path)

    assert (unknown.status_code, unknown.json()["error"]["message"]) == (404, "no router for requested model")
    assert (unnamed.status_code, unnamed.json()["error"]["message"]) == (404, "no model id could be identified")


# Any path of an upstream


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/upstream/an/id/", "/"),
        ("/upstream/an%2Fid/x", "/x"),
        ("/upstream/alias/props?q=1", "/props?q=1"),
        ("/upstream/an/id/a%2Fb%20c?q=%20", "/a%2Fb%20c?q=%20"),
    ],
)
def test_path_of_an_upstream_keeps_its_spelling(client: httpx.Client, method: str, path: str, expected: str) -> None:
    answer = client.request(method, path)

    assert _served(answer) == (200, method, expected)


# Routes of our own


@pytest.mark.parametrize("row", OWN, ids=lambda row: f"{row.method} {row.path}")
def test_own_route(client: httpx.Client, row: Row) -> None:
    answer = client.request(row.method, row.path)

    assert answer.status_code == row.status
    assert row.media_type in {answer.headers.get("content-type"), ""}
    assert answer.headers.get("location", answer.text).startswith(row.starts)


@pytest.mark.parametrize("row", [row for row in OWN if row.method == "GET"], ids=lambda row: row.path)
def test_get_route_answers_head_without_a_body(client: httpx.Client, row: Row) -> None:
    answer = client.head(row.path)

    assert answer.status_code == row.status
    assert answer.headers["content-type"] == row.media_type
    assert answer.content == b""


def test_log_streams_until_the_client_leaves(client: httpx.Client) -> None:
    with client.stream("GET", "/logs/stream/upstream") as answer:
        first = next(answer.iter_lines())

    assert answer.status_code == 200
    assert "fake upstream 'fake' on port" in first


def test_page_is_there_or_says_how_it_is_made(client: httpx.Client) -> None:
    """As the working tree is: its parts that come from npm may be missing."""
    answer = client.get("/ui/models/an%2Fid", headers={"Accept": "text/html"})

    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert (answer.status_code, "make ui" in answer.text) in {(200, False), (503, True)}


@pytest.mark.parametrize("path", ["/v1/models/", "/health/", "/nothing", "/v1/nothing", "/v2/chat/completions"])
def test_path_that_nothing_is_at_is_not_found(client: httpx.Client, path: str) -> None:
    answer = client.get(path)

    assert (answer.status_code, answer.text) == (404, "404 page not found\n")
    assert answer.headers["x-content-type-options"] == "nosniff"


# What holds for all routes


@pytest.mark.parametrize("path", [*POSTS, *GETS, *(row.path for row in OWN), "/nothing"])
def test_every_path_answers_the_preflight_of_a_page(client: httpx.Client, path: str) -> None:
    answer = client.options(path, headers={"Access-Control-Request-Headers": "x-api-key, bad name"})

    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["access-control-allow-headers"] == "x-api-key"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/v1/audio/voices", {"GET", "HEAD", "POST"}),
        ("GET", "/v1/chat/completions", {"POST"}),
        ("POST", "/v1/models", {"GET", "HEAD"}),
        ("POST", "/api/profiles/active", {"PUT"}),
        ("PUT", "/logs/stream/an/id", {"GET", "HEAD"}),
    ],
)
def test_wrong_method_is_told_the_right_ones(client: httpx.Client, method: str, path: str, allowed: set[str]) -> None:
    answer = client.request(method, path)

    assert answer.status_code == 405
    assert set(answer.headers["allow"].split(", ")) == allowed


@pytest.mark.parametrize(
    ("path", "clean"),
    [
        ("//health", "/health"),
        ("/v1/./models?q=1", "/v1/models?q=1"),
        ("/a/%2e%2E/upstream//an%2Fid/", "/upstream/an%2Fid/"),
    ],
)
def test_path_that_is_not_clean_is_redirected_to_the_one_that_is(program: Program, path: str, clean: str) -> None:
    """By a client that sends what it is told to; httpx cleans paths itself."""
    connection = http.client.HTTPConnection(program.url.removeprefix("http://"), timeout=PATIENCE_S)
    with closing(connection):
        connection.request("GET", path)
        answer = connection.getresponse()

    assert (answer.status, answer.headers["location"]) == (307, clean)


def test_routes_ask_for_the_key_unless_they_are_open(tmp_path: Path) -> None:
    with (
        hostler(tmp_path, _config("apiKeys: [secret]\n")) as program,
        httpx.Client(base_url=program.url, timeout=PATIENCE_S) as client,
    ):
        asked = {(method, path) for method, path in PROTECTED if client.request(method, path).status_code == 401}
        open_to_all = {path for path in OPEN if client.get(path).status_code in {200, 302, 404}}
        answer = client.get("/v1/models", headers={"Authorization": "Bearer secret"})

        assert asked == set(PROTECTED)
        assert open_to_all == set(OPEN)
        assert answer.status_code == 200


def test_profile_decides_what_a_name_means(tmp_path: Path) -> None:
    with hostler(tmp_path, _config("profiles: {night: {pins: {small: alias, alias: ''}}}\n")) as program:
        before = program.chat("small").status_code
        put = httpx.put(f"{program.url}/api/profiles/active", json={"name": "night"}, timeout=PATIENCE_S)

        assert before == 404
        assert put.json() == {"active": "night"}
        assert program.chat("small").json()["served_by"] == "fake"
        assert program.chat("alias").status_code == 404


@pytest.mark.parametrize("row", UNLOADS, ids=lambda row: f"{row.method} {row.path}")
def test_unload_ends_the_model_and_says_so(tmp_path: Path, row: Row) -> None:
    with hostler(tmp_path, _config()) as program:
        program.chat("alias")
        answer = httpx.request(row.method, program.url + row.path, timeout=PATIENCE_S)

        assert answer.status_code == row.status
        assert answer.headers["content-type"] == row.media_type
        assert answer.text == row.starts
        assert program.running() == {}
