"""What nobody should send, sent to the whole application over real sockets: refused in the right words, and the next one is served."""

from __future__ import annotations

import gc
import json
import shlex
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import anyio
import httpx
import pytest

from app.application import Application, create_app
from app.asgi import IN_MEMORY, read_body
from app.config.active import ActiveConfig
from app.config.loader import load_text
from app.http_limits import LimitedProtocol
from app.middleware import resolve
from app.server import Server, TlsFiles, server_config
from tests.fake_upstream import argv
from tests.middleware.serving import served

pytestmark = pytest.mark.anyio

CONFIG = """
logLevel: error
apiKeys: [sk-test]
models:
  a:
    cmd: server --port ${PORT}
"""

KEY = {"authorization": "Bearer sk-test"}


def application() -> Application:
    return create_app(ActiveConfig(lambda _ports: load_text(CONFIG, "config.yaml", {})))


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with (
        served(application(), LimitedProtocol) as url,
        httpx.AsyncClient(base_url=url, headers=KEY, timeout=30) as one,
    ):
        yield one


def temporary_files() -> list[str]:
    """Returns the files without a name that this process has open."""
    links = (link for link in Path("/proc/self/fd").iterdir() if link.is_symlink())
    return [target for link in links if "(deleted)" in (target := str(link.readlink()))]


@pytest.fixture(autouse=True)
def _no_temporary_file_stays() -> Iterator[None]:
    before = temporary_files()
    yield
    assert temporary_files() == before


async def refused(client: httpx.AsyncClient, answer: httpx.Response) -> int:
    """Returns the status of an error in OpenAI's words, having seen that the server goes on."""
    error = answer.json()["error"]
    assert answer.headers["content-type"] == "application/json"
    assert error["message"]
    assert error["type"] == "invalid_request_error"
    assert (await client.get("/v1/models")).status_code == 200
    return answer.status_code


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[]", 400),
        (b'"a"', 400),
        (b"null", 400),
        (b'{"model": "a"', 400),
        (b'{"model": "a"} trailing', 400),
        (b'{"model": "a", "x": \xff}', 400),
        (b'{"model": "\xff"}', 400),
        (b'{"model": 5}', 404),
        (b'{"model": true}', 404),
        (b'{"model": null}', 404),
        (b'{"model": ["a"]}', 404),
        (b'{"model": {"id": "a"}}', 404),
        (b'{"model": 1e999}', 400),
        (b'{"model": ' + b"9" * 10_000 + b"}", 400),
        (b'{"model": "a\\u0000"}', 404),
        (b'{"model": "\\r\\n\\u001b[31ma"}', 404),
        (b'{"model": "a\x00"}', 400),
        (b'{"model": "\\ud800"}', 400),
        (b'{"model": "' + b"x" * 1_000_000 + b'"}', 404),
        (b'{"model": ' + b"[" * 100_000, 400),
        (b'{"x": ' + b'{"a":' * 50_000 + b"1" + b"}" * 50_000 + b"}", 400),
    ],
    ids=lambda value: repr(value[:24]) if isinstance(value, bytes) else None,
)
async def test_json_that_names_no_model_is_refused(client: httpx.AsyncClient, body: bytes, status: int) -> None:
    answer = await client.post("/v1/chat/completions", content=body, headers={"content-type": "application/json"})

    assert await refused(client, answer) == status


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", b"--x\r\n"),
        ("multipart/form-data; boundary=", b"--x\r\n"),
        ("multipart/form-data; boundary=" + "x" * 300, b"--x\r\n"),
        ("multipart/form-data; boundary=x", b""),
        ("multipart/form-data; boundary=x", b"--y\r\n\r\n--y--"),
        ("multipart/form-data; boundary=x", b'--x\r\ncontent-disposition: form-data; name="model"\r\n\r\na'),
        ("multipart/form-data; boundary=x", b"--x\r\n" + b"a: " + b"b" * 500_000),
        ("multipart/form-data; boundary=x", b"--x\r\nno header\r\n\r\n--x--"),
        ("multipart/form-data; boundary=x", b"--x\r\n" + b"z" * (IN_MEMORY + 1)),
    ],
    ids=["none", "empty", "long", "no body", "another", "unfinished", "endless header", "no header", "spooled"],
)
async def test_broken_multipart_is_refused(client: httpx.AsyncClient, content_type: str, body: bytes) -> None:
    answer = await client.post("/v1/audio/transcriptions", content=body, headers={"content-type": content_type})

    assert await refused(client, answer) in {400, 404}


@pytest.mark.parametrize("name", ["a%00", "%00", "%0d%0aset-cookie:%20x", "%1b[31m", "%ff", "%ed%a0%80", "a%5c..%5cb"])
@pytest.mark.parametrize("path", ["/upstream/{}/x", "/props?model={}"])
async def test_id_with_odd_characters_in_a_url_is_not_found(client: httpx.AsyncClient, path: str, name: str) -> None:
    answer = await client.get(path.format(name))

    assert await refused(client, answer) == 404
    assert "set-cookie" not in answer.headers


async def test_bad_request_of_an_anthropic_client_is_told_in_its_words(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/messages", content=b"{")

    assert answer.status_code == 400
    assert answer.json()["type"] == "error"
    assert answer.json()["error"]["type"] == "invalid_request_error"


async def zeros(megabytes: int) -> AsyncIterator[bytes]:
    for _ in range(megabytes):
        yield bytes(1 << 20)


@pytest.mark.parametrize("length", [{}, {"content-length": str(200 << 20)}], ids=["chunked", "with a length"])
@pytest.mark.parametrize("content_type", ["application/json", "multipart/form-data; boundary=x"])
async def test_body_over_the_limit_is_refused_however_it_is_sent(
    client: httpx.AsyncClient, content_type: str, length: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolve, "JSON_LIMIT", 2 << 20)
    assert read_body.__kwdefaults__ is not None
    monkeypatch.setitem(read_body.__kwdefaults__, "limit", 2 << 20)

    answer = await client.post(
        "/v1/audio/transcriptions", content=zeros(200), headers={"content-type": content_type, **length}
    )

    assert await refused(client, answer) == 413
    assert answer.json()["error"]["code"] == "request_too_large"


async def test_headers_over_the_limit_are_refused(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/models", headers={"x": "y" * 100_000})

    assert await refused(client, answer) == 431


async def test_path_over_the_limit_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.get("/upstream/" + "y" * 40_000)

    assert await refused(client, answer) == 414


async def test_endpoints_ask_for_the_key_but_nothing_else_does(client: httpx.AsyncClient) -> None:
    del client.headers["authorization"]

    asked = {path: (await client.get(path)).status_code for path in ("/v1/models", "/running", "/logs", "/", "/health")}
    asked["/nowhere"] = (await client.get("/nowhere")).status_code
    asked["OPTIONS"] = (await client.options("/v1/chat/completions")).status_code

    assert asked == {
        "/v1/models": 401,
        "/running": 401,
        "/logs": 401,
        "/": 302,  # to the page, which asks
        "/health": 200,
        "/nowhere": 404,
        "OPTIONS": 204,
    }


async def test_head_has_the_length_of_the_body_it_does_not_send(client: httpx.AsyncClient) -> None:
    head = await client.head("/api/version")
    get = await client.get("/api/version")

    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(get.content))


@pytest.mark.parametrize("method", ["OPTIONS", "HEAD", "GET"])
async def test_errors_are_complete_for_every_method(client: httpx.AsyncClient, method: str) -> None:
    for _ in range(2):  # over one connection: a body too many would be taken for the next answer
        answer = await client.request(method, "/nowhere")

    assert answer.status_code == (204 if method == "OPTIONS" else 404)


async def test_server_speaks_tls_when_it_is_given_the_files() -> None:
    app = application()

    plain = server_config(app)
    tls = server_config(app, tls=TlsFiles("cert.pem", "key.pem"))

    assert (plain.is_ssl, plain.http) == (False, LimitedProtocol)
    assert (tls.is_ssl, tls.ssl_certfile, tls.ssl_keyfile) == (True, "cert.pem", "key.pem")


async def test_error_bodies_are_the_golden_sample(client: httpx.AsyncClient) -> None:
    """Section 3.4 of the specification."""
    answer = await client.post("/v1/chat/completions", json={"model": "<b>"})

    assert (
        answer.content
        == json.dumps(
            {
                "src": "llama-swap",
                "error": {
                    "message": "no router for requested model",
                    "type": "invalid_request_error",
                    "param": None,
                    "code": "not_found",
                },
            },
            separators=(",", ":"),
        ).encode()
    )


@pytest.fixture
def collector() -> Iterator[None]:
    """Undoes what our server does to Python's garbage collection."""
    thresholds = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)


@pytest.mark.usefixtures("collector")
async def test_who_still_waits_for_a_model_when_time_is_up_is_told_so() -> None:
    command = shlex.join(argv(0, "--health-hang")).replace("--port 0", "--port ${PORT}")
    never = json.dumps({"models": {"never": {"cmd": command}}})
    app = create_app(ActiveConfig(lambda _ports: load_text(never, "config.yaml", {})))
    answers: list[httpx.Response] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Server(server_config(app), app.services, drain_s=0.01)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1/chat/completions"

        async def ask() -> None:
            async with httpx.AsyncClient(timeout=60) as client:
                answers.append(await client.post(url, json={"model": "never"}))

        async with anyio.create_task_group() as group:
            # `_serve` and not `serve`: that one would take over the signals of the test run.
            group.start_soon(server._serve, [listener])
            group.start_soon(ask)
            with anyio.fail_after(60):
                while not app.services.supervisor.view().waiting:
                    await anyio.lowlevel.checkpoint()
            server.end(0)

    (answer,) = answers
    assert answer.status_code == 503
    assert "shutting down" in answer.text
