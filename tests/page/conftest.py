"""The page in a real browser, before the real service.

Every test fails if the page logs an error, throws, or asks another origin for anything.
"""

import os
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from page_tests import Visit
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    expect,
    sync_playwright,
)
from zoo_server import Server

from scripts.browsers import BROWSERS, find_browser

WIDE = {"width": 1440, "height": 900}
TIMEOUT_MS = 60_000

expect.set_options(timeout=TIMEOUT_MS)  # a network takes seconds to load


# Not of the session: Playwright keeps an event loop running in this thread, and tests of other
# files, which the same process runs later, start loops of their own.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    executable = find_browser()
    if executable is None:
        message = f"no browser is installed as one of: {', '.join(BROWSERS)}"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running service."""
    server = Server(tmp_path_factory.mktemp("page") / "home")
    yield server
    assert server.end() == 0


@pytest.fixture(scope="session")
def site(server: Server) -> str:
    """Its address."""
    return server.url


@pytest.fixture
def visit(browser: Browser, site: str) -> Iterator[Visit]:
    """Open the page: visit(fragment, path="", errors=(), **options of the browser's context).

    `errors` are parts of the messages that the console may log: a status that is provoked.
    """
    contexts: list[BrowserContext] = []
    faults: list[str] = []

    def open_page(
        fragment: str = "", path: str = "", errors: tuple[str, ...] = (), **options: object
    ) -> Page:
        context = browser.new_context(**{"viewport": WIDE, "reduced_motion": "reduce", **options})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(TIMEOUT_MS)

        def on_console(message: ConsoleMessage) -> None:
            if message.type in ("error", "warning") and not any(e in message.text for e in errors):
                faults.append(f"{message.type}: {message.text} at {message.location}")

        def on_request(request: Request) -> None:
            parts = urlsplit(request.url)
            if parts.scheme not in ("data", "blob") and parts.netloc != urlsplit(site).netloc:
                faults.append(f"asked {request.url}")

        page.on("console", on_console)
        page.on("pageerror", lambda error: faults.append(f"threw: {error}"))
        page.on("request", on_request)
        page.goto(f"{site}/{path}{fragment}")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not faults, "\n".join(faults)
