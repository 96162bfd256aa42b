"""Several files become one configuration (compatibility specification 2.1, 2.2)."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from app.config.catalog import Catalog
from app.config.loader import load_sources
from app.config.merge import merge
from app.config.tree import Document, ListNode, Node, Scalar
from app.config.yaml_reader import read as read_yaml
from app.errors import ConfigError

MODEL = "models: {%s: {proxy: 'http://h:1'}}\n"


def documents(*texts: str) -> list[Document]:
    return [read_yaml(text, f"{chr(ord('a') + position)}.yaml", {}) for position, text in enumerate(texts)]


def merged(*texts: str) -> object:
    return plain(merge(documents(*texts)).root)


def plain(node: Node) -> object:
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, ListNode):
        return [plain(member) for member in node.members]
    return {key: plain(entry) for key, entry in node.entries.items()}


def conflict(*texts: str) -> str:
    with pytest.raises(ConfigError) as caught:
        merge(documents(*texts))
    return str(caught.value)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("a: 1", "b: 2", {"a": 1, "b": 2}),
        ("a: 1", "a: 1", {"a": 1}),
        ("a: {x: 1, z: 3}", "a: {y: 2, x: 1}", {"a": {"x": 1, "z": 3, "y": 2}}),
        ("apiKeys: [b, a]", "apiKeys: [c, a]", {"apiKeys": ["b", "a", "c", "a"]}),
        ("macros: {x: 1, y: 2}", "macros: {y: 2, a: 3}", {"macros": {"x": 1, "y": 2, "a": 3}}),
        ("models: {a: {x: 1}}", "models: {b: {x: 2}}", {"models": {"a": {"x": 1}, "b": {"x": 2}}}),
        ("models:\n", "models: {b: 2}", {"models": {"b": 2}}),
        ("models: {b: 2}", "models:\n", {"models": {"b": 2}}),
        ("a:\n", "a: 1", {"a": 1}),
        ("a: 1", "a:\n", {"a": 1}),
        ("a: ~", "a: ~", {"a": None}),
        ("a:\n", "a: ~", {"a": None}),
        ("a: yes", "a: 'yes'", {"a": "yes"}),
        ("matrix: {vars: {a: b}}", "matrix: {sets: {a: b}}", {"matrix": {"vars": {"a": "b"}, "sets": {"a": "b"}}}),
        (
            "routing: {router: {use: group, settings: {groups: {g: 1}}}}",
            "routing: {router: {settings: {groups: {h: 2}, matrix: {sets: 1}}}}",
            {"routing": {"router": {"use": "group", "settings": {"groups": {"g": 1, "h": 2}, "matrix": {"sets": 1}}}}},
        ),
        ("", "a: 1", {"a": 1}),
        ("a: 1", "# nothing", {"a": 1}),
        ("", "", {}),
    ],
)
def test_merged(first: str, second: str, expected: object) -> None:
    assert expected == merged(first, second)
    assert json.dumps(expected) == json.dumps(merged(first, second)), "the order of macros matters"


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        (
            "x: 1\nmodels:\n  a: {}\n",
            "models: {a: {}}",
            'b.yaml:1: models.a: is in a.yaml:3 as well: "a" is in both (keep one of them, or rename one)',
        ),
        ("groups: {g: {}}", "groups: {g: }", "groups.g: is in a.yaml:1 as well"),
        ("profiles: {g: {}}", "profiles: {g: {}}", "profiles.g"),
        ("selectors: {g: {}}", "selectors: {g: {}}", "selectors.g"),
        ("peers: {g: {}}", "peers: {g: {}}", "peers.g"),
        ("matrix: {vars: {a: b}}", "matrix: {vars: {c: d}}", "matrix.vars"),
        (
            "routing: {router: {settings: {groups: {g: {}}}}}",
            "routing: {router: {settings: {groups: {g: {}}}}}",
            "routing.router.settings.groups.g",
        ),
        (
            "routing: {router: {settings: {matrix: {sets: {}}}}}",
            "routing: {router: {settings: {matrix: {sets: {}}}}}",
            "routing.router.settings.matrix.sets",
        ),
        ("models: {a: {}}", "models: [b]", "b.yaml:1: models: is in a.yaml:1 as well: a mapping is needed in both"),
        ("models: 1", "models: 1", "a mapping is needed in both"),
        ("models: {a: {}}", "models: ~", "a mapping is needed in both"),
        ("logLevel: info", "logLevel: debug", "b.yaml:1: logLevel: is in a.yaml:1 as well: the two values differ"),
        ("a: 1", "a: '1'", "the two values differ"),
        ("a: 1", "a: ~", "the two values differ"),
        ("a: {b: [1]}", "a: {b: {c: 1}}", "a.b: is in a.yaml:1 as well: a list in one and a mapping in the other"),
        ("a: [1]", "a: 1", "a list in one and a single value in the other cannot be merged (keep one of them)"),
    ],
)
def test_conflicts_name_the_key_and_both_places(first: str, second: str, told: str) -> None:
    assert told in conflict(first, second)


def test_a_conflict_does_not_tell_secrets() -> None:
    assert "sk-" not in conflict("x: {apiKey: sk-1}", "x: {apiKey: sk-2}")


def test_of_three_files_the_two_that_conflict_are_named() -> None:
    assert "c.yaml:1: a: is in b.yaml:1 as well" in conflict("a:\n", "a: 1", "a: 2")


_scalars = st.one_of(st.integers(0, 3), st.booleans(), st.sampled_from(["x", "y"]))
_values = st.recursive(
    _scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("pqrs"), inner, max_size=3)),
    max_leaves=8,
)
_files = st.dictionaries(st.sampled_from(["a", "b", "c", "models", "groups", "routing"]), _values, max_size=4)


@settings(deadline=None)
@given(_files, _files, _files)
def test_merging_is_associative_and_refuses_the_same_files(first: object, second: object, third: object) -> None:
    a, b, c = documents(json.dumps(first), json.dumps(second), json.dumps(third))

    def attempt(nested: bool) -> object:
        try:
            return plain(merge([a, merge([b, c])] if nested else [merge([a, b]), c]).root)
        except ConfigError:
            return None

    assert attempt(nested=True) == attempt(nested=False)


@settings(deadline=None)
@given(st.permutations(["a: {x: 1, m: [2]}", "b: 2", "models: {c: {}}", "models: {d: {}}", "e: [1]"]))
def test_the_order_of_files_without_common_keys_does_not_matter(texts: list[str]) -> None:
    assert merged(*texts) == merged(*sorted(texts))


@settings(deadline=None)
@given(_files)
def test_an_empty_file_changes_nothing(content: object) -> None:
    text = json.dumps(content)

    assert merged("", text) == merged(text) == merged(text, "")


# From directories


def sources(config: Path | None, directory: Path | None, **environ: str) -> Catalog:
    names = [None if path is None else str(path) for path in (config, directory)]
    return load_sources(names[0], names[1], environ=environ)


def why_not(config: Path | None, directory: Path | None) -> str:
    with pytest.raises(ConfigError) as caught:
        sources(config, directory)
    return str(caught.value)


def test_directory_is_merged_on_top_of_the_file_in_the_order_of_names(tmp_path: Path) -> None:
    main, folder = tmp_path / "main.yaml", tmp_path / "conf.d"
    folder.mkdir()
    (folder / "nested.yaml").mkdir()
    main.write_text("apiKeys: [k1]\nmacros: {one: 1}\n" + MODEL % "z")
    (folder / "b.yaml").write_text("apiKeys: [k3]\nmacros: {three: '${two}3'}\n" + MODEL % "b")
    (folder / "a.yml").write_text("apiKeys: [k2]\nmacros: {two: '${one}2'}\n")
    (folder / "c.txt").write_text("not YAML: [")
    (folder / "empty.yaml").write_text("# nothing\n")
    (folder / "d.yaml").write_text("models: {d: {name: '${three}', description: '${env.WHO}', proxy: 'http://h'}}")

    catalog = sources(main, folder, WHO="me")

    files = [main, *(folder / name for name in ("a.yml", "b.yaml", "d.yaml", "empty.yaml"))]
    assert tuple(map(str, files)) == catalog.sources
    assert catalog.api_keys == ("k1", "k2", "k3")
    assert [(model.id, model.name, model.description) for model in catalog.models.values()] == [
        ("b", "", ""),
        ("d", "123", "me"),
        ("z", "", ""),
    ]


def test_directory_alone_is_enough_and_links_are_followed(tmp_path: Path) -> None:
    folder = tmp_path / "conf.d"
    folder.mkdir()
    (tmp_path / "elsewhere").write_text(MODEL % "a")
    (folder / "a.yaml").symlink_to("../elsewhere")

    assert list(sources(None, folder).models) == ["a"]


def test_empty_files_are_an_empty_configuration(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("# nothing\n")

    assert sources(None, tmp_path).models == {}


def test_empty_directory_beside_a_file_is_fine(tmp_path: Path) -> None:
    main, folder = tmp_path / "main.yaml", tmp_path / "conf.d"
    folder.mkdir()
    main.write_text(MODEL % "a")

    assert (str(main),) == sources(main, folder).sources


def test_errors_name_the_file_of_the_directory_and_its_line(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("\n\n\nglobalTTL: soon\n")
    (tmp_path / "b.yaml").write_text("startPort: low\n")
    (tmp_path / "c.yaml").write_text("hooks: {on_startup: {preload: 5}}")

    assert f"{tmp_path}/a.yaml:4: globalTTL: expected a whole number of seconds" in why_not(None, tmp_path)


@pytest.mark.parametrize(
    ("first", "second"),
    [("models: [", ""), ("", "models: ["), ("models: {}", "[]"), ("macros: {a: '${env.GONE}'}", "")],
)
def test_any_file_that_is_wrong_is_told(tmp_path: Path, first: str, second: str) -> None:
    (tmp_path / "a.yaml").write_text(first)
    (tmp_path / "b.yaml").write_text(second)

    assert f"{tmp_path}/{'a' if '[' in first or 'env' in first else 'b'}.yaml" in why_not(None, tmp_path)


def test_the_file_in_the_directory_is_refused(tmp_path: Path) -> None:
    main = tmp_path / "main.yaml"
    main.write_text(MODEL % "a")

    assert f"{main}: is read twice: it is --config, and it is in --config-dir {tmp_path}" in why_not(main, tmp_path)
    link = tmp_path.parent / f"{tmp_path.name}-link.yaml"
    link.symlink_to(main)
    assert f"{link}: is read twice" in why_not(link, tmp_path)
    link.unlink()


def test_missing_file_beside_a_directory_is_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(MODEL % "a")

    assert "gone.yaml: there is no such file" in why_not(tmp_path / "sub" / "gone.yaml", tmp_path)


def test_no_sources_at_all(tmp_path: Path) -> None:
    assert "no configuration is named" in why_not(None, None)
    assert f"{tmp_path}: there is no *.yml or *.yaml file in it" in why_not(None, tmp_path)


def test_directories_that_cannot_be_read(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")

    assert f"{tmp_path}/gone: there is no such directory" in why_not(None, tmp_path / "gone")
    assert f"{file}: is not a directory" in why_not(None, file)
    assert "cannot be read" in why_not(None, Path("a\0b"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_directory_that_may_not_be_read(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir(0o000)

    assert "may not be read by this user" in why_not(None, folder)
