"""What the page names beforehand is what a browser would come to ask for."""

from __future__ import annotations

import re

import pytest

from ui.assets import Tree, package_folder, read
from ui.preload import MAIN, imported, links, needed, view_of


@pytest.fixture(scope="module")
def tree() -> Tree:
    return read(package_folder() / "static")


def test_imports_of_a_module_are_found_over_any_number_of_lines() -> None:
    text = b"""import { a } from "./a.js";
import {
  b,
  c,
} from "../lib/b.js";
export { d } from './d.js';
import "./e.js";
import { elsewhere } from "bare";
/** @typedef {import("./types.js").T} T */
const later = () => import("./later.js");
"""

    assert imported("views/x.js", text) == ["views/a.js", "lib/b.js", "views/d.js", "views/e.js"]


def test_modules_that_import_each_other_are_named_once() -> None:
    bodies = {"a.js": b'import "./b.js";', "b.js": b'import "./a.js";\nimport "./gone.js";'}

    assert needed(bodies, ["a.js", "none.js"]) == ["a.js", "b.js"]


def test_every_view_of_the_page_is_where_its_address_says(tree: Tree) -> None:
    text = tree.assets["shell/pages.js"].body.decode()
    ids, modules = set(re.findall(r'id: "([a-z-]+)"', text)), set(re.findall(r'import\("\.\./(views/[^"]+)"\)', text))

    assert ids
    assert {view_of(each)[0] for each in (*ids, "models/a/b")} == modules
    assert all(view_of(each)[0] in tree.assets for each in ids)


def test_address_of_no_view_is_told_of_what_every_page_needs(tree: Tree) -> None:
    bodies = {path: each.body for path, each in tree.assets.items()}
    told = links(bodies, "no/such/page", "/f").decode()

    assert set(re.findall(r'href="/f/([^"]+)"', told)) == set(needed(bodies, [MAIN]))
    assert "/f/shell/shell.js" in told


def test_page_names_what_it_needs_and_is_made_once(tree: Tree) -> None:
    page = tree.page("/ui/assets", "models")

    assert f'href="/ui/assets/{tree.digest}/views/models/models.js"'.encode() in page.body
    assert tree.page("/ui/assets", "models") is page
    assert tree.page("/ui/assets", "models/some/id") is tree.page("/ui/assets", "models/other")
