"""A model server that prints what it is told to.

    python tests/ui/printer.py --port N

The body of a POST to `/print` goes to its output as it is. `/lines?count=N` prints N numbered lines; with `rate=R` so many a
second, until it ends or is asked for another rate.
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


class _Pouring:
    """Prints lines without end."""

    def __init__(self, rate: int) -> None:
        self.rate = rate
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        pause, printed = threading.Event(), 0
        while True:
            count = round(self.rate * TICK_S)
            _print(_lines(printed, count))
            printed += count
            pause.wait(TICK_S)


class _Handler(BaseHTTPRequestHandler):
    pouring: _Pouring | None = None

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        asked = urlsplit(self.path)
        query = {name: int(values[0]) for name, values in parse_qs(asked.query).items()}
        if asked.path == "/print":
            _print(body)
        elif "rate" in query:
            if _Handler.pouring:
                _Handler.pouring.rate = query["rate"]
            else:
                _Handler.pouring = _Pouring(query["rate"])
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
