from __future__ import annotations

import tempfile
import tracemalloc
from email import message_from_bytes, policy
from email.message import EmailMessage, Message
from urllib.parse import urlencode

import anyio
import httpx
import pytest
from hypothesis import given, strategies as st

from app.asgi import Body
from app.errors import RequestError
from app.routing.asked import Asked
from app.routing.forms import (
    FIELD_LIMIT,
    HEADER_LIMIT,
    PARTS_LIMIT,
    Multipart,
    asked_by_form,
    asked_by_query,
    boundary_of,
    replace_model,
    without_malformed,
)

WAV = b"RIFF\r\n\r\n--\r\n--frontie\r\n--frontierX\r\n\r\n--frontier" + bytes(range(256))
"""A file that looks as much like the end of itself as it may."""


def part(name: str, value: bytes, more: str = "") -> bytes:
    return f'--frontier\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode() + value + b"\r\n"


def scanned(body: bytes, step: int = 0, boundary: bytes = b"frontier") -> Multipart:
    """Returns what was found, feeding *step* bytes at a time (0: all at once)."""
    scan = Multipart(boundary)
    for at in range(0, len(body), step or len(body) or 1):
        scan.feed(body[at : at + step] if step else body)
    scan.finish()
    return scan


def found(scan: Multipart) -> list[tuple[str, bytes]]:
    return [(field.name, field.value) for field in scan.fields]


def renamed(body: bytes, scan: Multipart, name: str) -> bytes:
    """Returns *body* with its models replaced, after checking that a spooled body gives the same."""
    splices = [(field.start, field.end, name.encode()) for field in scan.fields if field.name == "model"]
    in_memory = Body(body).spliced(splices)

    async def spooled() -> bytes:
        with tempfile.TemporaryFile() as file:
            file.write(body)
            new = Body(b"", file, len(body)).spliced(splices)
            after = b"".join([chunk async for chunk in new.chunks()])
            assert new.size == len(after)
            return after

    assert anyio.run(spooled) == in_memory.data
    assert in_memory.size == len(in_memory.data)
    return in_memory.data


def by_email_package(content_type: str, body: bytes) -> list[tuple[str | None, str | None, bytes]]:
    """Returns name, filename and content of every part, as the standard library reads them."""
    document = message_from_bytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body, policy=policy.HTTP)
    parts = document.get_payload()
    assert isinstance(parts, list)
    told = []
    for each in parts:
        assert isinstance(each, Message)
        content = each.get_payload(decode=True)
        assert isinstance(content, bytes)
        name = each.get_param("name", header="content-disposition")
        assert name is None or isinstance(name, str)
        told.append((name, each.get_filename(), content))
    return told


# query strings and URL-encoded bodies


@pytest.mark.parametrize(
    ("query", "asked"),
    [
        (b"", Asked("")),
        (b"model=a", Asked("a")),
        (b"model=a%2Fb+c&x=1", Asked("a/b c")),
        (b"model=gr%C3%B6%C3%9Fe", Asked("größe")),
        (b"model=a&model=b", Asked("a")),
        (b"model=&model=b", Asked("")),
        (b"model", Asked("")),
        (b"model=a&stream=true", Asked("a", streaming=True)),
        (b"model=a&stream=1", Asked("a")),
        (b"model=%ff%zz&&=&", Asked("�%zz")),
    ],
)
def test_query_asks(query: bytes, asked: Asked) -> None:
    assert asked_by_query(query) == asked


@pytest.mark.parametrize(
    ("body", "query", "asked"),
    [
        (b"model=a&stream=1", b"", Asked("a", streaming=True)),
        (b"model=a", b"model=b&stream=true", Asked("a", streaming=True)),
        (b"", b"model=b", Asked("b")),
        (b"x=1", b"model=b", Asked("b")),
        (b"model=a&model=b", b"model=c", Asked("a")),
        (b"stream=false&model=a", b"stream=true", Asked("a")),
        (b"\xff\x00 no form at all", b"", Asked("")),
        (b"", b"", Asked("")),
    ],
)
def test_form_asks_before_the_query_and_the_first_value_wins(body: bytes, query: bytes, asked: Asked) -> None:
    assert asked_by_form(body, query) == asked


def test_body_of_ampersands_is_not_taken_to_pieces() -> None:
    """Each piece would take 100 bytes."""
    body = b"&" * 4_000_000 + b"model=a"
    tracemalloc.start()
    try:
        assert asked_by_form(body, b"") == Asked("a")
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("fields", [b"xmodel=b&model=a", b"x=model=b&model=a", b"model2=b&model=a&model=c"])
def test_name_is_the_whole_name(fields: bytes) -> None:
    assert asked_by_form(fields, b"") == Asked("a")
    assert asked_by_query(fields) == Asked("a")


@given(st.lists(st.tuples(st.sampled_from(["model", "stream", "x"]), st.text(max_size=5)), max_size=6))
def test_form_means_what_was_encoded(pairs: list[tuple[str, str]]) -> None:
    first = dict(reversed(pairs))

    encoded = urlencode(pairs).encode()

    assert asked_by_form(encoded, b"").model == first.get("model", "")
    assert asked_by_query(encoded).model == first.get("model", "")


# boundaries


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        ("multipart/form-data; boundary=abc", b"abc"),
        ("multipart/form-data;boundary=abc;charset=utf-8", b"abc"),
        ("multipart/form-data; BOUNDARY=abc , x", b"abc"),
        ('multipart/form-data; boundary="a b;c,d"', b"a b;c,d"),
        ("multipart/form-data; boundary=----WebKitFormBoundary7MA4YWxk'()+_./:=?", b"----WebKitFormBoundary7MA4YWxk'()+_./:=?"),
    ],
)  # fmt: skip
def test_boundary_is_read(content_type: str, boundary: bytes) -> None:
    assert boundary_of(content_type) == boundary


@pytest.mark.parametrize(
    "content_type",
    ["multipart/form-data", "multipart/form-data; boundary=", 'multipart/form-data; boundary=""', "multipart/form-data; x=1"],
)  # fmt: skip
def test_content_type_without_a_boundary_is_refused(content_type: str) -> None:
    with pytest.raises(RequestError, match="names no boundary"):
        boundary_of(content_type)


# multipart bodies


def test_fields_are_found_with_their_places() -> None:
    body = part("model", b"whisper") + part("file", WAV, '; filename="a.wav"') + part("n", b"") + b"--frontier--\r\n"

    scan = scanned(body)

    assert found(scan) == [("model", b"whisper"), ("n", b"")]
    assert [body[field.start : field.end] for field in scan.fields] == [b"whisper", b""]


@pytest.mark.parametrize(
    "disposition",
    [
        'form-data; name="model"',
        "form-data; name=model",
        'form-data;name="model"',
        'FORM-DATA; Name="model"',
        'form-data; x="1"; name="model"; y=2',
        'form-data;\r\n\tname="model"',
    ],
)
def test_name_is_read_however_it_is_written(disposition: str) -> None:
    for header in ("Content-Disposition", "content-disposition"):
        body = f"--frontier\r\nX: 1\r\n{header}: {disposition}\r\nY: 2\r\n\r\na\r\n--frontier--".encode()

        assert scanned(body).asked(b"") == Asked("a")


@pytest.mark.parametrize(
    "headers",
    [
        'Content-Disposition: form-data; name="model"; filename="a"',
        "Content-Disposition: form-data; filename*=UTF-8''a; name=\"model\"",
        'Content-Disposition: form-data; name="model"; FileName=a',
        'Content-Disposition: form-data; filename="model"',
        "Content-Disposition: form-data",
        'Content-Type: text/plain; name="model"',
        'X-Content-Disposition: form-data; name="model"',
    ],
)
def test_file_or_nameless_part_is_no_field(headers: str) -> None:
    body = f"--frontier\r\n{headers}\r\n\r\na\r\n--frontier--\r\n".encode()

    assert scanned(body).fields == []


def test_part_without_headers_is_no_field() -> None:
    assert found(scanned(b"--frontier\r\n\r\na\r\n" + part("b", b"c") + b"--frontier--")) == [("b", b"c")]


def test_quotes_in_a_name_do_not_end_it() -> None:
    assert found(scanned(part(r"mo\"; name=\"del", b"a") + b"--frontier--")) == [(r"mo\"; name=\"del", b"a")]


def test_preamble_and_epilogue_mean_nothing() -> None:
    body = b"hello\r\n--frontie\r\n" + part("model", b"a") + b"--frontier--\r\n" + part("model", b"b") + b"--frontier--"

    for step in (0, 1, 7):
        assert found(scanned(body, step)) == [("model", b"a")]


def test_blanks_after_a_boundary_mean_nothing() -> None:
    body = part("model", b"a").replace(b"--frontier\r\n", b"--frontier \t \r\n") + b"--frontier--  \r\n"

    for step in (0, 1, 7):
        assert found(scanned(body, step)) == [("model", b"a")]


def test_longer_line_is_no_boundary() -> None:
    value = b"a\r\n--frontier1\r\n\r\n--frontier-\r\nb"

    for step in (0, 1, 7):
        assert found(scanned(part("model", value) + b"--frontier--", step)) == [("model", value)]


def test_part_that_ends_with_its_headers_has_an_empty_value_that_can_be_replaced() -> None:
    """RFC 2046: the blank line after the headers belongs to the body, which may be missing."""
    body = b'--frontier\r\nContent-Disposition: form-data; name="model"\r\n\r\n--frontier--\r\n'

    scan = scanned(body)

    assert scan.asked(b"model=q") == Asked("q")
    assert found(scanned(renamed(body, scan, "new"))) == [("model", b"new")]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no boundary at all",
        b"--frontier",
        b"--frontier\r\n",
        b'--frontier\r\nContent-Disposition: form-data; name="model"\r\n',
        part("model", b"a"),
        part("model", b"a") + b"--frontier",
        part("model", b"a") + b"--frontier-",
        part("model", b"a") + b"--other--",
        b'{"model": "a"}',
    ],
)
def test_body_without_its_closing_boundary_is_refused(body: bytes) -> None:
    for step in (0, 1):
        with pytest.raises(RequestError, match="before its closing boundary"):
            scanned(body, step)


def test_body_of_no_parts_asks_for_nothing() -> None:
    assert scanned(b"--frontier--").asked(b"") == Asked("")


@pytest.mark.parametrize("step", [0, 1, 100, HEADER_LIMIT])
def test_headers_up_to_the_limit_are_read_and_beyond_it_refused_in_any_chunks(step: int) -> None:
    disposition = 'Content-Disposition: form-data; name="model"\r\n'
    fits = HEADER_LIMIT - len(disposition) - len("X: \r\n")

    def body(filler: int) -> bytes:
        return f"--frontier\r\nX: {'x' * filler}\r\n{disposition}\r\na\r\n--frontier--".encode()

    assert found(scanned(body(fits), step)) == [("model", b"a")]
    with pytest.raises(RequestError, match="headers of more than"):
        scanned(body(fits + 1), step)


@pytest.mark.parametrize("step", [0, 100])
def test_headers_without_an_end_are_refused(step: int) -> None:
    for beginning in (b"--frontier\r\n", b"--frontier "):
        with pytest.raises(RequestError, match="headers of more than"):
            scanned(beginning + b"x" * (HEADER_LIMIT + 100), step)


def test_too_many_parts_are_refused() -> None:
    assert len(scanned(part("n", b"1") * PARTS_LIMIT + b"--frontier--").fields) == PARTS_LIMIT
    with pytest.raises(RequestError, match="more than 1000 parts"):
        scanned(part("n", b"1") * (PARTS_LIMIT + 1) + b"--frontier--")


@pytest.mark.parametrize("step", [0, 1000, FIELD_LIMIT])
def test_long_value_is_remembered_in_part_but_its_place_in_whole(step: int) -> None:
    body = part("model", b"m" * (FIELD_LIMIT + 5000)) + b"--frontier--"

    (field,) = scanned(body, step).fields

    assert len(field.value) == FIELD_LIMIT
    assert body[field.start : field.end] == b"m" * (FIELD_LIMIT + 5000)


def test_first_model_wins_and_the_query_stands_in_for_none() -> None:
    assert scanned(part("model", b"a") + part("model", b"b") + b"--frontier--").asked(b"model=q").model == "a"
    assert scanned(part("x", b"a") + b"--frontier--").asked(b"model=q").model == "q"
    assert scanned(part("model", b"") + b"--frontier--").asked(b"model=q").model == "q"


@pytest.mark.parametrize(("written", "streaming"), [(b"true", True), (b"1", True), (b"false", False), (b"", False)])
def test_stream_is_read(written: bytes, streaming: bool) -> None:
    assert scanned(part("stream", written) + b"--frontier--").asked(b"").streaming is streaming


def test_value_that_is_no_text_is_read_as_far_as_it_is() -> None:
    assert scanned(part("model", b"a\xff") + b"--frontier--").asked(b"").model == "a�"


def test_every_model_is_replaced_and_not_another_byte() -> None:
    body = part("model", b"a") + part("file", WAV, '; filename="model"') + part("model", b"") + b"--frontier--\r\nend"

    after = renamed(body, scanned(body), "a longer name")

    assert after == (
        part("model", b"a longer name") + part("file", WAV, '; filename="model"') + part("model", b"a longer name")
        + b"--frontier--\r\nend"
    )  # fmt: skip


def test_body_of_httpx_is_understood_and_still_the_same_to_the_email_package_but_for_the_model() -> None:
    request = httpx.Request(
        "POST",
        "http://x/",
        data={"prompt": "grüße\r\nzwei", "model": "whisper", "stream": "true", 'q"uo\\te': "1"},
        files={"file": ("a.wav", WAV, "audio/wav"), "image[]": ("b.png", b"\r\n\r\n\x00", "image/png")},
    )
    body = request.read()
    content_type = request.headers["content-type"]

    scan = scanned(body, 13, boundary_of(content_type))
    after = renamed(body, scan, "large-v3")

    assert scan.asked(b"") == Asked("whisper", streaming=True)
    assert scan.fields[0].value == "grüße\r\nzwei".encode()
    before = by_email_package(content_type, body)
    assert ("model", None, b"whisper") in before
    assert by_email_package(content_type, after) == [
        (name, filename, b"large-v3" if name == "model" else content) for name, filename, content in before
    ]


def test_body_of_the_email_package_is_understood() -> None:
    document = EmailMessage(policy=policy.HTTP)
    document["Content-Type"] = "multipart/form-data"
    document.make_mixed()
    for name, value in (("model", b"whisper"), ("with a rather long name " * 6, b"x"), ("language", b"de")):
        field = EmailMessage(policy=policy.HTTP.clone(max_line_length=40))
        field.set_content(value, "application", "octet-stream", cte="binary", disposition="form-data")
        field.set_param("name", name, header="Content-Disposition")
        document.attach(field)
    raw = document.as_bytes()
    head, _, body = raw.partition(b"\r\n\r\n")
    boundary = document.get_boundary()
    assert boundary is not None
    assert boundary.encode() in head

    scan = scanned(body, boundary=boundary.encode())

    assert scan.asked(b"") == Asked("whisper")
    assert ("language", b"de") in found(scan)


contents = st.one_of(
    st.binary(max_size=30),
    st.lists(
        st.sampled_from([b"\r", b"\n", b"\r\n", b"-", b"--", b"\r\n--", b"fron", b"frontier", b"a", b"--frontierX"]),
        max_size=8,
    ).map(b"".join),
).filter(
    lambda content: not any(b"\r\n--frontier" + end in b"\r\n" + content + b"\r" for end in (b"--", b" ", b"\t", b"\r"))
)
parts = st.tuples(st.sampled_from(["model", "stream", "x", 'q\\"'] ), contents, st.booleans())  # fmt: skip


@given(st.lists(parts, max_size=5), st.binary(max_size=5), st.lists(st.integers(1, 40), max_size=60))
def test_any_chunks_give_the_same(written: list[tuple[str, bytes, bool]], epilogue: bytes, steps: list[int]) -> None:
    body = b"".join(part(name, content, '; filename="f"' if is_file else "") for name, content, is_file in written)
    body += b"--frontier--" + epilogue

    scan = Multipart(b"frontier")
    at = 0
    for step in steps:
        scan.feed(body[at : at + step])
        at += step
    scan.feed(body[at:])
    scan.finish()

    assert found(scan) == [(name, content) for name, content, is_file in written if not is_file]
    assert [body[field.start : field.end] for field in scan.fields] == [field.value for field in scan.fields]
    assert scan.fields == scanned(body, 1).fields
    assert renamed(body, scan, "new") == b"".join(
        part(name, b"new" if name == "model" and not is_file else content, '; filename="f"' if is_file else "")
        for name, content, is_file in written
    ) + b"--frontier--" + epilogue  # fmt: skip


@given(st.binary(max_size=200), st.integers(1, 20))
def test_any_bytes_are_scanned_or_refused_alike_in_any_chunks(junk: bytes, step: int) -> None:
    def outcome(step: int) -> object:
        try:
            return scanned(b"--frontier" + junk, step).fields
        except RequestError as exc:
            return str(exc)

    assert outcome(step) == outcome(0)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (b"model=a", b"model=N"),
        (b"x=1&model=a&y", b"x=1&model=N&y"),
        (b"model=&model=b", b"model=N&model=N"),
        (b"model=a%26b=c", b"model=N"),
        (b"mymodel=a&models=b&x=model=c", b"mymodel=a&models=b&x=model=c"),
        (b"a\nmodel=b", b"a\nmodel=b"),
        (b"model", b"model"),
        (b"", b""),
    ],
)
def test_only_values_of_the_model_are_replaced(fields: bytes, expected: bytes) -> None:
    assert replace_model(fields, "N") == expected


def test_replaced_name_is_read_back_as_it_is() -> None:
    name = "org/m:q4 &=+%ö\\1"

    assert asked_by_form(replace_model(b"x&model=a&y=1", name), b"").model == name


@pytest.mark.parametrize(
    ("query", "kept"),
    [
        (b"a=1&b=%20", b"a=1&b=%20"),
        (b"a=%2&b", b"b"),
        (b"a;b=1&c=%zz&d=%4f", b"d=%4f"),
        (b"%", b""),
        (b"", b""),
    ],
)
def test_fields_that_parsers_disagree_about_are_left_out(query: bytes, kept: bytes) -> None:
    assert without_malformed(query) == kept
