"""One real Chromium and one server for all tests of the page; without Chromium they are skipped."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.browser.actions import ACTIONS
from tests.harness import Daemon, WsClient

try:
    from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
except ImportError:  # requirements-dev.lock was not installed
    sync_playwright = None  # type: ignore[assignment]

CHROMIUM = Path("/usr/bin/chromium")
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
    context = browser.new_context(viewport={"width": 1360, "height": 860})
    context.set_default_timeout(30000)
    yield context
    context.close()


@contextmanager
def watched(context: BrowserContext, *expected: str) -> Iterator[Page]:
    """A new page; what goes wrong in it and does not contain any of ``expected`` fails the test."""
    said: list[str] = []
    page = context.new_page()
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: said.append(f"{error}\n{error.stack}"))
    yield page
    if not page.is_closed():
        page.evaluate("localStorage.clear()")
        page.close()
    assert not [text for text in said if not any(each in text for each in expected)]


@pytest.fixture
def page(context: BrowserContext, daemon: Daemon, request: pytest.FixtureRequest) -> Iterator[Page]:
    """The page, connected, at the module's VIEW; whatever it complains of in the browser's console fails the
    test."""
    with watched(context) as page:
        page.goto(f"http://{daemon.address}/#{getattr(request.module, 'VIEW', 'tasks')}")
        expect(page.locator("#connection")).to_have_text("Connected")
        yield page
