"""What is typed, and what comes of it. The program as a whole is in `tests/e2e`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app import cli
from app.cli import UsageError, is_loopback, main, parse_listen
from tests.certificates import Certificate, certificate
from tests.program import ROOT, running

MODELS = "models:\n  a:\n    cmd: server --port ${PORT}\n"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "config.yaml"
    file.write_text(MODELS)
    return file


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return certificate(tmp_path_factory.mktemp("pem"))


def test_check_reads_a_file(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "-config", str(config)]) == 0
    assert capsys.readouterr().out == f"{config}: 1 models: a\n"


def test_check_reads_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "1.yaml").write_text(MODELS)
    (tmp_path / "2.yml").write_text(MODELS.replace("a:", "b:"))

    assert main(["check", f"--config-dir={tmp_path}"]) == 0
    assert capsys.readouterr().out == f"{tmp_path}: 2 models: a, b\n"


def test_folder_is_merged_on_top_of_the_file(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "more"
    folder.mkdir()
    (folder / "b.yaml").write_text(MODELS.replace("a:", "b:"))

    assert main(["check", "-config", str(config), "-config-dir", str(folder)]) == 0
    assert capsys.readouterr().out.endswith(": 2 models: a, b\n")


@pytest.mark.parametrize("command", [["check"], ["serve"], ["-listen", ":0"], ["-watch-config"]])
def test_without_a_configuration_nothing_can_be_done(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command) == 1
    assert "name a file with --config, or a folder with --config-dir" in capsys.readouterr().err


@pytest.mark.parametrize("folder", ["nowhere", "config.yaml"])
def test_folder_that_is_none_is_told_of(config: Path, folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "-config-dir", str(config.parent / folder), "-listen", "127.0.0.1:0"]) == 1
    assert folder in capsys.readouterr().err


@pytest.mark.parametrize(
    ("typed", "is_strict"),
    [
        ([], False),
        (["-strict"], True),
        (["--strict=true"], True),
        (["-strict=1"], True),
        (["-strict=false"], False),
        (["-strict=F"], False),
    ],
)
def test_switch_takes_a_value_as_in_go(
    config: Path, typed: list[str], is_strict: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    config.write_text("modles: {}\n" + MODELS)

    assert main(["check", "-config", str(config), *typed]) == (1 if is_strict else 0)


@pytest.mark.parametrize("typed", [["-strict=maybe"], ["-nonsense"], ["-conf", "x"]])
def test_what_is_not_understood_is_refused(config: Path, typed: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        main(["check", "-config", str(config), *typed])

    assert refused.value.code == 2
    assert "usage:" in capsys.readouterr().err


@pytest.mark.parametrize("typed", [["-version"], ["--version"], ["-version=true"]])
def test_version_is_one_line(typed: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(typed) == 0
    assert capsys.readouterr().out.startswith("version: ")


@pytest.mark.parametrize(("typed", "code"), [([], 2), (["-version=false"], 2)])
def test_without_a_command_the_help_is_shown(typed: list[str], code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(typed) == code
    assert "usage:" in capsys.readouterr().out


def test_help_is_no_failure(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        main(["-h"])

    assert done.value.code == 0
    assert "usage:" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (":8080", ("0.0.0.0", 8080)),
        ("localhost:1", ("localhost", 1)),
        ("127.0.0.1:65535", ("127.0.0.1", 65535)),
        ("[::1]:80", ("::1", 80)),
        ("[::]:80", ("::", 80)),
    ],
)
def test_address_to_listen_at(text: str, address: tuple[str, int]) -> None:
    assert parse_listen(text) == address


@pytest.mark.parametrize("text", ["8080", "", "host:", "host:x", "host:65536", "host:-1"])
def test_address_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="expected HOST:PORT"):
        parse_listen(text)


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("127.1.2.3", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("x", False)],
)
def test_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


@pytest.mark.parametrize("given", ["cert", "key"])
def test_certificate_and_key_go_together(
    config: Path, pem: Certificate, given: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["-config", str(config), f"-tls-{given}-file", str(pem.file)]) == 1
    error = capsys.readouterr().err
    assert "--tls-cert-file" in error
    assert "--tls-key-file" in error


@pytest.mark.parametrize("which", ["certificate", "key"])
@pytest.mark.parametrize("trouble", ["missing", "a folder", "no PEM", "another's", "under a passphrase"])
def test_tls_files_that_cannot_be_used_are_told_of(
    config: Path, pem: Certificate, tmp_path: Path, which: str, trouble: str, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {"certificate": pem.file, "key": pem.key}
    bad = tmp_path / "bad.pem"
    if trouble == "a folder":
        bad.mkdir()
    elif trouble == "no PEM":
        bad.write_text("no PEM")
    elif trouble == "another's":
        other = certificate(tmp_path)
        bad = other.file if which == "certificate" else other.key
    elif trouble == "under a passphrase":
        subprocess.run(
            ["openssl", "pkcs8", "-topk8", "-in", pem.key, "-out", bad, "-passout", "pass:secret"], check=True
        )
        which = "key"
    files[which] = bad

    code = main(
        ["-config", str(config), "-tls-cert-file", str(files["certificate"]), "-tls-key-file", str(files["key"])]
    )

    assert code == 1
    error = capsys.readouterr().err
    assert error.startswith("hostler: ")
    assert error.count("\n") == 1
    assert str(bad) in error or "passphrase" in error


@pytest.mark.parametrize(("flags", "port"), [([], 8080), (["tls"], 8443)])
def test_nobody_but_this_machine_is_served_unless_asked_for(
    config: Path, pem: Certificate, flags: list[str], port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, int]] = []

    def bind(host: str, port: int) -> None:
        asked.append((host, port))
        raise UsageError("enough")

    monkeypatch.setattr(cli, "bind", bind)
    tls = ["-tls-cert-file", str(pem.file), "-tls-key-file", str(pem.key)] if flags else []

    assert main(["-config", str(config), *tls]) == 1
    assert asked == [("127.0.0.1", port)]


def test_address_in_use_is_told_of(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with cli.bind("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]

        assert main(["-config", str(config), "-listen", f"127.0.0.1:{port}"]) == 1

    assert f"cannot listen on 127.0.0.1:{port}" in capsys.readouterr().err


def test_host_that_is_none_is_told_of(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-config", str(config), "-listen", "256.0.0.1:0"]) == 1
    assert "cannot listen on 256.0.0.1:0" in capsys.readouterr().err


def test_program_says_when_every_machine_can_use_it(config: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "app.cli", "-config", str(config), "-listen", ":0"]
    with running(tmp_path, command) as program:
        program.until(lambda: "every machine that reaches this one's network can use it" in program.text())
        assert program.answers()


@pytest.mark.slow
def test_files_that_come_and_go_in_the_folder_are_noticed(tmp_path: Path) -> None:
    folder = tmp_path / "config"
    folder.mkdir()
    (folder / "a.yaml").write_text(MODELS)
    command = [sys.executable, "-m", "app.cli", "-config-dir", str(folder), "-watch-config=true"]
    with running(tmp_path, [*command, "-listen", "127.0.0.1:0"]) as program:

        def listed() -> list[str]:
            return [model["id"] for model in program.get("/v1/models").json()["data"]]

        assert listed() == ["a"]
        (folder / "b.yaml").write_text(MODELS.replace("a:", "b:"))
        program.until(lambda: listed() == ["a", "b"])
        (folder / "b.yaml").write_text(MODELS.replace("a:", "c:"))
        program.until(lambda: listed() == ["a", "c"])
        (folder / "b.yaml").unlink()
        program.until(lambda: listed() == ["a"])


def test_module_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "app.cli", "-version"], cwd=ROOT, env=os.environ, capture_output=True, text=True
    )

    assert (done.returncode, done.stderr) == (0, "")
