"""`--log-format json` of the whole program."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from tests.fake_upstream import argv
from tests.ports import free_port
from tests.program import hostler

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(60)]


def test_every_line_of_ours_is_an_object(tmp_path: Path) -> None:
    port = free_port()
    config = {
        "models": {"a": {"cmd": shlex.join(argv(port, "--model", "a")), "proxy": f"http://127.0.0.1:{port}"}},
        "logTimeFormat": "rfc3339",
    }
    with hostler(tmp_path, json.dumps(config), "--log-format", "json") as program:
        assert program.chat("a").status_code == 200
        assert program.end() == 0

    lines = [json.loads(line) for line in program.text().splitlines()]
    assert all(list(line)[:3] == ["time", "level", "message"] for line in lines)
    of_the_model = [line["message"] for line in lines if line.get("model") == "a" and "status" not in line]
    assert of_the_model[0].startswith("starting")
    [access] = [line for line in lines if line["message"] == "request"]
    assert (access["path"], access["status"], access["model"]) == ("/v1/chat/completions", 200, "a")
    assert lines[-1]["message"] == "shutdown complete"
