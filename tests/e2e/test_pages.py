"""Pages of models' servers: confined at our own address, free on a port of their own."""

from __future__ import annotations

import re
import shlex
import socket
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app.proxy.sandbox import SANDBOX
from tests.ports import free_port
from tests.program import PATIENCE_S, Program, hostler

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

KEY = {"Authorization": "Basic " + b64encode(b"user:sk-secret").decode()}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    folder = tmp_path_factory.mktemp("pages")
    (folder / "pages").mkdir()
    (folder / "pages" / "index.html").write_text("<p>a page</p>")
    (folder / "pages" / "figures.json").write_text("{}")
    command = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "--directory", str(folder / "pages")]
    config = (
        f"apiKeys: [sk-secret]\nstartPort: {free_port()}\n"
        f"models:\n  site:\n    cmd: {shlex.join(command)} ${{PORT}}\n    checkEndpoint: /\n"
    )
    with hostler(folder, config, "--pages-listen", "127.0.0.1:0") as running:
        # Here, so that its process is the fixture's and no single test's.
        httpx.get(f"{running.url}/upstream/site/", headers=KEY, timeout=PATIENCE_S).raise_for_status()
        yield running


@pytest.fixture
def pages(program: Program) -> str:
    """Returns the URL of the port of pages."""
    program.until(lambda: "models' own pages are on port" in program.text())
    found = re.search(r"models' own pages are on port (\d+)", program.text())
    assert found is not None
    return f"http://127.0.0.1:{found[1]}"


def test_page_is_confined_at_our_own_address(program: Program) -> None:
    answer = httpx.get(f"{program.url}/upstream/site/", headers=KEY)

    assert answer.text == "<p>a page</p>"
    assert answer.headers["content-security-policy"] == SANDBOX[1].decode()


def test_figures_are_sent_as_they_are(program: Program) -> None:
    answer = httpx.get(f"{program.url}/upstream/site/figures.json", headers=KEY)

    assert (answer.text, "content-security-policy" in answer.headers) == ("{}", False)


def test_page_is_free_on_its_own_port(pages: str) -> None:
    answer = httpx.get(f"{pages}/upstream/site/", headers=KEY)

    assert (answer.text, "content-security-policy" in answer.headers) == ("<p>a page</p>", False)


def test_key_is_asked_for_there_too(pages: str) -> None:
    assert httpx.get(f"{pages}/upstream/site/").status_code == 401


@pytest.mark.parametrize("path", ["/", "/ui/", "/v1/models", "/api/events", "/running", "/health", "/metrics"])
def test_nothing_of_ours_is_there(pages: str, path: str) -> None:
    assert httpx.get(pages + path, headers=KEY).status_code == 404


def test_page_of_ours_is_told_of_the_port(program: Program, pages: str) -> None:
    with httpx.stream("GET", f"{program.url}/api/events?types=uiConfig", headers=KEY, timeout=PATIENCE_S) as stream:
        told = next(line for line in stream.iter_lines() if line.startswith("data:"))

    assert rf"\"pages_port\":{pages.rpartition(':')[2]}" in told


def test_page_of_that_port_cannot_unload_by_a_remembered_key(program: Program, pages: str) -> None:
    answer = httpx.post(f"{program.url}/api/models/unload", headers={**KEY, "Origin": pages})

    assert answer.status_code == 403
    assert program_has(program, "site")


def program_has(program: Program, model: str) -> bool:
    running = httpx.get(f"{program.url}/running", headers=KEY).json()["running"]
    return [each["model"] for each in running] == [model]


def test_two_ports_have_to_be_two(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    command = [sys.executable, "-m", "app.cli", "serve", "--config", str(tmp_path / "c.yaml"), "--listen"]
    (tmp_path / "c.yaml").write_text("models: {}\n")

    ran = subprocess.run(
        [*command, f"127.0.0.1:{port}", "--pages-listen", f"127.0.0.1:{port}"],
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert ran.returncode == 1
    assert "expected another port than that of --listen" in ran.stderr
