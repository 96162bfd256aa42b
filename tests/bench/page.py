"""`python -m tests.bench.page`: the page in Chromium: its weight, its first second, and its frames while much happens (docs/benchmarks.md).

A whole Hostler, models that are fake, a headless Chromium; all of them on this machine, so what the page gets is what the rest leaves.
Frames are those of `requestAnimationFrame`, 60 a second at most.
"""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Browser, Page, sync_playwright

from tests import fake_upstream
from tests.program import Program, hostler
from tests.ui.conftest import FLAGS

LINES = 10_000
"""Lines a second that a model prints."""

ROWS = 999
"""Requests in the history, and shown at once."""

_CHATTER = f"""
import sys, threading, time
sys.argv = ['fake', '--port', sys.argv[1]]
def talk():
    number, began = 0, time.monotonic()
    while True:
        due = int((time.monotonic() - began) * {LINES})
        print(*(f'\\x1b[32m{{each:>9}}\\x1b[0m slot 0: prompt eval, n_tokens = {{each % 4096}}' for each in range(number, due)), sep='\\n', flush=True)
        number = due
        time.sleep(0.01)
threading.Thread(target=talk, daemon=True).start()
exec(compile(open({fake_upstream.PROGRAM!r}).read(), 'fake_upstream.py', 'exec'))
"""

_FRAMES = """
(seconds) => new Promise((resolve) => {
  const gaps = [];
  const began = performance.now();
  let last = began;
  const long = [];
  const observer = new PerformanceObserver((list) => list.getEntries().forEach((each) => long.push(each.duration)));
  observer.observe({entryTypes: ["longtask"]});
  const frame = (now) => {
    gaps.push(now - last);
    last = now;
    if (now - began < seconds * 1000) requestAnimationFrame(frame);
    else { observer.disconnect(); resolve({gaps: gaps.slice(1), seconds: (now - began) / 1000, long}); }
  };
  requestAnimationFrame(frame);
})
"""

_WEIGHT = """
() => {
  const all = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
    .filter((each) => !each.name.includes("/api/"));
  return {
    bytes: all.reduce((sum, each) => sum + each.encodedBodySize, 0),
    files: all.length,
    last: Math.max(...all.map((each) => each.responseEnd)),
  };
}
"""

_INTERACTIVE = """
() => new Promise((resolve) => {
  const done = () => document.documentElement.dataset.connection === "open" && document.querySelector("main h1");
  const look = () => (done() ? resolve(performance.now()) : requestAnimationFrame(look));
  look();
})
"""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Runs the browser."""
    path = next(
        (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
    )
    if path is None:
        sys.exit("there is no Chromium here: make browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=[*FLAGS])
        yield browser
        browser.close()


def first_load(browser: Browser, program: Program, path: str) -> dict[str, float]:
    """Returns bytes, files and milliseconds of a first visit."""
    context = browser.new_context()
    try:
        page = context.new_page()
        page.goto(program.url + path, wait_until="commit")
        interactive: float = page.evaluate(_INTERACTIVE)
        page.wait_for_load_state("load")
        weight: dict[str, float] = page.evaluate(_WEIGHT)
        return {**weight, "interactive_ms": interactive}
    finally:
        context.close()


def frames(page: Page, seconds: float) -> dict[str, float]:
    """Returns how the page was drawn for *seconds*."""
    seen: Any = page.evaluate(_FRAMES, seconds)
    gaps = sorted(seen["gaps"])
    return {
        "per_second": len(gaps) / seen["seconds"],
        "p50_ms": statistics.median(gaps),
        "p99_ms": gaps[int(len(gaps) * 0.99)],
        "longest_ms": gaps[-1],
        "long_tasks": len(seen["long"]),
    }


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.page", description=__doc__)
    parser.add_argument("--visits", type=int, default=7, help="first visits of each page (default: %(default)s)")
    parser.add_argument(
        "--seconds", type=float, default=5.0, help="for which frames are counted (default: %(default)s)"
    )
    options = parser.parse_args()
    python = shlex.quote(sys.executable)
    with tempfile.TemporaryDirectory(prefix="bench-page-") as name, chromium() as browser:
        folder = Path(name)
        (folder / "chatter.py").write_text(_CHATTER)
        config = {
            "metricsMaxInMemory": 2000,
            "models": {
                "loud": {"cmd": f"{python} {folder / 'chatter.py'} ${{PORT}}"},
                "calm": {"cmd": f"{python} {fake_upstream.PROGRAM} --port ${{PORT}}"},
            },
        }
        with hostler(folder, json.dumps(config)) as program:
            for path in ("/ui/", "/ui/models", "/ui/playground"):
                visits = [first_load(browser, program, path) for _ in range(options.visits)]
                told = visits[0]
                times = [each["interactive_ms"] for each in visits]
                print(
                    f"first visit of {path:<16} {told['bytes'] / 1024:6.1f} KB in {told['files']:.0f} files,"
                    f" interactive after {statistics.median(times):.0f} ms ({min(times):.0f}-{max(times):.0f})",
                    flush=True,
                )
            for _ in range(ROWS):
                program.chat("calm")
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            page.goto(f"{program.url}/ui/")
            page.evaluate("rows => localStorage.setItem('hostler.activity-page-size', JSON.stringify(rows))", ROWS)
            page.goto(f"{program.url}/ui/activity")
            page.wait_for_function(
                "rows => document.querySelectorAll('main table tbody tr').length >= rows", arg=ROWS - 10
            )
            _tell(f"{ROWS} rows of activity, at rest", frames(page, options.seconds))
            page.evaluate(
                "() => { const step = () => { window.scrollBy(0, 40); requestAnimationFrame(step); }; requestAnimationFrame(step); }"
            )
            _tell(f"{ROWS} rows of activity, scrolling", frames(page, options.seconds))
            page.close()

            httpx.post(f"{program.url}/api/models/load/loud", timeout=30)
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            page.goto(f"{program.url}/ui/logs")
            page.locator("html[data-connection=open]").wait_for(state="attached")
            _tell(f"{LINES} lines of log a second", frames(page, options.seconds))
            page.close()


def _tell(what: str, seen: dict[str, float]) -> None:
    print(
        f"{what:<36} {seen['per_second']:5.1f} frames/s; between two p50 {seen['p50_ms']:.1f}, p99 {seen['p99_ms']:.1f},"
        f" longest {seen['longest_ms']:.0f} ms; {seen['long_tasks']:.0f} tasks over 50 ms",
        flush=True,
    )


if __name__ == "__main__":
    main()
