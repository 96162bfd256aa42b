"""An upstream that costs next to nothing: prebuilt bytes from a bare asyncio Protocol.

Run as a file, not as a module, so that a proxy may start it from any directory:

    python tests/bench/upstream.py --port 9000

`GET /health` is 200. A POST is answered by what its body says:

- nothing special: one small chat completion with a content-length;
- `"stream": true`: a stream of server-sent events, each in an HTTP chunk of its own, all handed over in one write;
- `"stream": true` and `"pace_ms": 5`: the same events, one write every five milliseconds, as a model would produce them.

`--times FILE` appends to FILE how many milliseconds it took from its first line to listening, once per start.

SIGTERM is left alone and kills at once: the time it takes to stop is not what a swap is measured for.
"""

from __future__ import annotations

import time

_BEGAN_AT = time.perf_counter()  # before the imports, which are most of the load

import argparse  # noqa: E402
import asyncio  # noqa: E402
import json  # noqa: E402
import random  # noqa: E402
import re  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import cast  # noqa: E402

import uvloop  # noqa: E402

EVENTS = 200
"""Server-sent events in one stream, the final `[DONE]` included."""


def _completion() -> bytes:
    return json.dumps(
        {
            "id": "chatcmpl-bench",
            "object": "chat.completion",
            "created": 1700000000,
            "model": "bench",
            "choices": [
                {"index": 0, "message": {"role": "assistant", "content": "Hello there."}, "finish_reason": "stop"},
            ],
            "usage": {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13},
        }
    ).encode()


def _events() -> list[bytes]:
    chunk = {"id": "chatcmpl-bench", "object": "chat.completion.chunk", "created": 1700000000, "model": "bench"}
    payloads = [
        json.dumps({**chunk, "choices": [{"index": 0, "delta": {"content": f" word{n}"}, "finish_reason": None}]})
        for n in range(EVENTS - 3)
    ]
    payloads.append(json.dumps({**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}))
    usage = {"prompt_tokens": 9, "completion_tokens": EVENTS - 3, "total_tokens": EVENTS + 6}
    payloads.append(json.dumps({**chunk, "choices": [], "usage": usage}))
    return [f"data: {payload}\n\n".encode() for payload in [*payloads, "[DONE]"]]


def _whole(content_type: str, body: bytes, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


COMPLETION = _completion()
EVENT_PARTS = _events()
STREAM_BYTES = sum(map(len, EVENT_PARTS))
"""Length of a stream's body, without the framing of its chunks."""

_SMALL = _whole("application/json", COMPLETION)
_HEALTH = _whole("application/json", b'{"status":"ok"}')
_LOST = _whole("text/plain", b"not found", status="404 Not Found")
_STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_CHUNKS = [b"%x\r\n%b\r\n" % (len(part), part) for part in EVENT_PARTS]
_BURST = _STREAM_HEAD + b"".join(_CHUNKS) + b"0\r\n\r\n"

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
_STREAM = re.compile(rb'"stream": *true')
_PACE = re.compile(rb'"pace_ms": *(\d+)')


class Upstream(asyncio.Protocol):
    """One connection. Requests follow one another; nobody who measures pipelines."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self._received = b""
        # The paced stream under way, if any: the next event to write, and the timer that will.
        self._next = 0
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := _request_end(self._received)) is not None:
            request, self._received = self._received[:end], self._received[end:]
            self._answer(request)

    def _answer(self, request: bytes) -> None:
        if request.startswith(b"GET "):
            self.transport.write(_HEALTH if request.startswith(b"GET /health ") else _LOST)
        elif _STREAM.search(request) is None:
            self.transport.write(_SMALL)
        elif (pace := _PACE.search(request)) is None:
            self.transport.write(_BURST)
        else:
            self.transport.write(_STREAM_HEAD)
            self._next = 0
            # A random phase, so that streams asked for at the same time do not march in step.
            pace_s = int(pace[1]) / 1000
            phase_s = random.uniform(0, pace_s)
            self._timer = asyncio.get_running_loop().call_later(phase_s, self._write_paced, pace_s)

    def _write_paced(self, pace_s: float) -> None:
        self.transport.write(_CHUNKS[self._next])
        self._next += 1
        if self._next < EVENTS:
            self._timer = asyncio.get_running_loop().call_later(pace_s, self._write_paced, pace_s)
        else:
            self.transport.write(b"0\r\n\r\n")


def _request_end(received: bytes) -> int | None:
    """Returns where the first request in *received* ends, None while it is incomplete."""
    head_end = received.find(b"\r\n\r\n") + 4
    if head_end == 3:
        return None
    if length := _LENGTH.search(received, 0, head_end):
        end = head_end + int(length[1])
    elif _CHUNKED.search(received, 0, head_end):
        # The bodies of the benchmark hold no carriage return, so this cannot be inside one.
        end = received.find(b"0\r\n\r\n", head_end) + 5
        if end == 4:
            return None
    else:
        end = head_end
    return end if end <= len(received) else None


async def _serve(host: str, port: int, times: Path | None) -> None:
    server = await asyncio.get_running_loop().create_server(Upstream, host, port, backlog=1024)
    if times is not None:  # before the first connection is accepted: who has an answer finds the line
        with times.open("a") as lines:
            lines.write(f"{(time.perf_counter() - _BEGAN_AT) * 1e3:.3f}\n")
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description="an upstream that costs next to nothing")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument(
        "--times", type=Path, metavar="FILE", help="append the milliseconds from first line to listening"
    )
    options = parser.parse_args()
    uvloop.run(_serve(options.host, options.port, options.times))


if __name__ == "__main__":
    main()
