"""Connections that break, servers that start anew, and sign-in."""

from __future__ import annotations

import os
import re
import socket
import time
from pathlib import Path

import pytest

pytest.importorskip("playwright")

from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.actions import ACTIONS
from tests.browser.conftest import watched
from tests.browser.forwarder import Forwarder
from tests.browser.prefix import PrefixProxy
from tests.browser.table import open_outputs
from tests.browser.views import visit
from tests.harness import Daemon, WsClient, allowed

BROKEN = ("ERR_CONNECTION", "ERR_EMPTY_RESPONSE", "WebSocket", "ERR_SOCKET", "ERR_ABORTED")


def lines(page: Page) -> list[str]:
    return page.locator(".pane .line:not(.note) .text").all_inner_texts()


def test_after_a_cut_the_output_goes_on_where_it_was_and_nothing_comes_twice(
    context: BrowserContext, daemon: Daemon, client: WsClient, tmp_path: Path
) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    client.request("start", action="fed", task_id="cut", params={"fifo": str(fifo)})
    with (
        fifo.open("w", buffering=1) as feed,
        Forwarder(daemon.address) as wire,
        watched(context, *BROKEN) as page,
    ):
        page.goto(f"http://{wire.address}/#tasks")
        open_outputs(page, client, "cut")
        feed.write("3\n")
        expect(page.locator(".pane .line.out")).to_have_count(3)
        wire.cut()
        expect(page.locator("#connection")).to_have_text("Disconnected")
        expect(page.locator("#offline")).to_contain_text("Retrying automatically")
        feed.write("4\n")
        while client.request("metrics", task_id="cut")["task"]["output_lines"] < 7:
            pass
        wire.mend()
        expect(page.locator("#connection")).to_have_text("Connected")
        expect(page.locator("#offline")).to_be_hidden()
        expect(page.locator(".pane .line.out")).to_have_count(7)
        assert lines(page) == ["1", "2", "3", "1", "2", "3", "4"]
        # More than the server keeps: what is missing is said, in its place.
        wire.cut()
        expect(page.locator("#connection")).to_have_text("Disconnected")
        feed.write("250\n")
        while client.request("metrics", task_id="cut")["task"]["output_lines"] < 257:
            pass
        wire.mend()
        expect(page.locator("#connection")).to_have_text("Connected")
        expect(page.locator(".pane .line.out").last).to_have_text("250")
        expect(page.locator(".pane .line-tools")).to_contain_text("150 not shown")
        page.get_by_role("log", name="Lines of cut").press("Home")
        expect(page.locator(".pane .line.gap")).to_have_text("150 lines not shown (lines 8 to 157)")


def test_a_server_that_is_killed_and_started_anew_is_found_again(context: BrowserContext) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with watched(context, *BROKEN) as page:
        with Daemon(listen=f"127.0.0.1:{port}", name="mortal", actions=ACTIONS) as daemon:
            page.goto(f"http://{daemon.address}/#tasks")
            with daemon.connect() as client:
                client.run("count", task_id="same name", params={"lines": "5"})
                open_outputs(page, client, "same name")
            expect(page.locator(".pane .line.out")).to_have_count(5)
            daemon.process.kill()
            daemon.kill()
        expect(page.locator("#connection")).to_have_text("Disconnected")
        with Daemon(listen=f"127.0.0.1:{port}", name="mortal", actions=ACTIONS) as daemon:
            expect(page.locator("#connection")).to_have_text("Connected")
            expect(page.locator(".pane .line.bad")).to_contain_text("no longer knows this task")
            expect(page.locator(".t-row")).to_have_count(0)
            with daemon.connect() as client:
                client.run("count", task_id="same name", params={"lines": "3"})
            expect(page.locator(".pane .line.out")).to_have_count(8)
            assert [text for text in lines(page) if text.isdigit()] == [
                "1",
                "2",
                "3",
                "4",
                "5",
                "1",
                "2",
                "3",
            ]


def test_where_a_token_is_wanted_the_page_asks_for_it_and_offers_what_the_role_may(
    context: BrowserContext,
) -> None:
    tokens = [
        {"name": "onlooker", "token": "a-token-for-looking", "role": "viewer"},
        {"name": "boss", "token": "a-token-for-everything", "role": "admin"},
    ]
    with Daemon(auth={"tokens": tokens}, actions=ACTIONS) as daemon, watched(context, "401") as page:
        page.goto(f"http://{daemon.address}/#tasks")
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        page.get_by_label("Token", exact=True).fill("wrong")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_have_text("The server does not know this token.")
        page.get_by_label("Token", exact=True).fill("a-token-for-looking")
        page.get_by_role("button", name="Sign in").click()
        expect(page.locator("#connection")).to_have_text("Connected")
        expect(page.locator("#who")).to_have_text("onlooker (viewer)")
        page.locator("#tab-actions").click()
        expect(page.get_by_role("button", name=re.compile("^Start"))).to_be_disabled()
        visit(page, "pools")
        expect(page.get_by_role("meter").first).to_be_visible()
        expect(page.get_by_role("button", name="Change")).to_have_count(0)
        assert "a-token" not in page.evaluate("JSON.stringify({...localStorage, c: document.cookie})")
        page.reload()
        expect(page.locator("#connection")).to_have_text("Connected")
        page.get_by_role("button", name="Sign out").click()
        page.get_by_label("Token", exact=True).fill("a-token-for-everything")
        page.keyboard.press("Enter")
        visit(page, "pools")
        expect(page.get_by_role("button", name="Change")).to_have_count(1 + len(ACTIONS))


def response(status: str, text: str, *headers: str) -> bytes:
    head = [
        f"HTTP/1.1 {status}",
        "Content-Type: text/plain",
        f"Content-Length: {len(text)}",
        "Connection: close",
    ]
    return "\r\n".join([*head, *headers, "", text]).encode()


def test_below_a_folder_of_a_proxy_everything_works(context: BrowserContext) -> None:
    tokens = [{"name": "boss", "token": "a-token-for-everything", "role": "admin"}]
    with (
        Daemon(auth={"tokens": tokens}, name="below", actions=ACTIONS) as daemon,
        PrefixProxy(daemon.address, "/a/ov/") as proxy,
        watched(context, "401", *BROKEN) as page,
    ):
        page.goto(proxy.url)
        page.get_by_label("Token", exact=True).fill("a-token-for-everything")
        page.keyboard.press("Enter")
        expect(page.locator("#connection")).to_have_text("Connected")
        expect(page.locator("#name")).to_have_text("below")
        # Another server below another folder has a cookie and a memory of its own.
        cookie = next(each for each in context.cookies() if each["path"] != "/")
        assert cookie["path"] == "/a/ov"
        assert page.evaluate("Object.keys(localStorage).every(key => key.startsWith('overseer:/a/ov/.'))")
        page.reload()
        expect(page.locator("#who")).to_have_text("boss (admin)")
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_what_is_in_the_way_of_a_connection_is_said(context: BrowserContext, daemon: Daemon) -> None:
    with PrefixProxy(daemon.address, "/ov/", upgrades=False) as proxy, watched(context, "") as page:
        page.goto(proxy.url)
        bar = page.locator("#offline")
        expect(bar).to_contain_text("no WebSocket comes through")
        expect(bar).to_contain_text("must forward the headers Upgrade and Connection")
        proxy.answers["/ov/session"] = response("403 Forbidden", "web pages of this origin may not connect")
        expect(bar).to_contain_text("web pages of this origin may not connect (403)")
        for status, said in (
            ("403 Forbidden", "The server's log says what was refused"),
            ("404 Not Found", "with a trailing slash"),
            ("429 Too Many Requests", "Too many attempts"),
            ("502 Bad Gateway", "cannot reach the server"),
            ("503 Service Unavailable", "is full or starting"),
        ):
            proxy.answers["/ov/ws/manifest"] = response(status, "so it is")
            page.get_by_role("button", name="Try now").click()
            expect(bar).to_contain_text("so it is")
            expect(bar).to_contain_text(said)
        del proxy.answers["/ov/session"], proxy.answers["/ov/ws/manifest"]
        proxy.upgrades = True
        expect(page.locator("#connection")).to_have_text("Connected")
        expect(bar).to_be_hidden()


def test_while_the_server_is_away_the_clocks_stand_still_and_it_is_found_again_at_once(
    context: BrowserContext, daemon: Daemon, client: WsClient
) -> None:
    client.request("start", action="sleep", task_id="ticking")
    with Forwarder(daemon.address) as wire, watched(context, *BROKEN) as page:
        page.goto(f"http://{wire.address}/#tasks")
        page.get_by_placeholder("Find tasks").fill("ticking")
        clock = page.locator(".t-row .c-time")
        expect(clock).to_have_count(1)
        first = clock.inner_text()
        expect(clock).not_to_have_text(first)  # it ticks
        wire.cut()
        bar = page.locator("#offline")
        expect(bar).to_contain_text("since")
        expect(bar).to_contain_text("The page shows the state as of then")
        assert page.locator(".t-body").evaluate("e => getComputedStyle(e).filter") == "grayscale(1)"
        assert "no connection" in page.title()
        stands = clock.inner_text()
        page.evaluate("new Promise((resolve) => setTimeout(resolve, 2100))")  # two ticks and more
        assert clock.inner_text() == stands
        wire.mend()
        begun = time.monotonic()
        page.evaluate("dispatchEvent(new Event('focus'))")
        expect(page.locator("#connection")).to_have_text("Connected")
        assert time.monotonic() - begun < allowed(1.5)
        expect(clock).not_to_have_text(stands)


def test_a_server_that_comes_back_is_found_while_questions_to_it_still_hang(
    context: BrowserContext, daemon: Daemon
) -> None:
    """As behind a network that swallows packets: what was asked meanwhile is never answered."""
    with Forwarder(daemon.address) as wire, watched(context, *BROKEN) as page:
        page.goto(f"http://{wire.address}/#tasks")
        expect(page.locator("#connection")).to_have_text("Connected")
        wire.hold()
        expect(page.locator("#connection")).to_have_text("Disconnected")
        wire.held.wait(20)  # a question hangs
        begun = time.monotonic()
        wire.mend()
        expect(page.locator("#connection")).to_have_text("Connected")
        assert time.monotonic() - begun < 4, "it waited for a question that was lost"


def test_a_link_to_a_task_passes_the_sign_in(context: BrowserContext) -> None:
    tokens = [{"name": "boss", "token": "a-token-for-everything", "role": "admin"}]
    tasks = {"the one": {"action": "sleep", "autostart": True}}
    with (
        Daemon(auth={"tokens": tokens}, actions=ACTIONS, tasks=tasks) as daemon,
        watched(context, "401") as page,
    ):
        page.goto(f"http://{daemon.address}/#tasks/the%20one")
        page.get_by_label("Token").fill("a-token-for-everything")
        page.keyboard.press("Enter")
        expect(page.get_by_label("The selected task")).to_contain_text("ready")
        assert page.url.endswith("#tasks/the%20one")
