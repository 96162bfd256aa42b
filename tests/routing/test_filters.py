from __future__ import annotations

import json
from copy import deepcopy
from types import MappingProxyType
from typing import cast

import pytest
from hypothesis import example, given, strategies as st

from app.config.catalog import Filters, JsonValue
from app.errors import RequestError
from app.routing.filters import MAX_INDEX, apply

Params = dict[str, JsonValue]


def filters(strip: str = "", by_id: dict[str, Params] | None = None, **params: JsonValue) -> Filters:
    return filters_of(strip.split(), params, by_id)


def filters_of(strip: list[str], params: Params, by_id: dict[str, Params] | None = None) -> Filters:
    """Returns filters, sorted as the loader sorts them."""
    named = {name: tuple(sorted(each.items())) for name, each in (by_id or {}).items()}
    return Filters(tuple(sorted(strip)), tuple(sorted(params.items())), MappingProxyType(named))


def stripped(body: bytes, *paths: str) -> bytes:
    return apply(body, filters_of(list(paths), {}), "a")


def with_set(body: bytes, path: str, value: JsonValue = 1) -> bytes:
    return apply(body, filters_of([], {path: value}), "a")


def test_new_members_are_appended_and_the_rest_is_as_the_reference_leaves_it() -> None:
    """The measured example of the compatibility specification, 3.6."""
    body = b'{"model":"a:hi","foo":{"bar":1,"z":2},"z":1,"arr":[1,2],"temperature":0.7}'
    chosen = filters_of(
        ["temperature", "foo.bar"], {"arr.-1": 3, "nested.deep": 1}, {"a:hi": {"top_p": 0.1}, "a": {"top_p": 0.9}}
    )

    assert apply(body, chosen, "a:hi") == (
        b'{"model":"a:hi","foo":{"z":2},"z":1,"arr":[1,2,3],"nested":{"deep":1},"top_p":0.1}'
    )


def test_stripping_comes_before_setting_and_what_the_requested_name_sets_comes_last() -> None:
    chosen = filters_of(["a", "b", "c"], {"a": "set", "b": "set"}, {"x": {"b": "by id"}})

    assert apply(b'{"a":0,"b":0,"c":0}', chosen, "x") == b'{"a":"set","b":"by id"}'
    assert apply(b'{"a":0,"b":0,"c":0}', chosen, "y") == b'{"a":"set","b":"set"}'


def test_what_one_filter_sets_the_next_one_goes_into() -> None:
    assert apply(b"{}", filters_of([], {"a": {"b": 1}, "a.c": [2], "a.c.0": 3}), "") == b'{"a":{"b":1,"c":[3]}}'


@pytest.mark.parametrize("path", ["model", ":model", "mod\\el", "model.x", "model.0"])
def test_model_is_never_touched(path: str) -> None:
    body = b'{"model": {"x": 1}, "in": {"model": 1}}'

    assert stripped(body, path) == body
    assert with_set(body, path) == body
    assert with_set(body, "in.model", 2) == b'{"model": {"x": 1}, "in": {"model": 2}}'


@pytest.mark.parametrize(("path", "after"), [
    ("a", b' {\n "b" : { "c" : 2 , "d" :[ 3 , 4 ] } , "e" : 5.0 }\n'),
    ("b", b' {"a":1.00, "e" : 5.0 }\n'),
    ("e", b' {"a":1.00,\n "b" : { "c" : 2 , "d" :[ 3 , 4 ] } }\n'),
    ("b.c", b' {"a":1.00,\n "b" : { "d" :[ 3 , 4 ] } , "e" : 5.0 }\n'),
    ("b.d.0", b' {"a":1.00,\n "b" : { "c" : 2 , "d" :[ 4 ] } , "e" : 5.0 }\n'),
    ("b.d.-1", b' {"a":1.00,\n "b" : { "c" : 2 , "d" :[ 3 ] } , "e" : 5.0 }\n'),
])  # fmt: skip
def test_stripping_leaves_every_other_byte(path: str, after: bytes) -> None:
    body = b' {"a":1.00,\n "b" : { "c" : 2 , "d" :[ 3 , 4 ] } , "e" : 5.0 }\n'

    assert stripped(body, path) == after


@pytest.mark.parametrize("path", ["x", "b.x", "a.b", "b.d.2", "b.d.x", "b.d.:0", "b.d.99999999999999999999", "b.n.-1"])
def test_stripping_what_is_not_there_changes_nothing(path: str) -> None:
    body = b'{"a":1.00, "b" : { "c" : 2 , "d" :[ 3 , 4 ], "n": [ ] , "o": { } } }'

    assert stripped(body, path) == body


def test_all_that_is_in_an_object_can_go() -> None:
    assert stripped(b'{ "a" : 1 }', "a") == b"{}"
    assert stripped(b'{"x": [ 1 ]}', "x.0") == b'{"x": []}'


@pytest.mark.parametrize(("path", "after"), [
    ("a", b'{ "a" : 1 , "b":{ }, "c": [ ] ,"d": [ 0 , 2 ] ,"0":null}'),
    ("b", b'{ "a" : 1.0 , "b":1, "c": [ ] ,"d": [ 0 , 2 ] ,"0":null}'),
    ("e", b'{ "a" : 1.0 , "b":{ }, "c": [ ] ,"d": [ 0 , 2 ] ,"0":null,"e":1}'),
    ("b.x", b'{ "a" : 1.0 , "b":{ "x":1}, "c": [ ] ,"d": [ 0 , 2 ] ,"0":null}'),
    ("b.x.y", b'{ "a" : 1.0 , "b":{ "x":{"y":1}}, "c": [ ] ,"d": [ 0 , 2 ] ,"0":null}'),
    ("b.x.1", b'{ "a" : 1.0 , "b":{ "x":[null,1]}, "c": [ ] ,"d": [ 0 , 2 ] ,"0":null}'),
    ("b.x.-1", b'{ "a" : 1.0 , "b":{ "x":[1]}, "c": [ ] ,"d": [ 0 , 2 ] ,"0":null}'),
    ("b.x.:1", b'{ "a" : 1.0 , "b":{ "x":{"1":1}}, "c": [ ] ,"d": [ 0 , 2 ] ,"0":null}'),
    ("b.-1", b'{ "a" : 1.0 , "b":{ "-1":1}, "c": [ ] ,"d": [ 0 , 2 ] ,"0":null}'),
    ("c.-1", b'{ "a" : 1.0 , "b":{ }, "c": [ 1] ,"d": [ 0 , 2 ] ,"0":null}'),
    ("c.1", b'{ "a" : 1.0 , "b":{ }, "c": [ null,1] ,"d": [ 0 , 2 ] ,"0":null}'),
    ("d.1", b'{ "a" : 1.0 , "b":{ }, "c": [ ] ,"d": [ 0 , 1 ] ,"0":null}'),
    ("d.01", b'{ "a" : 1.0 , "b":{ }, "c": [ ] ,"d": [ 0 , 1 ] ,"0":null}'),
    ("d.3", b'{ "a" : 1.0 , "b":{ }, "c": [ ] ,"d": [ 0 , 2 ,null,1] ,"0":null}'),
    ("d.-1", b'{ "a" : 1.0 , "b":{ }, "c": [ ] ,"d": [ 0 , 2 ,1] ,"0":null}'),
    ("0", b'{ "a" : 1.0 , "b":{ }, "c": [ ] ,"d": [ 0 , 2 ] ,"0":1}'),
    ("a.b", b'{ "a" : {"b":1} , "b":{ }, "c": [ ] ,"d": [ 0 , 2 ] ,"0":null}'),
    ("a.0", b'{ "a" : [1] , "b":{ }, "c": [ ] ,"d": [ 0 , 2 ] ,"0":null}'),
    ("b\\.x", b'{ "a" : 1.0 , "b":{ }, "c": [ ] ,"d": [ 0 , 2 ] ,"0":null,"b.x":1}'),
    ("\\*\\\\", b'{ "a" : 1.0 , "b":{ }, "c": [ ] ,"d": [ 0 , 2 ] ,"0":null,"*\\\\":1}'),
    ("b:x", b'{ "a" : 1.0 , "b":{ }, "c": [ ] ,"d": [ 0 , 2 ] ,"0":null,"b:x":1}'),
])  # fmt: skip
def test_setting_leaves_every_other_byte(path: str, after: bytes) -> None:
    assert with_set(b'{ "a" : 1.0 , "b":{ }, "c": [ ] ,"d": [ 0 , 2 ] ,"0":null}', path) == after


def test_members_of_one_name_are_all_changed() -> None:
    """Some parsers take the first of them and some the last."""
    body = b'{"a": 1, "o": {"x": 1}, "a": 2, "o": {"y": 2}}'

    assert stripped(body, "a", "o.y") == b'{ "o": {"x": 1}, "o": {}}'
    assert with_set(body, "a", 9) == b'{"a": 9, "o": {"x": 1}, "a": 9, "o": {"y": 2}}'
    assert with_set(body, "o.y", 9) == b'{"a": 1, "o": {"x": 1,"y":9}, "a": 2, "o": {"y": 9}}'


def test_member_under_an_escaped_name_is_found() -> None:
    assert stripped(rb'{"t\u0065mp\"": 1, "k": 2}', 'temp"') == b'{ "k": 2}'


def test_values_keep_their_kinds() -> None:
    value: JsonValue = {"s": 'a"ö', "n": [1, 1.5, -3, True, False, None], "e": {}}

    assert json.loads(with_set(b"{}", "v", value)) == {"v": value}


@pytest.mark.parametrize("path", ["*", "a?", "a.#", "a|b", "@this", "a.b*", "a.\\", "\\", "a.b\\"])
def test_path_with_a_wildcard_is_refused(path: str) -> None:
    for chosen in (filters_of([path], {}), filters_of([], {path: 1})):
        with pytest.raises(RequestError, match="path"):
            apply(b'{"a": {"b": 1}}', chosen, "a")


def test_nothing_of_an_array_is_set_by_a_name() -> None:
    with pytest.raises(RequestError, match="elements have numbers"):
        with_set(b'{"a": []}', "a.b")


def test_element_so_far_behind_that_filling_in_would_hurt_is_refused() -> None:
    assert len(json.loads(with_set(b"{}", f"a.{MAX_INDEX}"))["a"]) == MAX_INDEX + 1
    for number in (str(MAX_INDEX + 1), "9" * 5000):
        with pytest.raises(RequestError, match="largest"):
            with_set(b"{}", f"a.{number}")


@pytest.mark.parametrize(
    "body",
    [b"", b" ", b"[]", b"1", b"null", b"{", b'{"a":1', b'{"a":1}x', b'{"a":1,}', b'{"\xff":1}', b'{"a":{"\xff":1}}'],
)
def test_what_is_not_a_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(RequestError):
        with_set(body, "a.b")


@pytest.mark.parametrize("path", ["a.x", "b"])
def test_deep_nesting_is_refused_or_kept_and_not_a_crash(path: str) -> None:
    depth = 200_000

    with pytest.raises(RequestError):
        with_set(b'{"a": %b%b}' % (b'{"x":' * depth, b"}" * depth), path)


def test_path_deeper_than_the_stack_is_refused() -> None:
    with pytest.raises(RequestError):
        with_set(b"{}", ".".join(["a"] * 20_000))


@pytest.mark.slow
def test_hundred_thousand_members_and_doubles_cost_no_more_than_reading_them() -> None:
    """Looking for each among all the others would take minutes: the test's time limit is the assertion."""
    body = b"{%b}" % b",".join([b'"a":[{}]', b'"b":{"a":"\\"\\\\"}'] * 100_000)

    after = apply(body, filters_of(["b.a", "c"], {"a.-1": 1}), "")

    assert after == b"{%b}" % b",".join([b'"a":[{},1]', b'"b":{}'] * 100_000)


# Against an oracle that works on the parsed document.

names = st.sampled_from(["a", "b", "0", "1", "-1", "x.y", "", "é", "model"])
scalars = st.one_of(st.none(), st.booleans(), st.integers(-5, 5), st.sampled_from([0.5, 1e30]), st.text(max_size=4))
documents = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(names, inner, max_size=4)),
    max_leaves=10,
)
objects = st.dictionaries(names, documents, max_size=5)
paths = st.lists(names, min_size=1, max_size=3)
spaces = st.sampled_from(["", " ", "\n\t"])


def written(path: list[str]) -> str:
    return ".".join(name.replace(".", "\\.") for name in path)


def removed(document: JsonValue, path: list[str]) -> None:
    """Does to *document* what stripping *path* should."""
    name, *rest = path
    if isinstance(document, list):
        if not (name == "-1" or name.isdigit()) or not -len(document) <= int(name) < len(document):
            return
        if rest:
            removed(document[int(name)], rest)
        else:
            del document[int(name)]
    elif isinstance(document, dict) and name in document:
        if rest:
            removed(document[name], rest)
        else:
            del document[name]


def changed(document: JsonValue, path: list[str], value: JsonValue) -> JsonValue:
    """Returns *document* as it should be with *value* at *path*; raises KeyError if that cannot be."""
    if not path:
        return value
    name, *rest = path
    if not isinstance(document, list | dict):
        document = [] if name == "-1" or name.isdigit() else {}
    if isinstance(document, dict):
        document[name] = changed(document.get(name), rest, value)
        return document
    if name != "-1" and not name.isdigit():
        raise KeyError(name)
    index = len(document) if name == "-1" else int(name)
    document += [None] * (index + 1 - len(document))
    document[index] = changed(document[index], rest, value)
    return document


@given(objects, st.lists(paths, max_size=3), st.lists(st.tuples(paths, documents), max_size=3), spaces)
@example({"a": {"0": 1}}, [["a", "0"]], [(["a", "-1"], 2)], " ")
def test_result_is_what_the_same_changes_to_the_parsed_document_are(
    document: dict[str, JsonValue], strip: list[list[str]], params: list[tuple[list[str], JsonValue]], space: str
) -> None:
    body = json.dumps(document, separators=(f"{space},{space}", f"{space}:{space}")).encode()
    chosen = Filters(tuple(written(path) for path in strip), tuple((written(path), value) for path, value in params))
    expected: JsonValue = deepcopy(cast("JsonValue", document))
    try:
        for path in strip:
            if path[0] != "model":
                removed(expected, path)
        for path, value in params:
            if path[0] != "model":
                expected = changed(expected, path, deepcopy(value))
    except KeyError:
        with pytest.raises(RequestError):
            apply(body, chosen, "a")
        return

    assert json.loads(apply(body, chosen, "a")) == expected


@given(objects, objects, st.binary(max_size=20), spaces)
def test_bytes_before_and_behind_what_is_set_are_untouched(
    front: dict[str, JsonValue], back: dict[str, JsonValue], text: bytes, space: str
) -> None:
    def members(document: dict[str, JsonValue]) -> bytes:
        return b"".join(
            f"{space}{json.dumps(name)}{space}:{json.dumps(value)}{space},".encode() for name, value in document.items()
        )

    kept = b'"kept"%b: [1.50, "%b"],' % (space.encode(), text.hex().encode())
    before = space.encode() + b"{" + kept + members(front) + b'"target" : '
    after = space.encode() + b"," + members(back) + kept[:-1] + b"}" + space.encode()

    assert with_set(before + b'{"old": 1}' + after, "target", "new") == before + b'"new"' + after
    assert with_set(before + b'{"old": 1}' + after, "target.old", 2) == before + b'{"old": 2}' + after
    assert stripped(before + b'{"old": 1}' + after, "target.old") == before + b"{}" + after


@given(st.one_of(st.binary(max_size=60), st.text('{}[]",:0a\\ ').map(str.encode)), st.booleans())
def test_any_bytes_are_filtered_or_refused(noise: bytes, inside: bool) -> None:
    body = b'{"a": %b}' % noise if inside else noise
    try:
        after = apply(body, filters_of(["b", "a.c"], {"a.d.-1": 1, "e": 2}), "a")
    except RequestError:
        return
    assert after.rstrip().endswith(b"}")
