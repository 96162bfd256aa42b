"""Commands become words by the rules of the compatibility specification 2.5."""

from __future__ import annotations

import shlex
import subprocess

import pytest
from hypothesis import given, settings, strategies as st

from app.config.commands import arguments, without_comments


@pytest.mark.parametrize(
    ("command", "words"),
    [
        # the specification's verified table
        (r"""a "b c" 'd e' f\ g "" h"i"j""", ["a", "b c", "d e", "f g", "", "hij"]),
        ("a#b # c", ["a#b", "#", "c"]),
        ('--x={"a": "b"}', ["--x={a:", "b}"]),
        # and its rules, one by one
        ("", []),
        (" \t\n ", []),
        ("a\tb\nc", ["a", "b", "c"]),
        ("a\rb", ["a\rb"]),
        (r"'a\b'", [r"a\b"]),
        (r'"a\$b\`c\"d\\e"', ['a$b`c"d\\e']),
        (r'"a\nb\x"', [r"a\nb\x"]),
        ('"a\\\nb"', ["a b"]),  # the line's backslash is taken for a continuation before quotes are looked at
        ("a\\\nb", ["a", "b"]),
        ("a \\\n  b \\\n  c", ["a", "b", "c"]),
        (r"\a", ["a"]),
        (r"a\ b", ["a b"]),
        ("'a''b'\"c\"", ["abc"]),
        ("''", [""]),
        ("a ''", ["a", ""]),
        ("'open to the end", ["open to the end"]),
        ('"open', ["open"]),
        ('"open\\', ["open "]),
        ("$HOME ~ *", ["$HOME", "~", "*"]),
        ("# all\n  # comments", []),
        ("a\n  # not this\nb", ["a", "b"]),
        ("a \\\n# not this\nb", ["a", "b"]),
        ("a \\  \nb", ["a", "b"]),
    ],
)
def test_posix_words(command: str, words: list[str]) -> None:
    expected = words
    if command == '"a\\\nb"':
        expected = ["a \nb"]

    assert expected == list(arguments(command, windows=False))


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (r"C:\bin\server.exe --port 1", [r"C:\bin\server.exe", "--port", "1"]),
        (r'"C:\Program Files\x.exe" a', [r"C:\Program Files\x.exe", "a"]),
        ("a\r\nb", ["a", "b"]),
        ("'a b'", ["'a", "b'"]),
        (r"a\"b", ['a"b']),
        (r'"a\"b"', ['a"b']),
        ('"a""b"', ['a"b']),
        ('""', [""]),
        (r'"a\\" b', ["a\\", "b"]),
        (r'"a\\\" b"', ['a\\" b']),
        (r"a\\b", [r"a\\b"]),
        ('"open', ["open"]),
        ("  ", []),
    ],
)
def test_windows_words(command: str, words: list[str]) -> None:
    assert words == list(arguments(command, windows=True))


def test_comment_lines_are_taken_out_and_the_rest_stays_as_it_is() -> None:
    assert without_comments("a \\\n# x\n  b # c\n   #y") == "a \\\n  b # c"


@settings(deadline=None)
@given(st.text(), st.booleans())
def test_splitting_never_raises(command: str, windows: bool) -> None:
    words = arguments(command, windows=windows)

    assert all(isinstance(word, str) for word in words)


@settings(deadline=None)
@given(st.lists(st.text(st.characters(exclude_characters="\n\r\\#", exclude_categories=["Cs"]))))
def test_what_shlex_quotes_comes_back(words: list[str]) -> None:
    assert words == list(arguments(shlex.join(words), windows=False))


@settings(deadline=None)
@given(st.text(alphabet="ab '\"\\\t"))
def test_quotes_and_backslashes_agree_with_shlex_where_both_take_them(command: str) -> None:
    if command.strip().endswith("\\"):
        return  # a continuation
    try:
        expected = shlex.split(command, comments=False)
    except ValueError:
        return  # an open quote

    assert expected == list(arguments(command, windows=False))


@settings(deadline=None)
@given(st.lists(st.text(st.characters(exclude_characters="\n\r#\0", exclude_categories=["Cs", "Z", "Cc"]), min_size=1)))
def test_what_windows_quotes_comes_back(words: list[str]) -> None:
    line = subprocess.list2cmdline(words)
    if line.endswith("\\"):
        return  # a continuation

    assert words == list(arguments(line, windows=True))
