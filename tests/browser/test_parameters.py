"""The form's fields: the control that each parameter asks for, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("playwright")

from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.test_actions import choose
from tests.browser.views import visit
from tests.harness import Daemon, WsClient


@pytest.fixture
def form(page: Page) -> Locator:
    choose(page, "resize")
    return page.locator(".action-form form")


def problem(form: Locator, name: str) -> Locator:
    return form.locator(f".field:has([name={name}]) .problem")


def start(form: Locator) -> None:
    form.get_by_role("button", name="Start resize").click()


def test_each_parameter_has_the_control_it_asks_for(form: Locator) -> None:
    size, ratio = form.get_by_label("size"), form.get_by_label("ratio")
    for name, value in {
        "type": "number",
        "min": "1",
        "max": "100",
        "step": "1",
        "inputmode": "numeric",
    }.items():
        expect(size).to_have_attribute(name, value)
    expect(size).to_have_attribute("placeholder", "50")
    expect(size).to_have_accessible_description("In percent a whole number from 1 to 100")
    expect(ratio).to_have_attribute("step", "any")
    assert ratio.get_attribute("inputmode") is None, "which has no minus on some phones"
    expect(form.get_by_role("switch", name="keep")).to_be_checked()
    chosen = "each => [...each.options].map(one => [one.text, one.value, one.selected])"
    assert form.get_by_label("format").evaluate(chosen) == [
        ["Choose one", "", True],
        ["png", "png", False],
        ["JPEG, for photographs", "jpg", False],
    ]
    assert form.get_by_label("quality").evaluate(chosen) == [["low", "low", False], ["high", "high", True]]
    assert form.get_by_label("notes").evaluate("each => each.tagName") == "TEXTAREA"
    expect(form.locator(".field", has=form.page.get_by_label("source"))).to_contain_text(
        "or a folder of them"
    )
    labels = form.locator(".field > label, .switch > label").all_inner_texts()
    assert [each.split()[0] for each in labels[:2]] == ["source", "format"], "required ones come first"


def test_only_what_was_changed_is_sent(form: Locator, client: WsClient, page: Page) -> None:
    form.get_by_label("source").fill("/p")
    form.get_by_label("format").select_option(label="JPEG, for photographs")
    start(form)
    expect(page.locator(".pane .line.out .text")).to_have_text(
        ["source=/p", "size=50", "ratio=1", "format=jpg", "keep=true"]
    )
    assert client.request("list")["tasks"][-1]["params"] == {"source": "/p", "format": "jpg"}
    form.get_by_label("keep").uncheck()
    form.get_by_label("size").fill("7")
    form.get_by_label("ratio").fill("-1.5")
    form.get_by_label("quality").select_option("low")
    form.get_by_label("notes").fill("two\nlines")
    form.get_by_label("notes").press("Control+Enter")
    expect(page.locator(".pane")).to_have_count(2)
    assert client.request("list")["tasks"][-1]["params"] == {
        "source": "/p", "format": "jpg", "keep": "false", "size": "7", "ratio": "-1.5", "quality": "low",
        "notes": "two\nlines",
    }  # fmt: skip
    choose(page, "sleep")
    choose(page, "resize")
    expect(form.get_by_role("switch", name="keep")).not_to_be_checked()
    expect(form.get_by_label("quality")).to_have_value("low")
    expect(form.get_by_label("size")).to_have_value("7")


def test_what_is_wrong_is_said_at_the_field_before_anything_is_sent(
    form: Locator, client: WsClient, page: Page
) -> None:
    for label, value, said in (
        ("size", "101", "Must be a whole number from 1 to 100."),
        ("size", "0", "Must be a whole number from 1 to 100."),
        ("size", "1.5", "Must be a whole number from 1 to 100."),
        ("size", "007", "Must be a whole number from 1 to 100."),
        ("ratio", "-2", "Must be a number, -1.5 or more."),
        ("source", "-x", "Write ./-x, or it would be taken for an option."),
        ("album", "ABC", "Small letters only."),
        ("album", "abc1", "Small letters only."),
    ):
        field = form.get_by_label(label)
        field.fill(value)
        field.blur()
        expect(problem(form, label)).to_have_text(said)
        expect(field).to_have_attribute("aria-invalid", "true")
        field.fill("5")
        expect(problem(form, label)).to_be_empty()
        field.fill("")
    size = form.get_by_label("size")
    size.focus()
    page.keyboard.type("1e")  # which is no number, and which the field keeps to itself
    before = len(client.request("list")["tasks"])
    start(form)
    expect(problem(form, "size")).to_have_text("Must be a whole number from 1 to 100.")
    expect(problem(form, "source")).to_have_text("Required.")
    expect(problem(form, "format")).to_have_text("Required.")
    expect(form.get_by_label("source")).to_be_focused()
    assert len(client.request("list")["tasks"]) == before


def test_what_only_the_server_knows_is_said_there_too_in_the_action_s_words(
    form: Locator, page: Page
) -> None:
    form.get_by_label("source").fill("/p")
    form.get_by_label("format").select_option("png")
    form.get_by_label("even").fill("3")
    start(form)
    expect(problem(form, "even")).to_have_text("An even number, please.")
    expect(form.get_by_label("even")).to_be_focused()
    expect(form.locator("> .problem")).to_be_empty()
    form.get_by_label("even").fill("")
    form.get_by_label("album").fill("größe")  # on which the page has no say: the server's \w may be another
    start(form)
    expect(problem(form, "album")).to_have_text("Small letters only.")
    expect(page.locator(".pane")).to_have_count(0)


def test_a_secret_is_hidden_sent_and_forgotten(page: Page, client: WsClient) -> None:
    choose(page, "login")
    form = page.locator(".action-form form")
    password = form.get_by_label("password")
    expect(password).to_have_attribute("type", "password")
    expect(form.get_by_label("key")).to_have_css("-webkit-text-security", "disc")
    form.get_by_label("user").fill("me")
    password.fill("hunter2")
    password.press("Enter")
    pane = page.locator(".pane")
    expect(pane.locator(".line.out .text")).to_have_text("7 for me")
    assert client.request("list")["tasks"][-1]["params"] == {"user": "me", "password": "***"}
    visit(page, "console")
    expect(page.locator(".c-row.sent", has_text="login").first).to_contain_text("***")
    choose(page, "sleep")
    choose(page, "login")
    expect(form.get_by_label("user")).to_have_value("me")
    expect(password).to_have_value("")
    assert "hunter2" not in page.evaluate("document.documentElement.outerHTML + JSON.stringify(localStorage)")


def test_a_task_with_a_secret_is_started_again_by_its_form(page: Page, client: WsClient) -> None:
    client.run("login", task_id="mine", params={"user": "you", "password": "hunter2"})
    page.locator("#tab-tasks").click()
    page.locator(".t-row", has_text="mine").first.click()
    expect(page.locator("dt", has_text="Exited")).to_be_visible()  # while it runs, r restarts it
    page.keyboard.press("r")
    form = page.locator(".action-form form")
    expect(form.get_by_label("user")).to_have_value("you")
    expect(form.get_by_label("password")).to_be_focused()
    expect(form.get_by_label("password")).to_have_value("")


@pytest.fixture
def phone(browser: Browser, daemon: Daemon) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    context.set_default_timeout(8000)
    page = context.new_page()
    page.goto(f"http://{daemon.address}/#tasks")
    yield page
    context.close()


def test_the_form_can_be_filled_in_on_a_phone(phone: Page) -> None:
    choose(phone, "resize")
    form = phone.locator(".action-form form")
    assert phone.evaluate("document.documentElement.scrollWidth") == 390
    assert phone.locator(".action-form").evaluate("each => each.scrollWidth <= each.clientWidth")
    for control in form.locator(".field :is(input:not([type=checkbox]), select, textarea)").all():
        if not control.is_visible():
            continue
        assert float(control.evaluate("each => parseFloat(getComputedStyle(each).fontSize)")) >= 16, (
            "it zooms in"
        )
        box = control.bounding_box()
        assert box is not None
        assert box["height"] >= 36
        assert box["width"] >= 300
    form.get_by_label("source").fill("/p")
    form.get_by_label("format").select_option("png")
    form.get_by_text("keep", exact=True).tap()
    expect(form.get_by_role("switch", name="keep")).not_to_be_checked()
    form.get_by_role("button", name="Start resize").tap()
    expect(phone.locator(".pane .line.out .text").last).to_have_text("keep=false")
