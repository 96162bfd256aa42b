"""A model server that prints what it is told to.

    python tests/ui/printer.py --port N

The body of a POST to `/print` goes to its output as it is. `/lines?count=N` prints N numbered lines; with `rate=R` so many a
second, until it ends.
"""

from __future__ import annotations

import argparse
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

PROGRAM = str(Path(__file__).resolve())

TICK_S = 0.05


def _print(data: bytes) -> None:
    while data:
        data = data[os.write(1, data) :]


def _lines(first: int, count: int) -> bytes:
    return b"".join(
        b"slot %d: \x1b[32mdone\x1b[0m in %d ms of a line as model servers print them\n" % (number, number % 997)
        for number in range(first, first + count)
    )


def _pour(rate: int) -> None:
    pause, printed = threading.Event(), 0
    while True:
        _print(_lines(printed, round(rate * TICK_S)))
        printed += round(rate * TICK_S)
        pause.wait(TICK_S)


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        asked = urlsplit(self.path)
        query = {name: int(values[0]) for name, values in parse_qs(asked.query).items()}
        if asked.path == "/print":
            _print(body)
        elif "rate" in query:
            threading.Thread(target=_pour, args=(query["rate"],), daemon=True).start()
        else:
            _print(_lines(0, query["count"]))
        self._answer()

    def _answer(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        """Prints nothing of its own."""


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    ThreadingHTTPServer(("127.0.0.1", parser.parse_args().port), _Handler).serve_forever()
