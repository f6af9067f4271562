"""The page as a whole: its policy, colours, narrow screens, names for screen readers."""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path

import pytest

pytest.importorskip("playwright")

from playwright.sync_api import BrowserContext, Error, Page, expect

from tests.browser.conftest import watched
from tests.browser.table import open_outputs, row, settle
from tests.browser.views import VIEWS, visit
from tests.harness import ROOT, Daemon, WsClient

HERE = Path(__file__).parent


CONTRAST = (HERE / "contrast.js").read_text()

# What a finger has to hit: at least 24 pixels each way (WCAG 2.2, target size).
TOUCHED = """[...document.querySelectorAll("button, select, input:not([type=checkbox])")]
  .filter((each) => each.checkVisibility() && each.offsetHeight)
  .filter((each) => Math.min(each.offsetWidth, each.offsetHeight) < 24)
  .map((each) => each.outerHTML.slice(0, 100))"""

# What a thumb hits without looking: 44 pixels each way, a box by the label or the cell that it is in.
FINGERS = """[...document.querySelectorAll("button, a[href], select, input")]
  .filter((each) => each.checkVisibility({ visibilityProperty: true }) && !each.matches(".skip, .tile-title"))
  .map((each) => (each.matches("[type=checkbox]") ? each.closest(".c-pick, label, .switch") : each) ?? each)
  .filter((each) => each.offsetHeight && Math.min(each.offsetWidth, each.offsetHeight) < 44)
  .map((each) => each.outerHTML.slice(0, 100))"""

HIDDEN = (HERE / "hidden.js").read_text()

NAMELESS = (HERE / "nameless.js").read_text()


def busy(client: WsClient) -> None:
    client.request("start", action="one", task_id="runs")
    client.request("start", action="one", task_id="waits")
    client.request("start", action="fail", task_id="broken")
    client.expect("errored", task_id="broken")
    client.run("hostile", task_id="odd")
    client.run("json", task_id="data")


def test_every_view_is_readable_in_both_colours_and_names_everything(page: Page, client: WsClient) -> None:
    busy(client)
    open_outputs(page, client, "data", "odd", "broken")
    page.locator(".pane").first.locator(".fold.closed").click()
    expect(page.locator(".line.sub")).not_to_have_count(0)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        for view in VIEWS:
            visit(page, view)
            expect(page.locator(f"#view-{view}")).to_be_visible()
            if view == "console":
                expect(page.locator(".c-row").first).to_be_visible()
            assert page.evaluate(CONTRAST) == [], (scheme, view)
            assert page.evaluate(NAMELESS) == [], view


def test_the_colours_can_be_chosen_and_are_remembered(page: Page) -> None:
    page.emulate_media(color_scheme="light")
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    button = page.locator("#theme")
    button.click()
    expect(button).to_have_attribute("aria-label", "Colours: light")
    button.click()
    expect(button).to_have_attribute("aria-label", "Colours: dark")
    dark = page.evaluate(ground)
    assert dark != light
    page.reload()
    assert page.evaluate(ground) == dark


def test_a_narrow_screen_needs_no_scrolling_sideways(page: Page, client: WsClient) -> None:
    busy(client)
    page.set_viewport_size({"width": 375, "height": 720})
    for view in VIEWS:
        visit(page, view)
        expect(page.locator(f"#view-{view}")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 375, view
    page.locator("#tab-tasks").click()
    page.get_by_placeholder("Find tasks").fill("data")  # alone, its row cannot move under the pointer
    expect(page.get_by_role("gridcell", name="waits", exact=True)).to_be_hidden()
    page.get_by_role("gridcell", name="data", exact=True).click()
    page.get_by_role("button", name="Output").click()
    expect(page.locator(".pane .line.out").first).to_be_in_viewport()
    expect(page.locator(".to-end")).to_be_hidden()
    page.get_by_role("button", name="Back").click()
    expect(page.get_by_role("grid")).to_be_visible()


def test_the_list_of_keys_begins_at_its_top(page: Page) -> None:
    page.keyboard.press("?")
    keys = page.get_by_role("dialog", name="Keys")
    assert keys.evaluate("e => [e.scrollHeight > e.clientHeight, e.scrollTop]") == [True, 0]
    page.keyboard.press("Escape")
    expect(keys).to_be_hidden()


@pytest.mark.parametrize("many", [30, pytest.param(3000, marks=pytest.mark.long)])
def test_on_a_phone_every_task_is_reached_and_its_facts_are_in_sight(
    page: Page, client: WsClient, many: int
) -> None:
    for number in range(many):
        client.send("start", action="one", task_id=f"n{number:04}")
    client.settle(30)
    page.set_viewport_size({"width": 390, "height": 844})
    page.get_by_placeholder("Find tasks").fill("n0")
    expect(page.locator(".chip", has_text="Queued")).to_contain_text(f"{many - 1:,}")
    body = page.locator(".t-body")
    assert body.evaluate("e => e.clientHeight") < 844
    body.evaluate("e => e.scrollTop = e.scrollHeight")
    last = page.get_by_role("gridcell", name="n0000", exact=True)
    expect(last).to_be_in_viewport()
    last.click()
    expect(page.get_by_label("The selected task").get_by_role("button", name="Output")).to_be_in_viewport()
    for view in VIEWS:
        visit(page, view)
        # What does not fit can be scrolled to: the view, or what is in it, ends above the tabs.
        bottom = page.locator(f"#view-{view}").evaluate("e => e.getBoundingClientRect().bottom")
        assert bottom <= 844 - 50, view
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, view
        bars = page.locator(f"#view-{view} > .bar, #view-{view} .chips")
        assert bars.evaluate_all("all => all.every((e) => e.scrollWidth <= e.clientWidth)"), view
        small = page.evaluate(TOUCHED)
        assert small == [], view
        if view not in ("history", "console"):  # what one comes for on a phone
            assert page.evaluate(FINGERS) == [], view


def test_texts_of_others_neither_turn_the_writing_around_nor_hide(page: Page, client: WsClient) -> None:
    client.run("greet", task_id="<b>שלום</b>", params={"name": "a\u202eb\x07", "note": "\u2066<i>\x1b[31m"})
    settle(page, client)
    row(page, "<b>שלום</b>").click()
    page.keyboard.press("Enter")
    expect(page.locator(".pane .line.out .text")).to_have_text("hello a\ufffdb\u2407")
    for view in VIEWS:
        visit(page, view)
        if view == "console":
            page.get_by_role("button", name="the page's own").click()
            expect(page.locator(".c-row", has_text="greet").first).to_be_visible()
        assert page.evaluate(HIDDEN) == [], view
        assert page.locator("main b:text('שלום'), main i").count() == 0


def test_the_policy_lets_nothing_inline_run(context: BrowserContext, daemon: Daemon) -> None:
    with watched(context, "TrustedHTML") as page:
        page.goto(f"http://{daemon.address}/")
        with pytest.raises(Error, match="TrustedHTML"):
            page.evaluate("document.body.innerHTML = '<b>x</b>'")
    with urllib.request.urlopen(f"http://{daemon.address}/", timeout=30) as answer:
        policy = answer.headers["Content-Security-Policy"]
        assert answer.headers["Cache-Control"] == "no-cache"
        tag = answer.headers["ETag"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    again = urllib.request.Request(f"http://{daemon.address}/", headers={"If-None-Match": tag})
    with pytest.raises(urllib.error.HTTPError) as unchanged:
        urllib.request.urlopen(again, timeout=30)
    unchanged.value.close()
    assert unchanged.value.code == 304


def test_every_module_is_short_enough_to_read() -> None:
    modules = {path.name: path.read_text() for path in (ROOT / "playground").glob("*.js")}
    assert {name: lines for name, text in modules.items() if (lines := text.count("\n")) > 300} == {}
    for forbidden in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
        assert [name for name, text in modules.items() if forbidden in text] == []


def test_few_files_are_fetched_and_each_once(page: Page) -> None:
    entries = "performance.getEntriesByType('resource').filter((e) => e.name.includes('/v-'))"
    page.reload()
    expect(page.locator("#connection")).to_have_text("Connected")
    names = page.evaluate(f"[...new Set({entries}.map((e) => e.name.split('/').at(-1)))]")
    assert sorted(names) == ["app.css", "app.js", "icon.svg", "socket.js", "theme.js"]
    assert set(page.evaluate(f"{entries}.map((e) => e.transferSize)")) == {0}
