r"""Takes secrets out of what is kept of a request: headers, the query string, members of JSON bodies.

Bodies are scanned as bytes and every other byte stays as it came, so broken JSON, event streams and JSON inside strings of JSON
(arguments of tools) are all looked into. What is found is the value of a member whose whole name is in the list, in any
spelling (`api_key`, `apiKey`, `API-KEY`), if it is a string or a number.

Not found, and known: names written with `\u` escapes, values in arrays or objects below such a name, pairs like
`{"name": "password", "value": "..."}`, and secrets that somebody tells a model in plain words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from time import sleep

Headers = Iterable[tuple[bytes, bytes]]

REDACTED = "[REDACTED]"

_REDACTED = REDACTED.encode()

SECRET_HEADERS = frozenset(
    {
        # those of the compatibility specification, 6.7
        b"authorization",
        b"proxy-authorization",
        b"cookie",
        b"set-cookie",
        b"x-api-key",
        # others that carry keys
        b"authentication",
        b"cookie2",
        b"set-cookie2",
        b"x-auth",
        b"x-functions-key",
        b"ocp-apim-subscription-key",
        b"x-amz-credential",
        b"x-amz-signature",
    }
)

_SECRET_ENDINGS = (b"api-key", b"apikey", b"api_key", b"-token", b"_token", b"-secret", b"-password", b"-authorization")
"""Endings of the names that vendors make up: api-key, xi-api-key, x-goog-api-key, x-auth-token, cf-access-client-secret."""

SECRET_WORDS = (
    "api key", "x api key", "authorization", "proxy authorization", "password", "passwd", "passphrase",
    "access token", "refresh token", "id token", "auth token", "x auth token", "bearer token", "session token",
    "hf token", "github token", "secret", "client secret", "secret key", "secret access key", "aws secret access key",
    "secret token", "private key", "access key", "auth key", "cookie", "set cookie",
)  # fmt: skip
"""Names of members whose values are secrets, as words: they may be written together, with `_` or with `-`."""


def is_secret(name: bytes) -> bool:
    """Returns whether the values of the header called *name*, in any case, are secrets."""
    name = name.lower()
    return name in SECRET_HEADERS or name.endswith(_SECRET_ENDINGS)


def redacted_headers(headers: Headers) -> list[tuple[bytes, bytes]]:
    """Returns *headers* with the values of the secret ones replaced."""
    secret, endings = SECRET_HEADERS, _SECRET_ENDINGS
    return [
        (name, _REDACTED if (lower := name.lower()) in secret or lower.endswith(endings) else value)
        for name, value in headers
    ]


def _names(words: Iterable[str]) -> str:
    """Returns the pattern of all *words*, as a tree: one list of alternatives is three times as slow."""
    tokens = [["[_-]?" if each == " " else f"[{each}{each.upper()}]" for each in word] for word in words]
    return _tree(tokens)


def _tree(words: list[list[str]]) -> str:
    branches: dict[str, list[list[str]]] = {}
    for word in words:
        if word:
            branches.setdefault(word[0], []).append(word[1:])
    if not branches:
        return ""
    text = "|".join(token + _tree(rest) for token, rest in branches.items())
    ends_here = any(not word for word in words)
    return f"(?:{text})" + "?" * ends_here if ends_here or len(branches) > 1 else text


def _member(words: Iterable[str]) -> re.Pattern[bytes]:
    blank = r"(?:\s|\\{1,7}[nrt]){0,16}"
    return re.compile(rf'"{_names(words)}(\\{{0,7}})"{blank}:{blank}'.encode())


_IN_REQUEST = _member([*SECRET_WORDS, "token"])

_IN_RESPONSE = _member(SECRET_WORDS)
"""Without `token`: each entry of log probabilities has a member of this name, and it is a word of the answer."""

_IN_QUERY = re.compile(rf"([?&]{_names([*SECRET_WORDS, 'token', 'key', 'sig', 'signature'])}=)[^&#]*".encode())

_NUMBER = re.compile(rb"-?[0-9][0-9.eE+-]{0,400}")

_WINDOW = 64 << 10
"""Bytes looked through at a time: a search in one go would keep other threads, the event loop's among them, from running."""

_OVERLAP = 512
"""More than the longest match of a name with what stands around it."""


def redacted_target(target: bytes) -> bytes:
    """Returns a request target with the values of secret query parameters replaced."""
    return _IN_QUERY.sub(rb"\1" + _REDACTED, target) if b"?" in target else target


def redacted_body(body: bytes, *, of_response: bool = False) -> bytes:
    """Returns *body* with the values of secret members of JSON replaced; *body* itself if there are none.

    A value whose end is missing, as of a body that was cut, is replaced up to the end of the body.
    """
    search = (_IN_RESPONSE if of_response else _IN_REQUEST).search
    parts: list[bytes] = []
    position = done = 0
    size = len(body)
    while True:
        end = min(size, position + _WINDOW)
        found = search(body, position, end)
        if found is None:
            if end == size:
                break
            position = end - _OVERLAP
            sleep(0)  # without it a thread of the interpreter keeps the others waiting for 5 ms
            continue
        position = found.end()
        escapes = len(found[1])
        if _backslashes_before(body, found.start()) != escapes:
            continue  # the end of a longer name, as in `"a \"password"`
        value = _value(body, position, escapes)
        if value > position:
            quote = b"\\" * escapes + b'"'
            parts += [body[done:position], quote, _REDACTED, quote]
            position = done = value
    if not parts:
        return body
    return b"".join([*parts, body[done:]])


def _backslashes_before(body: bytes, position: int) -> int:
    start = position
    while start > 0 and body[start - 1] == 0x5C:
        start -= 1
    return position - start


def _value(body: bytes, start: int, escapes: int) -> int:
    """Returns where the string or number at *start* ends; *start* if there is neither.

    escapes: backslashes before the quotes of this value's level: 0 for JSON, 1 for JSON in a string of it, then 3, 7.
    """
    number = _NUMBER.match(body, start)
    if number is not None:
        return number.end()
    opening = b"\\" * escapes + b'"'
    if not body.startswith(opening, start):
        return start
    # A quote inside of a string is escaped once more than the quotes around it, and each backslash before it has been
    # doubled as often: so it has `inside` of them, modulo one more. Any other quote ends this string or one around it.
    inside = 2 * escapes + 1
    position = start + len(opening)
    while (quote := body.find(b'"', position)) >= 0:
        if _backslashes_before(body, quote) % (inside + 1) != inside:
            return quote + 1
        position = quote + 1
    return len(body)
