"""The demo's model is assembled from data files of packages, checked, and kept."""

from __future__ import annotations

import hashlib
import shlex
import sys
import threading
from pathlib import Path

import pytest
import yaml

from app import demo
from app.config.catalog import Catalog, Model, ModelSpec
from app.demo import DemoUnavailable
from app.launchers.protocol import LaunchSpec
from planners.protocol import ModelId

NAME = "tiny.gguf"
CHUNKS = (b"first " * 1000, b"second " * 1000, b"third")


def install(site: Path, sha256: str) -> None:
    """Lays out the packages of a small model in *site*, as an installer does."""
    parts = [f"{demo.DISTRIBUTION}-part{number}" for number in range(1, len(CHUNKS) + 1)]
    record(site, demo.DISTRIBUTION, {"SHA256SUMS": f"{sha256}  {NAME}\n".encode(), "NOTICE.md": b"terms"}, parts)
    # The order of the requirements is not that of the chunks.
    for number, part in enumerate(parts):
        record(site, part, {f"{NAME}.part{number:02}": CHUNKS[number]}, [])


def record(site: Path, distribution: str, files: dict[str, bytes], requires: list[str]) -> None:
    package = distribution.replace("-", "_")
    data = site / package / "data"
    data.mkdir(parents=True)
    (site / package / "__init__.py").write_text("raise RuntimeError('the code of the package was imported')\n")
    for name, content in files.items():
        (data / name).write_bytes(content)
    info = site / f"{package}-1.0.0.dist-info"
    info.mkdir()
    requirements = "".join(f"Requires-Dist: {name}==1.0.0\n" for name in reversed(requires))
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0.0\n{requirements}")
    (info / "RECORD").write_text("".join(f"{package}/data/{name},,\n" for name in files))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Installs a small model in front of the real one."""
    folder = tmp_path / "site"
    install(folder, hashlib.sha256(b"".join(CHUNKS)).hexdigest())
    monkeypatch.syspath_prepend(folder)
    return folder


@pytest.mark.usefixtures("site")
def test_the_model_is_its_chunks_in_order(tmp_path: Path) -> None:
    model = demo.model_file(tmp_path / "cache")

    assert model.read_bytes() == b"".join(CHUNKS)
    assert model.name == NAME
    assert demo.template_of(model).read_text() == demo.TEMPLATE


@pytest.mark.usefixtures("site")
def test_a_second_use_takes_the_file_as_it_is(tmp_path: Path) -> None:
    first = demo.model_file(tmp_path).stat()

    second = demo.model_file(tmp_path).stat()

    assert (first.st_ino, first.st_ctime_ns) == (second.st_ino, second.st_ctime_ns)


@pytest.mark.usefixtures("site")
@pytest.mark.parametrize("damage", [b"", b"x" * len(b"".join(CHUNKS))], ids=["truncated", "overwritten"])
def test_a_file_that_was_changed_is_made_anew(tmp_path: Path, damage: bytes) -> None:
    demo.model_file(tmp_path).write_bytes(damage)

    assert demo.model_file(tmp_path).read_bytes() == b"".join(CHUNKS)


@pytest.mark.usefixtures("site")
def test_a_template_that_was_changed_is_made_anew(tmp_path: Path) -> None:
    template = demo.template_of(demo.model_file(tmp_path))
    template.write_text("another release's")

    demo.model_file(tmp_path)

    assert template.read_text() == demo.TEMPLATE


def test_a_damaged_chunk_leaves_no_file(site: Path, tmp_path: Path) -> None:
    chunk = next(site.glob(f"**/{NAME}.part01"))
    chunk.write_bytes(b"x" * chunk.stat().st_size)
    cache = tmp_path / "cache"

    with pytest.raises(DemoUnavailable, match="damaged"):
        demo.model_file(cache)

    assert list(cache.iterdir()) == []


def test_a_missing_package_is_told_with_the_line_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "DISTRIBUTION", "hostler-no-such-distribution")

    with pytest.raises(DemoUnavailable, match=r"pip install 'hostler\[demo\]'"):
        demo.model_file(tmp_path)


@pytest.mark.usefixtures("site")
def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(DemoUnavailable, match="HOSTLER_CACHE_DIR"):
        demo.model_file(tmp_path / "file" / "below")


@pytest.mark.usefixtures("site")
def test_assemblers_at_once_all_get_the_whole_model(tmp_path: Path) -> None:
    start = threading.Barrier(4)
    seen: list[bytes] = []

    def assemble() -> None:
        start.wait()
        seen.append(demo.model_file(tmp_path).read_bytes())

    threads = [threading.Thread(target=assemble) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert seen == [b"".join(CHUNKS)] * 4
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == [
        NAME,
        "tiny.jinja",
    ]


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"HOSTLER_CACHE_DIR": "/chosen", "XDG_CACHE_HOME": "/xdg"}, "/chosen"),
        ({"XDG_CACHE_HOME": "/xdg"}, "/xdg/hostler"),
        ({"HOME": "/home/somebody"}, "/home/somebody/.cache/hostler"),
    ],
)
def test_the_cache_is_where_the_environment_says(
    environment: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HOSTLER_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert Path(expected) == demo.cache_folder()


def test_the_configuration_runs_the_engine_on_two_models(tmp_path: Path) -> None:
    model = tmp_path / "a folder's" / NAME

    document = yaml.safe_load(demo.demo_config(model, sys.executable))

    engine = shlex.split(document["macros"]["engine"])
    assert engine[engine.index("--model") + 1] == str(model)
    assert engine[engine.index("--chat-template-file") + 1] == str(demo.template_of(model))
    assert engine[-2:] == ["--port", "${PORT}"]
    assert [model["cmd"] for model in document["models"].values()] == [
        "${engine} --ctx-size 4096",
        "${engine} --ctx-size 1024",
    ]


def test_the_console_script_beside_the_interpreter_is_used(tmp_path: Path) -> None:
    script = tmp_path / "hostler"
    python = str(tmp_path / "python")

    assert demo.hostler_command(python) == [python, "-m", "app.cli"]

    script.write_text("")
    assert demo.hostler_command(python) == [str(script)]


@pytest.mark.parametrize("name", ["two\nlines", "a${macro}"])
def test_a_path_that_yaml_or_macros_would_change_is_refused(name: str) -> None:
    with pytest.raises(DemoUnavailable, match="HOSTLER_CACHE_DIR"):
        demo.demo_config(Path(f"/{name}/model.gguf"), sys.executable)


class NoPlanner:
    """A catalog needs one; the banner does not ask it."""

    def evictions(self, target: ModelId, live: object) -> object:
        raise AssertionError


def catalog(*models: Model) -> Catalog:
    return Catalog({model.id: model for model in models}, {}, NoPlanner())  # type: ignore[arg-type] # never asked


def model(name: str, description: str = "", aliases: tuple[str, ...] = ()) -> Model:
    spec = ModelSpec(LaunchSpec(name, ("serve",)), "http://127.0.0.1:1")
    return Model(ModelId(name), spec, cmd="serve", description=description, aliases=aliases)


def test_the_banner_names_url_models_and_a_line_to_paste() -> None:
    text = demo.banner(catalog(model("a", "the first", ("alias",)), model("b")), "http://127.0.0.1:8080")

    assert "http://127.0.0.1:8080" in text
    assert "  a, alias: the first" in text
    assert "  b: serve" in text
    assert demo.curl_line("http://127.0.0.1:8080", "a") in text


def test_the_banner_without_models_has_no_line_to_paste() -> None:
    assert "curl" not in demo.banner(catalog(), "http://127.0.0.1:8080")


def test_the_real_model_is_installed_with_the_hash_it_names(tmp_path: Path) -> None:
    model = demo.model_file(tmp_path)

    assert model.read_bytes()[:4] == b"GGUF"
    assert demo.template_of(model).is_file()
