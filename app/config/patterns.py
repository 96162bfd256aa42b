r"""Regular expressions as RE2 has them, for Python's `re`. PURE.

The file's expressions were written for RE2 (compatibility specification 2.6, `upstream.ignorePaths`), which differs in three ways:

- It has no lookaround and no references back; Python has. They are refused, so that a file means the same everywhere.
- A few things are written otherwise: `\z`, `\Q…\E`, `\x{…}`, `[[:alpha:]]`; `$` is the very end; `\d`, `\w`, `\s` are ASCII.
  They are translated; `\p{…}` and flags in the middle are refused.
- It takes linear time whatever the expression. Python's takes exponential time for repeats within repeats that can share
  out the same text in many ways, as `(a+)+`. Those are refused. `.*` in front, which an unanchored search makes superfluous and
  which costs the square of the text's length, is taken off.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_FLAGS = re.compile(r"\(\?([imsU]*)(?:-([imsU]*))?([:)])")
_DOT_ALL = re.compile(r"\(\?[imU]*s")
_NAME = re.compile(r"\(\?P?<([A-Za-z_][A-Za-z0-9_]*)>")
_COUNT = re.compile(r"\{([0-9]+)(?:(,)([0-9]*))?\}")
_LEADING = re.compile(r"(\(\?[ims]+\))?\.\*\??(?![*+?{])(?=.)", re.DOTALL)
_HEX = re.compile(r"\\x\{([0-9A-Fa-f]+)\}")
_CLASSES = {
    "alnum": "0-9A-Za-z", "alpha": "A-Za-z", "ascii": r"\x00-\x7F", "blank": r"\t ", "cntrl": r"\x00-\x1F\x7F",
    "digit": "0-9", "graph": "!-~", "lower": "a-z", "print": " -~", "punct": r"!-/:-@\[-`{-~", "space": r"\t\n\v\f\r ",
    "upper": "A-Z", "word": "0-9A-Za-z_", "xdigit": "0-9A-Fa-f",
}  # fmt: skip
MAX_COUNT = 1000
"""The most a `{n,m}` may say, as in RE2."""


class Unsupported(ValueError):
    """An expression that cannot be used; the message says why."""


def compiled(expression: str) -> re.Pattern[str]:
    """Returns *expression* in Python's terms, to be searched for. Raises `Unsupported`."""
    try:
        text = _Translation(expression).text()
        if (leading := _LEADING.match(text)) is not None:
            text = (leading[1] or "") + text[leading.end() :]
        return re.compile(text, re.ASCII)
    except (re.error, OverflowError, RecursionError) as exc:
        raise Unsupported(str(exc)) from exc


Characters = frozenset[str] | None
"""What one thing in an expression may match; None: it may be left out, or that is not known."""


@dataclass(slots=True)
class _Branch:
    """What stands between two `|`."""

    first: Characters = None
    last: Characters = None
    size: int = 0
    """Things in it."""
    repeats: list[Characters] = field(default_factory=list)
    """Everything in it that may match more or less of a text."""

    def add(self, first: Characters, last: Characters) -> None:
        if not self.size:
            self.first = first
        self.last = last
        self.size += 1

    def is_clear(self) -> bool:
        """Whether a text of many of these can be shared out in one way only. Errs on the side of no."""
        sets = [repeat for repeat in self.repeats if repeat is not None]
        if len(sets) < len(self.repeats) or not _disjoint(sets):
            return False
        borders = [border for border in (self.first, self.last) if border is not None]
        return not sets or any(border.isdisjoint(*sets) for border in borders)


@dataclass(slots=True)
class _Group:
    """A group that is being read, or the whole expression."""

    branches: list[_Branch] = field(default_factory=lambda: [_Branch()])

    def tells_branches_apart(self) -> bool:
        firsts = [branch.first for branch in self.branches if branch.first is not None]
        return len(self.branches) == 1 or (len(firsts) == len(self.branches) and _disjoint(firsts))

    def is_clear(self) -> bool:
        return self.tells_branches_apart() and all(branch.is_clear() for branch in self.branches)


def _disjoint(sets: list[frozenset[str]]) -> bool:
    return sum(map(len, sets)) == len(frozenset().union(*sets))


def _union(sets: list[Characters]) -> Characters:
    known = [characters for characters in sets if characters is not None]
    return frozenset().union(*known) if len(known) == len(sets) else None


class _Translation:
    """One pass over one expression."""

    def __init__(self, expression: str) -> None:
        self._rest = expression
        self._alphabet = frozenset(map(chr, range(256))) | frozenset(expression)
        # Wherever the flag stands: erring on the side of more, for all that this decides is what may be repeated.
        self._dot = re.DOTALL if _DOT_ALL.search(expression) else re.NOFLAG
        self._out: list[str] = []
        self._groups = [_Group()]
        self._multiline = False

    def text(self) -> str:
        while self._rest:
            self._item()
        if len(self._groups) > 1:
            raise Unsupported("a ( is not closed")
        return "".join(self._out)

    def _item(self) -> None:
        character = self._rest[0]
        if character == "(":
            self._open()
        elif character == ")":
            if len(self._groups) == 1:
                raise Unsupported("a ) closes nothing")
            self._close()
        elif character == "|":
            self._groups[-1].branches.append(_Branch())
            self._out.append(self._take(1))
        elif character == "^":
            self._out.append(self._take(1))
        elif character == "$":
            self._take(1)
            self._out.append("$" if self._multiline else r"\Z")
        elif self._rest.startswith(r"\Q"):
            quoted, _, rest = self._rest[2:].partition(r"\E")
            self._rest = "".join(map(re.escape, quoted)) + rest
        elif character == "[":
            self._thing(self._class())
        elif character == "\\":
            written = self._escape(in_class=False)
            if written in {r"\b", r"\B", r"\A", r"\Z"}:
                self._out.append(written)
            else:
                self._thing(written)
        elif character in "*+?":
            raise Unsupported(f"{character} repeats nothing")
        else:
            self._take(1)
            self._thing("\\{" if character == "{" else character)

    def _open(self) -> None:
        if (flags := _FLAGS.match(self._rest)) is not None and (flags[1] or flags[2] or flags[3] == ":"):
            if "U" in flags[1] + (flags[2] or ""):
                raise Unsupported("the flag U is not known here; write *? instead of *")
            if flags[3] == ")":
                if self._out or flags[2]:
                    raise Unsupported("flags may stand at the beginning only, or as (?i:…)")
                self._multiline = "m" in flags[1]
            elif "m" in flags[1] + (flags[2] or ""):
                raise Unsupported("the flag m may stand at the beginning only")
            self._out.append(self._take(flags.end()))
            if flags[3] == ":":
                self._groups.append(_Group())
            return
        if (name := _NAME.match(self._rest)) is not None:
            self._out.append(f"(?P<{name[1]}>")
            self._take(name.end())
        elif self._rest.startswith(("(?=", "(?!", "(?<")):
            raise Unsupported(f"{self._rest[:3]} looks around, which RE2 does not")
        elif self._rest.startswith("(?P="):
            raise Unsupported("(?P=…) refers back, which RE2 does not")
        elif self._rest.startswith("(?"):
            raise Unsupported(f"{self._rest[:3]} is not known to RE2")
        else:
            self._out.append(self._take(1))
        self._groups.append(_Group())

    def _escape(self, *, in_class: bool) -> str:
        if (number := _HEX.match(self._rest)) is not None:
            self._take(number.end())
            if int(number[1], 16) > 0x10FFFF:
                raise Unsupported(f"{number[0]} is no character")
            return re.escape(chr(int(number[1], 16)))
        escape = self._take(2)
        letter = escape[1:]
        if not letter:
            raise Unsupported("a \\ ends the expression")
        if letter == "z" and not in_class:
            return r"\Z"
        if letter == "x" and re.match("[0-9A-Fa-f]{2}", self._rest):
            return escape + self._take(2)
        if letter == "0":
            return escape + self._take(len(re.match("[0-7]{0,2}", self._rest)[0]))  # type: ignore[index]  # always matches
        if letter in "123456789":
            raise Unsupported(f"{escape} refers back, which RE2 does not")
        if letter in "pP":
            raise Unsupported(f"{escape} is not known here; write the characters, as [A-Za-z]")
        if letter.isalnum() and letter not in ("dDwWsSafnrtv" if in_class else "dDwWsSafnrtvbBA"):
            raise Unsupported(f"{escape} is not known to RE2")
        return escape

    def _class(self) -> str:
        out = [self._take(1)]
        if self._rest.startswith("^"):
            out.append(self._take(1))
        first = True
        while self._rest and (first or self._rest[0] != "]"):
            if self._rest.startswith("--"):  # the beginning or the end of a range; to Python a difference of sets
                self._take(2)
                out.append(r"\--" if first else r"-\-")
            elif (named := re.match(r"\[:(\^?)([a-z]+):\]", self._rest)) is not None:
                if named[1] or named[2] not in _CLASSES:
                    raise Unsupported(f"{named[0]} is not known here; write the characters")
                self._take(named.end())
                out.append(_CLASSES[named[2]])
            elif self._rest[0] == "\\":
                out.append(self._escape(in_class=True))
            else:
                character = self._take(1)
                out.append(f"\\{character}" if character in "[&~|]" else character)
            first = False
        if not self._rest:
            raise Unsupported("a [ is not closed")
        return "".join((*out, self._take(1)))

    def _thing(self, written: str) -> None:
        """Takes in one character or class, and what may follow it: `*`, `+`, `?` or `{…}`."""
        self._out.append(written)
        operator, varies, _ = self._operator()
        characters = self._matching(written)
        branch = self._groups[-1].branches[-1]
        if varies:
            branch.repeats.append(characters)
            branch.add(None, None)
        else:
            branch.add(characters, characters)
        self._out.append(operator)

    def _close(self) -> None:
        group = self._groups.pop()
        self._out.append(self._take(1))
        operator, varies, endless = self._operator()
        if endless and not group.is_clear():
            raise Unsupported(
                "a repeat inside a repeat, or of branches that begin alike, can take forever here; repeat one thing only, or "
                "begin the group with a character that its inside cannot have, as (/[^/]+)*"
            )
        branch = self._groups[-1].branches[-1]
        for inner in group.branches:
            branch.repeats += inner.repeats
        if varies or not group.tells_branches_apart():
            branch.repeats.append(None)
        if varies:
            branch.add(None, None)
        else:
            branch.add(
                _union([inner.first for inner in group.branches]), _union([inner.last for inner in group.branches])
            )
        self._out.append(operator)

    def _matching(self, written: str) -> frozenset[str]:
        # A sample: every character of one byte, and those the expression names.
        one = re.compile(written, re.ASCII | re.IGNORECASE | self._dot)
        return frozenset(filter(one.fullmatch, self._alphabet))

    def _operator(self) -> tuple[str, bool, bool]:
        """Returns what repeats the thing before it, whether the number of times varies, and whether it may be more than once."""
        operator, varies, endless = "", False, False
        if self._rest.startswith(("*", "+", "?")):
            operator = self._take(1)
            varies, endless = True, operator != "?"
        elif (count := _COUNT.match(self._rest)) is not None:
            least, most = int(count[1]), int(count[3] or count[1])
            if max(least, most) > MAX_COUNT:
                raise Unsupported(f"{count[0]} repeats more than {MAX_COUNT} times")
            operator = self._take(count.end())
            is_open = bool(count[2]) and not count[3]
            # Twice is as good as without end: repeats multiply, (?:(?:a+){3}){3} tries the ninth power of the text's length.
            varies, endless = is_open or most > least, is_open or most > 1
        if operator and self._rest.startswith("?"):
            operator += self._take(1)
        if operator and (self._rest.startswith(("*", "+", "?")) or _COUNT.match(self._rest)):
            raise Unsupported(f"{operator}{self._rest[0]} repeats a repeat")
        return operator, varies, endless

    def _take(self, count: int) -> str:
        taken, self._rest = self._rest[:count], self._rest[count:]
        return taken
