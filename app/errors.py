"""What can go wrong, whose fault it is, and how a client is told.

    HostlerError
    ├── RequestError            the client's: 4xx
    │   ├── NotFound            404
    │   ├── Conflict            409
    │   ├── TooLarge            413
    │   └── TooManyRequests     429, with Retry-After
    ├── UpstreamError           the model server's: 502
    │   ├── StartFailed         500: it never became ready
    │   ├── NotReady            503
    │   └── UpstreamTimeout     504
    ├── Unavailable             ours, for now: 503
    │   ├── ShuttingDown
    │   └── Unloaded            500: somebody unloaded the model this request waited for
    └── ConfigError             the operator's: file, YAML path, value, remedy; never sent to a client

The status stands in the class, the words in the message: what, which model, what next. One function renders them all, in
the format the client asked for (`render`), so that no endpoint builds an error body of its own.
"""

from __future__ import annotations

import html
import json
from dataclasses import dataclass
from typing import ClassVar, Literal

type_of_status = {
    400: ("invalid_request_error", "bad_request"),
    401: ("authentication_error", "unauthorized"),
    403: ("authentication_error", "forbidden"),
    404: ("invalid_request_error", "not_found"),
    409: ("invalid_request_error", "conflict"),
    429: ("rate_limit_error", "rate_limit_exceeded"),
    502: ("server_error", "bad_gateway"),
    503: ("server_error", "service_unavailable"),
    504: ("server_error", "gateway_timeout"),
}
"""Status -> (`type`, `code`) of an OpenAI error body. Source: compatibility specification 3.4."""


class HostlerError(Exception):
    """Root of everything Hostler raises on purpose."""

    status: ClassVar[int] = 500
    code: ClassVar[str | None] = None
    """The `code` of the error body; None takes the one of the status."""

    retry_after_s: int | None = None
    """Seconds after which trying again makes sense; sent as `Retry-After`."""


class RequestError(HostlerError):
    """The client asked for something that cannot be served as asked."""

    status = 400


class NotFound(RequestError):
    """There is no such model, path or thing."""

    status = 404


class Conflict(RequestError):
    """The thing exists, but not in the state this request needs."""

    status = 409


class TooLarge(RequestError):
    """The request's body is over the limit."""

    status = 413
    code = "request_too_large"


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


class NotReady(UpstreamError):
    """The model's server is not ready to be asked."""

    status = 503


class UpstreamTimeout(UpstreamError):
    """The model's server did not answer in time."""

    status = 504


class Unavailable(HostlerError):
    """Hostler cannot serve this now, though it could at another time."""

    status = 503


class ShuttingDown(Unavailable):
    """Hostler is ending."""


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


def format_for(accept: str) -> Format:
    """Returns the body format that an `Accept` header asks for. Source: compatibility specification 3.4."""
    if "text/plain" in accept:
        return "text"
    if "text/html" in accept:
        return "html"
    return "json"


def render(error: HostlerError, accept: str = "") -> Rendered:
    """Renders *error* for a client whose `Accept` header is *accept*.

    A 429 is JSON whatever was asked for: clients look into it to decide when to come back.
    """
    status = error.status
    message = str(error)
    headers: list[tuple[bytes, bytes]] = []
    if error.retry_after_s is not None:
        headers.append((b"retry-after", str(error.retry_after_s).encode()))
    chosen = "json" if status == 429 else format_for(accept)
    if chosen == "text":
        body = f"llama-swap: {message}".encode()
        media_type = b"text/plain; charset=utf-8"
    elif chosen == "html":
        body = f"<html><body><h1>llama-swap</h1><p>{html.escape(message)}</p></body></html>".encode()
        media_type = b"text/html; charset=utf-8"
    else:
        body = json_body(status, message, error.code)
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
    return escape_json(json.dumps(document, separators=(",", ":"), ensure_ascii=False)).encode()


def escape_json(text: str) -> str:
    """Escapes `<`, `>` and `&` in JSON *text* the way Go's encoder does, so that it is harmless inside HTML."""
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
