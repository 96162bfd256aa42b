"""The whole program over HTTPS."""

from __future__ import annotations

import shlex
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from tests.certificates import Certificate, certificate
from tests.fake_upstream import argv
from tests.ports import free_port
from tests.program import PATIENCE_S, Program, hostler

pytestmark = pytest.mark.timeout(120)


@dataclass(frozen=True, slots=True)
class Served:
    program: Program
    pem: Certificate

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.program.url.removeprefix("https://").partition(":")
        return host, int(port)

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.program.url, verify=self.pem.client(), timeout=PATIENCE_S)

    def connect(self) -> ssl.SSLSocket:
        plain = socket.create_connection(self.address, timeout=PATIENCE_S)
        return self.pem.client().wrap_socket(plain, server_hostname="127.0.0.1")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("tls")
    pem = certificate(folder)
    port = free_port()
    config = f"models:\n  a:\n    cmd: {shlex.join(argv(port, '--model', 'a'))}\n    proxy: http://127.0.0.1:{port}\n"
    with hostler(folder, config, "--tls-cert-file", str(pem.file), "--tls-key-file", str(pem.key)) as program:
        one = Served(program, pem)
        with one.client() as client:
            # Here, so that its process is the fixture's and no single test's.
            client.post("/v1/chat/completions", json={"model": "a", "messages": []}).raise_for_status()
        yield one


@pytest.fixture
def client(served: Served) -> Iterator[httpx.Client]:
    with served.client() as one:
        yield one


def test_program_says_that_it_speaks_https(served: Served) -> None:
    assert served.program.url.startswith("https://127.0.0.1:")


def test_model_answers_over_https(client: httpx.Client) -> None:
    answer = client.post("/v1/chat/completions", json={"model": "a", "messages": []})

    assert (answer.status_code, answer.json()["served_by"]) == (200, "a")
    assert answer.http_version == "HTTP/1.1"


def test_stream_arrives_over_https(client: httpx.Client) -> None:
    with client.stream(
        "POST", "/v1/chat/completions", json={"model": "a", "messages": [], "stream": True, "events": 50}
    ) as answer:
        events = [line for line in answer.iter_lines() if line.startswith("data: ")]

    assert len(events) >= 50
    assert events[-1] == "data: [DONE]"


def test_large_body_arrives_whole(client: httpx.Client) -> None:
    answer = client.post("/v1/chat/completions", json={"model": "a", "messages": [], "padding": "x" * 5_000_000})

    assert answer.status_code == 200


def test_connection_is_kept_between_requests(served: Served) -> None:
    with served.connect() as connection:
        for _ in range(3):
            connection.sendall(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
            assert b"200 OK" in connection.recv(1000)


def test_what_is_no_http_is_refused_over_https(served: Served) -> None:
    with served.connect() as connection:
        connection.sendall(b"nonsense\r\n\r\n")

        assert connection.recv(10_000).startswith(b"HTTP/1.1 400 Bad Request")
        assert connection.recv(10_000) == b""


def test_only_http_1_1_is_offered(served: Served) -> None:
    context = served.pem.client()
    context.set_alpn_protocols(["h2", "http/1.1"])
    with (
        socket.create_connection(served.address, timeout=PATIENCE_S) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
    ):
        assert connection.selected_alpn_protocol() != "h2"


def test_stranger_to_the_certificate_does_not_talk(served: Served) -> None:
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(served.program.url + "/health", verify=ssl.create_default_context())


def test_plain_http_is_not_served_and_harms_nobody(served: Served, client: httpx.Client) -> None:
    with socket.create_connection(served.address, timeout=PATIENCE_S) as plain:
        plain.sendall(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
        assert b"HTTP/1.1" not in plain.recv(1000)

    assert client.get("/health").text == "OK"
