from __future__ import annotations

import json

import pytest
from hypothesis import example, given, strategies as st

from app.errors import RequestError
from app.routing.asked import Asked
from app.routing.json_body import asked, is_truthy, replace_model


@pytest.mark.parametrize(
    ("written", "name"),
    [
        (b'"llama"', "llama"),
        (b'"a\\u0041\\n"', "aA\n"),
        ('"größe"'.encode(), "größe"),
        (b"7", "7"),
        (b"-3", "-3"),
        (b"1.5", "1.5"),
        (b"true", "true"),
        (b"false", "false"),
        (b"null", ""),
        (b'["a"]', ""),
        (b'{"model": "a"}', ""),
    ],
)
def test_any_scalar_names_a_model_by_its_text(written: bytes, name: str) -> None:
    assert asked(b'{"model": %b}' % written) == Asked(name)


@pytest.mark.parametrize("written", [b"true", b"1", b"-0.5", b'"true"', b'"True"', b'"TRUE"', b'"t"', b'"1"'])
def test_stream_is_on(written: bytes) -> None:
    assert asked(b'{"model": "a", "stream": %b}' % written).streaming


@pytest.mark.parametrize(
    "written", [b"false", b"0", b"0.0", b"null", b'"false"', b'"yes"', b'""', b"[1]", b'{"a": 1}', b'"10"']
)
def test_stream_is_off(written: bytes) -> None:
    assert not asked(b'{"model": "a", "stream": %b}' % written).streaming


def test_stream_is_off_when_it_is_not_mentioned() -> None:
    assert not asked(b'{"model": "a"}').streaming


values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.sampled_from(["a", "ä", "", "true", "1", "x"]),
    st.just([1]),
    st.just({}),
)


@given(st.lists(st.tuples(st.sampled_from(["model", "stream", "n"]), values)))
def test_members_of_usual_types_are_read_like_those_of_others(members: list[tuple[str, object]]) -> None:
    """They are read in one go; whatever stands beside them, or under the same name before, the last of each name counts."""
    body = "{" + ", ".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in members) + "}"
    last = dict(members)
    model = last.get("model")
    name = model if isinstance(model, str) else json.dumps(model) if isinstance(model, int) else ""

    assert asked(body.encode()) == Asked(name, is_truthy(last.get("stream")))


def test_model_deeper_in_the_document_is_not_the_one_asked_for() -> None:
    assert asked(b'{"x": {"model": "b"}, "y": [{"model": "c"}]}').model == ""


def test_of_two_models_the_last_one_counts_as_in_most_parsers() -> None:
    assert asked(b'{"model": "a", "model": "b"}').model == "b"


def test_model_under_an_escaped_key_is_found() -> None:
    assert asked(rb'{"mod\u0065l": "a"}').model == "a"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"   ",
        b"[]",
        b'"model"',
        b"1",
        b"null",
        b"{",
        b'{"model": "a"',
        b'{"model": "a"} trailing',
        b'{"model": "a",}',
        b"{'model': 'a'}",
        b"model=a",
        b'{"model": nan}',
        b'\xef\xbb\xbf{"model": "a"}',
    ],
)
def test_what_is_not_one_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(RequestError, match="not a JSON object") as caught:
        asked(body)

    assert caught.value.status == 400


@pytest.mark.parametrize("name", [b"model", b"stream"])
@pytest.mark.parametrize(
    "written", [b'"\xff\xfe"', b"1e999999", b'"\\ud800"', b"9" * 5000], ids=["utf-8", "huge", "surrogate", "long"]
)
def test_value_that_no_parser_takes_is_refused_or_read_but_never_an_internal_error(name: bytes, written: bytes) -> None:
    body = b'{"%b": %b}' % (name, written)

    try:
        found = asked(body)
    except RequestError:
        return
    assert isinstance(found, Asked)


@pytest.mark.parametrize("name", [b"model", b"stream", b"other"])
def test_deep_nesting_is_refused_and_not_a_crash(name: bytes) -> None:
    depth = 200_000

    with pytest.raises(RequestError):
        asked(b'{"%b": %b%b}' % (name, b"[" * depth, b"]" * depth))


def test_form_texts_switch_on_like_json_strings() -> None:
    assert [is_truthy(text) for text in ("true", "1", "T", "", "0", "false", "on")] == [True] * 3 + [False] * 4


def test_replacing_leaves_every_other_byte() -> None:
    before = b' {\r\n\t"a" : 1.0e+2,"model"  :\n "x"  , "z":"\\u00e9"}  \n'

    assert replace_model(before, 'n"ew') == before.replace(b'"x"', b'"n\\"ew"')


def test_replacing_takes_the_top_level_member_and_not_its_doubles() -> None:
    before = (
        b'{"s": "\\"model\\": \\"a\\"", "in": {"model": "a"}, "l": [{"model": "a"}], "x\\"model": "a",'
        b' "model": "a", "out": {"model": "a"}}'
    )

    after = replace_model(before, "b")

    assert after == before.replace(b' "model": "a", "out"', b' "model": "b", "out"')


@pytest.mark.parametrize(("body", "after"), [
    (b'{"in": {"model": 12}, "model": 1}', b'{"in": {"model": 12}, "model": "b"}'),
    (b'{"in": {"model": 1.5}, "model": 1 }', b'{"in": {"model": 1.5}, "model": "b" }'),
    (b'{"in": {"model": 0}, "model": 0}', b'{"in": {"model": 0}, "model": "b"}'),
    (b'{"model": 1, "in": {"model": 1}}', b'{"model": "b", "in": {"model": 1}}'),
    (b'{"model": null, "in": {"model": null}}', b'{"model": "b", "in": {"model": null}}'),
])  # fmt: skip
def test_number_is_replaced_whole_and_only_where_it_counts(body: bytes, after: bytes) -> None:
    assert replace_model(body, "b") == after


def test_of_two_models_the_one_that_counts_is_replaced() -> None:
    assert replace_model(b'{"model": "a", "model": "a"}', "b") == b'{"model": "a", "model": "b"}'


def test_replacing_by_the_same_name_changes_nothing() -> None:
    before = b'{"in": {"model": "a"}, "model" : "a"}'

    assert replace_model(before, "a") == before


@pytest.mark.parametrize(
    "body",
    [
        rb'{"mod\u0065l": "a", "n": 1.50, "in": {"model": "a"}}',
        rb'{"mod\u0065l": 0, "n": 1.50, "in": {"model": 0}}',
        rb'{"mod\u0065l": 0, "n": 1.50}',
    ],
)
def test_model_under_an_escaped_key_is_replaced(body: bytes) -> None:
    after = replace_model(body, "b")

    assert json.loads(after) == {**json.loads(body), "model": "b"}
    assert b"1.50" in after


def test_model_is_added_when_there_is_none() -> None:
    assert json.loads(replace_model(b'{"in": {"model": null}}', "b")) == {"in": {"model": None}, "model": "b"}


def test_bytes_that_are_no_text_under_a_key_are_told_of_when_the_object_must_be_rebuilt() -> None:
    with pytest.raises(RequestError, match="not valid JSON"):
        replace_model(b'{"\xff": 1, "mod\\u0065l": "a"}', "b")


def test_million_doubles_cost_no_more_than_reading_the_body() -> None:
    """Trying them one by one would take hours: the test's time limit is the assertion."""
    doubles = b",".join([b'{"model": "a"}'] * 300_000)
    body = b'{"in": [%b], "model": "a", "out": [%b]}' % (doubles, doubles)

    assert replace_model(body, "b") == b'{"in": [%b], "model": "b", "out": [%b]}' % (doubles, doubles)


texts = st.one_of(
    st.text(max_size=8), st.sampled_from(["model", '"model"', '"model": "a"', 'x"model', "a", "\\", "stream"])
)
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-20, 20), st.floats(allow_nan=False, allow_infinity=False, width=32), texts
)
documents = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)),
    max_leaves=12,
)
models = st.one_of(st.booleans(), st.integers(-20, 20), texts)


@st.composite
def bodies(draw: st.DrawFn) -> tuple[bytes, bytes, bytes]:
    """Draws an object with a plainly written `model`: what precedes its value, the value, what follows."""
    members = draw(st.dictionaries(texts.filter(lambda key: key != "model"), documents, max_size=5))
    model = draw(models)
    at = draw(st.integers(0, len(members)))
    space = draw(st.sampled_from(["", " ", "\n\t"]))
    ascii_only = draw(st.booleans())

    def dump(value: object) -> str:
        return json.dumps(value, ensure_ascii=ascii_only, separators=("," + space, space + ":" + space))

    written = [f"{dump(key)}{space}:{dump(value)}" for key, value in members.items()]
    front = "".join(each + "," + space for each in written[:at])
    back = "".join("," + space + each for each in written[at:])
    before, value, after = "{" + space + front + f'"model"{space}:{space}', dump(model), back + space + "}"
    return before.encode(errors="replace"), value.encode(errors="replace"), after.encode(errors="replace")


@given(bodies(), st.text(max_size=10))
@example((b'{"in":{"model":1.0},"model":', b"1", b"}"), "b")
def test_replacing_changes_the_value_of_model_and_nothing_else(body: tuple[bytes, bytes, bytes], name: str) -> None:
    before, value, after = body

    replaced = replace_model(before + value + after, name)

    assert replaced.startswith(before)
    assert replaced.endswith(after)
    assert json.loads(replaced[len(before) : len(replaced) - len(after)]) == name
    assert asked(replaced).model == name


@given(st.dictionaries(texts, documents, max_size=5), st.text(max_size=10))
def test_replacing_means_what_setting_it_would(document: dict[str, object], name: str) -> None:
    body = json.dumps(document).encode()

    assert json.loads(replace_model(body, name)) == {**document, "model": name}


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    try:
        found = asked(b'{"model": %b}' % body)
    except RequestError:
        return
    assert isinstance(found.model, str)
