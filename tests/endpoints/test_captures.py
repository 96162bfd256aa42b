from __future__ import annotations

import base64
import gzip
import json
import shutil
import socket
import tracemalloc
from typing import Any

import anyio
import httpx
import pytest
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from app.asgi import Body, read_body, send_bytes
from app.endpoints import captures as module
from app.endpoints.captures import decoded, routes
from app.middleware.errors import ErrorBoundary
from app.middleware.paths import Dispatch
from app.telemetry.capture_export import ARGUMENT, curl, is_showable
from app.telemetry.captures import Captures
from tests.asgi import Reply, call
from tests.middleware.serving import served
from tests.telemetry.capturing import JSON, idle, noise, record, running

pytestmark = pytest.mark.anyio

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")


def store() -> Captures:
    return Captures(64 << 20, decoded)


def app_of(captures: Captures, stalled_s: float = module.STALLED_S) -> ASGIApp:
    return ErrorBoundary(Dispatch(routes(captures, stalled_s), nothing))


async def nothing(_scope: Scope, _receive: Receive, _send: Send) -> None:
    raise AssertionError


async def ask(captures: Captures, path: str, query: bytes = b"", method: str = "GET", **arguments: Any) -> Reply:
    return await call(app_of(captures), method, path, query=query, **arguments)


def error_of(reply: Reply) -> tuple[int, str]:
    return reply.status, json.loads(reply.body)["error"]["message"]


# one capture


async def test_json_of_a_capture_byte_for_byte() -> None:
    captures = store()
    record(
        captures, 1, request=b'{"model":"a"}',
        request_headers=[(b"x-b", b"<1>"), (b"authorization", b"Bearer sk"), (b"accept", b"a"), (b"accept", b"b")],
        headers=[(b"content-type", b"text/plain")], chunks=[b"hello"],
    )  # fmt: skip
    reply = await ask(captures, "/api/captures/1")

    assert reply.status == 200
    assert reply.header("content-type") == "application/json"
    assert reply.header("content-length") == str(len(reply.body))
    assert reply.body.startswith(
        b'{"id":1,"req_path":"/v1/chat/completions",'
        b'"req_headers":{"Accept":"a","Authorization":"[REDACTED]","X-B":"\\u003c1\\u003e"},"req_body":"eyJtb2RlbCI6ImEifQ==",'
        b'"resp_headers":{"Content-Type":"text/plain"},"resp_body":"aGVsbG8=","method":"POST","status":200,"time":"2'
    )
    assert list(json.loads(reply.body)) == [
        "id", "req_path", "req_headers", "req_body", "resp_headers", "resp_body", "method", "status", "time",
        "duration_ms", "req_size", "req_truncated", "resp_size", "resp_truncated", "error",
    ]  # fmt: skip


async def test_what_is_absent_is_null() -> None:
    captures = store()
    recorder = captures.recorder("POST", "/v1/images/edits", [], Body(b"image"))
    captures.add(3, recorder, "gone")
    document = json.loads((await ask(captures, "/api/captures/3")).body)

    assert {name: document[name] for name in ("id", "req_headers", "req_body", "resp_headers", "resp_body")} == {
        "id": 3,
        "req_headers": {},
        "req_body": None,
        "resp_headers": None,
        "resp_body": None,
    }
    assert (document["error"], document["status"], document["req_size"]) == ("gone", 0, 5)


async def test_large_capture_goes_out_in_pieces() -> None:
    captures = store()
    body = noise(3_000_000)
    record(captures, 1, request=body, chunks=[body[:1], body[1:]])
    reply = await ask(captures, "/api/captures/1")
    document = json.loads(reply.body)

    assert base64.b64decode(document["req_body"]) == base64.b64decode(document["resp_body"]) == body
    assert max(len(message.get("body", b"")) for message in reply.messages) <= 64 << 10
    assert reply.header("content-length") == str(len(reply.body))


async def test_encoded_answer_is_shown_decoded() -> None:
    captures = store()
    async with running(captures):
        record(captures, 1, headers=[(b"content-encoding", b"gzip")], chunks=[gzip.compress(b"hello")])
        await idle(captures)
        document = json.loads((await ask(captures, "/api/captures/1")).body)

    assert (document["resp_body"], document["resp_headers"]) == ("aGVsbG8=", {})


@pytest.mark.parametrize("suffix", ["", "/curl", "/har"])
@pytest.mark.parametrize("named", ["0", "01", "-1", "1.0", "x", "%D9%A1", "1%0A", "+1", "9" * 19])
async def test_what_is_no_id_is_told(named: str, suffix: str) -> None:
    assert error_of(await ask(store(), f"/api/captures/{named}{suffix}")) == (400, "invalid capture ID")


@pytest.mark.parametrize("suffix", ["", "/curl", "/har"])
async def test_unknown_id_is_told(suffix: str) -> None:
    assert error_of(await ask(store(), f"/api/captures/7{suffix}")) == (404, "capture not found")


async def test_delete_of_one() -> None:
    captures = store()
    record(captures, 1)
    record(captures, 2)
    reply = await ask(captures, "/api/captures/1", method="DELETE")

    assert (reply.status, reply.body) == (200, b'{"msg":"ok"}\n')
    assert captures.ids().ids == [2]
    assert error_of(await ask(captures, "/api/captures/1", method="DELETE")) == (404, "capture not found")
    assert error_of(await ask(captures, "/api/captures/x", method="DELETE")) == (400, "invalid capture ID")


async def test_delete_of_all() -> None:
    captures = store()
    record(captures, 1)
    record(captures, 2)
    reply = await ask(captures, "/api/captures", method="DELETE")

    assert (reply.status, reply.body, len(captures)) == (200, b'{"msg":"ok"}\n', 0)


async def test_other_methods_are_refused() -> None:
    reply = await ask(store(), "/api/captures/1", method="PUT")

    assert (reply.status, reply.header("allow")) == (405, "DELETE, GET, HEAD")


# search


@pytest.mark.parametrize(
    ("query", "ids", "complete"),
    [
        (b"", [3, 2, 1], True),
        (b"q=", [3, 2, 1], True),
        (b"limit=2", [3, 2], False),
        (b"q=paris", [3, 1], True),
        (b"q=PARIS&limit=1", [3], False),
        (b"q=gr%C3%B6%C3%9Fe+x", [2], True),
        (b"q=nobody", [], True),
    ],
)
async def test_search(query: bytes, ids: list[int], complete: bool) -> None:
    captures = store()
    record(captures, 1, request=b'{"prompt":"Paris"}')
    record(captures, 2, request='{"prompt":"größe x"}'.encode())
    record(captures, 3, chunks=[b"in Paris"])
    reply = await ask(captures, "/api/captures", query)

    assert json.loads(reply.body) == {"ids": ids, "complete": complete}


@pytest.mark.parametrize("limit", [b"0", b"1000", b"x", b"-1", b""])
async def test_limit_that_is_none_is_told(limit: bytes) -> None:
    reply = await ask(store(), "/api/captures", b"limit=" + limit)

    assert error_of(reply) == (400, "limit must be between 1 and 999")


async def test_text_that_is_too_long_is_told() -> None:
    reply = await ask(store(), "/api/captures", b"q=" + b"x" * 1001)

    assert error_of(reply) == (400, "q must not be longer than 1000 characters")


# as a curl command


class Echo:
    """An ASGI application that keeps what it was asked."""

    def __init__(self) -> None:
        self.method = ""
        self.target = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = b""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.method = scope["method"]
        self.target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
        self.headers = [(bytes(name), bytes(value)) for name, value in scope["headers"]]
        self.body = b"".join([chunk async for chunk in (await read_body(receive)).chunks()])
        await send_bytes(send, 200, b"heard")


BODIES = [
    b'{"model":"a","prompt":"it\'s \\"quoted\\" $HOME `id` \\\\ !x"}',
    b"'",
    b"''\"'\"''",
    b"@/etc/passwd",
    b"-X DELETE",
    b"two\nlines\n",
    b"\n",
    b"tab\there\r\n",
    b"nul\0in the middle\0",
    bytes(range(256)),
    b"\xff\xfe",
    "größe 你好　🙂".encode(),
    "evil\u202etxt".encode(),
    b"\x1b[201~ rm -rf /",
    b"%s %d \\n",
    b"'" * ARGUMENT + b"x",
    b"x" * (ARGUMENT * 4),
    noise(300_000),
    b"",
]


@needs_curl
@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
async def test_curl_command_really_asks_the_same(body: bytes) -> None:
    captures, echo = store(), Echo()
    sent = [(b"x-quote", b'it\'s "$(id)"'), (b"x-empty", b""), (b"content-length", b"1"), (b"host", b"elsewhere")]
    record(captures, 1, request=body, request_headers=sent, target=b"/v1/x%2Fy?a=[1]&b={c}&d='%20\"$x")
    async with served(app_of(captures)) as url, served(echo) as elsewhere, httpx.AsyncClient() as client:
        command = await client.get(f"{url}/api/captures/1/curl")
        assert f"{url}/v1/x%2Fy" in command.text
        done = await anyio.run_process(["sh"], input=command.text.replace(url, elsewhere).encode(), check=False)

    assert command.headers["content-type"] == "text/plain; charset=utf-8"
    assert command.headers["x-content-type-options"] == "nosniff"
    assert done.stdout == b"heard", done.stderr
    assert (echo.method, echo.target, echo.body) == ("POST", b"/v1/x%2Fy?a=[1]&b={c}&d='%20\"$x", body)
    got = sorted(each for each in echo.headers if each[0] not in {b"host", b"content-length"})
    assert got == [(b"x-empty", b""), (b"x-quote", b'it\'s "$(id)"')]


@needs_curl
async def test_curl_command_sends_what_curl_would_add_only_if_it_was_there() -> None:
    captures, echo = store(), Echo()
    sent = [(b"accept", b"text/event-stream"), (b"user-agent", b"x/1"), (b"content-type", b"application/json")]
    record(captures, 1, request_headers=[*sent, (b"accept-encoding", b"gzip"), (b"x-twice", b"1"), (b"x-twice", b"2")])
    async with served(echo) as url:
        capture = await captures.get(1)
        assert capture is not None
        text = b"".join(curl(capture, url)).decode()
        await anyio.run_process(["sh"], input=text.encode())

    got = sorted(each for each in echo.headers if each[0] not in {b"host", b"content-length"})
    assert got == sorted([*sent, (b"x-twice", b"1"), (b"x-twice", b"2")])


async def test_curl_command_is_one_that_people_can_read() -> None:
    captures = store()
    record(captures, 1, request=b'{"model":"a"}', request_headers=[*JSON, (b"authorization", b"Bearer sk")])
    reply = await ask(captures, "/api/captures/1/curl", headers=[(b"host", b"llm.example:8080")])

    assert reply.body.decode() == (
        "curl --globoff --request POST http://llm.example:8080/v1/chat/completions \\\n"
        "  --header 'Content-Type: application/json' \\\n"
        "  --header 'Authorization: [REDACTED]' \\\n"
        "  --header Accept: \\\n"
        "  --header User-Agent: \\\n"
        '  --data-raw \'{"model":"a"}\'\n'
    )


@pytest.mark.parametrize("host", [b"", b"a;id", b"a b", b"x/y", b"\xff"])
async def test_host_that_is_none_is_not_taken_over(host: bytes) -> None:
    captures = store()
    record(captures, 1)
    reply = await ask(captures, "/api/captures/1/curl", headers=[(b"host", host)])

    assert b"--request POST http://127.0.0.1:8080/v1/chat/completions \\\n" in reply.body


async def test_curl_command_says_what_is_missing() -> None:
    captures = store()
    sent = [(b"x-odd", b"\x1b[0m"), (b"x-latin", b"\xe4")]
    record(captures, 1, path="/v1/audio/transcriptions", request=b"sound", request_headers=sent)
    lines = (await ask(captures, "/api/captures/1/curl")).body.decode().splitlines()

    assert lines[0] == "# the body of this request, of 5 bytes, is not kept"
    assert lines[-2:] == [
        "# a value of x-odd cannot be shown and is left out",
        "# a value of x-latin cannot be shown and is left out",
    ]


async def test_path_stands_in_for_a_target_that_is_not_known() -> None:
    captures = store()
    record(captures, 1, path="/v1/ä b?")
    reply = await ask(captures, "/api/captures/1/curl")

    assert b"http://127.0.0.1:8080/v1/%C3%A4%20b%3F \\\n" in reply.body


@pytest.mark.parametrize("offset", range(-4, 3))
@pytest.mark.parametrize(("text", "expected"), [("\u202e", False), ("\x85", False), ("你", True)])
def test_what_a_terminal_obeys_is_found_at_the_seams(offset: int, text: str, expected: bool) -> None:
    assert is_showable(b"x" * ((48 << 10) + offset) + text.encode() + b"y" * 10) is expected


# as HAR


async def har_of(captures: Captures) -> Any:
    reply = await ask(captures, "/api/captures/1/har", headers=[(b"host", b"h:1")])

    assert (reply.status, reply.header("content-type")) == (200, "application/json")
    assert reply.header("content-disposition") == 'inline; filename="capture-1.har"'
    return json.loads(reply.body)


async def test_har_has_what_the_format_asks_for() -> None:
    captures = store()
    record(
        captures, 1, request='{"x":"ü\u2028"}'.encode(), request_headers=[*JSON, (b"cookie", b"a=b")], status=201,
        headers=[*JSON, (b"x-a", b"1"), (b"x-a", b"2")], chunks=[b'{"y":"\xc3', b'\xbc"}'], target=b"/v1/x?a=1&a=&b",
    )  # fmt: skip
    log = (await har_of(captures))["log"]
    entry = log["entries"][0]

    assert (log["version"], log["creator"]["name"], len(log["entries"])) == ("1.2", "Hostler", 1)
    assert set(entry) == {"startedDateTime", "time", "request", "response", "cache", "timings"}
    assert entry["startedDateTime"].endswith("Z")
    assert entry["time"] == pytest.approx(entry["timings"]["wait"] + entry["timings"]["receive"], abs=0.01)
    assert entry["request"] == {
        "method": "POST",
        "url": "http://h:1/v1/x?a=1&a=&b",
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": [
            {"name": "Content-Type", "value": "application/json"},
            {"name": "Cookie", "value": "[REDACTED]"},
        ],
        "queryString": [{"name": "a", "value": "1"}, {"name": "a", "value": ""}, {"name": "b", "value": ""}],
        "headersSize": -1,
        "bodySize": 13,
        "postData": {"mimeType": "application/json", "text": '{"x":"ü\u2028"}'},
    }
    assert entry["response"] == {
        "status": 201,
        "statusText": "Created",
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": [
            {"name": "Content-Type", "value": "application/json"},
            {"name": "X-A", "value": "1"},
            {"name": "X-A", "value": "2"},
        ],
        "redirectURL": "",
        "headersSize": -1,
        "bodySize": 10,
        "content": {"size": 10, "mimeType": "application/json", "text": '{"y":"ü"}'},
    }


async def test_har_of_binary_bodies_is_base64() -> None:
    captures = store()
    body = noise(100_000)
    record(captures, 1, request=body, chunks=[body], headers=[], request_headers=[])
    entry = (await har_of(captures))["log"]["entries"][0]

    assert base64.b64decode(entry["request"]["postData"]["text"]) == body
    assert entry["request"]["postData"]["_encoding"] == "base64"
    assert base64.b64decode(entry["response"]["content"]["text"]) == body
    assert entry["response"]["content"]["encoding"] == "base64"


async def test_har_of_long_text_is_whole() -> None:
    captures = store()
    text = 'aü你🙂\n"\\\x00' * 40_000
    record(captures, 1, request=text.encode(), chunks=[text.encode()])
    entry = (await har_of(captures))["log"]["entries"][0]

    assert entry["request"]["postData"]["text"] == text
    assert entry["response"]["content"]["text"] == text


async def test_har_of_what_failed_says_why() -> None:
    captures = store()
    recorder = captures.recorder("POST", "/v1/images/edits", [], Body(b"image"))
    captures.add(1, recorder, "it <broke>", 599)
    entry = (await har_of(captures))["log"]["entries"][0]

    assert entry["comment"] == "it <broke>"
    assert (entry["response"]["status"], entry["response"]["statusText"]) == (599, "")
    assert "postData" not in entry["request"]
    assert entry["response"]["content"] == {"size": 0, "mimeType": "x-unknown"}


async def test_har_says_what_is_not_whole() -> None:
    captures = store()
    record(captures, 1, request=Body(b"", None, 9), status=500, chunks=[b"x" * 70_000])
    entry = (await har_of(captures))["log"]["entries"][0]

    assert entry["request"]["comment"] == "not kept whole"
    assert entry["response"]["content"]["comment"] == "not kept whole"


# clients that read nothing


async def stalled(url: str) -> socket.socket:
    """Returns a client's end that has asked for capture 1 and reads nothing."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    port = int(url.rpartition(":")[2])
    client.setblocking(False)
    try:
        client.connect(("127.0.0.1", port))
    except BlockingIOError:
        await anyio.wait_writable(client)
    client.send(b"GET /api/captures/1 HTTP/1.1\r\nhost: x\r\n\r\n")
    return client


def downloads_of(app: ASGIApp) -> module.Downloads:
    assert isinstance(app, ErrorBoundary)
    assert isinstance(app._app, Dispatch)
    show = next(
        each.app for each in app._app._patterned if isinstance(each, Route) and each.path == "/api/captures/{id}"
    )
    assert isinstance(show, module.Show)
    return show._downloads


async def until_held(downloads: module.Downloads, count: int, size: int) -> None:
    with anyio.fail_after(20):
        while downloads._held != count * size:
            await anyio.sleep(0.001)


async def test_client_that_reads_nothing_holds_up_nobody_and_costs_a_bounded_amount() -> None:
    captures = store()
    record(captures, 1, chunks=[noise(3_000_000)])
    record(captures, 2)
    app = app_of(captures)
    async with running(captures), served(app) as url, httpx.AsyncClient(base_url=url, timeout=20) as client:
        await idle(captures)
        size = int((await client.get("/api/captures/1")).headers["content-length"])
        tracemalloc.start()
        try:
            sockets = [await stalled(url) for _ in range(20)]
            await until_held(downloads_of(app), module.DOWNLOADS // size, size)
            for _ in range(20):
                assert (await client.get("/api/captures/2")).status_code == 200
            refused = await client.get("/api/captures/1")
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "5"
        assert peak < 2 * module.DOWNLOADS
        for each in sockets:
            each.close()
        await until_held(downloads_of(app), 0, size)
        assert (await client.get("/api/captures/1")).status_code == 200


async def test_client_that_reads_nothing_for_too_long_is_given_up() -> None:
    captures = store()
    record(captures, 1, chunks=[noise(3_000_000)])
    gone = anyio.Event()
    asked = 0

    async def read_nothing(message: Any) -> None:
        nonlocal asked
        asked += 1
        if asked == 5:
            await gone.wait()

    app = app_of(captures, 0.01)
    reply = Reply()
    with anyio.fail_after(20):
        await call(app, path="/api/captures/1", on_send=read_nothing, reply=reply)

    assert not reply.complete
    assert downloads_of(app)._held == 0
