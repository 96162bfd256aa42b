"""Which headers go on to an upstream, and which come back. PURE.

Source: compatibility specification 3.6. Names of raw headers are in lower case. Nearly all requests and answers have each header once
and nothing unusual in `Connection`: those are sorted in C. Of the others one header is looked at after the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

RawHeaders = list[tuple[bytes, bytes]]

HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
"""Headers that speak of one connection only."""

CREDENTIALS = frozenset({b"authorization", b"x-api-key"})
"""Headers that carry the client's keys. They are ours to check, and reach no upstream and no peer, checked or not."""

_OURS_IN_REQUESTS = HOP_BY_HOP | CREDENTIALS | {b"content-length", b"expect", b"x-forwarded-for"}
_LEFT_OUT_FOR_PEERS = HOP_BY_HOP | CREDENTIALS | {b"content-length", b"cookie", b"expect", b"forwarded", b"host"}

_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
"""Methods that declare even an empty body: some servers answer 411 otherwise."""

_USUAL = frozenset({b"keep-alive", b"Keep-Alive", b"close"})
"""What `Connection` nearly always says; it names no header."""

_PROTECTED = frozenset({b"host", b"content-length", b"x-forwarded-for"})
"""What a client cannot have removed by naming it in `Connection`."""


def request_headers(
    headers: Sequence[tuple[bytes, bytes]],
    method: str,
    body_size: int,
    client: bytes,
    host: bytes,
    named: Mapping[bytes, bytes] | None = None,
) -> RawHeaders:
    """Returns the headers for the upstream.

    `Expect` is not passed on: its body is already here, and follows at once.

    body_size: bytes of the body as it will be sent, whatever the client said.
    client: its address, for `X-Forwarded-For`; empty if not known.
    host: `Host` of a client that sent none.
    named: a value of each of *headers* by its name, if there is such a thing already.
    """
    if named is None:
        named = dict(headers)
    if len(named) == len(headers) and b"te" not in named and named.get(b"connection", b"close") in _USUAL:
        kept = [header for header in headers if header[0] not in _OURS_IN_REQUESTS]
        forwarded = named.get(b"x-forwarded-for", b"")
    else:
        kept, forwarded = _kept_of_request(headers)
    if b"host" not in named:
        kept.insert(0, (b"host", host))
    if client:
        forwarded = _joined(forwarded, client)
    if forwarded:
        kept.append((b"x-forwarded-for", forwarded))
    if body_size or method in _WITH_BODY or b"content-length" in named or b"transfer-encoding" in named:
        kept.append((b"content-length", b"%d" % body_size))
    return kept


def _kept_of_request(headers: Iterable[tuple[bytes, bytes]]) -> tuple[RawHeaders, bytes]:
    """Returns what of *headers* goes on as it is, and what they say in `X-Forwarded-For`."""
    kept: RawHeaders = []
    connection = forwarded = b""
    has_host = False
    for header in headers:
        name = header[0]
        if name == b"host":
            if not has_host:
                has_host = True
                kept.append(header)
        elif name not in _OURS_IN_REQUESTS:
            kept.append(header)
        elif name == b"connection":
            connection = _joined(connection, header[1])
        elif name == b"x-forwarded-for":
            forwarded = _joined(forwarded, header[1])
        elif name == b"te" and b"trailers" in _tokens(header[1]):
            kept.append((b"te", b"trailers"))
    return _without_named(kept, connection, _PROTECTED | {b"te"}), forwarded


def peer_headers(
    headers: Iterable[tuple[bytes, bytes]], *, method: str, body_size: int, host: bytes, api_key: str
) -> RawHeaders:
    """Returns the headers for a peer: another machine, perhaps another company's.

    It learns neither who the client is nor how the client got here.

    body_size: bytes of the body as it will be sent.
    host: the peer's own name.
    api_key: what we are known by there; empty: nothing.
    """
    kept: RawHeaders = [(b"host", host)]
    connection = b""
    has_length = False
    for header in headers:
        name = header[0]
        if name == b"connection":
            connection = _joined(connection, header[1])
        elif name == b"te" and b"trailers" in _tokens(header[1]):
            kept.append((b"te", b"trailers"))
        elif name not in _LEFT_OUT_FOR_PEERS and not name.startswith(b"x-forwarded-"):
            kept.append(header)
        has_length = has_length or name in {b"content-length", b"transfer-encoding"}
    kept = _without_named(kept, connection, _PROTECTED | {b"te"})
    if api_key:
        key = api_key.encode()
        kept += [(b"authorization", b"Bearer " + key), (b"x-api-key", key)]
    if body_size or has_length or method in _WITH_BODY:
        kept.append((b"content-length", b"%d" % body_size))
    return kept


def response_headers(
    headers: Sequence[tuple[bytes, bytes]], status: int, named: Mapping[bytes, bytes] | None = None
) -> RawHeaders:
    """Returns the headers for the client.

    `Date` and `Server` are the upstream's: uvicorn runs with its own turned off. Reverse proxies in front of us are told
    not to hold an event stream back.

    named: a value of each of *headers* by its name, if there is such a thing already.
    """
    if named is None:
        named = dict(headers)
    kept = [header for header in headers if header[0] not in HOP_BY_HOP]
    if named.get(b"connection", b"close") not in _USUAL or len(named) < len(headers):
        connection = b",".join(header[1] for header in headers if header[0] == b"connection")
        kept = _without_named(kept, connection, _PROTECTED)
    if status == 204 or status == 304:  # noqa: PLR1714 - twice as quick as a set
        # A length would be that of a body which does not come; uvicorn would wait for it.
        kept = [header for header in kept if header[0] != b"content-length"]
    if named.get(b"content-type", b"").lower().find(b"text/event-stream") >= 0:  # `in` takes ten times as long
        kept = [header for header in kept if header[0] != b"x-accel-buffering"]
        kept.append((b"x-accel-buffering", b"no"))
    return kept


def with_instead(headers: RawHeaders, others: Iterable[tuple[bytes, bytes]]) -> RawHeaders:
    """Returns *headers* with *others* instead of those of the same names; one without a value is only left out."""
    others = list(others)
    names = {name for name, _ in others}
    return [header for header in headers if header[0] not in names] + [header for header in others if header[1]]


def _joined(before: bytes, value: bytes) -> bytes:
    """Returns a list header with *value* appended."""
    return b"%b, %b" % (before, value) if before else value


def _tokens(value: bytes) -> frozenset[bytes]:
    """Returns the members of a list header, in lower case."""
    return frozenset(token.strip() for token in value.lower().split(b","))


def _without_named(headers: RawHeaders, connection: bytes, protected: frozenset[bytes]) -> RawHeaders:
    """Returns *headers* without those that `Connection` names."""
    if not connection or connection in _USUAL:
        return headers
    named = _tokens(connection) - protected
    return [header for header in headers if header[0] not in named]
