"""Commands are shown without the secrets in them."""

from __future__ import annotations

import pytest

from app.telemetry.redact_command import is_secret_name, redacted_command

R = "[REDACTED]"


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("server --api-key sekret --port 1", f"server --api-key {R} --port 1"),
        ("server --api-key=sekret --port 1", f"server --api-key={R} --port 1"),
        ("server --api-key=-sekret", f"server --api-key={R}"),
        ("server --api-key \\\n  sekret\n--port 1", f"server --api-key \\\n  {R}\n--port 1"),
        ("server --api-key 'two words' -v", f"server --api-key {R} -v"),
        ('server --api-key "two \\" words" -v', f"server --api-key {R} -v"),
        ("server --api-key 'never closed", f"server --api-key {R} closed"),
        ("server --api_key a,b", f"server --api_key {R}"),
        ("server --hf-token abc -hft abc", f"server --hf-token {R} -hft {R}"),
        ("server --password p", f"server --password {R}"),
        ("env HF_TOKEN=abc OPENAI_API_KEY='x y' server", f"env HF_TOKEN={R} OPENAI_API_KEY={R} server"),
        ("docker run -e HF_TOKEN=abc -e PATH=/bin image", f"docker run -e HF_TOKEN={R} -e PATH=/bin image"),
        ("sh -c 'export HF_TOKEN=abc; exec server'", f"sh -c 'export HF_TOKEN={R} exec server'"),
        ("curl -H 'Authorization: Bearer abc' url", f"curl -H 'Authorization: {R}' url"),
        ("curl -H 'X-Api-Key: abc' url", f"curl -H 'X-Api-Key: {R}' url"),
        ("server --header Bearer abc", f"server --header Bearer {R}"),
        ("server https://me:pw@host/path", f"server https://{R}@host/path"),
        ("server https://host/p?token=abc&x=1", f"server https://host/p?token={R}&x=1"),
        ("""server --json '{"api_key": "abc", "n": 1}'""", f"""server --json '{{"api_key": "{R}", "n": 1}}'"""),
        ("server hf_abcdefghijk", f"server {R}"),
        ("server sk-proj-abcdefghij", f"server {R}"),
    ],
)
def test_secrets_are_hidden(command: str, shown: str) -> None:
    assert redacted_command(command) == shown


@pytest.mark.parametrize(
    "command",
    [
        "llama-server --model /models/llama.gguf --ctx-size 8192 --cache-type-k q8_0 --port 5800",
        "vllm serve --max-tokens 512 --tokenizer /t --api-key-file /etc/key --ssl-keyfile /k",
        "server --prompt 'key of the piece' --special-tokens all",
        "server http://127.0.0.1:8080/path?x=1",
        "server --api-key --verbose",
        "",
    ],
)
def test_what_is_no_secret_is_shown(command: str) -> None:
    assert redacted_command(command) == command


def test_known_secrets_are_found_anywhere() -> None:
    assert redacted_command("server abcdef xabcdefy ab", ["abcdef", "ab", ""]) == f"server {R} x{R}y ab"


def test_longer_known_secret_goes_before_one_that_is_a_part_of_it() -> None:
    assert redacted_command("server abcdefgh", ["abcd", "abcdefgh"]) == f"server {R}"


@pytest.mark.parametrize("name", ["HF_TOKEN", "apiKey", "AWS_SECRET_ACCESS_KEY", "--api-key", "DB_PASSWORD", "key"])
def test_names_of_secrets(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ["CUDA_VISIBLE_DEVICES", "PATH", "max-tokens", "TOKENIZERS_PARALLELISM", "monkey"])
def test_names_of_what_is_none(name: str) -> None:
    assert not is_secret_name(name)
