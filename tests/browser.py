"""A real browser for tests: the machine's Chromium through Playwright, without a network; what it asks for is noted."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


@contextmanager
def chromium() -> Iterator[Any]:
    """The browser; the test is skipped where Playwright or a Chromium is missing."""
    api = pytest.importorskip("playwright.sync_api", reason="Playwright is missing: requirements-dev.txt brings it")
    with api.sync_playwright() as playwright:
        program = next(filter(None, map(shutil.which, (*NAMES, playwright.chromium.executable_path))), None)
        if program is None:
            pytest.skip("no Chromium is here: apt-get install chromium, or playwright install chromium")
        with playwright.chromium.launch(executable_path=program, args=["--no-sandbox"]) as browser:
            yield browser


class Visits:
    """Pages of files, each in a profile of its own; `leave` closes them and says whether they kept to themselves."""

    def __init__(self, browser: Any) -> None:
        self.browser = browser
        self.pages: list[Any] = []
        self.requests: list[str] = []  # addresses
        self.errors: list[str] = []  # of scripts, and what they print

    def __call__(
        self, path: Path, width: int = 1440, height: int = 900, *, query: str = "", script: str = "", **options: Any
    ) -> Any:
        """The page of a file, in a window of this size; the script runs before its own."""
        context = self.browser.new_context(viewport={"width": width, "height": height}, offline=True, **options)
        context.add_init_script(script)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda message: self.errors.append(message.text))
        page.goto(path.as_uri() + query)
        self.pages.append(page)
        return page

    def leave(self, folder: Path) -> None:
        """No page had an error, and none asked for anything outside this folder."""
        for page in self.pages:
            page.context.close()
        assert not self.errors, self.errors
        inside = (folder.as_uri() + "/", "blob:", "about:")
        assert self.requests and not [url for url in self.requests if not url.startswith(inside)]
