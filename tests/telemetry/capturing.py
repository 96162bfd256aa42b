"""Exchanges to be captured, for tests."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import anyio

from app.asgi import Body
from app.telemetry.captures import Captures

JSON = [(b"content-type", b"application/json")]


def noise(size: int, seed: int = 0) -> bytes:
    """Returns bytes that cannot be compressed."""
    return random.Random(seed).randbytes(size)


def record(
    captures: Captures,
    number: int,
    *,
    path: str = "/v1/chat/completions",
    request: bytes | Body = b'{"model":"a"}',
    request_headers: Sequence[tuple[bytes, bytes]] = JSON,
    status: int = 200,
    headers: Sequence[tuple[bytes, bytes]] = JSON,
    chunks: Sequence[bytes] = (b'{"answer":1}',),
    target: bytes = b"",
    method: str = "POST",
) -> None:
    """Records one exchange and adds it."""
    body = Body(request) if isinstance(request, bytes) else request
    recorder = captures.recorder(method, path, request_headers, body, target)
    recorder.head(status, headers)
    for chunk in chunks:
        recorder.chunk(chunk)
    captures.add(number, recorder)


@asynccontextmanager
async def running(captures: Captures) -> AsyncIterator[Captures]:
    """Runs the worker of *captures* while inside."""
    async with anyio.create_task_group() as group:
        await group.start(captures.run)
        yield captures
        group.cancel_scope.cancel()


async def idle(captures: Captures) -> None:
    """Waits until nothing waits for the worker, which is hurried on."""
    with anyio.fail_after(30):
        while captures._waiting or captures._packing or captures._to_remove:
            captures._wake.set()
            await anyio.sleep(0.001)
