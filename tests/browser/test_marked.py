"""Doing one thing to many tasks."""

from __future__ import annotations

import pytest

pytest.importorskip("playwright")

from playwright.sync_api import Page, expect

from tests.browser.table import row, settle
from tests.harness import WsClient


def test_all_that_are_shown_are_marked_and_stopped_together(page: Page, client: WsClient) -> None:
    for number in range(30):
        client.send("start", action="one", task_id=f"many-{number:02}")
    client.settle()
    client.request("start", action="sleep", task_id="spared")
    page.get_by_placeholder("Find tasks").fill("many-")
    expect(page.locator(".chip", has_text="Queued")).to_contain_text("29")
    row(page, "many-29").get_by_role("checkbox").check()
    marked = page.get_by_role("group", name="Marked tasks")
    expect(marked).to_contain_text("1 marked")
    marked.get_by_role("button", name="All 30 shown").click()
    expect(page.get_by_label("Mark all that are shown")).to_be_checked()
    marked.get_by_role("button", name="Stop 30").click()
    question = page.get_by_role("dialog", name="Stop 30 tasks?")
    question.get_by_role("button", name="Stop 30").click()
    expect(marked).to_be_hidden()
    expect(page.locator(".chip", has_text="Queued")).to_have_count(0)
    assert client.info("spared")["worker_state"] == "running"


def test_a_range_is_marked_with_shift_and_the_space_bar_marks_too(page: Page, client: WsClient) -> None:
    for number in range(6):
        client.run("greet", task_id=f"g{number}", params={"name": "x"})
    settle(page, client)
    row(page, "g5").get_by_role("checkbox").click()
    row(page, "g2").get_by_role("checkbox").click(modifiers=["Shift"])
    marked = page.get_by_role("group", name="Marked tasks")
    expect(marked).to_contain_text("4 marked")
    page.keyboard.press("Escape")
    expect(marked).to_be_hidden()
    row(page, "g3").click()
    page.keyboard.press("Space")
    expect(marked).to_contain_text("1 marked")
    expect(row(page, "g3").get_by_role("checkbox")).to_be_checked()


def test_what_was_forgotten_can_be_taken_back_for_a_moment(page: Page, client: WsClient) -> None:
    for name in ("stays", "goes"):
        client.run("greet", task_id=name, params={"name": "x"})
    settle(page, client)
    marked = page.get_by_role("group", name="Marked tasks")
    row(page, "stays").get_by_role("checkbox").check()
    marked.get_by_role("button", name="Forget 1").click()
    expect(row(page, "stays")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(row(page, "stays")).to_be_visible()
    row(page, "goes").get_by_role("checkbox").check()
    client.request("watch")
    marked.get_by_role("button", name="Forget 1").click()
    client.expect("forgotten", task_id="goes")
    assert "stays" in [task["task_id"] for task in client.request("list")["tasks"]]


def test_one_that_is_over_is_forgotten_with_its_own_button(page: Page, client: WsClient) -> None:
    client.run("greet", task_id="alone", params={"name": "x"})
    settle(page, client)
    row(page, "alone").click()
    inspector = page.get_by_role("complementary")
    expect(row(page, "alone").get_by_role("button", name="Forget")).to_have_count(0)
    inspector.get_by_role("button", name="Forget").click()
    expect(row(page, "alone")).to_have_count(0)
    expect(inspector.get_by_role("button", name="Forget")).to_be_hidden()
    page.get_by_role("button", name="Undo").click()
    expect(row(page, "alone")).to_be_visible()
    assert client.info("alone")["status"] == "succeeded"
