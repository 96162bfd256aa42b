"""Which answers of upstreams a browser might run."""

from __future__ import annotations

import pytest

from app.proxy.sandbox import SANDBOX, UNCONFINED, may_run
from tests.asgi import Reply, call
from tests.proxy.scripted import Peer, answer, transport_to, upstream
from tests.proxy.test_forwarder import Front

TYPE = b"content-type"


@pytest.mark.parametrize(
    "value",
    [
        b"text/html",
        b"Text/HTML; charset=utf-8",
        b"application/xhtml+xml",
        b"image/svg+xml",
        b"text/xml",
        b"application/xml",
        b"application/pdf",
        b"multipart/x-mixed-replace; boundary=x",
        b"text/css",
        b"unknown/unknown",
        b"",
        b"application/json, text/html",
    ],
)
def test_document_may_run(value: bytes) -> None:
    assert may_run([(b"a", b"b"), (TYPE, value)])


@pytest.mark.parametrize(
    "value",
    [
        b"application/json",
        b"Application/JSON; charset=utf-8",
        b"text/event-stream",
        b"text/plain; charset=utf-8",
        b"audio/mpeg",
        b"image/png",
        b"application/octet-stream",
    ],
)
def test_what_programs_read_does_not_run(value: bytes) -> None:
    assert not may_run([(TYPE, value), (b"a", b"b")])


def test_answer_without_a_type_is_one_that_a_browser_guesses() -> None:
    assert may_run([(b"a", b"b")])


def test_of_two_types_either_counts() -> None:
    assert may_run([(TYPE, b"application/json"), (TYPE, b"text/html")])
    assert may_run([(TYPE, b"text/html"), (TYPE, b"application/json")])


def test_sandbox_gives_no_origin() -> None:
    assert SANDBOX[1].startswith(b"sandbox ")
    assert b"allow-same-origin" not in SANDBOX[1]
    assert b"allow-top-navigation" not in SANDBOX[1]


PAGE = answer(b"<p>", b"Content-Type: text/html", b"Content-Security-Policy: default-src *")


async def forwarded(what: bytes, **extra: object) -> Reply:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        peer.write(what)

    async with upstream(script) as served, transport_to(served.url) as transport:
        return await call(Front(transport), extra=extra)


@pytest.mark.anyio
async def test_page_of_an_upstream_is_confined_besides_what_it_says_itself() -> None:
    reply = await forwarded(PAGE)
    policies = [value for name, value in reply.headers if name == b"content-security-policy"]

    assert policies == [b"default-src *", SANDBOX[1]]


@pytest.mark.anyio
async def test_page_of_an_upstream_is_itself_where_it_may_be() -> None:
    assert SANDBOX not in (await forwarded(PAGE, **{UNCONFINED: True})).headers


@pytest.mark.anyio
async def test_answer_for_programs_gets_no_header_for_pages() -> None:
    reply = await forwarded(answer(b"{}", b"Content-Type: application/json"))

    assert reply.header("content-security-policy") is None
