"""The line in which a running task is given something to read."""

from __future__ import annotations

import pytest

pytest.importorskip("playwright")

from playwright.sync_api import Page, expect

from tests.browser.table import open_outputs
from tests.harness import WsClient


def test_a_terminal_is_typed_into(page: Page, client: WsClient) -> None:
    client.send("start", action="asks", task_id="talk")
    client.expect("started", task_id="talk")
    pane = open_outputs(page, client, "talk")
    expect(pane.locator(".partials .text")).to_have_text("Name? ")
    field = pane.get_by_label("Input of talk")
    field.fill("you")
    field.press("Enter")
    expect(field).to_have_value("")
    expect(pane.locator(".a-f2")).to_have_text("hello you")
    expect(pane.locator(".partials .text")).to_have_text("10%")  # no line yet, and redrawn in place
    field.press("Enter")
    expect(pane.locator(".line.out", has_text="100%")).to_have_count(1)
    field.press("Control+d")
    expect(pane.locator(".line.out", has_text="end")).to_have_count(1)
    expect(field).to_be_hidden()  # it is over


def test_a_pipe_is_given_lines_and_its_end(page: Page, client: WsClient) -> None:
    client.send("start", action="cat", task_id="lines")
    client.expect("started", task_id="lines")
    pane = open_outputs(page, client, "lines")
    field = pane.get_by_label("Input of lines")
    field.fill("<b>one</b>")
    pane.get_by_role("button", name="Send", exact=True).click()
    expect(pane.locator(".line.out .text")).to_have_text(["<b>one</b>"])
    expect(pane.get_by_role("button", name="Ctrl-C")).to_be_hidden()
    pane.get_by_role("button", name="Ctrl-D").click()
    expect(field).to_be_hidden()
    assert client.expect("exited", task_id="lines")["exit_code"] == 0


def test_keys_of_a_terminal(page: Page, client: WsClient) -> None:
    client.send("start", action="asks", task_id="stop")
    client.expect("started", task_id="stop")
    pane = open_outputs(page, client, "stop")
    expect(pane.locator(".partials .text")).to_have_text("Name? ")
    field = pane.get_by_label("Input of stop")
    field.press("Control+c")
    assert client.expect("exited", task_id="stop")["signal"] == "SIGINT"
    expect(field).to_be_hidden()


def test_what_takes_nothing_has_no_line(page: Page, client: WsClient) -> None:
    client.run("greet", task_id="over", params={"name": "you"})
    pane = open_outputs(page, client, "over")
    expect(pane.locator(".pane-input")).to_be_hidden()
    client.send("start", action="cat", task_id="refused")
    client.expect("started", task_id="refused")
    pane = open_outputs(page, client, "refused")
    field = pane.get_by_label("Input of refused")
    client.request("input", task_id="refused", data="x")
    expect(pane.locator(".partials .text")).to_have_text("x")
    field.fill("y" * 10)
    field.press("Escape")
    expect(pane.locator(".lines")).to_be_focused()
