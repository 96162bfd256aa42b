"""What can go wrong, whose fault it is, and how a client is told.

    HostlerError
    ├── RequestError            the client's: 4xx
    │   ├── Unauthorized        401
    │   ├── NotFound            404
    │   ├── TooSlow             408
    │   ├── Conflict            409
    │   ├── TooLarge            413
    │   ├── TargetTooLong       414
    │   ├── HeadTooLarge        431
    │   └── TooManyRequests     429, with Retry-After
    ├── UpstreamError           the model server's: 502
    │   ├── StartFailed         500: it never became ready
    │   ├── BackingOff          503: it failed to start a moment ago, with Retry-After
    │   ├── NotReady            503
    │   └── UpstreamTimeout     504
    ├── Cancelled               502: the operator has ended the request
    ├── Unavailable             ours, for now: 503
    │   ├── ShuttingDown
    │   ├── QueueFull           with Retry-After
    │   └── Unloaded            500: somebody unloaded the model this request waited for
    ├── NotSupported            501: an upgrade to a protocol that is not spoken here
    └── ConfigError             the operator's: file, YAML path, value, remedy; never sent to a client

The status stands in the class, the words in the message: what, which model, what next. One function renders them all, in
the format the client asked for and the dialect of the API it speaks (`render`), so that no endpoint builds an error body of its own.
"""

from __future__ import annotations

import html
import json
import math
import re
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

type_of_status = {
    400: ("invalid_request_error", "bad_request"),
    401: ("authentication_error", "unauthorized"),
    403: ("authentication_error", "forbidden"),
    404: ("invalid_request_error", "not_found"),
    409: ("invalid_request_error", "conflict"),
    429: ("rate_limit_error", "rate_limit_exceeded"),
    502: ("server_error", "bad_gateway"),
    503: ("server_error", "service_unavailable"),
    501: ("server_error", "not_implemented"),
    504: ("server_error", "gateway_timeout"),
}
"""Status -> (`type`, `code`) of an OpenAI error body. Source: compatibility specification 3.4."""

anthropic_type_of_status = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
}
"""Status -> `type` of an Anthropic error body. Source: the list of errors in Anthropic's API reference."""


class HostlerError(Exception):
    """Root of everything Hostler raises on purpose."""

    status: ClassVar[int] = 500
    code: ClassVar[str | None] = None
    """The `code` of the error body; None takes the one of the status."""

    headers: ClassVar[tuple[tuple[bytes, bytes], ...]] = ()
    """Sent with the error, whatever its format."""

    retry_after_s: int | None = None
    """Seconds after which trying again makes sense; sent as `Retry-After`."""

    def retry_after(self, seconds: float | None) -> Self:
        """Says when trying again makes sense, if that is known; returns the error itself."""
        if seconds is not None:
            self.retry_after_s = max(math.ceil(seconds), 1)
        return self


class RequestError(HostlerError):
    """The client asked for something that cannot be served as asked."""

    status = 400


class Unauthorized(RequestError):
    """The client has not shown a key that is let in."""

    status = 401
    # `Basic` makes a browser ask its user for the key.
    headers = ((b"www-authenticate", b'Basic realm="llama-swap"'),)


class Forbidden(RequestError):
    """Nobody may do this from where the client is."""

    status = 403


class NotFound(RequestError):
    """There is no such model, path or thing."""

    status = 404


class TooSlow(RequestError):
    """The client took too long to say what it wants."""

    status = 408


class Conflict(RequestError):
    """The thing exists, but not in the state this request needs."""

    status = 409


class TooLarge(RequestError):
    """The request's body is over the limit."""

    status = 413
    code = "request_too_large"


class TargetTooLong(RequestError):
    """The request's path and query are over the limit."""

    status = 414


class HeadTooLarge(RequestError):
    """The request's headers are over a limit."""

    status = 431


class TooManyRequests(RequestError):
    """The model's concurrency limit is reached."""

    status = 429
    code = "concurrency_limit"

    def __init__(self, message: str, retry_after_s: int = 1) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class UpstreamError(HostlerError):
    """The model's server failed us."""

    status = 502


class StartFailed(UpstreamError):
    """The model's server did not become ready."""

    status = 500


class BackingOff(UpstreamError):
    """The model's server has failed to start, and is left alone for a while."""

    status = 503


class NotReady(UpstreamError):
    """The model's server is not ready to be asked."""

    status = 503


class UpstreamTimeout(UpstreamError):
    """The model's server did not answer in time."""

    status = 504


CANCELLED = "the request was cancelled by the operator"


class Cancelled(HostlerError):
    """The operator has ended the request. Source of the status: compatibility specification 4.6."""

    status = 502


class Unavailable(HostlerError):
    """Hostler cannot serve this now, though it could at another time."""

    status = 503


class ShuttingDown(Unavailable):
    """Hostler is ending."""


class QueueFull(Unavailable):
    """As many requests wait as may."""

    code = "queue_full"


class Unloaded(Unavailable):
    """The model was unloaded while this request waited for it."""

    status = 500


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a configuration, told so that it can be mended without asking."""

    message: str
    """What is wrong, with the offending value."""

    source: str = ""
    """The file it stands in."""

    path: str = ""
    """Where in the YAML, as `models.llama.ttl`."""

    line: int | None = None
    """Line in *source*, counted from 1."""

    remedy: str = ""
    """What to write instead."""

    def __str__(self) -> str:
        place = f"{self.source}:{self.line}" if self.line is not None else self.source
        parts = [part for part in (place, self.path, self.message) if part]
        text = ": ".join(parts)
        return f"{text} ({self.remedy})" if self.remedy else text


class NotSupported(HostlerError):
    """The request asks for something that Hostler does not do."""

    status = 501


class ConfigError(HostlerError):
    """A configuration cannot be used. Nothing has been changed by trying."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Rendered:
    """An error as it goes over the wire."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


Format = Literal["json", "text", "html"]

Dialect = Literal["openai", "anthropic"]

_ANTHROPIC_PATH = re.compile(r"(?:/upstream/.+)?/v1?/messages(?:/.*)?", re.DOTALL)


def format_for(accept: str) -> Format:
    """Returns the body format that an `Accept` header asks for. Source: compatibility specification 3.4."""
    if "text/plain" in accept:
        return "text"
    if "text/html" in accept:
        return "html"
    return "json"


def dialect_of(path: str) -> Dialect:
    """Returns whose error bodies the clients of *path* understand."""
    return "anthropic" if _ANTHROPIC_PATH.fullmatch(path) else "openai"


def render(error: HostlerError, accept: str = "", dialect: Dialect = "openai") -> Rendered:
    """Renders *error* for a client whose `Accept` header is *accept*.

    A 429 is JSON whatever was asked for: clients look into it to decide when to come back.
    """
    status = error.status
    message = str(error)
    headers = list(error.headers)
    if error.retry_after_s is not None:
        headers.append((b"retry-after", str(error.retry_after_s).encode()))
    chosen = "json" if status == 429 else format_for(accept)
    if chosen == "text":
        body = f"llama-swap: {message}".encode(errors="replace")
        media_type = b"text/plain; charset=utf-8"
    elif chosen == "html":
        body = f"<html><body><h1>llama-swap</h1><p>{escape_html(message)}</p></body></html>".encode(errors="replace")
        media_type = b"text/html; charset=utf-8"
    else:
        body = anthropic_body(status, message) if dialect == "anthropic" else json_body(status, message, error.code)
        media_type = b"application/json"
    headers += [(b"content-type", media_type), (b"content-length", str(len(body)).encode())]
    return Rendered(status, headers, body)


def json_body(status: int, message: str, code: str | None = None) -> bytes:
    """Returns the OpenAI-style error body, byte for byte as existing clients know it."""
    fallback = (
        ("invalid_request_error", "invalid_request") if 400 <= status < 500 else ("server_error", "internal_error")
    )
    kind, default_code = type_of_status.get(status, fallback)
    document = {
        "src": "llama-swap",
        "error": {"message": message, "type": kind, "param": None, "code": code or default_code},
    }
    return _encoded(document)


def anthropic_body(status: int, message: str) -> bytes:
    """Returns the Anthropic-style error body."""
    fallback = "invalid_request_error" if 400 <= status < 500 else "api_error"
    kind = anthropic_type_of_status.get(status, fallback)
    return _encoded({"type": "error", "error": {"type": kind, "message": message}})


def _encoded(document: object) -> bytes:
    text = escape_json(json.dumps(document, separators=(",", ":"), ensure_ascii=False))
    # A lone surrogate, which no UTF-8 has, becomes the escape that JSON has for it.
    return text.encode(errors="backslashreplace")


def escape_json(text: str) -> str:
    """Escapes `<`, `>` and `&` in JSON *text* the way Go's encoder does, so that it is harmless inside HTML."""
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def escape_html(text: str) -> str:
    """Escapes *text* for HTML, byte for byte as Go does."""
    return html.escape(text).replace("&quot;", "&#34;").replace("&#x27;", "&#39;")
