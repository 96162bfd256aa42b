"""Which headers go on, and which come back."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from app.proxy.headers import HOP_BY_HOP, peer_headers, request_headers, response_headers, with_instead

Headers = list[tuple[bytes, bytes]]


def to_upstream(*headers: tuple[bytes, bytes], method: str = "GET", body_size: int = 0, client: bytes = b"") -> Headers:
    return request_headers(
        [(b"host", b"h"), *headers], method=method, body_size=body_size, client=client, host=b"fallback"
    )


def test_end_to_end_headers_keep_order_and_bytes() -> None:
    sent = [
        (b"accept", b"*/*"),
        (b"x-a", b"1"),
        (b"accept-encoding", b"br, gzip"),
        (b"x-a", b"\xff"),
        (b"cookie", b"c"),
    ]

    assert to_upstream(*sent) == [(b"host", b"h"), *sent]


@pytest.mark.parametrize("name", sorted(HOP_BY_HOP))
def test_hop_by_hop_headers_stay_here(name: bytes) -> None:
    assert name not in dict(to_upstream((name, b"x"), (b"a", b"b")))
    assert response_headers([(name, b"x"), (b"a", b"b")], 200) == [(b"a", b"b")]


@pytest.mark.parametrize("value", [b"x-a, X-B", b"keep-alive,x-a ,\tx-b", b"close, X-A,x-b"])
def test_headers_named_in_connection_stay_here(value: bytes) -> None:
    named = [(b"x-a", b"1"), (b"connection", value), (b"x-b", b"2"), (b"x-c", b"3")]

    assert to_upstream(*named) == [(b"host", b"h"), (b"x-c", b"3")]
    assert response_headers(named, 200) == [(b"x-c", b"3")]


def test_connection_may_stand_in_several_headers() -> None:
    named = [(b"connection", b"x-a"), (b"x-a", b"1"), (b"connection", b"x-b"), (b"x-b", b"2")]

    assert to_upstream(*named) == [(b"host", b"h")]
    assert response_headers(named, 200) == []


@pytest.mark.parametrize("value", [b"keep-alive", b"close"])
def test_the_usual_connection_headers_name_nothing(value: bytes) -> None:
    assert to_upstream((b"connection", value), (b"x-a", b"1")) == [(b"host", b"h"), (b"x-a", b"1")]


def test_a_client_cannot_have_our_own_headers_removed() -> None:
    headers = to_upstream(
        (b"connection", b"host, content-length, x-forwarded-for"), (b"content-length", b"3"), body_size=3, client=b"::1"
    )

    assert headers == [(b"host", b"h"), (b"x-forwarded-for", b"::1"), (b"content-length", b"3")]


@pytest.mark.parametrize(
    ("value", "kept"), [(b"trailers", True), (b"gzip, Trailers", True), (b"gzip", False), (b"", False)]
)
def test_of_te_only_trailers_is_passed_on(value: bytes, kept: bool) -> None:
    headers = to_upstream((b"te", value), (b"connection", b"te"))

    assert ((b"te", b"trailers") in headers) == kept
    assert len(headers) == 1 + kept


def test_the_clients_address_is_appended() -> None:
    assert to_upstream(client=b"10.0.0.9")[-1] == (b"x-forwarded-for", b"10.0.0.9")
    assert to_upstream((b"x-forwarded-for", b"1.1.1.1"), (b"x-forwarded-for", b"2.2.2.2"), client=b"10.0.0.9") == [
        (b"host", b"h"),
        (b"x-forwarded-for", b"1.1.1.1, 2.2.2.2, 10.0.0.9"),
    ]


def test_without_an_address_the_list_stays_as_it_is() -> None:
    assert to_upstream((b"x-forwarded-for", b"1.1.1.1"))[-1] == (b"x-forwarded-for", b"1.1.1.1")


def test_host_is_the_clients_first_one() -> None:
    assert to_upstream((b"host", b"second")) == [(b"host", b"h")]


def test_host_is_supplied_when_missing() -> None:
    assert request_headers([(b"a", b"b")], method="GET", body_size=0, client=b"", host=b"up:1") == [
        (b"host", b"up:1"),
        (b"a", b"b"),
    ]


@pytest.mark.parametrize(
    ("method", "sent", "size", "expected"),
    [
        ("POST", (b"content-length", b"99"), 5, b"5"),
        ("POST", (b"transfer-encoding", b"chunked"), 5, b"5"),
        ("POST", (b"a", b"b"), 0, b"0"),
        ("DELETE", (b"transfer-encoding", b"chunked"), 0, b"0"),
        ("DELETE", (b"content-length", b"0"), 0, b"0"),
        ("GET", (b"a", b"b"), 7, b"7"),
        ("GET", (b"a", b"b"), 0, None),
    ],
)
def test_length_is_that_of_the_body_as_sent(
    method: str, sent: tuple[bytes, bytes], size: int, expected: bytes | None
) -> None:
    headers = to_upstream(sent, method=method, body_size=size)

    assert [value for name, value in headers if name == b"content-length"] == ([expected] if expected else [])
    assert b"transfer-encoding" not in dict(headers)


def test_expectation_is_fulfilled_here() -> None:
    assert to_upstream((b"expect", b"100-continue")) == [(b"host", b"h")]


def test_credentials_stay_here() -> None:
    """Whether they were checked or not: they are for us."""
    sent = [(b"authorization", b"Bearer k"), (b"x-api-key", b"k"), (b"x-other", b"o")]

    assert to_upstream(*sent) == [(b"host", b"h"), (b"x-other", b"o")]


def to_peer(*headers: tuple[bytes, bytes], method: str = "GET", body_size: int = 0, api_key: str = "") -> Headers:
    return peer_headers(
        [(b"host", b"h"), *headers], method=method, body_size=body_size, host=b"peer:1", api_key=api_key
    )


def test_peer_gets_end_to_end_headers_and_its_own_name() -> None:
    sent = [(b"accept", b"*/*"), (b"user-agent", b"u"), (b"x-a", b"1"), (b"x-a", b"\xff")]

    assert to_peer(*sent) == [(b"host", b"peer:1"), *sent]


@pytest.mark.parametrize(
    "name",
    sorted(
        HOP_BY_HOP
        | {b"authorization", b"x-api-key", b"cookie", b"forwarded", b"x-forwarded-for", b"x-forwarded-host"}
        | {b"x-forwarded-proto", b"x-forwarded-anything", b"expect"}
    ),
)
@pytest.mark.parametrize("api_key", ["", "sk-peer"])
def test_peer_learns_nothing_of_the_client(name: bytes, api_key: str) -> None:
    headers = to_peer((name, b"secret"), (b"a", b"b"), api_key=api_key)

    assert not any(b"secret" in value for _, value in headers)
    assert (b"a", b"b") in headers


def test_peer_is_asked_with_its_own_key() -> None:
    sent = [(b"authorization", b"Bearer client"), (b"x-api-key", b"client")]

    assert to_peer(*sent, api_key="sk-peer") == [
        (b"host", b"peer:1"),
        (b"authorization", b"Bearer sk-peer"),
        (b"x-api-key", b"sk-peer"),
    ]


def test_client_cannot_have_the_peers_key_removed() -> None:
    headers = to_peer((b"connection", b"authorization, x-api-key, x-a, host"), (b"x-a", b"1"), api_key="k")

    assert headers == [(b"host", b"peer:1"), (b"authorization", b"Bearer k"), (b"x-api-key", b"k")]


@pytest.mark.parametrize(("value", "kept"), [(b"trailers", True), (b"gzip", False)])
def test_of_te_only_trailers_is_passed_on_to_a_peer(value: bytes, kept: bool) -> None:
    assert ((b"te", b"trailers") in to_peer((b"te", value), (b"connection", b"te"))) == kept


@pytest.mark.parametrize(
    ("method", "sent", "size", "expected"),
    [
        ("POST", (b"content-length", b"99"), 5, b"5"),
        ("POST", (b"a", b"b"), 0, b"0"),
        ("DELETE", (b"transfer-encoding", b"chunked"), 0, b"0"),
        ("DELETE", (b"content-length", b"0"), 0, b"0"),
        ("GET", (b"a", b"b"), 7, b"7"),
        ("GET", (b"a", b"b"), 0, None),
    ],
)
def test_length_for_a_peer_is_that_of_the_body_as_sent(
    method: str, sent: tuple[bytes, bytes], size: int, expected: bytes | None
) -> None:
    headers = to_peer(sent, method=method, body_size=size)

    assert [value for name, value in headers if name == b"content-length"] == ([expected] if expected else [])
    assert b"transfer-encoding" not in dict(headers)


def test_answers_keep_their_date_and_server() -> None:
    headers = [(b"date", b"d"), (b"server", b"llama.cpp"), (b"content-length", b"5"), (b"content-type", b"text/plain")]

    assert response_headers(headers, 200) == headers


@pytest.mark.parametrize("value", [b"text/event-stream", b"Text/Event-Stream; charset=utf-8"])
def test_event_streams_are_not_to_be_held_back(value: bytes) -> None:
    sent = [(b"content-type", value), (b"x-accel-buffering", b"yes")]

    assert response_headers(sent, 200) == [(b"content-type", value), (b"x-accel-buffering", b"no")]


def test_other_answers_keep_their_own_wish_for_buffering() -> None:
    sent = [(b"content-type", b"application/json"), (b"x-accel-buffering", b"yes")]

    assert response_headers(sent, 200) == sent


@pytest.mark.parametrize("status", [204, 304])
def test_length_of_a_body_that_is_not_there_is_dropped(status: int) -> None:
    assert response_headers([(b"content-length", b"5"), (b"etag", b"e")], status) == [(b"etag", b"e")]


def test_headers_sent_instead_replace_all_of_their_names_and_empty_ones_only_remove() -> None:
    headers = [(b"a", b"1"), (b"x", b"1"), (b"b", b"2"), (b"x", b"2"), (b"y", b"3")]

    assert with_instead(headers, [(b"x", b"9"), (b"y", b"")]) == [(b"a", b"1"), (b"b", b"2"), (b"x", b"9")]
    assert with_instead(headers, ()) == headers


NAMES = [
    b"host",
    b"connection",
    b"te",
    b"x-forwarded-for",
    b"content-length",
    b"expect",
    b"authorization",
    b"x-a",
    b"x-b",
]
VALUES = [b"keep-alive", b"close", b"x-a", b"trailers", b"10", b"text/event-stream", b"a, b"]
MARKED = (b"x-twice", b"1")
"""A header that stands there twice makes all of them be looked at one by one."""


@given(
    st.lists(
        st.tuples(st.sampled_from([*NAMES, b"content-type"]), st.sampled_from(VALUES)), unique_by=lambda each: each[0]
    )
)
def test_headers_sorted_at_once_are_what_they_are_one_by_one(headers: Headers) -> None:
    def asked(*more: tuple[bytes, bytes]) -> Headers:
        found = request_headers([*headers, *more], method="GET", body_size=0, client=b"::1", host=b"fallback")
        return [header for header in found if header != MARKED]

    def answered(*more: tuple[bytes, bytes]) -> Headers:
        return [header for header in response_headers([*headers, *more], 200) if header != MARKED]

    assert asked() == asked(MARKED, MARKED)
    assert answered() == answered(MARKED, MARKED)
