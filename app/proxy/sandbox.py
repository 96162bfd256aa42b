"""Keeps the pages of upstreams from acting as pages of ours. PURE.

What an upstream sends is seen by a browser as coming from us. A page among it could call our API with the key that the browser
remembers, and read what our own page has stored. So a browser is told to treat it as the page of nobody: it runs, but
has no storage and no say here. On a port of its own (`app/middleware/pages.py`) a page has both, since there they are no one's but theirs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

SANDBOX = (
    b"content-security-policy",
    b"sandbox allow-scripts allow-forms allow-popups allow-downloads allow-modals",
)
"""Added to the upstream's own policy, if it has one: browsers obey them all. No `allow-same-origin`: that is the point of it."""

UNCONFINED = "hostler.unconfined"
"""In the scope of a request that came where pages of upstreams may be themselves."""

_HARMLESS = (
    b"application/json",
    b"text/event-stream",
    b"text/plain",
    b"audio/",
    b"video/",
    b"image/png",
    b"image/jpeg",
    b"image/webp",
    b"application/octet-stream",
)
"""How the types begin that no browser runs. All others may be documents, and no type at all is one that a browser guesses."""


def may_run(headers: Sequence[tuple[bytes, bytes]], named: Mapping[bytes, bytes] | None = None) -> bool:
    """Returns whether a browser that opens a response with these *headers* could run what is in it.

    named: a value of each of *headers* by its name, if there is such a thing already.
    """
    if named is None:
        named = dict(headers)
    types = named.get(b"content-type", b"")
    if len(named) < len(headers):
        types = b",".join(value for name, value in headers if name == b"content-type")
    # Of a list, and of several, browsers take the last that they understand.
    return types.find(b",") >= 0 or not types.lower().startswith(_HARMLESS)
