"""Pools, pictures and the console."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("playwright")

from playwright.sync_api import Locator, Page, expect

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
    expect(meter).to_have_attribute("aria-valuetext", "1 of 1 running, 3 queued")
    other = page.get_by_role("region", name="greet", exact=True)
    expect(other.get_by_role("meter")).to_have_count(0)  # no part of any limit
    other.get_by_role("button", name="Change").click()
    expect(other.get_by_label("Limit")).to_be_focused()
    card.get_by_role("button", name="Change").click()
    expect(other.get_by_label("Limit")).to_be_hidden()  # the inputs of one pool at a time
    card.get_by_label("Limit").fill("3")
    card.get_by_role("button", name="Resize").click()
    expect(meter).to_have_attribute("aria-valuetext", "3 of 3 running, 1 queued")
    card.get_by_label("Limit").fill("1")
    card.get_by_label("Limit").press("Enter")
    expect(page.get_by_role("dialog")).to_contain_text("2 tasks are stopped")
    page.get_by_role("dialog").get_by_role("button", name="Lower it").click()
    expect(meter).to_have_attribute("aria-valuetext", "1 of 1 running, 1 queued")


def _waiting(page: Page) -> Locator:
    """In the queue of "one": one task runs, four wait."""
    return page.get_by_role("region", name="one", exact=True).locator(".queue")


@pytest.fixture
def queue(page: Page, client: WsClient) -> Locator:
    for task_id in ("runs", "q1", "q2", "q3", "q4"):
        client.request("start", action="one", task_id=task_id)
    visit(page, "pools")
    queue = _waiting(page)
    expect(queue.locator(".id")).to_have_text(["q1", "q2", "q3", "q4"])
    return queue


def test_a_waiting_task_is_dragged_to_another_place(page: Page, client: WsClient, queue: Locator) -> None:
    def drag(name: str, to: str, key: str = "") -> None:
        queue.locator(f'li[data-task="{name}"] .grip').hover()
        page.mouse.down()
        queue.locator(f'li[data-task="{to}"]').hover(position={"x": 9, "y": 9}, force=True)
        expect(queue.locator(".drop-before, .drop-after")).to_have_attribute("data-task", to)
        if key:
            page.keyboard.press(key)
        page.mouse.up()

    # Told once more what it knows, the page draws nothing; only the ages change.
    age = queue.locator(".age").first
    expect(age).not_to_have_text(age.inner_text())
    drag("q4", "q1")
    expect(queue.locator(".id")).to_have_text(["q4", "q1", "q2", "q3"])
    drag("q4", "q2")
    expect(queue.locator(".id")).to_have_text(["q1", "q2", "q4", "q3"])
    drag("q3", "q1", "Escape")
    expect(queue.locator(".dragged")).to_have_count(0)
    expect(queue.locator(".moves")).to_have_count(0)  # a drag is no press
    assert [item["task_id"] for item in client.request("pool_info", action="one")["pool"]["queue_items"]] == [
        *("q1", "q2", "q4", "q3")
    ]
    # Somebody else moves it: that is seen without a press.
    client.request("move", task_id="q3", to="first")
    expect(queue.locator(".id")).to_have_text(["q3", "q1", "q2", "q4"])


def test_a_queue_that_changes_between_a_press_and_a_drag_loses_neither(
    page: Page, client: WsClient, queue: Locator
) -> None:
    meter = page.get_by_role("region", name="one", exact=True).get_by_role("meter")
    queue.locator('li[data-task="q4"] .grip').hover()
    page.mouse.down()
    client.request("start", action="one", task_id="q5")
    expect(meter).to_have_attribute("aria-valuetext", "1 of 1 running, 5 queued")
    queue.locator('li[data-task="q1"]').hover(position={"x": 9, "y": 9}, force=True)
    page.mouse.up()
    expect(queue.locator(".id")).to_have_text(["q4", "q1", "q2", "q3", "q5"])
    queue.locator('li[data-task="q4"] .grip').hover()
    page.mouse.down()
    client.request("start", action="one", task_id="q6")
    expect(meter).to_have_attribute("aria-valuetext", "1 of 1 running, 6 queued")
    page.mouse.up()
    expect(queue.locator(".moves")).to_be_visible()
    expect(queue.locator(".id")).to_have_text(["q4", "q1", "q2", "q3", "q5", "q6"])


def test_a_waiting_task_is_moved_with_keys_and_with_buttons(
    page: Page, client: WsClient, queue: Locator
) -> None:
    grip = queue.get_by_role("button", name="Move one q3, number 3 of 4")
    grip.focus()
    page.keyboard.press("ArrowUp")
    expect(queue.locator(".id")).to_have_text(["q1", "q3", "q2", "q4"])
    expect(queue.get_by_role("button", name="Move one q3, number 2 of 4")).to_be_focused()
    page.keyboard.press("End")
    expect(queue.locator(".id")).to_have_text(["q1", "q2", "q4", "q3"])
    page.keyboard.press("Enter")
    front = queue.get_by_role("button", name="First: one q3")
    front.click()
    expect(queue.locator(".id")).to_have_text(["q3", "q1", "q2", "q4"])
    expect(front).to_be_focused()
    queue.get_by_role("button", name="Down: one q3").click()
    expect(queue.locator(".id")).to_have_text(["q1", "q3", "q2", "q4"])
    page.set_viewport_size({"width": 390, "height": 844})
    try:
        for button in queue.locator("button").all():
            box = button.bounding_box()
            assert box is not None
            assert min(box["width"], box["height"]) >= 44
        queue.get_by_role("button", name="Up: one q3").click()
        expect(queue.locator(".id")).to_have_text(["q3", "q1", "q2", "q4"])
    finally:
        page.set_viewport_size({"width": 1360, "height": 860})


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


def test_where_tasks_run_on_clusters_their_workers_are_shown(page: Page) -> None:
    visit(page, "pools")
    expect(page.get_by_role("region", name="Clusters")).to_have_count(0)  # this server has none
    expect(page.locator(".cards .card").first).to_be_visible()
    page.evaluate((Path(__file__).parent / "clusters.js").read_text())
    clusters = page.get_by_role("region", name="Clusters")
    good = clusters.get_by_role("region", name="tcp://scheduler:8786")
    expect(good).to_contain_text("2 workers, 8 threads, 1 waiting")
    expect(good.get_by_role("meter", name="one")).to_have_attribute("aria-valuetext", "4 of 4 threads taken")
    expect(good.get_by_role("link", name="train")).to_have_attribute("href", "#tasks/a")
    expect(clusters.get_by_role("region", name="tcp://lost:8786")).to_contain_text("Connection refused.")
