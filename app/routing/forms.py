"""The model in forms: URL-encoded bodies, query strings, and multipart bodies of any length.

A multipart body is scanned as it is read and never held in memory; what is remembered is where the value of each small field
stands, so that the model's name can be replaced without touching another byte. Format: RFC 7578, RFC 2046 section 5.1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import quote_plus, unquote_plus

from app.errors import RequestError
from app.routing.asked import Asked
from app.routing.json_body import is_truthy

FIELD_LIMIT = 64 << 10
"""Bytes of a field's value that are looked at; no model's name is longer."""

HEADER_LIMIT = 16 << 10
"""Bytes of one part's headers."""

PARTS_LIMIT = 1000
"""Parts of one body."""


def asked_by_query(query: bytes) -> Asked:
    """Returns what a query string asks for."""
    return Asked(_first(query, b"model=") or "", _first(query, b"stream=") == "true")


def asked_by_form(body: bytes, query: bytes) -> Asked:
    """Returns what a URL-encoded *body* asks for, or else the *query*."""

    def first(key: bytes) -> str:
        in_body = _first(body, key)
        return (_first(query, key) or "") if in_body is None else in_body

    return Asked(first(b"model="), is_truthy(first(b"stream=")))


def _first(fields: bytes, key: bytes) -> str | None:
    """Returns the first value of *key*, which ends in `=`; None when there is none.

    `parse_qsl` would take the whole body apart, gigabytes of pieces if it is nothing but ampersands.
    """
    start = 0 if fields.startswith(key) else fields.find(b"&" + key) + 1
    if start == 0 and not fields.startswith(key):
        return None
    start += len(key)
    end = fields.find(b"&", start)
    value = fields[start : end if end >= 0 else len(fields)]
    return unquote_plus(value[:FIELD_LIMIT].decode("utf-8", "replace"))


def replace_model(fields: bytes, name: str) -> bytes:
    """Returns URL-encoded *fields* with every value of `model` replaced by *name*; the rest stays as it is."""
    return re.sub(rb"(?:(?<=&)|\A)model=[^&]*", lambda _: b"model=" + quote_plus(name).encode(), fields)


def without_malformed(query: bytes) -> bytes:
    """Returns *query* without the fields that parsers disagree about: those with a semicolon or a broken escape."""
    if b";" not in query and b"%" not in query:
        return query
    return b"&".join(part for part in query.split(b"&") if not re.search(rb";|%(?![0-9A-Fa-f]{2})", part))


def boundary_of(content_type: str) -> bytes:
    """Returns the boundary that a multipart content type names. Raises RequestError when it names none."""
    match = re.search(r'boundary=(?:"([^"]{1,200})"|([^\s;,"]{1,200}))', content_type, re.IGNORECASE)
    if match is None:
        raise RequestError("the multipart body's Content-Type names no boundary")
    return (match[1] or match[2]).encode("latin-1")


@dataclass(slots=True)
class Field:
    """One field of a multipart body that is no file."""

    name: str
    start: int
    """Offset of its value in the body."""
    end: int = 0
    value: bytes = b""
    """At most `FIELD_LIMIT` bytes of it."""


@dataclass(slots=True)
class Multipart:
    """Scans a multipart body: feed it every chunk, then `finish`, then ask."""

    boundary: bytes
    fields: list[Field] = field(default_factory=list)
    """The fields that are no files, in their order."""

    # of the scan
    _buffer: bytearray = field(default_factory=bytearray)
    _offset: int = 0
    """Where in the body the buffer starts."""
    _parts: int = 0
    _in_headers: bool = False
    _open: Field | None = None
    _ended: bool = False

    def __post_init__(self) -> None:
        # The first delimiter has no line break before it; pretending that it has makes all delimiters alike.
        self._buffer += b"\r\n"
        self._offset = -2

    def feed(self, chunk: bytes) -> None:
        """Takes the next bytes of the body. Raises RequestError when they cannot be a multipart body."""
        if self._ended:
            return
        self._buffer += chunk
        while self._step():
            pass

    def finish(self) -> None:
        """Says that the body is over. Raises RequestError when its end is missing."""
        if not self._ended:
            raise RequestError("the multipart body ends before its closing boundary")

    def asked(self, query: bytes) -> Asked:
        """Returns what the fields ask for, or else the *query*."""
        values = {entry.name: entry.value.decode("utf-8", "replace") for entry in reversed(self.fields)}
        model = values.get("model", "") or asked_by_query(query).model
        return Asked(model, is_truthy(values.get("stream", "")))

    def _step(self) -> bool:
        """Gets one delimiter or one part's headers further; False when more bytes are needed."""
        return self._read_headers() if self._in_headers else self._read_content()

    def _read_content(self) -> bool:
        delimiter = b"\r\n--" + self.boundary
        at = self._buffer.find(delimiter)
        if at < 0:
            # Keep what may be the beginning of a delimiter.
            self._take(max(len(self._buffer) - len(delimiter) + 1, 0))
            return False
        after = at + len(delimiter)
        if len(self._buffer) < after + 2:
            return False
        if self._buffer[after : after + 2] != b"--" and self._buffer[after] not in b" \t\r":
            # Only the beginning of some longer line: content.
            self._take(after)
            return True
        self._take(at)
        if self._open is not None:
            self._open.end = self._offset
            self.fields.append(self._open)
            self._open = None
        closing = bytes(self._buffer[len(delimiter) : len(delimiter) + 2])
        if closing == b"--":
            self._ended = True
            self._buffer.clear()
            return False
        line_end = self._buffer.find(b"\r\n", len(delimiter))
        if not self._is_whole(line_end):
            return False
        # What precedes the first delimiter and transport padding after one mean nothing (RFC 2046).
        self._drop(line_end + 2)
        self._in_headers = True
        self._parts += 1
        if self._parts > PARTS_LIMIT:
            raise RequestError(f"the multipart body has more than {PARTS_LIMIT} parts")
        return True

    def _read_headers(self) -> bool:
        at = self._buffer.find(b"\r\n\r\n")
        end = 0 if self._buffer.startswith(b"\r\n") else at + 2 if at >= 0 else -1
        if not self._is_whole(end):
            return False
        headers = bytes(self._buffer[:end]).decode("utf-8", "replace")
        # A line that begins with a blank continues the one before.
        headers = re.sub(r"\r\n[ \t]+", " ", headers)
        # The blank line's own break stays: a delimiter may follow at once, and begins with it.
        self._drop(end)
        disposition = re.search(r"^content-disposition:(.*)$", headers, re.IGNORECASE | re.MULTILINE)
        parameters = disposition[1] if disposition else ""
        name = re.search(r'[;\s]name="((?:[^"\\]|\\.)*)"|[;\s]name=([^;\s]+)', parameters, re.IGNORECASE)
        if name is not None and not re.search(r"[;\s]filename\*?=", parameters, re.IGNORECASE):
            self._open = Field(name[1] if name[1] is not None else name[2], self._offset + 2)
        self._in_headers = False
        return True

    def _is_whole(self, end: int) -> bool:
        """Whether a delimiter line or headers that end at *end* are there; -1: not yet. The limit is the same in any chunks."""
        least = end if end >= 0 else len(self._buffer) - 1
        if least > HEADER_LIMIT:
            raise RequestError(f"a part of the multipart body has headers of more than {HEADER_LIMIT} bytes")
        return end >= 0

    def _take(self, count: int) -> None:
        """Lets *count* bytes of content go by."""
        entry = self._open
        if entry is not None and len(entry.value) < FIELD_LIMIT:
            begin = max(entry.start - self._offset, 0)
            entry.value = (entry.value + bytes(self._buffer[begin:count]))[:FIELD_LIMIT]
        self._drop(count)

    def _drop(self, count: int) -> None:
        del self._buffer[:count]
        self._offset += count
