"""Pools, pictures and the console."""

from __future__ import annotations

import re

import pytest

pytest.importorskip("playwright")

from playwright.sync_api import Page, expect

from tests.browser.views import visit
from tests.harness import WsClient


def test_a_pool_is_resized_by_hand_and_its_queue_is_seen_in_order(page: Page, client: WsClient) -> None:
    for task_id in ("p1", "p2", "p3", "p4"):
        client.request("start", action="one", task_id=task_id)
    visit(page, "pools")
    card = page.get_by_role("region", name="one", exact=True)
    expect(card.locator(".holding .id")).to_have_text(["p1"])
    expect(card.locator(".queue .id")).to_have_text(["p2", "p3", "p4"])
    meter = card.get_by_role("meter")
    expect(meter).to_have_attribute("aria-valuetext", "1 of 1 running, 3 waiting")
    other = page.get_by_role("region", name="greet", exact=True)
    expect(other.get_by_role("meter")).to_have_count(0)  # no part of any limit
    other.get_by_role("button", name="Change").click()
    expect(other.get_by_label("Limit")).to_be_focused()
    card.get_by_role("button", name="Change").click()
    expect(other.get_by_label("Limit")).to_be_hidden()  # the inputs of one pool at a time
    card.get_by_label("Limit").fill("3")
    card.get_by_role("button", name="Resize").click()
    expect(meter).to_have_attribute("aria-valuetext", "3 of 3 running, 1 waiting")
    card.get_by_label("Limit").fill("1")
    card.get_by_label("Limit").press("Enter")
    expect(page.get_by_role("dialog")).to_contain_text("2 tasks are stopped")
    page.get_by_role("dialog").get_by_role("button", name="Lower it").click()
    expect(meter).to_have_attribute("aria-valuetext", "1 of 1 running, 1 waiting")


def test_pictures_show_the_last_minutes(page: Page, client: WsClient) -> None:
    client.request("start", action="tick", task_id="busy")
    visit(page, "activity")
    lines = page.get_by_role("img", name="Lines per second")
    expect(page.locator("figure", has=lines).locator(".legend b")).not_to_have_text("0")
    expect(lines).to_have_attribute("aria-label", re.compile(r"over 60 seconds: lines/s [1-9]"))
    assert lines.evaluate("c => c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some((x) => x)")
    expect(page.locator("#view-activity").get_by_role("img")).to_have_count(4)
    expect(page.locator(".counters")).to_contain_text("started")


def test_the_console_shows_every_message_and_sends_one_by_hand(page: Page, client: WsClient) -> None:
    visit(page, "console")
    form = page.get_by_role("form", name="Send a message")
    form.get_by_label("Request").select_option("start")
    form.get_by_label("action").fill("greet")
    form.get_by_label("params").fill('{"name": "by hand"}')
    form.get_by_label("on_lag").select_option("drop")
    assert '"on_lag": "drop"' in form.get_by_label("Message").input_value()
    page.keyboard.press("Control+Enter")
    messages = page.get_by_role("log", name="Messages")
    for text in ("→", '"name":"by hand"', '"data":"hello by hand"', '"exit_code":0'):
        expect(messages).to_contain_text(text)
    messages.locator(".c-row", has_text='"exit_code":0').click()
    expect(page.get_by_role("region", name="The message")).to_contain_text("intentional: false")
    form.get_by_label("Message").fill('{"type": "nonsense", "id": "mine"}')
    form.get_by_role("button", name="Send").click()
    expect(messages.locator(".c-row.bad")).to_contain_text('"id":"mine"')
    form.get_by_label("Request").select_option("set_pool")
    expect(form.get_by_label("limit")).to_have_attribute("type", "number")
    page.get_by_role("button", name="the page's own").click()
    expect(messages).to_contain_text('"type":"pool_info"')
    page.get_by_role("searchbox", name="Find messages").fill("nonsense")
    expect(messages.locator(".c-row")).to_have_count(2)
