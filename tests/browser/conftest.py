"""One real Chromium and one server for all tests of the page; without Chromium they are skipped."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urljoin

import pytest

from tests.browser.actions import ACTIONS
from tests.harness import Daemon, WsClient

try:
    from playwright.sync_api import (
        Browser,
        BrowserContext,
        ConsoleMessage,
        Error,
        Page,
        expect,
        sync_playwright,
    )
except ImportError:  # requirements-dev.lock was not installed
    sync_playwright = None  # type: ignore[assignment]

CHROMIUM = Path("/usr/bin/chromium")
SIZE = {"width": 1360, "height": 860}
# Where a page waits for the next test: of the same origin, so that the process behind it stays.
IDLE = "icon.svg"
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

if sync_playwright is not None:
    expect.set_options(timeout=30000)


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Without playwright the test modules cannot even be imported."""
    return True if sync_playwright is None and collection_path.name.startswith("test_") else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if CHROMIUM.exists():
        return
    reason = f"{CHROMIUM} is not installed (on Debian and Ubuntu: apt install chromium)"
    for item in items:
        if "tests/browser/" in item.nodeid:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="package")
def debug_port() -> int:
    """Where the browser can be driven without playwright, which looks at every single WebSocket message."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


@pytest.fixture(scope="package")
def browser(debug_port: int) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        arguments = [*ARGUMENTS, f"--remote-debugging-port={debug_port}"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def daemon() -> Iterator[Daemon]:
    with Daemon(
        name="the workshop",
        description="Things to try",
        # Enough for 200,000 lines to wait for a browser on a slow machine.
        clients={"buffer": 64 * 1024 * 1024},
        task_pool={"limit": 0, "queue": {"enabled": True, "size": 0}},
        actions=ACTIONS,
    ) as daemon:
        yield daemon


@pytest.fixture
def client(daemon: Daemon) -> Iterator[WsClient]:
    """Somebody else, at the same server; ends every task afterwards."""
    with daemon.connect() as client:
        yield client
        for name in ACTIONS:
            client.request("purge", action=name)
        for task in client.request("list")["tasks"]:
            if task.get("worker_state") == "running" or task["state"] == "queued":
                client.send("stop", task_id=task["task_id"])
        client.settle()


@pytest.fixture(scope="package")
def context(browser: Browser) -> Iterator[BrowserContext]:
    """One for all, so that files are fetched once; what the page remembers is forgotten after each test."""
    context = browser.new_context(viewport=SIZE)
    context.set_default_timeout(30000)
    yield context
    context.close()


@contextmanager
def watched(context: BrowserContext, *expected: str, again: bool = True) -> Iterator[Page]:
    """A page; what goes wrong in it and does not contain any of ``expected`` fails the test.

    It is as good as new, and the next test gets it ``again``, which takes half the time of a new one; unless
    this one leaves something in it, such as an init script.
    """
    said: list[str] = []
    idle = [page for page in context.pages if page.url.endswith("/" + IDLE)]
    page = idle[0] if idle and again else context.new_page()

    def heard(message: ConsoleMessage) -> None:
        # A picture alone has no icon, for which the browser then asks.
        if message.type == "error" and not message.location["url"].endswith("/favicon.ico"):
            said.append(message.text)

    def failed(error: Error) -> None:
        said.append(f"{error}\n{error.stack}")

    page.on("console", heard)
    page.on("pageerror", failed)
    try:
        yield page
        if not page.is_closed():
            page.evaluate("localStorage.clear()")
            again = again and _laid_aside(page)
    except BaseException:
        again = False
        raise
    finally:
        page.remove_listener("console", heard)
        page.remove_listener("pageerror", failed)
        if not again:
            page.close()
    assert not [text for text in said if not any(each in text for each in expected)]


def _laid_aside(page: Page) -> bool:
    """Have nothing in it and nothing remembered; False if its server has gone."""
    try:
        page.goto(urljoin(page.url, IDLE))
    except Error:
        return False
    page.evaluate("localStorage.clear(); sessionStorage.clear()")
    page.set_viewport_size(SIZE)
    page.emulate_media(color_scheme="null", reduced_motion="null")
    page.mouse.move(0, 0)
    return True


@pytest.fixture
def page(context: BrowserContext, daemon: Daemon, request: pytest.FixtureRequest) -> Iterator[Page]:
    """The page, connected, at the module's VIEW; whatever it complains of in the browser's console fails the
    test."""
    with watched(context) as page:
        page.goto(f"http://{daemon.address}/#{getattr(request.module, 'VIEW', 'tasks')}")
        expect(page.locator("#connection")).to_have_text("Connected")
        yield page
