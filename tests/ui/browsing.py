"""A real Hostler with fake upstreams, and its page in a real Chromium."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Page, Request

from tests import fake_upstream
from tests.program import ROOT, Program

SERVER = shlex.join([sys.executable, fake_upstream.PROGRAM])

CONFIG = f"""
captureBuffer: 8
models:
  llama:
    cmd: {SERVER} --port ${{PORT}}
    name: Llama
    description: A model that talks
    aliases: [gpt-4o-mini]
    capabilities: {{in: [text, image], out: [text], tools: true, context: 8192}}
  qwen:
    cmd: {SERVER} --port ${{PORT}}
    description: Takes turns with Llama
  whisper:
    cmd: {SERVER} --port ${{PORT}}
    capabilities: {{in: [audio], out: [text]}}
  hidden/one.two:
    cmd: {SERVER} --port ${{PORT}}
    unlisted: true
  broken:
    cmd: {shlex.quote(sys.executable)} -c "raise SystemExit(3)" ${{PORT}}
profiles:
  night: {{description: Small things only, pins: {{gpt-5: llama, whisper: ""}}}}
"""
"""Five models that cannot run together."""

AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"

PATIENCE_MS = 15_000.0
"""Longest wait for anything on the page; a test that waits as long has failed."""


@dataclass
class Site:
    """A page of a running Hostler."""

    program: Program
    page: Page
    problems: list[str] = field(default_factory=list)
    """What the browser has complained of. A test that provokes something takes it out again."""

    def open(self, path: str = "/") -> Page:
        """Goes to *path* below `/ui`, and waits until the page knows how things stand."""
        self.page.goto(f"{self.program.url}/ui{path}")
        self.page.locator("main h1").wait_for(state="attached")
        self.page.locator("html[data-connection=open]").wait_for(state="attached")
        return self.page

    def violations(self) -> list[str]:
        """Returns what axe-core has to say against the page as it is now."""
        # Not as a script tag: the page's own policy forbids that. An evaluation is the debugger's and above it.
        if not self.page.evaluate("() => 'axe' in window"):
            self.page.evaluate(AXE.read_text())
        found: Any = self.page.evaluate(
            "async () => (await axe.run(document, {resultTypes: ['violations']})).violations"
            ".map(v => ({rule: v.id, help: v.help, nodes: v.nodes.map(n => n.html + ' — ' + n.failureSummary)}))"
        )
        return [json.dumps(each, indent=1) for each in found]


@contextmanager
def visiting(program: Program, browser: Browser, **options: Any) -> Iterator[Site]:
    """Opens a new, empty browser window on *program*. options: those of Playwright's `new_context`."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, "reduced_motion": "reduce", **options})
    context.set_default_timeout(PATIENCE_MS)
    site = Site(program, context.new_page())

    def console(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            site.problems.append(f"{message.type}: {message.text} ({message.location.get('url', '')})")

    def failed(request: Request) -> None:
        # What the page itself has given up, an answer that it need not hear out, is no failure.
        if "ERR_ABORTED" not in (request.failure or ""):
            site.problems.append(f"{request.method} {request.url}: {request.failure}")

    site.page.on("console", console)
    site.page.on("pageerror", lambda error: site.problems.append(f"uncaught: {error}"))
    site.page.on("requestfailed", failed)
    try:
        yield site
    finally:
        context.close()
