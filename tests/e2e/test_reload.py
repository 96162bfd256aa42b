"""Reloads of the whole program, under load: real processes, real sockets, real signals, real files."""

from __future__ import annotations

import json
import shlex
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
import pytest

from tests.fake_upstream import argv
from tests.ports import free_port
from tests.program import PATIENCE_S, Program, hostler, running

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

STREAMS = 50


@dataclass
class Configuration:
    """A file to be: models that may all run together, with settings of their own."""

    models: dict[str, Mapping[str, object]] = field(default_factory=dict)

    def add(self, name: str, *flags: str, **settings: object) -> None:
        """Puts a model over a fake server into it; its port stays the same when it is added again."""
        port = str(self.models[name]["proxy"]).rpartition(":")[2] if name in self.models else free_port()
        self.models[name] = {
            "cmd": shlex.join(argv(int(port), "--model", name, *flags)),
            "proxy": f"http://127.0.0.1:{port}",
            **settings,
        }

    def text(self) -> str:
        # JSON is YAML.
        groups = {"all": {"swap": False, "members": list(self.models)}}
        return json.dumps({"models": self.models, "groups": groups}, indent=1)

    def replace(self, file: Path) -> None:
        put(file, self.text())


def put(file: Path, text: str) -> None:
    """Puts *text* into *file* at once, as careful editors do: a reload under way must not find half of it."""
    new = file.with_name("new.yaml")
    new.write_text(text)
    new.replace(file)


def of(*names: str, **settings: object) -> Configuration:
    configuration = Configuration()
    for name in names:
        configuration.add(name, **settings)
    return configuration


def reload(program: Program, query: str = "") -> httpx.Response:
    return httpx.post(f"{program.url}/api/config/reload{query}", timeout=PATIENCE_S)


def pids(program: Program, model: str) -> list[int]:
    found = []
    for process in program.descendants():
        try:
            line = process.cmdline()
        except psutil.Error:
            continue
        if "--model" in line and line[line.index("--model") + 1] == model:
            found.append(process.pid)
    return found


def stats(program: Program, model: str) -> dict[str, int]:
    answer: dict[str, int] = program.get(f"/upstream/{model}/stats").json()
    return answer


def test_reload_under_load_costs_the_models_that_stay_nothing(tmp_path: Path) -> None:
    """Fifty streams of a, while b is changed and c is added."""
    configuration = of("a", "b", concurrencyLimit=STREAMS + 10)
    body = {"model": "a", "stream": True, "events": 100, "interval_s": 0.05, "body_bytes": 200}
    begun = threading.Barrier(STREAMS + 1, timeout=PATIENCE_S)

    def stream() -> bytes:
        with client.stream("POST", f"{program.url}/v1/chat/completions", json=body) as answer:
            chunks = answer.iter_raw()
            first = next(chunks)
            begun.wait()
            return first + b"".join(chunks)

    limits = httpx.Limits(max_connections=None)
    with (
        hostler(tmp_path, configuration.text()) as program,
        httpx.Client(timeout=PATIENCE_S, limits=limits, verify=False) as client,
        ThreadPoolExecutor(STREAMS) as pool,
    ):
        program.chat("b")
        expected = client.post(f"{program.url}/v1/chat/completions", json={**body, "interval_s": 0}).content
        (pid,) = pids(program, "a")
        (old_b,) = pids(program, "b")
        streams = [pool.submit(stream) for _ in range(STREAMS)]
        begun.wait()

        configuration.add("b", env=["CHANGED=1"])
        configuration.add("c")
        configuration.replace(tmp_path / "config.yaml")
        answer = reload(program)

        assert answer.status_code == 200, answer.text
        assert answer.json()["plan"]["unchanged"] == ["a"]
        assert stats(program, "a")["running"] == STREAMS, "the streams were to be under way still"
        assert program.get("/upstream/b/env").json()["CHANGED"] == "1"
        assert program.chat("c").json()["served_by"] == "c"
        assert [len(each.result()) for each in streams] == [len(expected)] * STREAMS
        assert {each.result() for each in streams} == {expected}
        assert pids(program, "a") == [pid]
        assert stats(program, "a")["aborted"] == 0
        assert old_b not in pids(program, "b")
        assert len(pids(program, "b")) == 1


def test_request_under_way_on_a_changed_model_ends_well_and_the_next_one_sees_the_change(tmp_path: Path) -> None:
    configuration = of("a", "b")
    with hostler(tmp_path, configuration.text()) as program, ThreadPoolExecutor(2) as pool:
        program.chat("b")
        served = pool.submit(program.chat, "b", delay_s=1.0)
        program.until(lambda: stats(program, "b")["running"] == 1)
        configuration.add("b", env=["CHANGED=1"])
        configuration.replace(tmp_path / "config.yaml")
        reload(program)

        after = pool.submit(program.get, "/upstream/b/env")

        assert served.result().json()["served_by"] == "b"
        assert after.result().json()["CHANGED"] == "1"


def test_requests_waiting_for_a_removed_model_are_refused_and_it_goes(tmp_path: Path) -> None:
    configuration = of("a", "b")
    configuration.add("slow", "--start-delay", "60")
    with hostler(tmp_path, configuration.text()) as program, ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(program.chat, "slow") for _ in range(3)]
        program.until(lambda: program.running() == {"slow": "starting"})
        del configuration.models["slow"]
        configuration.replace(tmp_path / "config.yaml")

        assert reload(program).json()["plan"]["removed"] == ["slow"]
        assert [each.result().status_code for each in waiting] == [404] * 3
        program.until(lambda: not pids(program, "slow"))
        assert program.chat("slow").status_code == 404
        assert program.chat("a").status_code == 200


def test_request_under_way_on_a_removed_model_ends_well_before_it_goes(tmp_path: Path) -> None:
    configuration = of("a", "b")
    with hostler(tmp_path, configuration.text()) as program, ThreadPoolExecutor(1) as pool:
        program.chat("b")
        served = pool.submit(program.chat, "b", delay_s=1.0)
        program.until(lambda: stats(program, "b")["running"] == 1)
        del configuration.models["b"]
        configuration.replace(tmp_path / "config.yaml")
        reload(program)

        assert served.result().json()["served_by"] == "b"
        program.until(lambda: not pids(program, "b"))


def test_storm_of_reloads_leaves_one_process_for_each_model(tmp_path: Path) -> None:
    configuration = of("a", "b", concurrencyLimit=100)
    with hostler(tmp_path, configuration.text()) as program, ThreadPoolExecutor(30) as pool:
        program.chat("a")
        program.chat("b")
        (pid,) = pids(program, "a")
        asked = [pool.submit(reload, program) for _ in range(20)]
        served = [pool.submit(program.chat, model) for model in "ab" * 10]
        for number in range(20):
            configuration.add("b", env=[f"NUMBER={number}"])
            configuration.replace(tmp_path / "config.yaml")
            program.process.send_signal(signal.SIGHUP)

        assert {each.result().status_code for each in (*asked, *served)} == {200}
        last = reload(program)
        assert last.status_code == 200
        assert program.get("/upstream/b/env").json()["NUMBER"] == "19"
        program.until(lambda: len(pids(program, "b")) == 1)
        assert pids(program, "a") == [pid]
        assert program.end() == 0
        assert program.nothing_is_left()


def test_dry_run_tells_the_plan_and_does_nothing(tmp_path: Path) -> None:
    configuration = of("a", "b")
    with hostler(tmp_path, configuration.text()) as program:
        program.chat("b")
        before = pids(program, "b")
        configuration.add("b", env=["TOKEN=sk-secret"])
        configuration.add("c")
        configuration.replace(tmp_path / "config.yaml")

        answer = reload(program, "?dry_run=1")

        assert answer.status_code == 200
        assert "sk-secret" not in answer.text
        assert answer.json() == {
            "reloaded": False,
            "plan": {
                "unchanged": ["a"],
                "changed": [{"model": "b", "settings": ["env"], "restarts": True}],
                "added": ["c"],
                "removed": [],
                "swapping_changed": False,
                "settings": [],
                "needs_restart": [],
            },
        }
        assert pids(program, "b") == before
        assert program.chat("c").status_code == 404
        assert "was reloaded" not in program.text()


def test_log_tells_of_a_reload_in_one_line_without_secrets(tmp_path: Path) -> None:
    configuration = of("a", "b")
    with hostler(tmp_path, configuration.text()) as program:
        program.until(program.answers)
        configuration.add("b", env=["TOKEN=sk-secret"])
        configuration.add("c")
        configuration.replace(tmp_path / "config.yaml")
        program.process.send_signal(signal.SIGHUP)
        program.until(lambda: "was reloaded" in program.text())

        (line,) = [each for each in program.text().splitlines() if "was reloaded" in each]
        assert line.endswith("was reloaded: changed b (env; ends when idle), added c, 1 models as they were")
        assert "sk-secret" not in program.text()


@pytest.mark.parametrize("query", ["", "?dry_run=1"])
def test_wrong_file_leaves_all_as_it_was_and_the_api_says_why(tmp_path: Path, query: str) -> None:
    with hostler(tmp_path, of("a").text()) as program:
        program.chat("a")
        before = pids(program, "a")
        file = tmp_path / "config.yaml"
        file.write_text("models:\n  a:\n    cmd: x ${PORT}\n    ttl: soon\n")

        answer = reload(program, query)

        assert answer.status_code == 422
        assert answer.json()["error"]["code"] == "config_error"
        assert answer.json()["error"]["param"] == "models.a.ttl"
        problem = answer.json()["problem"]
        assert (problem["source"], problem["path"], problem["line"]) == (str(file), "models.a.ttl", 4)
        assert problem["remedy"]
        if not query:
            program.until(lambda: f"was not reloaded, the old one stays: {file}:4: models.a.ttl: " in program.text())
        assert pids(program, "a") == before
        assert program.chat("a").status_code == 200


@pytest.mark.parametrize("text", ["", "models: [", "\0", "models:\n  a: {cmd: '", "&a [*a]", "[" * 5000])
def test_file_that_is_no_configuration_ends_nothing(tmp_path: Path, text: str) -> None:
    with hostler(tmp_path, of("a").text()) as program:
        program.chat("a")
        before = pids(program, "a")
        (tmp_path / "config.yaml").write_text(text)

        assert reload(program, "?dry_run=1").status_code == 422
        assert reload(program).status_code == 422
        assert pids(program, "a") == before
        assert program.chat("a").status_code == 200


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[tuple[Program, Path]]:
    """Serves a folder as Kubernetes mounts a ConfigMap: config.yaml -> ..data/config.yaml, ..data -> ..1/, and watches it."""
    (tmp_path / "..1").mkdir()
    (tmp_path / "..1" / "config.yaml").write_text(of("a").text())
    (tmp_path / "..data").symlink_to("..1")
    file = tmp_path / "config.yaml"
    file.symlink_to("..data/config.yaml")
    command = [sys.executable, "-m", "app.cli", "--config", str(file), "--listen", "127.0.0.1:0", "--watch-config"]
    with running(tmp_path, command) as program:
        yield program, tmp_path


def test_swap_of_a_config_map_is_noticed(watched: tuple[Program, Path]) -> None:
    program, folder = watched
    program.chat("a")
    before = pids(program, "a")
    both = json.loads((folder / "config.yaml").read_text())
    both["models"]["b"] = of("b").models["b"]
    (folder / "..2").mkdir()
    (folder / "..2" / "config.yaml").write_text(json.dumps(both))
    (folder / "..data_new").symlink_to("..2")
    (folder / "..data_new").replace(folder / "..data")

    program.until(lambda: "was reloaded: added b" in program.text())

    assert program.chat("b").status_code == 200
    # Both are in the group that swaps: it was ended for the sake of b, and not by the reload.
    assert before
    assert "its configuration has changed" not in program.text()


def test_half_of_a_file_does_no_harm_and_the_whole_is_taken(watched: tuple[Program, Path]) -> None:
    program, folder = watched
    program.chat("a")
    before = pids(program, "a")
    text = of("b", "c").text()
    file = folder / "config.yaml"
    with file.open("w") as writer:
        writer.write(text[: len(text) // 2])
        writer.flush()
        program.until(lambda: "was not reloaded" in program.text())
        assert pids(program, "a") == before
        assert program.chat("a").status_code == 200
        writer.write(text[len(text) // 2 :])
    program.until(lambda: "was reloaded" in program.text())

    assert program.chat("c").status_code == 200
    assert program.chat("a").status_code == 404


def test_model_added_in_front_of_others_takes_no_port_from_them(tmp_path: Path) -> None:
    """Ports that Hostler hands out go by the order of ids: by that alone every model behind the new one would restart."""

    def text(*names: str) -> str:
        start = f"startPort: {first}\nmodels:\n"
        command = shlex.join(argv(0)).removesuffix("0")
        return start + "".join(f"  {name}:\n    cmd: {command}${{PORT}} --model {name}\n" for name in names)

    first = free_port()
    file = tmp_path / "config.yaml"
    with hostler(tmp_path, text("m", "n")) as program:
        program.chat("n")
        before = pids(program, "n")
        file.write_text(text("a", "m", "n"))

        assert reload(program).json()["plan"]["unchanged"] == ["m", "n"]
        assert program.chat("n").status_code == 200
        assert pids(program, "n") == before
        assert program.chat("a").json()["served_by"] == "a"
