"""The project itself: what is committed, what is locked, under which licences, and the files that only others run."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from app import __version__, demo
from tests import licences

ROOT = Path(__file__).parents[1]
LOCKS = ("dev.txt", "runtime.txt", "build.txt")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())

LARGEST = 300_000
"""Bytes; generated and vendored things are larger, and do not belong here."""

# Put together here, so that this file does not name them.
HOSTS = ["pypi." + "org", "python" + "hosted.org", "registry." + "npmjs", "deb." + "debian.org"]
PATHS = ["/wo" + "rk/", ".py" + "env", "/tm" + "p/w/"]


def committed() -> list[Path]:
    """Returns the files under version control, and those that will be."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a checkout")
    paths = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    return [path for path in paths if path.is_file()]


def locked(name: str) -> dict[str, tuple[Version, int]]:
    """Returns, for each package in a lock file, its version and the number of its hashes."""
    found: dict[str, tuple[Version, int]] = {}
    for entry in re.split(r"\n(?=\S)", "\n" + (ROOT / "requirements" / name).read_text()):
        match = re.match(r"([A-Za-z0-9._-]+)==(\S+)", entry)
        if match:
            found[canonicalize_name(match[1])] = (
                Version(match[2]),
                len(re.findall(r"--hash=sha256:[0-9a-f]{64}", entry)),
            )
    return found


def test_no_committed_file_names_an_index_or_a_place_on_a_developers_machine() -> None:
    named = [
        f"{path.relative_to(ROOT)}: {word}"
        for path in committed()
        for word in (*HOSTS, *PATHS)
        if word.encode() in path.read_bytes()
    ]

    assert named == []


def test_no_committed_file_is_large() -> None:
    assert [str(path) for path in committed() if path.stat().st_size > LARGEST] == []


@pytest.mark.parametrize("name", LOCKS)
def test_every_line_of_a_lock_is_pinned_and_hashed(name: str) -> None:
    lines = [line for line in (ROOT / "requirements" / name).read_text().splitlines() if line[:1] not in ("", " ", "#")]

    assert [line for line in lines if not re.match(r"[A-Za-z0-9._-]+==\S+ .*\\$", line)] == []
    assert [package for package, (_, hashes) in locked(name).items() if hashes == 0] == []
    assert len(lines) == len(locked(name)) > 0


def asked(name: str) -> list[str]:
    """Returns the requirements that a lock file answers."""
    extras = PROJECT["project"]["optional-dependencies"]
    runtime = PROJECT["project"]["dependencies"] + extras["engine"]
    development = runtime + extras["demo"] + extras["otel"] + PROJECT["dependency-groups"]["dev"]
    answers: dict[str, list[str]] = {
        "dev.txt": development,
        "runtime.txt": runtime,
        "build.txt": PROJECT["build-system"]["requires"],
    }
    return answers[name]


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_answers_what_the_project_asks_for(name: str) -> None:
    """`make lock` mends it."""
    versions = locked(name)
    missing = [
        text
        for text in asked(name)
        for requirement in [Requirement(text)]
        for version, _ in [versions.get(canonicalize_name(requirement.name), (Version("0"), 0))]
        if not requirement.specifier.contains(version, prereleases=True) or version == Version("0")
    ]

    assert missing == []


@pytest.mark.parametrize("name", ["runtime.txt", "build.txt"])
def test_what_is_shipped_is_what_was_tested(name: str) -> None:
    tested = locked("dev.txt")

    assert [package for package, pinned in locked(name).items() if tested.get(package, (None,))[0] != pinned[0]] == []


def test_every_package_we_run_on_has_a_licence_we_accept() -> None:
    rows = licences.rows()

    assert [row for row in rows if not licences.is_allowed(row.licence)] == []
    assert {row.name for row in rows} <= set(locked("dev.txt"))


def test_every_package_in_the_page_has_a_licence_we_accept() -> None:
    rows = licences.page_rows()

    assert {"preact", "htm", "@preact/signals", "uplot"} <= {row.name for row in rows}
    assert [row for row in rows if not licences.is_allowed(row.licence)] == []


def test_the_page_is_made_of_what_its_packages_say_they_are() -> None:
    """Of the lock file, that is; the registry may say otherwise than the packages themselves."""
    if not (ROOT / "node_modules" / ".ready").exists():
        pytest.skip("not there: make ui")
    lock = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    for row in licences.page_rows():
        package = json.loads((ROOT / "node_modules" / row.name / "package.json").read_text())

        assert package["license"].strip("()") == row.licence
        assert package["version"] == lock[f"node_modules/{row.name}"]["version"]


def test_packages_of_npm_are_pinned_and_hashed_without_an_address() -> None:
    asked = json.loads((ROOT / "package.json").read_text())
    packages = json.loads((ROOT / "package-lock.json").read_text())["packages"]

    assert asked["private"] is True
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in asked["devDependencies"].values())
    assert packages[""]["devDependencies"] == asked["devDependencies"]
    assert [
        name for name, entry in packages.items() if name and not entry.get("integrity", "").startswith("sha512-")
    ] == []
    assert [name for name, entry in packages.items() if "resolved" in entry] == []


@pytest.mark.skipif(sys.platform != "linux", reason="other platforms need other packages")
def test_the_page_of_licences_is_true() -> None:
    """`make licences` mends it."""
    assert licences.PAGE.read_text() == licences.page()


@pytest.mark.parametrize(
    ("expression", "accepted"),
    [
        ("MIT", True),
        ("MIT OR GPL-3.0", True),
        ("MIT AND GPL-3.0", False),
        ("Apache-2.0 AND BSD-2-Clause", True),
        ("", False),
    ],
)
def test_a_licence_expression_is_accepted_if_it_can_be_met(expression: str, accepted: bool) -> None:
    assert licences.is_allowed(expression) is accepted


@pytest.mark.skipif(sys.platform == "win32", reason="there is no hadolint")
def test_the_dockerfile_is_clean() -> None:
    linted = subprocess.run(
        [Path(sys.executable).with_name("hadolint"), "--format", "json", ROOT / "Dockerfile"],
        capture_output=True,
        text=True,
    )

    assert json.loads(linted.stdout) == []
    assert linted.returncode == 0


def instructions() -> Iterator[tuple[str, str]]:
    """Yields each instruction of the Dockerfile with its arguments."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    for line in text.splitlines():
        name, _, arguments = line.strip().partition(" ")
        if name:
            yield name, " ".join(arguments.split())


def test_the_image_runs_as_a_user_and_says_whether_it_is_well() -> None:
    last = dict(instructions())

    assert last["USER"] == "10001:10001"
    assert last["EXPOSE"] == "8080"
    assert "/health" in last["HEALTHCHECK"]
    assert json.loads(last["ENTRYPOINT"])[:2] == ["hostler", "serve"]


def test_what_the_image_copies_is_let_through_and_there() -> None:
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = [
        word
        for name, arguments in instructions()
        if name == "COPY" and not arguments.startswith("--from")
        for word in arguments.split()[:-1]
    ]

    assert [word for word in copied if word.split("/")[0] not in sent or not (ROOT / word).exists()] == []


def test_the_workflow_is_one() -> None:
    checked = subprocess.run(
        [
            Path(sys.executable).with_name("check-jsonschema"),
            "--builtin-schema",
            "vendor.github-workflows",
            ROOT / ".github" / "workflows" / "ci.yml",
        ],
        capture_output=True,
        text=True,
    )

    assert checked.returncode == 0, checked.stdout


def test_ci_runs_the_command_that_newcomers_have() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    steps = [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]

    assert steps == ["make test PYTHON=python"]
    assert "make test" in (ROOT / ".ci" / "run").read_text()
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111


def test_the_readme_names_the_commands_there_are() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z-]+)", (ROOT / "README.md").read_text()))

    assert {"run", "test"} <= named <= targets


def test_the_readme_has_the_line_that_the_demo_prints() -> None:
    assert f"\n    {demo.curl_line('http://127.0.0.1:8080', 'gemma')}\n" in (ROOT / "README.md").read_text()


def test_the_version_is_said_once_for_all() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text()

    assert PROJECT["project"]["version"] == __version__
    assert f"## {__version__}" in changelog or "## Unreleased" in changelog
