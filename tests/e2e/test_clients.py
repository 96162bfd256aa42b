"""The official `openai` and `anthropic` clients against the whole program: right answers, exact bytes, typed errors."""

from __future__ import annotations

import base64
import hashlib
import shlex
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import anthropic
import openai
import pytest

from tests.fake_upstream import PICTURE_BASE64, SPEECH, VECTOR, argv
from tests.ports import free_port
from tests.program import PATIENCE_S, Program, hostler

if TYPE_CHECKING:
    import httpx2
    from anthropic.types import MessageParam
    from openai.types.chat import ChatCompletionMessageParam

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

FILE = bytes(range(256)) * 5000 + b"\r\n--boundary\r\n\x00"
"""An upload over a megabyte, so that it is spooled, with every byte there is and something like a boundary in it."""


def _models() -> str:
    """Returns a configuration: all run side by side, only `broken` and `shattered` never become ready."""

    def entry(name: str, extra: str = "") -> str:
        port = free_port()
        command = shlex.join(argv(port, "--model", name))
        return f"  {name}:\n    cmd: {command}\n    proxy: http://127.0.0.1:{port}\n{extra}"

    exits = shlex.join((sys.executable, "-c", "raise SystemExit(3)"))
    return (
        "models:\n"
        + entry("fake", "    aliases: [gpt-4o-mini, claude-sonnet]\n")
        + entry("renamed", "    useModelName: upstream/name\n")
        + entry("limited", "    concurrencyLimit: 1\n")
        + entry("narrow", "    concurrencyLimit: 1\n")
        + f"  broken:\n    cmd: {exits}\n    proxy: http://127.0.0.1:{free_port()}\n"
        # Asked again at once, one that has just failed is refused in other words.
        + f"  shattered:\n    cmd: {exits}\n    proxy: http://127.0.0.1:{free_port()}\n    unlisted: true\n"
        + "groups:\n  all: {swap: false, members: [fake, renamed, limited, narrow, broken, shattered]}\n"
        + "hooks: {on_startup: {preload: [fake, renamed, limited, narrow]}}\n"
    )


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    with hostler(tmp_path_factory.mktemp("clients"), _models()) as running:
        running.until(lambda: list(running.running().values()) == ["ready"] * 4)
        yield running


@pytest.fixture
def sent() -> list[bytes]:
    """The bodies that the `openai` client has sent."""
    return []


@pytest.fixture
def client(program: Program, sent: list[bytes]) -> Iterator[openai.OpenAI]:
    def record(request: httpx2.Request) -> None:
        sent.append(request.read())

    with openai.OpenAI(
        base_url=f"{program.url}/v1",
        api_key="anything",
        max_retries=0,
        timeout=PATIENCE_S,
        http_client=openai.DefaultHttpxClient(event_hooks={"request": [record]}),
    ) as one:
        yield one


@pytest.fixture
def claude(program: Program) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=program.url, api_key="anything", max_retries=0, timeout=PATIENCE_S) as one:
        yield one


def _asking() -> list[ChatCompletionMessageParam]:
    return [{"role": "user", "content": "who are you?"}]


def _saying() -> list[MessageParam]:
    return [{"role": "user", "content": "who are you?"}]


# openai


def test_openai_chat(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="gpt-4o-mini", messages=_asking())

    assert answer.choices[0].message.content == "fake"
    assert answer.model == "gpt-4o-mini"
    assert answer.usage is not None
    assert answer.usage.total_tokens == 2


def test_openai_chat_streamed(client: openai.OpenAI) -> None:
    with client.chat.completions.create(
        model="fake", messages=_asking(), stream=True, extra_body={"events": 50}
    ) as stream:
        said = [chunk.choices[0].delta.content for chunk in stream]

    assert said == [f"fake {n} " for n in range(50)]


def test_openai_completions(client: openai.OpenAI) -> None:
    answer = client.completions.create(model="fake", prompt="who")

    assert answer.choices[0].text == "fake"


def test_openai_completions_streamed(client: openai.OpenAI) -> None:
    with client.completions.create(model="fake", prompt="who", stream=True) as stream:
        said = "".join(chunk.choices[0].text for chunk in stream)

    assert said == "fake 0 fake 1 fake 2 "


def test_openai_responses(client: openai.OpenAI) -> None:
    answer = client.responses.create(model="fake", input="who")

    assert answer.output_text == "fake"
    assert answer.status == "completed"


def test_openai_responses_streamed(client: openai.OpenAI) -> None:
    with client.responses.stream(model="fake", input="who") as stream:
        deltas = [event.delta for event in stream if event.type == "response.output_text.delta"]
        answer = stream.get_final_response()

    assert deltas == ["fake 0 ", "fake 1 ", "fake 2 "]
    assert answer.output_text == "".join(deltas)


def test_openai_embeddings(client: openai.OpenAI) -> None:
    """The client asks for base64 unless told otherwise, and takes it apart itself."""
    answer = client.embeddings.create(model="fake", input=["one"])
    plain = client.embeddings.create(model="fake", input=["one"], encoding_format="float")

    assert answer.data[0].embedding == list(VECTOR)
    assert plain.data[0].embedding == list(VECTOR)


def test_openai_speech_is_every_byte_of_the_upstreams(client: openai.OpenAI) -> None:
    spoken = client.audio.speech.create(model="fake", voice="alloy", input="say it")

    assert spoken.read() == SPEECH
    assert spoken.response.headers["content-type"] == "audio/mpeg"


def test_openai_transcription_arrives_as_it_was_sent(client: openai.OpenAI, sent: list[bytes]) -> None:
    answer = client.audio.transcriptions.create(model="fake", file=("ünï.wav", FILE, "audio/x-odd"), language="en")
    told = answer.model_dump()

    assert answer.text == "fake"
    assert told["sha256"] == hashlib.sha256(sent[0]).hexdigest()
    assert told["parts"][-1]["sha256"] == hashlib.sha256(FILE).hexdigest()
    assert "Content-Type: audio/x-odd" in told["parts"][-1]["headers"]


def test_model_replaced_in_an_upload_leaves_all_else_as_it_was(client: openai.OpenAI, sent: list[bytes]) -> None:
    """`useModelName` changes the one field: order, part headers, boundary and file stay."""
    told = client.audio.transcriptions.create(
        model="renamed", file=("a.wav", FILE, "audio/x-odd"), language="en", prompt="model"
    ).model_dump()
    field, replaced = b'name="model"\r\n\r\nrenamed\r\n', b'name="model"\r\n\r\nupstream/name\r\n'

    assert sent[0].count(field) == 1
    assert told["sha256"] == hashlib.sha256(sent[0].replace(field, replaced)).hexdigest()


def test_model_replaced_in_json_leaves_all_else_as_it_was(client: openai.OpenAI, sent: list[bytes]) -> None:
    answer = client.chat.completions.create(model="renamed", messages=_asking(), user="renamed")

    assert answer.model == "upstream/name"
    assert answer.choices[0].message.content == "renamed"
    assert b'"user":"renamed"' in sent[0]


def test_openai_images(client: openai.OpenAI) -> None:
    painted = client.images.generate(model="fake", prompt="a cat")

    assert painted.data is not None
    assert painted.data[0].b64_json == PICTURE_BASE64


def test_openai_image_edit_with_several_files(client: openai.OpenAI, sent: list[bytes]) -> None:
    picture = base64.b64decode(PICTURE_BASE64)
    told = client.images.edit(
        model="fake",
        prompt="a hat",
        image=[("one.png", picture, "image/png"), ("two.png", FILE, "image/png")],
        mask=("mask.png", picture[::-1], "image/png"),
    ).model_dump()

    assert told["sha256"] == hashlib.sha256(sent[0]).hexdigest()
    lengths = [part["length"] for part in told["parts"] if any("filename=" in line for line in part["headers"])]
    assert sorted(lengths) == [8, 8, len(FILE)]


def test_openai_model_list(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["broken", "fake", "limited", "narrow", "renamed"]


async def _chat(client: openai.AsyncOpenAI) -> list[str | None]:
    async with client:
        stream = await client.chat.completions.create(model="fake", messages=_asking(), stream=True)
        async with stream:
            return [chunk.choices[0].delta.content async for chunk in stream]


@pytest.mark.anyio
async def test_openai_chat_streamed_to_the_asynchronous_client(program: Program) -> None:
    said = await _chat(openai.AsyncOpenAI(base_url=f"{program.url}/v1", api_key="anything", max_retries=0))

    assert said == ["fake 0 ", "fake 1 ", "fake 2 "]


# openai: errors


@pytest.mark.parametrize(
    "ask",
    [
        lambda client: client.chat.completions.create(model="nobody", messages=_asking()),
        lambda client: client.chat.completions.create(model="nobody", messages=_asking(), stream=True),
        lambda client: client.responses.create(model="nobody", input="who"),
        lambda client: client.embeddings.create(model="nobody", input="who"),
        lambda client: client.audio.speech.create(model="nobody", voice="alloy", input="say"),
        lambda client: client.audio.transcriptions.create(model="nobody", file=("a.wav", FILE)),
        lambda client: client.images.generate(model="nobody", prompt="a cat"),
    ],
    ids=["chat", "stream", "responses", "embeddings", "speech", "transcriptions", "images"],
)
def test_openai_client_sees_an_unknown_model_as_not_found(
    client: openai.OpenAI, ask: Callable[[openai.OpenAI], object]
) -> None:
    with pytest.raises(openai.NotFoundError) as told:
        ask(client)

    assert told.value.code == "not_found"
    assert told.value.type == "invalid_request_error"
    assert "no router for requested model" in told.value.message


def test_openai_client_sees_a_full_model_as_a_rate_limit(client: openai.OpenAI) -> None:
    with client.chat.completions.create(
        model="limited", messages=_asking(), stream=True, extra_body={"events": 100_000, "interval_s": 0.05}
    ) as stream:
        next(iter(stream))
        with pytest.raises(openai.RateLimitError) as told:
            client.chat.completions.create(model="limited", messages=_asking())

    assert told.value.code == "concurrency_limit"
    assert told.value.response.headers["retry-after"] == "1"


def test_openai_client_sees_a_failed_start_as_an_error_of_the_server(client: openai.OpenAI) -> None:
    with pytest.raises(openai.InternalServerError) as told:
        client.chat.completions.create(model="broken", messages=_asking())

    assert told.value.type == "server_error"
    assert "broken" in told.value.message


def test_openai_client_sees_a_body_that_is_no_json_as_a_bad_request(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError):
        client.post("/chat/completions", content=b'{"model": "fake", "messages": [', cast_to=object)


# anthropic


def test_anthropic_messages(claude: anthropic.Anthropic) -> None:
    answer = claude.messages.create(model="claude-sonnet", max_tokens=10, messages=_saying())

    assert answer.content[0].type == "text"
    assert answer.content[0].text == "fake"
    assert answer.model == "claude-sonnet"


def test_anthropic_messages_streamed(claude: anthropic.Anthropic) -> None:
    with claude.messages.stream(model="fake", max_tokens=10, messages=_saying()) as stream:
        said = list(stream.text_stream)
        answer = stream.get_final_message()

    assert said == ["fake 0 ", "fake 1 ", "fake 2 "]
    assert answer.stop_reason == "end_turn"


def test_anthropic_count_tokens(claude: anthropic.Anthropic) -> None:
    assert claude.messages.count_tokens(model="fake", messages=_saying()).input_tokens > 0


def _anthropic_error(exc: anthropic.APIStatusError) -> tuple[object, object]:
    """Returns the type and the message of an error in Anthropic's own form."""
    assert isinstance(exc.body, dict)
    assert exc.body["type"] == "error"
    return exc.body["error"]["type"], exc.body["error"]["message"]


@pytest.mark.parametrize(
    "ask",
    [
        lambda claude: claude.messages.create(model="nobody", max_tokens=10, messages=_saying()),
        lambda claude: claude.messages.create(model="nobody", max_tokens=10, messages=_saying(), stream=True),
        lambda claude: claude.messages.count_tokens(model="nobody", messages=_saying()),
    ],
    ids=["messages", "stream", "count"],
)
def test_anthropic_client_sees_an_unknown_model_as_not_found(
    claude: anthropic.Anthropic, ask: Callable[[anthropic.Anthropic], object]
) -> None:
    with pytest.raises(anthropic.NotFoundError) as told:
        ask(claude)

    assert _anthropic_error(told.value) == ("not_found_error", "no router for requested model")


def test_anthropic_client_sees_a_full_model_as_a_rate_limit(claude: anthropic.Anthropic) -> None:
    with claude.messages.create(
        model="narrow",
        max_tokens=10,
        messages=_saying(),
        stream=True,
        extra_body={"events": 100_000, "interval_s": 0.05},
    ) as stream:
        next(iter(stream))
        with pytest.raises(anthropic.RateLimitError) as told:
            claude.messages.create(model="narrow", max_tokens=10, messages=_saying())

    assert _anthropic_error(told.value)[0] == "rate_limit_error"
    assert told.value.response.headers["retry-after"] == "1"


def test_anthropic_client_sees_a_failed_start_as_an_error_of_the_server(claude: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.InternalServerError) as told:
        claude.messages.create(model="shattered", max_tokens=10, messages=_saying())

    kind, message = _anthropic_error(told.value)
    assert kind == "api_error"
    assert "shattered" in str(message)


# keys


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    port = free_port()
    config = (
        f"apiKeys: [sk-right]\nmodels:\n  fake:\n    cmd: {shlex.join(argv(port, '--model', 'fake'))}\n"
        f"    proxy: http://127.0.0.1:{port}\nhooks: {{on_startup: {{preload: [fake]}}}}\n"
    )
    with hostler(tmp_path_factory.mktemp("locked"), config) as running:
        running.until(lambda: "preloaded" in running.text())
        yield running


def test_openai_client_with_the_right_key_is_let_in_and_the_key_stays_here(locked: Program) -> None:
    with openai.OpenAI(base_url=f"{locked.url}/v1", api_key="sk-right", max_retries=0) as client:
        answer = client.chat.completions.create(model="fake", messages=_asking())
        seen = client.with_options(base_url=locked.url).post("/upstream/fake/echo", cast_to=dict[str, object])

    assert answer.choices[0].message.content == "fake"
    assert "sk-right" not in str(seen)
    assert "user-agent" in str(seen)


def test_openai_client_with_a_wrong_key_sees_an_authentication_error(locked: Program) -> None:
    with (
        openai.OpenAI(base_url=f"{locked.url}/v1", api_key="sk-wrong", max_retries=0) as client,
        pytest.raises(openai.AuthenticationError) as told,
    ):
        client.chat.completions.create(model="fake", messages=_asking())

    assert told.value.code == "unauthorized"


def test_anthropic_client_needs_the_right_key_and_the_key_stays_here(locked: Program) -> None:
    with anthropic.Anthropic(base_url=locked.url, api_key="sk-right", max_retries=0) as client:
        answer = client.messages.create(model="fake", max_tokens=10, messages=_saying())
        seen = client.post("/upstream/fake/echo", cast_to=dict[str, object])
    with (
        anthropic.Anthropic(base_url=locked.url, api_key="sk-wrong", max_retries=0) as client,
        pytest.raises(anthropic.AuthenticationError) as told,
    ):
        client.messages.create(model="fake", max_tokens=10, messages=_saying())

    assert answer.content[0].type == "text"
    assert "sk-right" not in str(seen)
    assert "anthropic-version" in str(seen)
    assert _anthropic_error(told.value)[0] == "authentication_error"
