"""A model server for tests: quick to start, with a knob for everything a model server can do wrong.

Run as a program (`python tests/fake_upstream.py --port N …`); tests build the command with `argv()`. Only the standard
library, and little of it: the suite starts hundreds of these. One thread per connection; a client that leaves is
noticed at once, because every wait is a `select` on its socket.

Every answer says in its head who gave it and what it was asked for: `X-Fake-Model`, `X-Fake-Method`, `X-Fake-Path`. Bodies are in the
grammar of OpenAI, Anthropic, llama.cpp or Stable Diffusion, by path, with `/v1` or without.

One file, though a long one: it is run as a program, isolated from everything else for the sake of its start.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from time import monotonic

PROGRAM = os.path.abspath(__file__)  # noqa: PTH100 - pathlib would double the time to start

Json = dict[str, object]

SPEECH = b"ID3" + bytes(range(256)) * 64
"""What it says when it is to speak: every byte there is."""

VECTOR = (0.0, 1.0)

VECTOR_BASE64 = "AAAAAAAAgD8="
"""`VECTOR` as little-endian floats of 32 bits."""

PICTURE_BASE64 = "iVBORw0KGgo="
"""What it paints: the first eight bytes of a PNG."""


def argv(port: int, *flags: str) -> tuple[str, ...]:
    """Returns the command that starts a fake upstream on *port*."""
    return (sys.executable, "-I", "-S", PROGRAM, "--port", str(port), *flags)


class _ClientLeft(Exception):
    pass


class _Request:
    def __init__(self, method: str, target: str, headers: list[tuple[str, str]], body: bytes) -> None:
        self.method = method
        self.target = target
        self.path = target.partition("?")[0]
        self.headers = headers
        self.body = body

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key.lower() == name), "")

    def json(self) -> Json:
        try:
            document = json.loads(self.body or b"{}")
        except ValueError:
            return {}
        return document if isinstance(document, dict) else {}

    def number(self, name: str, default: float = 0.0) -> float:
        """Returns a number from the JSON body, else from the query string: `?delay_s=2`."""
        value = self.json().get(name)
        if isinstance(value, (int, float)):
            return float(value)
        for pair in self.target.partition("?")[2].split("&"):
            key, _, text = pair.partition("=")
            if key == name:
                return float(text)
        return default

    def wants_stream(self) -> bool:
        return self.json().get("stream") is True

    def parts(self) -> list[Json]:
        """Returns what there is in a multipart body, in its order: each part's own headers, and the sum of its bytes."""
        content_type = self.header("content-type")
        if not content_type.startswith("multipart/"):
            return []
        boundary = content_type.partition("boundary=")[2].partition(";")[0].strip('"').encode()
        found: list[Json] = []
        for piece in (b"\r\n" + self.body).split(b"\r\n--" + boundary)[1:-1]:
            head, _, content = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
            digest = hashlib.sha256(content).hexdigest()
            found.append({"headers": head.decode().split("\r\n"), "length": len(content), "sha256": digest})
        return found


class _Counts:
    """What `/stats` tells; `/health` and `/stats` themselves are not counted."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.now: dict[str, int] = dict.fromkeys(
            ("connections", "started", "finished", "aborted", "running", "most_running", "health"), 0
        )

    def add(self, **changes: int) -> None:
        with self._lock:
            for name, change in changes.items():
                self.now[name] += change
            self.now["most_running"] = max(self.now["most_running"], self.now["running"])


class _Connection:
    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._buffer = b""
        self._is_head = False
        self.heading = ""
        """Header lines of every answer to the request under way."""

    def _receive(self) -> None:
        data = self.sock.recv(1 << 18)
        if not data:
            raise _ClientLeft
        self._buffer += data

    def _line(self) -> str:
        while b"\r\n" not in self._buffer:
            self._receive()
        line, _, self._buffer = self._buffer.partition(b"\r\n")
        return line.decode("latin-1")

    def _exactly(self, size: int) -> bytes:
        parts = [self._buffer[:size]]
        self._buffer = self._buffer[size:]
        missing = size - len(parts[0])
        while missing:
            data = self.sock.recv(min(missing, 1 << 18))
            if not data:
                raise _ClientLeft
            parts.append(data)
            missing -= len(data)
        return b"".join(parts)

    def request(self) -> _Request:
        method, target, _ = self._line().split(" ", 2)
        self._is_head = method == "HEAD"
        headers: list[tuple[str, str]] = []
        while line := self._line():
            name, _, value = line.partition(":")
            headers.append((name, value.strip()))
        request = _Request(method, target, headers, b"")
        if request.header("expect").lower() == "100-continue":
            self.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        if request.header("transfer-encoding").lower() == "chunked":
            parts = []
            while size := int(self._line().partition(";")[0], 16):
                parts.append(self._exactly(size))
                self._line()
            while self._line():
                pass
            request.body = b"".join(parts)
        else:
            request.body = self._exactly(int(request.header("content-length") or 0))
        return request

    def wait(self, seconds: float) -> None:
        """Waits, and raises as soon as the client is gone."""
        deadline = monotonic() + seconds
        while (left := deadline - monotonic()) > 0:
            readable, _, _ = select.select([self.sock], [], [], left)
            if readable:
                if not self.sock.recv(1, socket.MSG_PEEK):
                    raise _ClientLeft
                # A pipelined request: it can wait, and cannot be told from an end by select any more.
                select.select([], [], [], min(left, 0.01))

    def respond(self, status: int, body: bytes, media_type: str = "application/json") -> None:
        head = (
            f"HTTP/1.1 {status} Fake\r\nContent-Type: {media_type}\r\nContent-Length: {len(body)}\r\n{self.heading}\r\n"
        )
        self.sock.sendall(head.encode() + (b"" if self._is_head else body))

    def respond_json(self, document: object, status: int = 200) -> None:
        self.respond(status, json.dumps(document).encode())

    def start_chunked(self, media_type: str) -> None:
        head = f"HTTP/1.1 200 Fake\r\nContent-Type: {media_type}\r\nTransfer-Encoding: chunked\r\n{self.heading}\r\n"
        self.sock.sendall(head.encode())

    def chunk(self, data: bytes) -> None:
        self.sock.sendall(b"%x\r\n%b\r\n" % (len(data), data))

    def event(self, document: Json, *, named: bool = False) -> None:
        """Sends one server-sent event; *named*: with a line that repeats its type."""
        name = f"event: {document['type']}\n" if named else ""
        self.chunk(f"{name}data: {json.dumps(document)}\n\n".encode())

    def end_chunked(self) -> None:
        self.sock.sendall(b"0\r\n\r\n")


class _Server:
    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.counts = _Counts()
        self.healthy_at = monotonic() + options.listen_delay + options.start_delay

    def serve(self, listener: socket.socket) -> None:
        while True:
            sock, _ = listener.accept()
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._connection, args=(sock,), daemon=True).start()

    def _connection(self, sock: socket.socket) -> None:
        self.counts.add(connections=1)
        connection = _Connection(sock)
        with sock:
            try:
                while True:
                    request = connection.request()
                    self._answer(connection, request)
                    if request.header("connection").lower() == "close":
                        return
            except (_ClientLeft, OSError, ValueError):
                return

    def _answer(self, connection: _Connection, request: _Request) -> None:
        if request.path == self.options.exit_on_request:
            _exit(self.options.exit_code, f"asked for {request.path}")
        if request.path == "/health":
            self.counts.add(health=1)
            self._health(connection)
            return
        if request.path == "/stats":
            connection.respond_json(self.counts.now)
            return
        connection.heading = f"X-Fake-Model: {self.options.model}\r\nX-Fake-Method: {request.method}\r\nX-Fake-Path: {request.target}\r\n"
        self.counts.add(started=1, running=1)
        try:
            self._work(connection, request)
        except (_ClientLeft, OSError):
            self.counts.add(aborted=1)
            raise
        else:
            self.counts.add(finished=1)
        finally:
            self.counts.add(running=-1)

    def _health(self, connection: _Connection) -> None:
        if self.options.health_hang:
            connection.wait(3600)
        status = self.options.health_status if monotonic() >= self.healthy_at else 503
        connection.respond_json({"status": "ok" if status == 200 else "loading model"}, status)

    def _work(self, connection: _Connection, request: _Request) -> None:
        connection.wait(request.number("delay_s"))
        match request.path:
            case "/crash":
                self._crash(connection, request)
            case "/echo":
                connection.respond_json(
                    {
                        "method": request.method,
                        "path": request.target,
                        "headers": request.headers,
                        "length": len(request.body),
                        "sha256": hashlib.sha256(request.body).hexdigest(),
                    }
                )
            case "/slow":
                connection.wait(request.number("seconds", 3600))
                connection.respond_json({"slow": True})
            case "/env":
                connection.respond_json(dict(os.environ))
            case "/missing":
                connection.respond_json({"error": "no such path"}, 404)
            case _ if request.wants_stream():
                self._stream(connection, request)
            case "/v1/audio/speech":
                connection.respond(200, SPEECH, "audio/mpeg")
            case "/sdapi/v1/loras":
                connection.respond_json([{"name": "fake-lora", "path": "/loras/fake-lora.safetensors"}])
            case _:
                self._whole(connection, request)

    def _crash(self, connection: _Connection, request: _Request) -> None:
        """Ends the program: at once, or after so many events of a stream (`crash_after`)."""
        if request.number("crash_after") > 0:
            self._stream(connection, request)
        _exit(self.options.exit_code or 3, "asked to crash")

    def _stream(self, connection: _Connection, request: _Request) -> None:
        crash_after = int(request.number("crash_after", -1))
        events = max(int(request.number("events", 3)), crash_after)
        interval_s = request.number("interval_s")
        filler = "x" * int(request.number("body_bytes"))

        def texts() -> Iterator[str]:
            # `say`: the very words of the answer.
            said = request.json().get("say")
            if isinstance(said, str):
                for start in range(0, len(said), 16):
                    connection.wait(interval_s)
                    yield said[start : start + 16]
                return
            for n in range(events):
                if n == crash_after:
                    break
                if n and interval_s:
                    connection.wait(interval_s)
                yield f"{self.options.model} {n} {filler}"
            if crash_after >= 0:
                _exit(self.options.exit_code or 3, f"asked to crash after {crash_after} events")

        connection.start_chunked("text/event-stream")
        match _kind(request):
            case "/messages":
                self._stream_messages(connection, request, texts())
            case "/responses":
                self._stream_responses(connection, request, texts())
            case "/completion" | "/infill":
                for text in texts():
                    connection.event({"content": text, "stop": False})
                connection.event({"content": "", "stop": True, "tokens_predicted": events})
            case kind:
                is_chat = kind != "/completions"
                for text in texts():
                    choice: Json = {"index": 0, "delta": {"content": text}} if is_chat else {"index": 0, "text": text}
                    connection.event(
                        {
                            "id": "fake-1",
                            "object": "chat.completion.chunk" if is_chat else "text_completion",
                            "created": 1,
                            "model": self._requested(request),
                            "choices": [choice],
                        }
                    )
                connection.chunk(b"data: [DONE]\n\n")
        connection.end_chunked()

    def _stream_messages(self, connection: _Connection, request: _Request, texts: Iterator[str]) -> None:
        """Anthropic's grammar of a stream."""
        message = {**self._message(request), "content": [], "stop_reason": None}
        connection.event({"type": "message_start", "message": message}, named=True)
        block = {"type": "text", "text": ""}
        connection.event({"type": "content_block_start", "index": 0, "content_block": block}, named=True)
        connection.event({"type": "ping"}, named=True)
        for text in texts:
            delta = {"type": "text_delta", "text": text}
            connection.event({"type": "content_block_delta", "index": 0, "delta": delta}, named=True)
        connection.event({"type": "content_block_stop", "index": 0}, named=True)
        ending = {"stop_reason": "end_turn", "stop_sequence": None}
        connection.event({"type": "message_delta", "delta": ending, "usage": {"output_tokens": 3}}, named=True)
        connection.event({"type": "message_stop"}, named=True)

    def _stream_responses(self, connection: _Connection, request: _Request, texts: Iterator[str]) -> None:
        """The grammar of OpenAI's Responses."""
        numbers = iter(range(1_000_000))

        def event(kind: str, **members: object) -> None:
            document = {"type": f"response.{kind}", "sequence_number": next(numbers), **members}
            connection.event(document, named=True)

        place: Json = {"item_id": "msg-1", "output_index": 0, "content_index": 0}
        said = ""
        event("created", response=self._response(request, None))
        event("in_progress", response=self._response(request, None))
        event("output_item.added", output_index=0, item=_output(None))
        event("content_part.added", **place, part=_output_text(""))
        for text in texts:
            said += text
            event("output_text.delta", **place, delta=text, logprobs=[])
        event("output_text.done", **place, text=said, logprobs=[])
        event("content_part.done", **place, part=_output_text(said))
        event("output_item.done", output_index=0, item=_output(said))
        event("completed", response=self._response(request, said))

    def _message(self, request: _Request) -> Json:
        return {
            "id": "msg-1",
            "type": "message",
            "role": "assistant",
            "model": self._requested(request),
            "content": [{"type": "text", "text": str(self.options.model)}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": 1, "output_tokens": 1},
        }

    def _response(self, request: _Request, text: str | None) -> Json:
        """Returns a response of *text*; None: one that is still under way."""
        usage = {
            "input_tokens": 1,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": 1,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 2,
        }
        return {
            "id": "resp-1",
            "object": "response",
            "created_at": 1,
            "status": "in_progress" if text is None else "completed",
            "model": self._requested(request),
            "output": [] if text is None else [_output(text)],
            "parallel_tool_calls": False,
            "tool_choice": "auto",
            "tools": [],
            "usage": None if text is None else usage,
        }

    def _whole(self, connection: _Connection, request: _Request) -> None:
        filler = "x" * int(request.number("body_bytes"))
        text = f"{self.options.model} {filler}".rstrip()
        document: Json = {
            "id": "fake-1",
            "created": 1,
            "model": self._requested(request),
            "served_by": self.options.model,
            "path": request.target,
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
        }
        asked = request.json()
        form: Json = {"parts": request.parts(), "sha256": hashlib.sha256(request.body).hexdigest()}
        match _kind(request):
            case "/chat/completions":
                message = {"role": "assistant", "content": text}
                choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
                document |= {"object": "chat.completion", "choices": choices}
            case "/completions":
                choices = [{"index": 0, "text": text, "finish_reason": "stop"}]
                document |= {"object": "text_completion", "choices": choices}
            case "/messages":
                document |= self._message(request)
            case "/messages/count_tokens":
                document = {"input_tokens": len(request.body)}
            case "/responses":
                document |= self._response(request, text)
            case "/embeddings":
                embedding = VECTOR_BASE64 if asked.get("encoding_format") == "base64" else list(VECTOR)
                vector = {"object": "embedding", "index": 0, "embedding": embedding}
                document |= {"object": "list", "data": [vector]}
            case "/rerank" | "/reranking":
                documents = asked.get("documents")
                count = len(documents) if isinstance(documents, list) else 0
                document |= {
                    "object": "list",
                    "results": [{"index": n, "relevance_score": 1.0 / (n + 1)} for n in range(count)],
                }
            case "/completion" | "/infill":
                document |= {"content": text, "stop": True}
            case "/audio/transcriptions":
                document |= {"text": text, **form}
            case "/audio/voices":
                document |= {"voices": ["fake-voice"]}
            case "/images/generations":
                document |= {"data": [{"b64_json": PICTURE_BASE64}]}
            case "/images/edits":
                document |= {"data": [{"b64_json": PICTURE_BASE64}], **form}
            case "/props":
                document |= {"default_generation_settings": {}, "total_slots": 1, "model_path": "/models/fake.gguf"}
            case "/sdapi/v1/txt2img" | "/sdapi/v1/img2img":
                document |= {"images": [PICTURE_BASE64], "parameters": asked, "info": ""}
            case _:
                document |= {"text": text}
        connection.respond_json(document)

    def _requested(self, request: _Request) -> str:
        """Returns the model the client named: in JSON, in a multipart field, else our own name."""
        named = request.json().get("model")
        if isinstance(named, str):
            return named
        _, found, rest = request.body.partition(b'name="model"')
        if found and request.header("content-type").startswith("multipart/"):
            return rest.partition(b"\r\n\r\n")[2].partition(b"\r\n")[0].decode()
        return str(self.options.model)


def _kind(request: _Request) -> str:
    """Returns the path without the version that some clients leave out."""
    return request.path.removeprefix("/v1") if request.path.startswith("/v1/") else request.path


def _output_text(text: str) -> Json:
    return {"type": "output_text", "text": text, "annotations": []}


def _output(text: str | None) -> Json:
    """Returns an item of a response; None: one that is still under way."""
    status, content = ("in_progress", []) if text is None else ("completed", [_output_text(text)])
    return {"type": "message", "id": "msg-1", "role": "assistant", "status": status, "content": content}


def _exit(code: int, reason: str) -> None:
    _say(f"exiting with {code}: {reason}")
    os._exit(code)


def _say(text: str) -> None:
    os.write(1, text.encode() + b"\n")


def _fork_child(options: argparse.Namespace) -> None:
    """Leaves a child behind that does nothing but live, with every file of ours open: the output and the port.

    It says `child <pid>` itself, once it is all it is going to be.
    """
    pid = os.fork()
    if pid:
        if options.daemonize_child:
            os.waitpid(pid, 0)
        return
    if options.child_own_session or options.daemonize_child:
        os.setsid()
    if options.daemonize_child and os.fork():
        os._exit(0)
    on_term = "SIG_IGN" if options.ignore_term else "SIG_DFL"
    life = f"""
import os, signal
signal.signal(signal.SIGTERM, signal.{on_term})
os.write(1, b"child %d\\n" % os.getpid())
while True:
    signal.pause()
"""
    if options.child_clean_env:
        os.execve(sys.executable, [sys.executable, "-I", "-S", "-c", life], {})
    exec(life)


def _flood(size: int) -> None:
    block = b"x" * 65535 + b"\n"
    written = 0
    while written < size:
        written += os.write(1, block[: size - written])
    os.write(2, b"flooded %d\n" % written)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="A fake model server")
    add = parser.add_argument
    add("--port", type=int, required=True)
    add("--host", default="127.0.0.1")
    add("--model", default="fake", help="the name it answers with")
    add("--listen-delay", type=float, default=0.0, help="seconds before it listens")
    add("--start-delay", type=float, default=0.0, help="seconds of 503 on /health once it listens")
    add("--exit-code", type=int, default=0)
    add("--exit-after", type=float, default=None, help="seconds from the start after which it exits")
    add("--exit-on-request", default=None, metavar="PATH")
    add("--ignore-term", action="store_true")
    add("--children", type=int, default=0)
    add("--child-own-session", action="store_true")
    add("--daemonize-child", action="store_true", help="the children fork twice, in sessions of their own")
    add("--child-clean-env", action="store_true", help="the children run with an empty environment")
    add("--flood", type=int, default=0, metavar="BYTES", help="written to stdout as fast as it goes")
    add("--fork-and-exit", action="store_true", help="the first process exits, its child is the server")
    add("--health-status", type=int, default=200)
    add("--health-hang", action="store_true")
    return parser.parse_args()


def _main() -> None:
    options = _arguments()
    on_term = signal.SIG_IGN if options.ignore_term else (lambda *_: _exit(0, "terminated"))
    signal.signal(signal.SIGTERM, on_term)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    _say(f"fake upstream {options.model!r} on port {options.port}, pid {os.getpid()}")
    os.write(2, b"this line goes to stderr\n")
    if options.fork_and_exit and os.fork():
        os._exit(0)
    if options.exit_after is not None:
        timer = threading.Timer(options.exit_after, _exit, (options.exit_code, "--exit-after"))
        timer.daemon = True
        timer.start()
    server = _Server(options)
    select.select([], [], [], options.listen_delay)
    with socket.socket(socket.AF_INET6 if ":" in options.host else socket.AF_INET) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((options.host, options.port))
        listener.listen(1024)
        _say("listening")
        for _ in range(options.children):
            _fork_child(options)
        if options.flood:
            threading.Thread(target=_flood, args=(options.flood,), daemon=True).start()
        server.serve(listener)


if __name__ == "__main__":
    _main()
