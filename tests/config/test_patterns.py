"""Expressions written for RE2 mean the same in Python, or are refused; none of them takes forever."""

from __future__ import annotations

import re
import subprocess
import sys
from contextlib import suppress

import pytest
from hypothesis import given, settings, strategies as st

from app.config.patterns import Unsupported, compiled
from tests.config.reading import read, refusal


@pytest.mark.parametrize(
    ("expression", "found", "not_found"),
    [
        ("", ["", "x"], []),
        (".*", ["", "x"], []),
        (".*?x", ["ax"], ["a"]),
        (r".*\.(js|css)$", ["/a.js", ".css"], ["/a.jsx", "/ajs", "/a.js\n"]),
        (r"(?i).*\.JS$", ["/a.js"], ["/a.j"]),
        (r"(?m)^b$", ["a\nb\nc"], ["ab"]),
        (r"(?s)a.b", ["a\nb"], ["ab"]),
        (r"(?i:x)y", ["Xy"], ["XY"]),
        (r"^/a|/b\z", ["/ax", "x/b"], ["x/a", "/b/"]),
        (r"\Aa", ["ab"], ["ba"]),
        (r"\d\w\s", ["1a "], ["\u0661a "]),
        (r"\Qa.b*\E+", ["a.b**"], ["aab*"]),
        (r"\Qa.b", ["a.b"], ["axb"]),
        (r"[[:alpha:]][[:punct:]]", ["a]", "z~", "b-"], ["1]", "aa"]),
        (r"\x41\x{1F600}\x{2e}", ["A\U0001f600."], ["A\U0001f600x"]),
        (r"\07\041", ["\a!"], []),
        ("[]a]", ["]"], ["b"]),
        ("[^]a]", ["b"], ["]"]),
        ("[a&&b~~c||d]", ["&", "~", "|"], ["e"]),
        ("[+--]", ["+", ",", "-"], ["."]),
        ("[--/]", ["-", ".", "/"], [","]),
        ("[a-]", ["a", "-"], ["b"]),
        (r"[\]\-\d]", ["]", "-", "5"], ["\\"]),
        ("a{2}", ["aa"], ["a"]),
        ("a{,2}", ["a{,2}"], ["aa"]),
        ("a{x}", ["a{x}"], ["ax"]),
        (r"\bfoo\B", ["foox"], ["xfoo", "foo"]),
        ("(?P<a>x)(?<b>y)", ["xy"], ["x"]),
        ("^/static(/[^/]+)*$", ["/static", "/static/a/b"], ["/static/"]),
        ("^([^/]+/)*x", ["a/b/x"], ["/x"]),
        ("^((a|b)[0-9]+)*$", ["a1b22"], ["a"]),
        ("^(?:foo|[0-9])+$", ["foo1"], ["fo"]),
        ("^(x+y)*$", ["xxyxy"], ["x"]),
        (r"^(\d{1,3}\.){3}\d{1,3}$", ["127.0.0.1"], ["127.0.0"]),
        ("(a?)b", ["b"], ["a"]),
        ("^(.|\n)*x", ["a\nx"], ["a\n"]),
    ],
)
def test_what_it_finds(expression: str, found: list[str], not_found: list[str]) -> None:
    pattern = compiled(expression)

    assert [text for text in (*found, *not_found) if pattern.search(text)] == found


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        (r"(a)\1", r"\1 refers back, which RE2 does not"),
        ("(?P<a>x)(?P=a)", "(?P=…) refers back"),
        ("(?=x)", "(?= looks around, which RE2 does not"),
        ("(?!x)", "looks around"),
        ("(?<=x)", "looks around"),
        ("(?<!x)", "looks around"),
        ("(?>x)", "(?> is not known to RE2"),
        ("(?#x)", "(?# is not known to RE2"),
        ("(?x)a", "(?x is not known to RE2"),
        ("x(?i)y", "flags may stand at the beginning only"),
        ("(?-i)y", "flags may stand at the beginning only"),
        ("x(?m:^y)", "the flag m may stand at the beginning only"),
        ("(?U)x", "the flag U is not known here"),
        (r"\Z", r"\Z is not known to RE2"),
        (r"\u0041", r"\u is not known to RE2"),
        (r"[\b]", r"\b is not known to RE2"),
        (r"\pL", r"\p is not known here"),
        (r"\x{110000}", "is no character"),
        (r"\xZ", r"\x is not known to RE2"),
        ("[[:^alpha:]]", "is not known here"),
        ("[[:nothing:]]", "is not known here"),
        ("[z-a]", "bad character range"),
        ("[", "a [ is not closed"),
        ("[]", "a [ is not closed"),
        ("(", "a ( is not closed"),
        (")", "a ) closes nothing"),
        ("\\", "a \\ ends the expression"),
        ("*", "* repeats nothing"),
        ("a++", "++ repeats a repeat"),
        ("a{2}{3}", "repeats a repeat"),
        ("a{3,2}", "min repeat greater than max repeat"),
        ("a{1001}", "{1001} repeats more than 1000 times"),
        ("(" * 2000, "a ( is not closed"),
    ],
)
def test_what_is_refused(expression: str, told: str) -> None:
    with pytest.raises(Unsupported) as caught:
        compiled(expression)

    assert told in str(caught.value)


EXPLOSIVE = [
    "(a+)+$",
    "(.*)*$",
    "(a|aa)+$",
    "(a|a)*$",
    "(a?a)*$",
    "([a-z]+)*[A-Z]",
    "((a+)b?)*$",
    "(aa*)*$",
    "((?:a|aa))*$",
    "(|a)*$",
    "(?:a+){20}$",
    "(?:(?:a+){1,3}){1,3}$",
    "(?i:(A|a))*$",
    "(a{1,9})*$",
    "(ba+a+)*$",
    "((ba+)+)+$",
    "(a*b?)*$",
    r"(?s)(.|\n)*$",
]


@pytest.mark.parametrize("expression", EXPLOSIVE)
def test_what_would_take_forever_is_refused(expression: str) -> None:
    with pytest.raises(Unsupported, match="can take forever"):
        compiled(expression)


_pieces = st.recursive(
    st.sampled_from(["a", "b", "[ab]", "[^a]", "."]),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda pair: f"(?:{pair[0]}|{pair[1]})"),
        st.tuples(inner, st.sampled_from("*+?")).map(lambda pair: f"(?:{pair[0]}){pair[1]}"),
    ),
    max_leaves=6,
)


@settings(deadline=None, max_examples=200)
@given(_pieces, st.lists(st.text("ab", max_size=12), max_size=5))
def test_what_is_taken_finds_what_it_would_find_as_it_stands(expression: str, texts: list[str]) -> None:
    """Written in what both dialects share, so the translation must not make a difference."""
    try:
        found = compiled(expression + "$")
    except Unsupported:
        return

    for text in texts:
        assert bool(found.search(text)) is bool(re.search(expression + "$", text))


def test_what_is_taken_ends_soon() -> None:
    """In a process of its own, for a search cannot be ended; 2 000 expressions, each over texts made to be hard."""
    program = """
import random
from app.config.patterns import Unsupported, compiled
random.seed(5)
def piece(depth):
    kind = random.randrange(6 if depth else 2)
    if kind < 2: return random.choice(["a", "b", "[ab]", "ba", "[^b]"])
    if kind == 2: return piece(depth - 1) + piece(depth - 1)
    if kind == 3: return "(" + piece(depth - 1) + "|" + piece(depth - 1) + ")"
    return "(" + piece(depth - 1) + ")" + random.choice("*+?")
taken = 0
for _ in range(2000):
    try: pattern = compiled("^" + piece(3) + "$")
    except Unsupported: continue
    taken += 1
    for text in ("a" * 40 + "!", "ab" * 20 + "!", "ba" * 20 + "!", "b" * 40 + "!", "aab" * 14 + "!"): pattern.search(text)
print(taken)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, timeout=30)

    assert int(done.stdout) > 500


@settings(deadline=None)
@given(st.text("ab.*+?()[]{}|^$\\-:<>P=!QEpdz012,i", max_size=12))
def test_anything_is_compiled_or_refused(expression: str) -> None:
    """Anything else that is raised is a defect."""
    with suppress(Unsupported):
        assert compiled(expression).flags & re.ASCII


@pytest.mark.parametrize("written", ["", "upstream: {}", "upstream: {ignorePaths: []}"])
def test_default_is_for_the_parts_of_a_web_page(written: str) -> None:
    (pattern,) = read(written).ignore_paths

    assert [
        path
        for path in ("/a.js", "/x/y.PNG", "/x.ico", "/v1/models", "/js", "/a.json/x", "/a.txt")
        if pattern.search(path)
    ] == [
        "/a.js",
        "/x.ico",
        "/a.txt",
    ]


def test_paths_of_the_file_take_the_defaults_place() -> None:
    patterns = read(r"upstream: {ignorePaths: ['^/ui/', '\.wasm$']}").ignore_paths

    assert [[bool(pattern.search(path)) for pattern in patterns] for path in ("/ui/a", "/a.wasm", "/a.js")] == [
        [True, False],
        [False, True],
        [False, False],
    ]


def test_a_bad_expression_is_told_with_its_place() -> None:
    assert (
        str(refusal("upstream:\n  ignorePaths:\n    - ok\n    - '(?=x)'\n"))
        == 'config.yaml:4: upstream.ignorePaths[1]: "(?=x)" is not a regular expression that can be used: '
        "(?= looks around, which RE2 does not"
    )
