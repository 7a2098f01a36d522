"""A web server, a browser, and a record of all that goes wrong on a page."""

import functools
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Page, Playwright, Request, Response, Route

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--no-sandbox",  # containers do not allow it, and the pages are our own
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE = 180_000  # milliseconds: a busy machine must not fail the tests
WaitUntil = Literal["load", "networkidle"]
# Changes the theme as the button of the pages does, which test_browser.py presses.
SWITCH = """theme => {
  document.documentElement.dataset.mode = theme;
  document.documentElement.dataset.theme = theme;
}"""
NO_BROWSER = "No Chromium here: install it with `apt-get install chromium`."


class _QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder on this machine only; give its address, ending in a slash."""
    handler = functools.partial(_QuietHandler, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    # It looks for the signal to stop every 0.02 s: the usual 0.5 s add up.
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def browser_path() -> str | None:
    """Find an installed Chromium."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def browser_is_required() -> bool:
    """Tell whether a missing browser is a failure, and not a reason to skip."""
    settings = os.environ
    return settings.get("CI") == "true" or settings.get("COURSE_REQUIRE_BROWSER") == "1"


def launch(playwright: Playwright) -> Browser:
    """Start the installed Chromium."""
    return playwright.chromium.launch(
        executable_path=browser_path(), args=list(FLAGS), timeout=PATIENCE
    )


@dataclass
class Visit:
    """An open page and what went wrong on it so far."""

    page: Page
    base: str
    problems: list[str] = field(default_factory=list)
    answers: list[Response] = field(default_factory=list)

    def open(self, path: str, until: WaitUntil = "networkidle") -> None:
        """Go to a page of the book and wait until nothing more is loaded."""
        self.page.goto(self.base + path, wait_until=until)
        self.page.evaluate("window.MathJax?.startup?.promise ?? null")
        self.page.evaluate("document.fonts.ready.then(() => null)")

    def is_outside(self, url: str) -> bool:
        """Tell whether an address leads away from the book."""
        return not url.startswith((self.base, "data:", "blob:", "about:"))

    def guard(self, route: Route) -> None:
        """Let through what belongs to the book; stop and note all else."""
        url = route.request.url
        if self.is_outside(url):
            self.problems.append(f"asks another host: {url}")
            route.abort()
        else:
            route.continue_()

    def note_failure(self, request: Request) -> None:
        """Note a request that never came to an end."""
        if not self.is_outside(request.url):
            self.problems.append(f"request failed: {request.url}")

    def watch(self) -> None:
        """Listen to everything a browser can complain about."""
        self.page.route("**/*", self.guard)
        self.page.on("requestfailed", self.note_failure)
        self.page.on("response", lambda answer: self.answers.append(answer))
        self.page.on(
            "response",
            lambda answer: (
                self.problems.append(f"answer {answer.status}: {answer.url}")
                if answer.status >= 400
                else None
            ),
        )
        self.page.on(
            "console",
            lambda message: (
                self.problems.append(f"console error: {message.text}")
                if message.type == "error"
                else None
            ),
        )
        self.page.on(
            "pageerror", lambda error: self.problems.append(f"page error: {error}")
        )


@contextmanager
def visit(
    browser: Browser, base: str, theme: str = "light", width: int = 1440
) -> Iterator[Visit]:
    """Open an empty tab whose reader has chosen a theme, and watch it."""
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        # Or a screenshot may show a menu on its way out.
        reduced_motion="reduce",
    )
    context.add_init_script(
        # A frame with srcdoc in a sandbox has no storage, and needs no theme.
        "try { for (const key of ['mode', 'theme'])"
        f" localStorage.setItem(key, '{theme}') }} catch {{}}"
    )
    try:
        context.set_default_timeout(PATIENCE)
        seen = Visit(context.new_page(), base)
        seen.watch()
        yield seen
    finally:
        context.close()
