"""A capture as others take it: the JSON of the API, a curl command, HAR.

Each comes in pieces of bounded size, made as they are asked for: a body of many megabytes is never one string, nor one step
of the event loop.
"""

from __future__ import annotations

import codecs
import json
import re
import shlex
from base64 import b64encode
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote

from app import __version__
from app.errors import escape_json
from app.telemetry.times import LAYOUTS

if TYPE_CHECKING:
    from app.telemetry.capture_record import Capture, Headers

PIECE = 48 << 10
"""Bytes of a body that become one piece. A multiple of 3, so that base64 needs padding at the end only."""

NOT_SENT = frozenset(
    {
        b"host", b"content-length", b"transfer-encoding", b"connection", b"keep-alive", b"te", b"upgrade", b"expect",
        b"proxy-connection", b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-real-ip",
        # curl would print the answer as it is encoded
        b"accept-encoding",
    }
)  # fmt: skip
"""Headers of a request that its sender or those on the way make anew."""

ARGUMENT = 64 << 10
"""Longest body that is an argument of curl; Linux takes no argument over 128 KiB."""

# A terminal obeys some of these when they are pasted, and shows text as something else for others.
_UNSHOWABLE = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\x8e\x8f\xaa-\xae]|\xe2\x81[\xa6-\xa9]")


# the JSON of the API


def document(number: int, capture: Capture) -> tuple[int, Iterator[bytes]]:
    """Returns the length and the pieces of a capture's JSON. The order of its fields is part of the format.

    Source of all up to `resp_body`: compatibility specification 6.7.
    """
    request, response = capture.req_body, capture.resp_body
    opening = _json({"id": number, "req_path": capture.path, "req_headers": shown(capture.req_headers)})
    between = _json({"resp_headers": None if capture.resp_headers is None else shown(capture.resp_headers)})
    closing = _json(
        {
            "method": capture.method,
            "status": capture.status,
            "time": LAYOUTS["rfc3339nano"](began(capture)),
            "duration_ms": round(capture.wait_ms + capture.receive_ms),
            "req_size": capture.req_size,
            "req_truncated": capture.req_truncated,
            "resp_size": capture.resp_size,
            "resp_truncated": capture.resp_truncated,
            "error": capture.error,
        }
    )
    first = opening[:-1] + b',"req_body":'
    second = b"," + between[1:-1] + b',"resp_body":'
    last = b"," + closing[1:]
    size = len(first) + _base64_size(request) + len(second) + _base64_size(response) + len(last)

    def pieces() -> Iterator[bytes]:
        yield first
        yield from _base64(request)
        yield second
        yield from _base64(response)
        yield last

    return size, pieces()


def shown(headers: Headers) -> dict[str, str]:
    """Returns the first value of each header, sorted by name, names as `X-Session-Id`."""
    found: dict[str, str] = {}
    for name, value in headers:
        found.setdefault(_canonical(name), value.decode("utf-8", "replace"))
    return dict(sorted(found.items()))


def began(capture: Capture) -> datetime:
    """Returns when the exchange began."""
    return datetime.fromtimestamp(capture.time, UTC)


def _canonical(name: bytes) -> str:
    return "-".join(part.capitalize() for part in name.decode("latin-1").split("-"))


def _json(document: object) -> bytes:
    text = escape_json(json.dumps(document, separators=(",", ":"), ensure_ascii=False))
    # A lone surrogate, which no UTF-8 has, becomes the escape that JSON has for it.
    return text.encode(errors="backslashreplace")


def _base64_size(body: bytes | None) -> int:
    return 4 if body is None else (len(body) + 2) // 3 * 4 + 2


def _base64(body: bytes | None) -> Iterator[bytes]:
    if body is None:
        yield b"null"
        return
    yield b'"'
    for start in range(0, len(body), PIECE):
        yield b64encode(body[start : start + PIECE])
    yield b'"'


# curl


def curl(capture: Capture, base: str) -> Iterator[bytes]:
    """Yields a shell command that asks the same again. base: scheme and host of who is asked.

    Secrets are not known any more: whoever runs it puts them in the place of `[REDACTED]`. A body that a terminal could take
    amiss goes through base64, a long one through standard input, because no argument may be so long.
    """
    body = capture.req_body
    has_all = body is not None and not capture.req_truncated
    if not has_all and capture.req_size:
        yield b"# the body of this request, of %d bytes, is not kept%b\n" % (
            capture.req_size,
            b"" if body is None else b" whole",
        )
    after = b""
    if body:
        if is_showable(body):
            if len(body) <= ARGUMENT:
                after = b" \\\n  --data-raw " + b"".join(_quoted(body))
            else:
                yield b"printf %s "
                yield from _quoted(body)
                yield b" | "
                after = b" \\\n  --data-binary @-"
        else:
            yield b"printf %s "
            for start in range(0, len(body), PIECE):
                yield b64encode(body[start : start + PIECE])
            yield b" | base64 -d | "
            after = b" \\\n  --data-binary @-"
    lines = [f"curl --globoff --request {shlex.quote(capture.method)} {shlex.quote(base + target_of(capture))}"]
    names = set()
    left_out = []
    for name, value in capture.req_headers:
        names.add(name.lower())
        if name.lower() in NOT_SENT:
            continue
        if not is_showable(value):
            left_out.append(name.decode("latin-1"))
            continue
        # Without a value the colon would mean that curl is to leave out this header.
        text = f"{_canonical(name)}: {value.decode()}" if value else f"{_canonical(name)};"
        lines.append(f"--header {shlex.quote(text)}")
    # What curl would add by itself.
    lines += [f"--header {title}:" for title in _BY_ITSELF if title.lower().encode() not in names]
    yield " \\\n  ".join(lines).encode("utf-8", "replace") + after + b"\n"
    for each in left_out:
        yield f"# a value of {each} cannot be shown and is left out\n".encode()


_BY_ITSELF = ("Accept", "User-Agent", "Content-Type")


def target_of(capture: Capture) -> str:
    """Returns the path and query to ask for, as they go over the wire."""
    if capture.target:
        # Whatever a client has sent, nothing but printable ASCII comes of it.
        target = quote(capture.target, safe="/?:@!$&'()*+,;=~-._%#[]{}|\\^`\"<>")
    else:
        target = quote(capture.path, errors="replace")
    return target if target.startswith("/") else "/" + target


def is_showable(body: bytes) -> bool:
    """Returns whether *body* is text in UTF-8 that a terminal shows as what it is."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for start in range(0, len(body), PIECE):
            piece = body[start : start + PIECE + 2]  # the longest of those that are looked for has three bytes
            if _UNSHOWABLE.search(piece):
                return False
            decoder.decode(piece[:PIECE])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _quoted(body: bytes) -> Iterator[bytes]:
    yield b"'"
    for start in range(0, len(body), PIECE):
        yield body[start : start + PIECE].replace(b"'", b"'\"'\"'")
    yield b"'"


# HAR


def har(capture: Capture, base: str) -> Iterator[bytes]:
    """Yields the capture as HAR 1.2, as browsers' tools and others read it. base: scheme and host of who was asked."""
    target = target_of(capture)
    request_type = _value(capture.req_headers, b"content-type")
    response_headers = capture.resp_headers or ()
    response_type = _value(response_headers, b"content-type")
    began_at = began(capture).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    yield b'{"log":' + _json({"version": "1.2", "creator": {"name": "Hostler", "version": __version__}})[:-1]
    yield (
        b',"entries":['
        + _json({"startedDateTime": began_at, "time": round(capture.wait_ms + capture.receive_ms, 3)})[:-1]
    )
    request: dict[str, object] = {
        "method": capture.method,
        "url": base + target,
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": _har_headers(capture.req_headers),
        "queryString": [
            {"name": name, "value": value}
            for name, value in parse_qsl(target.partition("?")[2], keep_blank_values=True)
        ],
        "headersSize": -1,
        "bodySize": capture.req_size,
    }
    yield b',"request":' + _json(request)[:-1]
    if capture.req_body is not None:
        yield b',"postData":' + _json({"mimeType": request_type or "application/octet-stream"})[:-1]
        # HAR knows no encoding here, so a reader that does not know ours sees text that is base64.
        yield from _har_text(capture.req_body, b',"_encoding":"base64"')
        yield b"}"
    if capture.req_truncated:
        yield b',"comment":"not kept whole"'
    yield (
        b'},"response":'
        + _json(
            {
                "status": capture.status,
                "statusText": _phrase(capture.status),
                "httpVersion": "HTTP/1.1",
                "cookies": [],
                "headers": _har_headers(response_headers),
                "redirectURL": _value(response_headers, b"location"),
                "headersSize": -1,
                "bodySize": capture.resp_size,
            }
        )[:-1]
    )
    body = capture.resp_body
    yield (
        b',"content":'
        + _json({"size": capture.resp_size if body is None else len(body), "mimeType": response_type or "x-unknown"})[
            :-1
        ]
    )
    if body is not None:
        yield from _har_text(body, b',"encoding":"base64"')
    if capture.resp_truncated:
        yield b',"comment":"not kept whole"'
    yield b"}}"
    if capture.error:
        yield b',"comment":' + _json(capture.error)
    timings = {"send": 0, "wait": round(capture.wait_ms, 3), "receive": round(capture.receive_ms, 3)}
    yield b',"cache":{},"timings":' + _json(timings) + b"}]}}"


def _har_headers(headers: Headers) -> list[dict[str, str]]:
    return [{"name": _canonical(name), "value": value.decode("utf-8", "replace")} for name, value in headers]


def _har_text(body: bytes, if_binary: bytes) -> Iterator[bytes]:
    """Yields the member `text`, and *if_binary* after it if that is base64."""
    yield b',"text":'
    if not _is_text(body):
        yield from _base64(body)
        yield if_binary
        return
    yield b'"'
    for text in _decoded(body):
        yield json.dumps(text, ensure_ascii=False)[1:-1].encode()
    yield b'"'


def _is_text(body: bytes) -> bool:
    try:
        for _ in _decoded(body):
            pass
    except UnicodeDecodeError:
        return False
    return True


def _decoded(body: bytes) -> Iterable[str]:
    pieces = (body[start : start + PIECE] for start in range(0, len(body), PIECE))
    return codecs.iterdecode(pieces, "utf-8")


def _value(headers: Headers, name: bytes) -> str:
    return next((value.decode("utf-8", "replace") for each, value in headers if each.lower() == name), "")


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
