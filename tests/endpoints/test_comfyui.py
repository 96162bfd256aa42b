"""`/comfyui`, row by row. Source: compatibility specification 3.13."""

from __future__ import annotations

import json

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from app.config.build import COMFYUI
from app.config.catalog import Catalog
from tests.endpoints.sockets import Host, hosting
from tests.fakes import catalog, model

pytestmark = pytest.mark.anyio

NOT_LOADED = f"model {COMFYUI} is not loaded; only /comfyui/ can start it"


def comfy() -> Catalog:
    return catalog(model(COMFYUI, check_endpoint=None, ignore_websockets=True), model("a", check_endpoint=None))


async def ask(host: Host, method: str, path: str) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.request(method, f"http://127.0.0.1:{host.port}{path}")


@pytest.mark.parametrize(("method", "status"), [("GET", 301), ("HEAD", 301), ("POST", 308), ("DELETE", 308)])
async def test_path_without_its_slash_is_redirected_with_its_query(method: str, status: int) -> None:
    async with hosting(comfy()) as host:
        answer = await ask(host, method, "/comfyui?a=%2F&b")

        assert (answer.status_code, answer.headers["location"]) == (status, "/comfyui/?a=%2F&b")
        assert host.launcher.story == []


@pytest.mark.parametrize("path", ["/comfyui/", "/comfyui/api/x"])
async def test_without_such_a_model_there_is_nothing(path: str) -> None:
    async with hosting(catalog(model("a"))) as host:
        answer = await ask(host, "GET", path)

        assert answer.status_code == 404
        assert answer.json()["error"]["message"] == f"local model {COMFYUI} not found"


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_only_the_root_loads_the_model(method: str) -> None:
    async with hosting(comfy()) as host:
        refused = await ask(host, method, "/comfyui/api/prompt")

        assert (refused.status_code, refused.json()["error"]["message"]) == (409, NOT_LOADED)
        assert host.launcher.story == []

        # The model speaks only websocket: what matters is that it was asked.
        assert (await ask(host, "GET", "/comfyui/")).status_code == 426
        assert host.launcher.story == [f"start {COMFYUI}"]
        assert (await ask(host, "GET", "/comfyui/api/prompt")).status_code == 426


async def test_encoded_slash_is_no_path_of_ours() -> None:
    async with hosting(comfy()) as host:
        assert (await ask(host, "GET", "/comfyui%2Fx")).status_code == 404


async def test_websocket_needs_the_model_to_be_ready() -> None:
    async with hosting(comfy()) as host:
        with pytest.raises(InvalidStatus) as caught:
            await host.open("/comfyui/ws")

        assert caught.value.response.status_code == 409
        assert json.loads(bytes(caught.value.response.body))["error"]["message"] == NOT_LOADED

        with pytest.raises(InvalidStatus) as caught:
            await host.open("/comfyui/")

        message = json.loads(bytes(caught.value.response.body))["error"]["message"]
        assert message == f"model {COMFYUI} is not loaded; ignored websocket requests cannot start it"


async def test_websocket_reaches_the_path_below_the_prefix_and_holds_nothing() -> None:
    async with hosting(comfy()) as host:
        await host.load(COMFYUI)
        async with host.open("/comfyui/a%2Fb/?clientId=1") as client:
            await client.send("x")

            assert await client.recv() == "x"
            assert host.leases(COMFYUI) == 0
        async with host.open("/comfyui/told?clientId=%41") as client:
            assert json.loads(await client.recv())["path"] == "/told?clientId=%41"
