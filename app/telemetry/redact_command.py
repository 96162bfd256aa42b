"""Takes secrets out of commands before they are shown.

Found are the values of flags (`--api-key X`, `--api-key=X`) and assignments (`HF_TOKEN=X`) whose names say that they are secrets,
of headers (`Authorization: …`), of members of JSON; passwords and secret parameters in URLs; keys with the prefixes that the
large vendors give theirs; and whatever the caller knows to be a secret, wherever it stands. A secret that nothing tells from
a word is not found.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from app.telemetry.redact import REDACTED, SECRET_WORDS, redacted_body, redacted_target

_WORDS = frozenset(word.replace(" ", "") for word in SECRET_WORDS) | {"token", "pwd", "credentials", "hft", "hftoken"}

_ENDINGS = ("apikey", "apikeys", "accesskey", "secretkey", "password", "passwd", "passphrase", "secret", "credential")

_SHORTEST = 4
"""Characters of a known secret that is looked for: every shorter one stands somewhere by chance."""

_VALUE = r"""(?:(?:\\?"(?:\\.|[^"\\])*\\?"|'[^']*'|[^\s"']+)+|["'][^\s]*)"""
"""A word of a shell, or the rest of one whose quote is never closed."""

_FLAG = re.compile(rf"(?<![\w-])(--?[A-Za-z][\w.-]*)(=|[ \t]+(?:\\\r?\n[ \t]*)?(?!-))({_VALUE})")

_ASSIGNMENT = re.compile(rf"(?<![\w?&-])([A-Za-z_]\w*)=({_VALUE})")

_HEADER = re.compile(
    r"""(?i)(?<![\w-])([\w-]*(?:key|token|auth|authorization|authentication|secret|password|cookie))(:[ \t]*)([^"'\r\n]+)"""
)

_BEARER = re.compile(r"(?i)\b(bearer|basic)([ \t]+)[^\s\"']+")

_USER = re.compile(r"""([A-Za-z][A-Za-z0-9+.-]*://)[^\s/@"']+@""")

_VENDOR = re.compile(
    r"(?<![\w-])(?:sk-[\w-]{8,}|hf_\w{8,}|gh[pousr]_\w{8,}|github_pat_\w{8,}|xox[abprs]-[\w-]{8,}|AKIA[0-9A-Z]{12,}|nvapi-[\w-]{8,})"
)


def is_secret_name(name: str) -> bool:
    """Returns whether what a flag, a variable or a setting called *name* holds is a secret."""
    plain = name.lower().replace("_", "").replace("-", "")
    if plain in _WORDS or plain.endswith(_ENDINGS):
        return True
    # HF_TOKEN, --auth-token; not --max-tokens.
    return re.search(r"(?i)(^|[_-])(api[_-]?)?(key|keys|token|auth|pat)$", name) is not None and not name.endswith(
        ("-draft-token", "-eos-token", "-bos-token")
    )


def redacted_command(command: str, known: Iterable[str] = ()) -> str:
    """Returns *command* with what is secret in it replaced. known: secrets that are to be found wherever they stand."""
    for secret in sorted(set(known), key=len, reverse=True):
        if len(secret) >= _SHORTEST:
            command = command.replace(secret, REDACTED)
    command = redacted_body(command.encode(errors="surrogatepass")).decode(errors="surrogatepass")
    command = _USER.sub(rf"\1{REDACTED}@", command)
    command = "".join(_without_parameters(word) for word in re.split(r"(\s+)", command))
    command = _FLAG.sub(lambda found: _replaced(found, found[1].lstrip("-"), found[1] + found[2]), command)
    command = _ASSIGNMENT.sub(lambda found: _replaced(found, found[1], f"{found[1]}="), command)
    command = _HEADER.sub(lambda found: _replaced(found, found[1], found[1] + found[2]), command)
    command = _BEARER.sub(rf"\1\2{REDACTED}", command)
    return _VENDOR.sub(REDACTED, command)


def _replaced(found: re.Match[str], name: str, before: str) -> str:
    return before + REDACTED if is_secret_name(name) else found[0]


def _without_parameters(word: str) -> str:
    if "?" not in word:
        return word
    return redacted_target(word.encode(errors="surrogatepass")).decode(errors="surrogatepass")
