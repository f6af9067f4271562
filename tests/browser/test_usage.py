"""What a running task uses, beside the table."""

from __future__ import annotations

import re

import pytest

pytest.importorskip("playwright")

from playwright.sync_api import Page, expect

from tests.browser.table import row, settle
from tests.harness import WsClient


def test_a_running_task_shows_what_it_uses_and_a_finished_one_what_it_used(
    page: Page, client: WsClient
) -> None:
    client.request("start", action="sleep", task_id="used")
    settle(page, client)
    row(page, "used").click()
    facts = page.get_by_label("The selected task")
    usage = facts.get_by_label("What it uses")
    expect(usage).to_contain_text("1 process, 1 thread")
    expect(usage).to_contain_text(re.compile(r"CPU[\d.]+ %"))
    expect(usage).to_contain_text(re.compile(r"Memory[\d.]+ [KM]iB"))
    expect(usage.get_by_role("img", name="CPU over the last two minutes")).to_be_visible()
    client.send("stop", task_id="used")
    client.expect("exited", task_id="used")
    expect(usage).to_be_hidden()
    expect(facts).to_contain_text(re.compile(r"CPU time\d+ms"))
    expect(facts).to_contain_text(re.compile(r"Most memory[\d.]+ [KM]iB"))


def test_it_fits_a_phone(page: Page, client: WsClient) -> None:
    page.set_viewport_size({"width": 390, "height": 780})
    try:
        client.request("start", action="sleep", task_id="small")
        settle(page, client)
        row(page, "small").click()
        usage = page.get_by_label("What it uses")
        expect(usage).to_contain_text("1 process")
        box = usage.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390
    finally:
        page.set_viewport_size({"width": 1360, "height": 860})
