from __future__ import annotations

import json

import pytest

from app import errors
from app.errors import (
    ConfigError,
    Conflict,
    HostlerError,
    NotFound,
    NotReady,
    Problem,
    RequestError,
    ShuttingDown,
    StartFailed,
    TooLarge,
    TooManyRequests,
    Unauthorized,
    Unavailable,
    Unloaded,
    UpstreamError,
    UpstreamTimeout,
    dialect_of,
    escape_json,
    format_for,
    json_body,
    render,
)
from app.launchers.protocol import LaunchError


@pytest.mark.parametrize(
    ("error", "status", "kind", "code"),
    [
        (RequestError("m"), 400, "invalid_request_error", "bad_request"),
        (NotFound("m"), 404, "invalid_request_error", "not_found"),
        (Conflict("m"), 409, "invalid_request_error", "conflict"),
        (TooLarge("m"), 413, "invalid_request_error", "request_too_large"),
        (TooManyRequests("m"), 429, "rate_limit_error", "concurrency_limit"),
        (HostlerError("m"), 500, "server_error", "internal_error"),
        (StartFailed("m"), 500, "server_error", "internal_error"),
        (LaunchError("m"), 500, "server_error", "internal_error"),
        (Unloaded("m"), 500, "server_error", "internal_error"),
        (UpstreamError("m"), 502, "server_error", "bad_gateway"),
        (NotReady("m"), 503, "server_error", "service_unavailable"),
        (Unavailable("m"), 503, "server_error", "service_unavailable"),
        (ShuttingDown("m"), 503, "server_error", "service_unavailable"),
        (UpstreamTimeout("m"), 504, "server_error", "gateway_timeout"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_error_becomes_the_body_that_existing_clients_know(
    error: HostlerError, status: int, kind: str, code: str
) -> None:
    rendered = render(error)

    assert rendered.status == status
    assert rendered.body == (
        b'{"src":"llama-swap","error":{"message":"m","type":"%b","param":null,"code":"%b"}}'
        % (kind.encode(), code.encode())
    )


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (401, "authentication_error", "unauthorized"),
        (403, "authentication_error", "forbidden"),
        (418, "invalid_request_error", "invalid_request"),
        (429, "rate_limit_error", "rate_limit_exceeded"),
        (500, "server_error", "internal_error"),
        (599, "server_error", "internal_error"),
    ],
)
def test_status_without_a_class_has_its_type_and_code(status: int, kind: str, code: str) -> None:
    assert json.loads(json_body(status, "m"))["error"] == {"message": "m", "type": kind, "param": None, "code": code}


def test_every_class_that_clients_are_told_of_has_a_status_of_its_fault() -> None:
    def all_below(kind: type[HostlerError]) -> list[type[HostlerError]]:
        return [kind, *(each for below in kind.__subclasses__() for each in all_below(below))]

    assert all(400 <= kind.status < 500 for kind in all_below(RequestError))
    assert all(500 <= kind.status < 600 for kind in [*all_below(UpstreamError), *all_below(Unavailable)])


def test_too_many_requests_is_the_golden_sample() -> None:
    """A8 of the specification."""
    rendered = render(TooManyRequests("Too many requests"))

    assert rendered.status == 429
    assert rendered.headers == [
        (b"retry-after", b"1"),
        (b"content-type", b"application/json"),
        (b"content-length", b"126"),
    ]
    assert rendered.body == (
        b'{"src":"llama-swap","error":{"message":"Too many requests","type":"rate_limit_error","param":null,'
        b'"code":"concurrency_limit"}}'
    )


@pytest.mark.parametrize("accept", ["text/plain", "text/html", "*/*"])
def test_too_many_requests_is_json_whatever_was_asked_for(accept: str) -> None:
    rendered = render(TooManyRequests("m", retry_after_s=7), accept)

    assert rendered.headers[:2] == [(b"retry-after", b"7"), (b"content-type", b"application/json")]
    assert json.loads(rendered.body)["error"]["code"] == "concurrency_limit"


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("", "json"),
        ("*/*", "json"),
        ("application/json", "json"),
        ("application/json, text/event-stream", "json"),
        ("text/plain", "text"),
        ("application/xml, text/plain;q=0.5", "text"),
        ("text/html,application/xhtml+xml", "html"),
        ("text/html, text/plain", "text"),
    ],
)
def test_accept_chooses_the_format(accept: str, chosen: errors.Format) -> None:
    assert format_for(accept) == chosen


def test_text_says_who_speaks() -> None:
    rendered = render(NotFound("größer <b>"), "text/plain")

    assert rendered.status == 404
    assert rendered.headers == [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"24")]
    assert rendered.body.decode() == "llama-swap: größer <b>"


def test_page_escapes_the_message() -> None:
    """Byte for byte as Go does it."""
    rendered = render(NotFound("<script>\"x\" & 'y'</script>"), "text/html")

    assert rendered.headers[0] == (b"content-type", b"text/html; charset=utf-8")
    assert rendered.headers[1] == (b"content-length", str(len(rendered.body)).encode())
    assert rendered.body == (
        b"<html><body><h1>llama-swap</h1><p>&lt;script&gt;&#34;x&#34; &amp; &#39;y&#39;&lt;/script&gt;</p></body></html>"
    )


@pytest.mark.parametrize(
    ("path", "dialect"),
    [
        ("/v1/messages", "anthropic"),
        ("/v1/messages/count_tokens", "anthropic"),
        ("/v/messages", "anthropic"),
        ("/v/messages/count_tokens", "anthropic"),
        ("/upstream/a/b/v1/messages", "anthropic"),
        ("/upstream/a\n/v1/messages", "anthropic"),
        ("/v1/messages2", "openai"),
        ("/v1/chat/completions", "openai"),
        ("/x/v1/messages", "openai"),
        ("/upstream/v1/messages", "openai"),
        ("/", "openai"),
    ],
)
def test_path_tells_the_dialect(path: str, dialect: errors.Dialect) -> None:
    assert dialect_of(path) == dialect


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (RequestError("m"), "invalid_request_error"),
        (Unauthorized("m"), "authentication_error"),
        (NotFound("m"), "not_found_error"),
        (Conflict("m"), "invalid_request_error"),
        (TooLarge("m"), "request_too_large"),
        (TooManyRequests("m"), "rate_limit_error"),
        (StartFailed("m"), "api_error"),
        (UpstreamError("m"), "api_error"),
        (NotReady("m"), "overloaded_error"),
        (UpstreamTimeout("m"), "api_error"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_error_has_the_type_that_anthropic_clients_know(error: HostlerError, kind: str) -> None:
    rendered = render(error, dialect="anthropic")

    assert rendered.status == error.status
    assert rendered.body == b'{"type":"error","error":{"type":"%b","message":"m"}}' % kind.encode()


def test_anthropic_client_that_is_a_browser_sees_a_page() -> None:
    assert render(NotFound("m"), "text/html", "anthropic").body.startswith(b"<html>")


def test_client_without_a_key_is_told_how_to_show_one() -> None:
    rendered = render(Unauthorized("m"))

    assert (rendered.status, rendered.headers[0]) == (401, (b"www-authenticate", b'Basic realm="llama-swap"'))


@pytest.mark.parametrize("accept", ["application/json", "text/plain", "text/html"])
def test_half_of_a_character_in_a_message_is_no_reason_to_fail(accept: str) -> None:
    rendered = render(NotFound("no model '\ud800'"), accept)

    rendered.body.decode()
    if accept == "application/json":
        assert json.loads(rendered.body)["error"]["message"] == "no model '\ud800'"


def test_json_is_harmless_inside_a_page_and_means_the_same() -> None:
    message = '</script><b>&"\\\n größe\u2028'

    body = render(NotFound(message)).body

    assert not any(character in body for character in b"<>&\n")
    assert "größe".encode() in body
    assert json.loads(body)["error"]["message"] == message


def test_escapes_are_those_of_go() -> None:
    assert escape_json("<a>&") == "\\u003ca\\u003e\\u0026"


def test_only_what_can_be_tried_again_says_when() -> None:
    assert [name for name, _ in render(NotFound("m")).headers] == [b"content-type", b"content-length"]


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (Problem("m"), "m"),
        (Problem("m", remedy="r"), "m (r)"),
        (Problem("m", path="models.a.ttl"), "models.a.ttl: m"),
        (Problem("m", source="c.yaml"), "c.yaml: m"),
        (Problem("m", "c.yaml", "models.a.ttl", 3, "r"), "c.yaml:3: models.a.ttl: m (r)"),
    ],
)
def test_problem_tells_place_and_remedy(problem: Problem, text: str) -> None:
    assert str(problem) == text
    assert str(ConfigError(problem)) == text
    assert ConfigError(problem).problem is problem
