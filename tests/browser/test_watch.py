"""The table of tasks is told of what happens: the page never asks for a list."""

from __future__ import annotations

import pytest

pytest.importorskip("playwright")

from playwright.sync_api import BrowserContext, expect

from tests.browser.conftest import watched
from tests.browser.table import row
from tests.harness import Daemon, WsClient

# Notes what the page sends, on its way to the thread that has the connection.
NOTE = """
const post = Worker.prototype.postMessage;
window.sent = [];
Worker.prototype.postMessage = function (data, ...more) {
  if (data.send) window.sent.push(JSON.parse(data.send).type);
  window.toWorker = (message) => post.call(this, message);
  return post.call(this, data, ...more);
};
"""


def test_what_happens_shows_without_being_asked_for(
    context: BrowserContext, daemon: Daemon, client: WsClient
) -> None:
    client.request("start", action="one", task_id="w-before")
    with watched(context, again=False) as page:
        page.add_init_script(NOTE)
        page.goto(f"http://{daemon.address}/#tasks")
        expect(row(page, "w-before").locator(".c-status")).to_have_text("Running")
        client.request("start", action="one", task_id="w-queued")
        expect(row(page, "w-queued").locator(".c-status")).to_contain_text("Queued")
        client.send("stop", task_id="w-queued")
        expect(row(page, "w-queued")).to_have_count(0)  # it never ran, and is forgotten
        client.send("stop", task_id="w-before")
        expect(row(page, "w-before").locator(".c-status")).to_have_text("Stopped")
        # Away and back: what has happened meanwhile is there.
        page.evaluate("toWorker({ close: true })")
        expect(page.locator("#connection")).not_to_have_text("Connected")
        client.request("start", action="sleep", task_id="w-meanwhile")
        page.evaluate("toWorker({ retry: true })")
        expect(row(page, "w-meanwhile").locator(".c-status")).to_have_text("Running")
        # Somebody ends the watch by hand.
        page.evaluate("""toWorker({ send: '{"type": "unwatch", "id": "by-hand"}' })""")
        client.send("stop", task_id="w-meanwhile")
        expect(row(page, "w-meanwhile").locator(".c-status")).to_have_text("Stopped")
        sent = page.evaluate("sent")
        assert "list" not in sent
        assert sent.count("watch") == 3
