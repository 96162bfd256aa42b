from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import example, given, strategies as st

from app.telemetry.redact import REDACTED, is_secret, redacted_body, redacted_headers, redacted_target

SECRET_NAMES = [
    "api_key", "apiKey", "API-KEY", "apikey", "x-api-key", "Authorization", "proxy-authorization", "password", "PASSWD",
    "passphrase", "token", "access_token", "refreshToken", "auth-token", "secret", "clientSecret", "secret_access_key",
    "private_key", "cookie", "Set-Cookie",
]  # fmt: skip

HARMLESS_NAMES = [
    "model", "content", "max_tokens", "tokens", "token_count", "passwords", "my_secret", "secrets", "api_key_name",
    'x"password', "password\\", "apikey ", "", "authorizations", 'a\\"token',
]  # fmt: skip


@dataclass(frozen=True)
class Inside:
    """A document that stands in another one as a string of JSON, as the arguments of a tool do."""

    document: Any


scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
names = st.sampled_from(SECRET_NAMES) | st.sampled_from(HARMLESS_NAMES) | st.text(max_size=5)
documents = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(names, inner, max_size=4)
        | st.dictionaries(names, inner, min_size=1, max_size=2).map(Inside)
    ),
    max_leaves=12,
)
styles = st.sampled_from(
    [{}, {"separators": (",", ":")}, {"indent": 1}, {"ensure_ascii": False}, {"separators": (" ,\n", " :\t")}]
)


def written(document: Any, style: Any) -> str:
    return json.dumps(plain(document, style), **style)


def plain(document: Any, style: Any) -> Any:
    match document:
        case Inside(inner):
            return written(inner, style)
        case dict():
            return {name: plain(value, style) for name, value in document.items()}
        case list():
            return [plain(value, style) for value in document]
        case _:
            return document


def without_secrets(document: Any) -> Any:
    """Says the obvious way what `redacted_body` does on bytes."""
    match document:
        case Inside(inner):
            return Inside(without_secrets(inner))
        case dict():
            return {
                name: REDACTED
                if name in SECRET_NAMES
                and isinstance(value, str | int | float | Inside)
                and not isinstance(value, bool)
                else without_secrets(value)
                for name, value in document.items()
            }
        case list():
            return [without_secrets(value) for value in document]
        case _:
            return document


@example({"password": 'a"b\\', "x": Inside({"api_key": 'a"\\b', "y": Inside({"token": '\\"'})})}, {})
@example(Inside(Inside({"secret": "\\\\", "a": Inside({"token": "x"})})), {"indent": 1})
@example({"password": -1.5e300, "token": None, "secret": {"secret": 0}}, {})
@given(documents, styles)
def test_secret_values_are_replaced_and_no_other_byte_changes(document: Any, style: Any) -> None:
    before = written(document, style).encode("utf-8", "surrogatepass")

    after = redacted_body(before)

    assert written(without_secrets(document), style).encode("utf-8", "surrogatepass") == after


@given(st.lists(st.dictionaries(st.sampled_from(HARMLESS_NAMES), scalars)))
def test_body_without_secrets_is_not_even_copied(document: Any) -> None:
    body = json.dumps(document).encode()

    assert redacted_body(body) is body


@given(st.sampled_from(SECRET_NAMES), st.integers(0, 200), st.booleans())
def test_secret_that_is_cut_anywhere_is_gone(name: str, cut: int, inside: bool) -> None:
    document = {"n": [1, {name: "§" * 20 + '"' + "§" * 20}], "x": 1}
    whole = written(Inside(document) if inside else document, {"ensure_ascii": False}).encode()

    assert "§".encode() not in redacted_body(whole[:cut])


@pytest.mark.parametrize("before", range((64 << 10) - 560, (64 << 10) + 20, 7))
def test_secret_is_found_wherever_it_stands_in_a_long_body(before: int) -> None:
    head, tail = b'{"x":"' + b"y" * before, b'","z":"' + b"z" * (200 << 10) + b'"}'

    after = redacted_body(head + b'","api_key" : "sk-1' + tail)

    assert head + b'","api_key" : "[REDACTED]' + tail == after


def test_events_of_a_stream_are_looked_into() -> None:
    event = rb'data: {"delta":{"arguments":"{\"password\": \"x\"}"}}'

    assert redacted_body(event + b"\n\n", of_response=True) == event.replace(b'\\"x\\"', b'\\"[REDACTED]\\"') + b"\n\n"


def test_words_of_an_answer_are_not_secrets() -> None:
    """Log probabilities have a member `token` for each word."""
    body = b'{"logprobs":{"content":[{"token":"Hello","logprob":-0.1}]},"access_token":"x"}'

    assert redacted_body(body, of_response=True) == body.replace(b'"x"', b'"[REDACTED]"')


@pytest.mark.parametrize(
    "name",
    [
        b"authorization", b"Proxy-Authorization", b"cookie", b"Set-Cookie", b"x-api-key", b"api-key", b"x-goog-api-key",
        b"xi-api-key", b"x-auth-token", b"X-Amz-Security-Token", b"private-token", b"cf-access-client-secret",
        b"ocp-apim-subscription-key", b"x-forwarded-authorization",
    ],
)  # fmt: skip
def test_header_is_secret(name: bytes) -> None:
    assert is_secret(name)
    assert redacted_headers([(name, b"x"), (b"a", b"b")]) == [(name, b"[REDACTED]"), (b"a", b"b")]


@pytest.mark.parametrize(
    "name", [b"content-type", b"x-session-id", b"x-ratelimit-remaining-tokens", b"www-authenticate", b"idempotency-key"]
)
def test_header_is_no_secret(name: bytes) -> None:
    assert not is_secret(name)
    assert redacted_headers([(name, b"x")]) == [(name, b"x")]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"/v1/x", b"/v1/x"),
        (b"/v1/x?model=a&api_key=sk&b=token", b"/v1/x?model=a&api_key=[REDACTED]&b=token"),
        (b"/v1/x?key=AIza&Token=1", b"/v1/x?key=[REDACTED]&Token=[REDACTED]"),
        (b"/v1/x?monkey=1&max_tokens=3", b"/v1/x?monkey=1&max_tokens=3"),
        (b"/key=1", b"/key=1"),
    ],
)
def test_query(before: bytes, after: bytes) -> None:
    assert redacted_target(before) == after
