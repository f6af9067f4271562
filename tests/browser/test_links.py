"""Every task, action, filter and time has an address of its own, and Back leads back."""

from __future__ import annotations

import re

import pytest

pytest.importorskip("playwright")

from playwright.sync_api import Page, expect

from tests.browser.table import row, settle
from tests.browser.views import visit
from tests.harness import WsClient

UUID = "0f8fad5b-d9cb-469f-a165-70867728950e"


def test_a_task_is_called_by_what_it_does_and_its_address_has_its_whole_id(
    page: Page, client: WsClient
) -> None:
    client.run("greet", task_id=UUID, params={"name": "Zoë", "size": "small"})
    settle(page, client)
    row(page, UUID[:8]).click()
    facts = page.get_by_label("The selected task")
    expect(facts.get_by_role("heading")).to_have_text("greet Zoë")  # the default goes without saying
    assert page.url.endswith(f"#tasks/{UUID}")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    facts.get_by_role("button", name=UUID[:8]).click()
    assert page.evaluate("navigator.clipboard.readText()") == UUID
    facts.get_by_role("button", name="Copy its name").click()
    assert page.evaluate("navigator.clipboard.readText()") == "greet Zoë"
    facts.get_by_role("button", name="Copy a link to it").click()
    assert page.evaluate("navigator.clipboard.readText()") == page.url
    page.go_back()
    expect(facts).to_be_hidden()
    page.go_forward()
    expect(facts.get_by_role("heading")).to_have_text("greet Zoë")
    page.reload()
    expect(facts.get_by_role("heading")).to_have_text("greet Zoë")


def test_a_task_that_is_forgotten_is_looked_for_in_the_history(page: Page) -> None:
    page.goto(page.url.split("#")[0] + "#tasks/long%20gone")
    facts = page.get_by_label("The selected task")
    expect(facts).to_contain_text("knows no such task")
    facts.get_by_role("button", name="Look in the history").click()
    expect(page.locator("#view-history")).to_be_visible()


def test_a_filter_has_an_address_and_back_leads_over_views(page: Page, client: WsClient) -> None:
    client.run("greet", task_id="fine", params={"name": "x"})
    client.run("script", task_id="not fine", params={"script": "exit 3"})
    settle(page, client)
    page.locator(".chip", has_text="Failed").click()
    page.get_by_placeholder("Find tasks").fill("fine")
    expect(page.locator(".t-row")).to_have_count(1)
    assert page.url.endswith("#tasks?status=failed&q=fine")
    visit(page, "plan")
    page.go_back()
    expect(page.get_by_placeholder("Find tasks")).to_have_value("fine")
    page.reload()
    expect(page.locator(".t-row .c-id")).to_have_text(["not fine"])
    visit(page, "plan")
    visit(page, "tasks")
    expect(page.locator(".t-row")).to_have_count(1)  # as it was left
    page.locator("#n-running").click()
    expect(page.locator(".chip[data-state=running]")).to_have_attribute("aria-pressed", "true")


def test_a_form_s_address_fills_it_and_starts_nothing(page: Page, client: WsClient) -> None:
    before = len(client.request("list")["tasks"])
    page.goto(page.url.split("#")[0] + "#actions/login?user=ann&password=secret&nonsense=1")
    expect(page.get_by_label("user")).to_have_value("ann")
    expect(page.get_by_label("password")).to_have_value("")
    page.get_by_label("user").fill("bob")
    page.get_by_label("password").fill("hunter2")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy a link to this form").click()
    link = page.evaluate("navigator.clipboard.readText()")
    assert link.endswith("#actions/login?user=bob")
    assert len(client.request("list")["tasks"]) == before
    page.goto(link)
    expect(page.get_by_label("user")).to_have_value("bob")


def test_activity_has_an_address_for_each_time(page: Page) -> None:
    visit(page, "activity")
    page.get_by_role("button", name="The last 24 hours").click()
    expect(page.locator(".past")).to_contain_text("The server keeps no history")
    assert page.url.endswith("#activity?span=24h")
    page.get_by_label("Of which action").select_option("greet")
    assert page.url.endswith("#activity?span=24h&action=greet")
    page.go_back()
    expect(page.get_by_label("Of which action")).to_have_value("")
    page.go_back()
    expect(page.locator(".live")).to_be_visible()
    expect(page).to_have_url(re.compile("#activity$"))


def test_the_address_without_a_view_is_home_wherever_one_was_last(page: Page) -> None:
    visit(page, "console")
    page.goto("about:blank")
    page.go_back()
    expect(page.locator("#view-console")).to_be_visible()
    address = page.url.split("#")[0]
    page.goto("about:blank")
    page.goto(address)
    expect(page.locator("#view-home")).to_be_visible()
