"""Starting tasks from the forms of the page."""

from __future__ import annotations

import re

import pytest

pytest.importorskip("playwright")

from playwright.sync_api import Page, expect

from tests.browser.views import visit
from tests.harness import WsClient


def choose(page: Page, action: str) -> None:
    page.locator("#tab-actions").click()
    page.get_by_role("option", name=action).first.click()
    expect(page.get_by_role("heading", name=action, exact=True)).to_be_visible()


def test_a_form_shows_what_an_action_wants_and_starts_it(page: Page, client: WsClient) -> None:
    choose(page, "greet")
    form = page.locator(".action-form form")
    expect(form.locator("label", has_text="name")).to_contain_text("required")
    expect(form.locator("label", has_text="size")).to_contain_text("default small")
    expect(form).to_contain_text('must satisfy: value in ["small", "large"]')
    assert form.locator(".field label").first.inner_text().startswith("name"), "required ones come first"
    assert form.locator("datalist option").evaluate_all("all => all.map(each => each.value)") == [
        "small",
        "large",
    ]
    form.get_by_label("name").fill("Zoë")
    form.get_by_label("size").fill("large")
    form.get_by_label("size").press("Enter")
    pane = page.locator(".pane")
    expect(pane.locator(".line.out .text")).to_have_text("hello Zoë")
    expect(pane.locator(".line.err .text")).to_have_text("careful large")
    expect(pane.locator(".line.note .text").last).to_have_text(re.compile("exit code 0 after "))
    assert client.request("list")["tasks"][-1]["params"] == {"name": "Zoë", "size": "large"}


def test_last_values_are_kept_while_the_page_is_there_and_one_key_starts(
    page: Page, client: WsClient
) -> None:
    choose(page, "greet")
    page.get_by_label("name").fill("again")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".pane .line.out .text")).to_have_text("hello again")
    choose(page, "sleep")
    choose(page, "greet")
    visit(page, "pools")
    before = len(client.request("list")["tasks"])
    page.keyboard.press("n")
    expect(page.get_by_label("name")).to_have_value("again")
    page.keyboard.press("Enter")
    expect(page.locator(".pane")).to_have_count(1)  # the first gave way to the other form
    assert len(client.request("list")["tasks"]) == before + 1


def test_nothing_that_is_typed_into_a_form_is_stored(page: Page, client: WsClient) -> None:
    page.evaluate('localStorage.setItem(\'overseer.form.greet\', \'{"params": {"name": "old-secret"}}\')')
    page.reload()
    expect(page.locator("#connection")).to_have_text("Connected")
    choose(page, "greet")
    page.get_by_label("name").fill("swordfish")
    page.get_by_text("Task id, force, retry policy").click()
    page.get_by_label("Task id").fill("typed-secret")
    page.get_by_label("name").press("Enter")
    expect(page.locator(".pane .line.out .text").first).to_have_text("hello swordfish")
    stored = page.evaluate("JSON.stringify([{...localStorage}, location.href, document.title])")
    assert "swordfish" not in stored
    assert "typed-secret" not in stored
    assert "old-secret" not in stored


@pytest.mark.parametrize("view", ["tasks", "actions", "pools", "activity", "console"])
def test_escape_leaves_every_field_so_that_keys_are_shortcuts_again(page: Page, view: str) -> None:
    visit(page, view)
    fields = f"#view-{view} :is(input:not([type=checkbox]), select, textarea)"
    for at in range(page.locator(fields).count()):
        field = page.locator(fields).nth(at)
        if not field.is_visible():
            continue
        field.focus()
        page.keyboard.press("Escape")
        expect(field).not_to_be_focused()
        assert not page.evaluate("document.activeElement.matches('input, select, textarea')")
    # And so do the keys that change views: the next one is a key again.
    page.keyboard.press("4")
    expect(page.locator("#view-pools")).to_be_visible()
    page.keyboard.press("2")
    expect(page.locator("#view-actions")).to_be_visible()
    page.keyboard.press("1")
    expect(page.locator("#view-tasks")).to_be_visible()


def test_what_the_server_refuses_is_said_at_the_field(page: Page, client: WsClient) -> None:
    choose(page, "greet")
    name = page.get_by_label("name")
    page.get_by_role("button", name="Start greet").click()
    expect(page.locator(".field .problem").first).to_have_text("Required.")
    expect(name).to_be_focused()
    name.fill("nobody")
    name.press("Enter")
    expect(page.locator(".field", has=name).locator(".problem")).to_contain_text('value != "nobody"')
    expect(page.locator(".field", has=name).locator(".rule")).to_be_hidden()  # not twice
    expect(name).to_have_attribute("aria-invalid", "true")
    expect(name).to_be_focused()
    name.fill("somebody")
    expect(name).not_to_have_attribute("aria-invalid", "true")
    expect(page.locator(".pane")).to_have_count(0)


def test_id_force_and_retry_policy_go_with_the_start(page: Page, client: WsClient) -> None:
    choose(page, "sleep")
    page.get_by_text("Task id, force, retry policy").click()
    page.get_by_label("Task id").fill("my own")
    page.get_by_label("Force").check()
    page.get_by_label("Its own retry policy").check()
    page.get_by_label("Delay before a restart").fill("1m30s")
    page.get_by_label("Give up after exits").fill("4")
    page.get_by_role("button", name="Start sleep").click()
    expect(page.locator(".pane h3")).to_have_text("sleep")
    expect(page.locator(".pane .id")).to_have_text("my own")
    task = client.info("my own")
    assert (task["retry_policy"]["restart_delay"], task["retry_policy"]["error_threshold"]) == ("1m30s", 4)
    page.get_by_role("button", name="Start sleep").click()
    expect(page.locator("form > .problem")).to_have_text("task already running or starting")
    page.get_by_label("Delay before a restart").fill("soon")
    page.get_by_role("button", name="Start sleep").click()
    expect(page.locator("form > .problem")).to_contain_text("restart_delay")
