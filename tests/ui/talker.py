"""A model server for the page's tests: what it says, prints and shows comes from a folder.

    python tests/ui/talker.py FOLDER --port N [--alias NAME] [--pace SECONDS] [--load SECONDS]

In the folder, or its subfolder NAME, all of them optional: `answer.md` (what it answers in a chat, in pieces; with `thoughts.md` before it), `log.txt` (printed at
the start, byte by byte), `headers.json` (header lines of every answer), `error.json` (every question is refused with it), `pace` (instead of --pace), and
pages of any name, sent as HTML by GET and by POST. Pictures are painted in the colours of what was asked for.
"""

from __future__ import annotations

import argparse
import base64
import json
import re
import struct
import sys
import threading
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import monotonic

PROGRAM = str(Path(__file__).resolve())

PIECES = re.compile(r"\s*\S{1,6}")


def picture(text: str, side: int = 256) -> bytes:
    """Paints a PNG that is different for each text."""
    seed = zlib.crc32(text.encode())
    one, other = ([(seed >> shift) & 0xFF for shift in shifts] for shifts in ((0, 8, 16), (4, 12, 20)))
    rows = bytearray()
    for y in range(side):
        rows.append(0)
        for x in range(side):
            ring = ((x - side // 2) ** 2 + (y - side // 2) ** 2) // (side * 6) % 2
            share = (x + y + ring * side // 3) % (2 * side) / (2 * side)
            rows += bytes(round(a + (b - a) * share) for a, b in zip(one, other, strict=True))

    def part(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + part(b"IDAT", zlib.compress(bytes(rows))) + part(b"IEND", b"")


class _Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    folder: Path
    pace_s: float
    ready_at: float
    stopping: threading.Event

    def log_message(self, *_: object) -> None:
        """Says nothing of requests: the log is what the folder says."""

    def _text(self, name: str) -> str:
        file = self.folder / name
        return file.read_text() if file.is_file() else ""

    def _send(self, status: int, body: bytes, media_type: str) -> None:
        self.send_response(status)
        self._headers(media_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _headers(self, media_type: str) -> None:
        self.send_header("Content-Type", media_type)
        for name, value in json.loads(self._text("headers.json") or "{}").items():
            self.send_header(name, value)

    def _json(self, document: object, status: int = 200) -> None:
        self._send(status, json.dumps(document).encode(), "application/json")

    def do_GET(self) -> None:
        name = self.path.partition("?")[0].strip("/") or "index.html"
        if name == "health":
            self._json({}, 200 if monotonic() >= self.ready_at else 503)
        elif (self.folder / name).is_file():
            self._send(200, (self.folder / name).read_bytes(), "text/html; charset=utf-8")
        else:
            self._json({"error": {"message": "no such page"}}, 404)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        asked = json.loads(body) if "json" in self.headers.get("Content-Type", "") else {}
        if (self.folder / "error.json").is_file():
            self._send(400, (self.folder / "error.json").read_bytes(), "application/json")
        elif self.path.endswith(".html"):
            self.do_GET()
        elif "images" in self.path:
            self.stopping.wait(self.pace_s * 20)
            painted = base64.b64encode(picture(str(asked.get("prompt")))).decode()
            self._json({"created": 1, "data": [{"b64_json": painted}]})
        elif "rerank" in self.path:
            texts = asked.get("documents", [])
            self._json({"results": [{"index": n, "relevance_score": 0.97 / (n * n + 1)} for n in range(len(texts))]})
        elif "embeddings" in self.path:
            used = {"prompt_tokens": 9, "total_tokens": 9}
            self._json({"object": "list", "data": [{"index": 0, "embedding": [0.25, 0.5]}], "usage": used})
        else:
            self._chat(asked)

    def _chat(self, asked: dict[str, object]) -> None:
        began = monotonic()
        words = PIECES.findall(self._text("answer.md").rstrip() or "Hello.")
        most, pace_s = asked.get("max_tokens"), asked.get("pace_s", float(self._text("pace") or self.pace_s))
        assert isinstance(pace_s, (int, float))
        if isinstance(most, int):
            words = words[:most]
        said = "".join(words)
        prompt = len(json.dumps(asked.get("messages"))) // 4
        common = {"id": "talk-1", "created": 1, "model": asked.get("model")}

        def measured() -> dict[str, object]:
            ms = 1000 * (monotonic() - began)
            usage = {"prompt_tokens": prompt, "completion_tokens": len(words)}
            timings = {
                "prompt_n": prompt, "prompt_ms": ms / 9, "prompt_per_second": prompt / ms * 9000,
                "predicted_n": len(words), "predicted_ms": ms, "predicted_per_second": len(words) / ms * 1000,
            }  # fmt: skip
            return {**common, "usage": usage, "timings": timings}

        if asked.get("stream") is not True:
            self.stopping.wait(pace_s * len(words))
            message = {"role": "assistant", "content": said}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            self._json({**measured(), "object": "chat.completion", "choices": [choice]})
            return
        self.send_response(200)
        self._headers("text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        try:
            for member, text in (("reasoning_content", self._text("thoughts.md")), ("content", said)):
                for piece in PIECES.findall(text):
                    self._event({"choices": [{"index": 0, "delta": {member: piece}}]})
                    self.stopping.wait(pace_s)
            self._event({**measured(), "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
            self.wfile.write(b"data: [DONE]\n\n")
        except OSError:
            return

    def _event(self, document: object) -> None:
        self.wfile.write(b"data: " + json.dumps(document).encode() + b"\n\n")


def _main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--alias", default=".", help="a folder in the folder")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--pace", type=float, default=0.0, help="seconds for each piece of an answer")
    parser.add_argument("--load", type=float, default=0.0, help="seconds before it is ready")
    # Model servers have more flags than these; a command may show them.
    options, _ = parser.parse_known_args()
    _Answers.folder, _Answers.pace_s = options.folder / options.alias, options.pace
    _Answers.ready_at, _Answers.stopping = monotonic() + options.load, threading.Event()
    log = _Answers.folder / "log.txt"
    if log.is_file():
        sys.stdout.buffer.write(log.read_bytes())
        sys.stdout.buffer.flush()
    ThreadingHTTPServer.request_queue_size = 128
    ThreadingHTTPServer(("127.0.0.1", options.port), _Answers).serve_forever()


if __name__ == "__main__":
    _main()
