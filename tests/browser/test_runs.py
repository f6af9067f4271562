"""A run's page: all of its output, searched, entered anywhere, loaded as it comes into sight; and the search
in all logs that leads there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("playwright")

from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.browser.conftest import watched
from tests.harness import Daemon, shell

_SAID = {"parameters": {"said": {"default": ""}}}
ACTIONS = {
    "count": shell("echo [[.said]]; seq 30000; sleep 0.2; echo oh no >&2; exit 3", config=_SAID),
    "quiet": shell("exit 0"),
    "slow": shell(
        "for i in $(seq 3000); do echo a $i; done; echo wait; read x; echo $x", config={"stdin": "pipe"}
    ),
    "odd": shell(r"""printf '\033[31mred\033[0m <b>x</b>\n'; echo '{"a": [1, 2]}'"""),
}


@pytest.fixture(scope="module")
def server() -> Iterator[Daemon]:
    with Daemon(actions=ACTIONS, data_dir="data") as daemon:
        with daemon.connect() as client:
            client.run("count", task_id="numbers", params={"said": "early"}, timeout=30)
            client.run("count", task_id="numbers", params={"said": "late"}, timeout=30)
            client.run("quiet", task_id="nothing")
            client.run("odd", task_id="a/b c")
        yield daemon


@pytest.fixture
def history(context: BrowserContext, server: Daemon) -> Iterator[Page]:
    with watched(context) as page:
        page.goto(f"http://{server.address}/#history")
        expect(page.locator(".run").first).to_be_visible()
        yield page


def open_run(page: Page, name: str) -> Locator:
    page.locator(".run-open").get_by_text(name, exact=True).click()
    box = page.locator(".run-lines .lines")
    expect(page.locator(".run-head h2")).to_have_text(name)
    expect(box.locator(".line").first).to_be_visible()
    return box


def place(page: Page) -> Locator:
    return page.locator(".run-page .size")


def find(page: Page, text: str) -> Locator:
    page.get_by_label("Search this run's output").fill(text)
    page.keyboard.press("Enter")
    return page.locator(".run-page .found")


def test_it_begins_at_the_end_and_has_the_lines_of_that_run_alone(history: Page) -> None:
    box = open_run(history, "count early #1")
    expect(box.locator(".line").last).to_contain_text("exit code 3 after")
    expect(box.locator(".line.err .text")).to_have_text("oh no")
    expect(place(history)).to_contain_text("of 30,002")
    expect(history.locator(".run-head")).to_contain_text("exit 3")
    box.press("Home")
    expect(place(history)).to_have_text("1 of 30,002 lines")
    expect(box.locator(".line.current .text")).to_have_text("early")
    found = find(history, "late")
    expect(found).to_have_text("not found")
    assert find(history, "early").text_content() is not None
    expect(found).to_have_text("1 of 1")
    expect(box.locator(".line.out .text").first).to_have_text("early")
    expect(box.locator(".line").first).to_contain_text("run #1 started")


def test_all_of_it_is_searched_and_every_match_reached(history: Page) -> None:
    box = open_run(history, "count late #2")
    found = find(history, "1777")
    expect(found).to_have_text("1 of 13")  # 1777, 11777, 17770 … 17779, 21777
    current = box.locator(".line.current .text")
    expect(current).to_have_text("1777")
    expect(current.locator("mark")).to_have_text("1777")
    expect(box.locator(".line.current")).to_be_in_viewport()
    history.keyboard.press("Enter")
    expect(found).to_have_text("2 of 13")
    expect(current).to_have_text("11777")
    history.keyboard.press("Shift+Enter")
    history.keyboard.press("Shift+Enter")
    expect(found).to_have_text("13 of 13")
    expect(current).to_have_text("21777")
    box.focus()
    history.keyboard.press("N")
    expect(current).to_have_text("17779")
    history.keyboard.press("n")
    expect(current).to_have_text("21777")
    history.get_by_role("button", name="Regular expression").locator("visible=true").click()
    expect(find(history, "^2[0-9]{4}8$")).to_have_text(re.compile(r"\d+ of 0|not found|1 of 1,000"))
    assert "/" in history.evaluate("location.hash")


# Scrolls to the top, and gives the text that is there as soon as it is drawn.
_TOP = """async (box) => {
  box.scrollTop = 0;
  for (let frame = 0; frame < 2; frame += 1) await new Promise(requestAnimationFrame);
  const { top } = box.getBoundingClientRect();
  const rows = [...box.querySelectorAll(".line")];
  const there = rows.find((row) => row.getBoundingClientRect().bottom > top + 1);
  return there.querySelector(".text").textContent;
}"""


def test_lines_are_loaded_as_they_come_into_sight(history: Page) -> None:
    box = open_run(history, "count late #2")
    find(history, "15000")
    expect(box.locator(".line.current .text")).to_have_text("15000")
    before = 15000
    for _ in range(3):  # upwards: what is in sight stays there
        first = int(box.evaluate(_TOP))
        assert first < before
        expect(box).not_to_have_js_property("scrollTop", 0)
        expect(box.locator(".line .text", has_text=re.compile(f"^{first}$"))).to_be_in_viewport()
        before = first
    for _ in range(40):
        box.evaluate("box => { box.scrollTop = box.scrollHeight; }")
        if "exit code" in (box.locator(".line").last.text_content() or ""):
            break
        box.evaluate("() => new Promise((done) => setTimeout(done, 30))")
    expect(box.locator(".line").last).to_contain_text("exit code 3")
    texts = box.locator(".line.out .text").all_text_contents()
    assert texts == [str(number) for number in range(int(texts[0]), 30001)]


def test_one_stream_alone(history: Page) -> None:
    box = open_run(history, "count early #1")
    history.locator(".view-button").click()
    history.get_by_label("stdout").uncheck()
    expect(box.locator(".line.out")).to_have_count(0)
    expect(box.locator(".line.err .text")).to_have_text("oh no")
    expect(box.locator(".line").first).to_contain_text("run #1 started")  # there are no others before it


def test_a_time_is_gone_to(history: Page, server: Daemon) -> None:
    box = open_run(history, "count late #2")
    at = history.get_by_label("Go to a time")
    box.press("g")
    expect(at).to_be_focused()
    at.press("Enter")  # its start
    expect(box.locator(".line.current")).to_be_in_viewport()
    expect(box.locator(".line.current .time")).not_to_be_empty()
    box.press("g")
    at.fill("2090-01-01T00:00:00")
    at.press("Enter")
    expect(history.locator("#notices")).to_contain_text("this is its end")


def test_the_address_leads_to_a_line_and_back_to_the_list(history: Page, server: Daemon) -> None:
    box = open_run(history, "count late #2")
    find(history, "12345")
    expect(box.locator(".line.current .text")).to_have_text("12345")
    address = history.url
    history.go_back()
    expect(history.locator(".run").first).to_be_visible()
    history.goto("about:blank")
    history.goto(address)
    expect(box.locator(".line.current .text")).to_have_text("12345")
    history.locator("#tab-history").click()
    expect(history.locator(".run").first).to_be_visible()
    history.goto(f"http://{server.address}/#history/numbers/nothing")
    expect(history.get_by_role("alert")).to_contain_text("no longer exists")


def test_a_run_that_wrote_nothing_and_one_with_odd_lines(history: Page) -> None:
    box = open_run(history, "quiet #1")
    expect(box.locator(".line")).to_have_count(2)
    expect(place(history)).to_have_text("no lines")
    history.keyboard.press("Escape")
    box = open_run(history, "odd #1")
    expect(box.locator(".line.out .text").first).to_have_text("red <b>x</b>")
    expect(box.locator(".a-f1")).to_have_text("red")
    expect(place(history)).to_have_text("2 lines")  # all are in sight
    box.locator(".fold.closed").click()
    expect(box.locator(".line.sub").first).to_be_visible()


def test_a_run_that_goes_on_is_followed_to_its_end(history: Page, server: Daemon) -> None:
    with server.connect() as client:
        client.request("start", action="slow", task_id="slow")
        expect(history.locator(".run-open", has_text="slow")).to_be_visible()
        box = open_run(history, "slow #1")
        expect(box.locator(".line.out .text").last).to_have_text("wait")
        expect(history.get_by_role("button", name="Live output")).to_be_visible()
        client.request("input", task_id="slow", data="go on\n")
        expect(box.locator(".line.out .text").last).to_have_text("go on")
        expect(box.locator(".line").last).to_contain_text("exit code 0")
        expect(box.locator(".line").last).to_be_in_viewport()
    expect(history.locator(".run-head")).to_contain_text("Succeeded")


def test_lines_that_expired_are_said_to_be(context: BrowserContext) -> None:
    with Daemon(
        actions=ACTIONS, data_dir="data", storage={"task_log_bytes": "1MiB", "segment": "1MiB"}
    ) as server:
        with server.connect() as client:
            client.run("count", task_id="numbers", timeout=30)
            client.run("count", task_id="numbers", timeout=30)
        for log in sorted((server.directory / "data" / "logs" / "numbers").iterdir())[:1]:
            log.unlink()
        with watched(context) as page:
            page.goto(f"http://{server.address}/#history")
            open_run(page, "count #1")
            expect(page.locator(".line.gap")).to_contain_text("of this run expired")


def test_all_logs_are_searched_and_a_match_leads_to_its_place(history: Page) -> None:
    history.get_by_role("button", name="Search logs").click()
    query = history.get_by_label("Search logs for")
    expect(query).to_be_focused()
    query.fill("LATE")
    history.keyboard.press("Enter")
    expect(history.locator(".matches .counts")).to_contain_text("1 line")
    expect(history.locator(".match mark")).to_have_text("late")
    history.get_by_role("button", name="Match case").locator("visible=true").click()
    expect(history.locator(".matches .counts")).to_contain_text("No line")
    query.fill("^oh .o$")
    history.get_by_role("button", name="Regular expression").locator("visible=true").click()
    expect(history.locator(".match")).to_have_count(2)
    history.get_by_label("Action", exact=True).select_option("odd")
    expect(history.locator(".matches .counts")).to_contain_text("No line")
    history.get_by_role("button", name="Search all logs").click()
    expect(history.locator(".match")).to_have_count(2)
    history.locator(".match").first.focus()
    history.keyboard.press("ArrowDown")
    history.keyboard.press("Enter")
    expect(history.locator(".run-head h2")).to_have_text("count early #1")
    expect(history.locator(".line.current .text")).to_have_text("oh no")
    expect(history.get_by_label("Search this run's output")).to_have_value("^oh .o$")
    history.keyboard.press("Escape")
    expect(history.locator(".match").nth(1)).to_be_focused()
    query.fill("(")
    query.press("Enter")
    expect(history.locator(".matches .problem")).to_contain_text("regular expression")


def test_more_matches_come_on_request(history: Page) -> None:
    history.get_by_role("button", name="Search logs").click()
    history.get_by_label("Search logs for").fill("77")
    history.keyboard.press("Enter")
    expect(history.locator(".match")).to_have_count(200)
    expect(history.locator(".matches .counts")).to_contain_text("The latest 200 lines")
    history.get_by_role("button", name="More matches").click()
    expect(history.locator(".match")).to_have_count(400)


def test_all_of_its_lines_are_saved(history: Page) -> None:
    open_run(history, "count early #1")
    with history.expect_download() as saved:
        history.get_by_role("button", name="Download").click()
    assert saved.value.suggested_filename == "numbers-1.log"
    lines = Path(saved.value.path()).read_text().splitlines()
    assert sorted(lines) == sorted(["early", "oh no", *(str(number) for number in range(1, 30001))])
