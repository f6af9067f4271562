"""The list of runs, on a server of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("playwright")

from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.browser.conftest import watched
from tests.harness import Daemon, WsClient, shell

HERE = Path(__file__).parent
CONTRAST = (HERE / "contrast.js").read_text()
NAMELESS = (HERE / "nameless.js").read_text()
# What a finger has to hit.
TOUCHED = """[...document.querySelectorAll("#view-history :is(button, select, input)")]
  .map((each) => (each.matches("[type=checkbox]") ? each.closest("label") : each))
  .filter((each) => each.checkVisibility() && each.offsetHeight && !each.matches(".run-open, .match"))
  .filter((each) => Math.min(each.offsetWidth, each.offsetHeight) < 44)
  .map((each) => each.outerHTML.slice(0, 100))"""

_PARAMETERS = {"parameters": {"code": {"default": "0"}, "pw": {"type": "secret"}}}
ACTIONS = {
    "report": shell("echo one; exit [[.code]]", config=_PARAMETERS),
    "web": shell("exec sleep 60"),
    "missing": {"type": "exec", "config": {"entrypoint": "/no/such/program"}},
}


@pytest.fixture(scope="module")
def server() -> Iterator[Daemon]:
    with Daemon(actions=ACTIONS, data_dir="data") as daemon:
        with daemon.connect() as client:
            for number in range(60):
                client.run("report", task_id=f"job {number % 3}", params={"code": "0", "pw": "hidden"})
            client.run("report", task_id="bad", params={"code": "7", "pw": "hidden"})
            client.request("start", action="missing", task_id="broken")
        yield daemon


@pytest.fixture
def history(context: BrowserContext, server: Daemon) -> Iterator[Page]:
    with watched(context) as page:
        # So small that the list does not come to its end, where older runs are loaded.
        page.set_viewport_size({"width": 1280, "height": 800})
        page.goto(f"http://{server.address}/#history")
        expect(page.locator(".run").first).to_be_visible()
        yield page


def run_count(page: Page) -> Locator:
    return page.locator("#view-history .counts").first


def test_runs_are_shown_with_how_they_ended_and_older_ones_at_the_end_of_the_list(history: Page) -> None:
    first = history.locator(".run").first
    expect(first).to_contain_text("Failed")
    expect(first).to_contain_text("missing #1")
    expect(first.locator(".id")).to_have_text("broken")
    expect(first).to_contain_text("no such file")
    second = history.locator(".run").nth(1)
    expect(second).to_contain_text("exit 7")
    expect(second).to_contain_text("code=7 pw=***")
    expect(run_count(history)).to_have_text(re.compile(r"The latest 50 runs\s*48 succeeded\s*2 failed"))
    history.locator(".runs").evaluate("list => { list.scrollTop = list.scrollHeight; }")
    expect(history.locator(".run")).to_have_count(62)
    expect(run_count(history)).to_contain_text("62 runs")
    expect(history.get_by_role("button", name="Older runs")).to_be_hidden()


def test_they_are_narrowed_down_and_all_are_shown_again(history: Page) -> None:
    history.get_by_label("Status").select_option("failed")
    expect(history.locator(".run")).to_have_count(2)
    history.get_by_label("Why it ended").select_option("start_failed")
    expect(history.locator(".run")).to_have_count(1)
    history.get_by_label("Why it ended").select_option("")
    history.get_by_label("Action", exact=True).select_option("report")
    expect(history.locator(".run")).to_have_count(1)
    history.get_by_role("button", name="Clear").click()
    expect(run_count(history)).to_contain_text("50 runs")
    history.get_by_role("button", name="Only runs of job 2").first.click()
    expect(history.locator(".run")).to_have_count(20)
    expect(history.get_by_label("Task", exact=True)).to_have_value("job 2")
    history.get_by_label("Time", exact=True).select_option("between")
    history.get_by_label("Until").fill("2020-01-01T00:00")
    history.get_by_label("Until").press("Tab")
    expect(history.locator(".run")).to_have_count(0)


def test_where_there_are_none_it_says_what_to_do(history: Page) -> None:
    task = history.get_by_label("Task", exact=True)
    task.fill("JOB")
    task.press("Enter")
    empty = history.locator(".runs .empty")
    expect(empty).to_contain_text("No runs match the filters.")
    empty.get_by_role("button", name="job 1").click()
    expect(history.locator(".run")).to_have_count(20)
    task.fill("nobody")
    task.press("Enter")
    empty.get_by_role("button", name="Show all runs").click()
    expect(run_count(history)).to_contain_text("50 runs")


def test_time_is_seen_at_a_glance(history: Page) -> None:
    lanes = r"50 runs in \d+s: missing broken, report bad, report job"
    picture = history.get_by_role("img", name=re.compile(lanes))
    expect(picture.locator(".lane")).to_have_count(5)
    failed = picture.locator(".lane .run-bar.s-failed").first
    expect(picture.locator(".run-bar")).to_have_count(50)
    fine = picture.locator(".lane .run-bar.s-succeeded").first
    shape = "e => getComputedStyle(e).borderRadius"
    assert failed.evaluate(shape) != fine.evaluate(shape)
    assert fine.evaluate("e => e.clientWidth") >= 2
    ground = "e => getComputedStyle(e).backgroundColor"
    assert failed.evaluate(ground) != fine.evaluate(ground)
    failed.hover()
    expect(history.locator(".timeline figcaption")).to_contain_text("missing broken #1: failed, start failed")
    # Of one task, also how long each took.
    history.get_by_role("button", name="Only runs of job 1").first.click()
    expect(history.get_by_role("img", name=re.compile("They took up to"))).to_be_visible()
    expect(history.locator(".took .run-bar")).to_have_count(20)
    history.locator(".took .run-bar").last.click()
    expect(history.locator(".run-head h2")).to_have_text("report #20")


def test_the_timeline_tells_what_its_bars_mean(context: BrowserContext) -> None:
    with (
        Daemon(actions=ACTIONS, data_dir="data") as daemon,
        daemon.connect() as client,
        watched(context) as page,
    ):
        client.run("report", task_id="fine", params={"pw": "hidden"})
        page.goto(f"http://{daemon.address}/#history")
        kinds = page.locator(".timeline .kind")
        expect(kinds).to_have_text(["Succeeded"])
        client.run("report", task_id="bad", params={"code": "7", "pw": "hidden"})
        client.request("start", action="web", task_id="ended")
        client.send("stop", task_id="ended")
        client.expect("exited", task_id="ended")
        client.request("start", action="web", task_id="goes on")
        expect(kinds).to_have_text(["Running", "Succeeded", "Failed", "Stopped"])
        ground = "bar => getComputedStyle(bar).backgroundColor"
        for state in ("succeeded", "failed", "stopped"):
            bars = [page.locator(f"{where} > .run-bar.s-{state}") for where in (".lane", ".kind")]
            assert len({bar.first.evaluate(ground) for bar in bars}) == 1, state


def test_a_look_again_keeps_no_run_of_the_filters_before(history: Page) -> None:
    """Something happens while the runs of other filters are on their way: that answer is not waited for."""
    assert history.evaluate((HERE / "overtaken.js").read_text()) == [["c", "b", "a"], ["b"], ["b"]]


def test_a_crosshair_tells_the_time_and_dragging_shows_the_runs_of_that_time(history: Page) -> None:
    lane = history.locator(".lane").first
    box = lane.bounding_box()
    assert box
    y = box["y"] + 3
    history.mouse.move(box["x"] + 60, y)
    expect(history.locator(".cross")).to_be_visible()
    expect(history.locator(".timeline .when")).to_have_text(re.compile(r"^\d\d:\d\d:\d\d$"))
    history.mouse.down()
    history.mouse.move(box["x"] + box["width"] - 1, y, steps=3)
    expect(history.locator(".timeline .when")).to_contain_text("\u2013")
    history.mouse.up()
    expect(history.get_by_label("From")).to_have_value(re.compile("T"))
    expect(history.locator(".run").first).to_be_visible()
    history.go_back()
    expect(history.get_by_label("Time", exact=True)).to_have_value("")
    expect(run_count(history)).to_contain_text("50 runs")


def test_a_long_time_in_which_nothing_happens_leaves_room_for_what_does(history: Page) -> None:
    """One run, an hour, and three runs within a second: each of the three is seen."""
    places = history.evaluate((HERE / "folded.js").read_text())
    (a, b, c, d), fold = places
    assert a == 0
    assert 10 < c - b < 60
    assert 10 < d - c < 60
    assert fold in ("59m", "1h")


def test_it_follows_what_happens_and_keeps_older_runs_that_were_loaded(history: Page, server: Daemon) -> None:
    history.locator(".runs").evaluate("list => { list.scrollTop = list.scrollHeight; }")
    expect(history.locator(".run")).to_have_count(62)
    with server.connect() as client:
        client.request("start", action="web", task_id="site")
        expect(history.locator(".run").first).to_contain_text("Running")
        client.send("stop", task_id="site")
        client.expect("exited", task_id="site")
        expect(history.locator(".run").first).to_contain_text("Stopped")
    expect(history.locator(".run")).to_have_count(63)


def test_keys_move_through_it(history: Page) -> None:
    history.locator(".run-open").first.focus()
    history.keyboard.press("ArrowDown")
    expect(history.locator(".run-open").nth(1)).to_be_focused()
    history.keyboard.press("Enter")
    expect(history.locator(".run-head h2")).to_be_visible()
    history.keyboard.press("Escape")
    expect(history.locator(".run-open").nth(1)).to_be_focused()
    history.keyboard.press("/")
    expect(history.get_by_label("Task", exact=True)).to_be_focused()


def test_a_task_leads_to_its_runs(history: Page, server: Daemon) -> None:
    history.locator("#tab-tasks").click()
    history.get_by_role("row", name=re.compile("job 1")).click()
    history.get_by_role("button", name=re.compile("Its runs")).click()
    expect(history.get_by_label("Task", exact=True)).to_have_value("job 1")
    expect(history.locator(".run")).to_have_count(20)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_nothing_sticks_out_and_a_finger_hits_it(history: Page, scheme: str) -> None:
    history.set_viewport_size({"width": 390, "height": 780})
    history.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    history.get_by_role("button", name="Filters").click()
    rights = "[...document.querySelectorAll('#view-history *')].map((e) => e.getBoundingClientRect().right)"
    for look in ("runs", "search", "run"):
        if look == "search":
            history.get_by_role("button", name="Search logs").click()
            history.get_by_label("Search logs for").fill("one")
            history.keyboard.press("Enter")
            history.locator(".match").first.wait_for()
        if look == "run":
            history.locator(".match").first.click()
            expect(history.locator(".line.out")).to_have_count(1)
            history.get_by_role("button", name="View").click()
        assert history.evaluate("document.documentElement.scrollWidth") == 390
        if look != "run":  # lines scroll sideways
            assert max(history.evaluate(rights)) <= 391, look
        assert history.evaluate(TOUCHED) == [], look
        assert history.evaluate(CONTRAST) == [], look
        assert history.evaluate(NAMELESS) == [], look


def test_without_a_history_it_says_so(page: Page, client: WsClient) -> None:
    page.locator("#tab-history").click()
    expect(page.locator(".runs .empty")).to_contain_text("has no data_dir")
    page.get_by_role("button", name="Search logs").click()
    page.get_by_label("Search logs for").fill("x")
    page.keyboard.press("Enter")
    expect(page.locator(".matches .counts")).to_contain_text("has no data_dir")


def test_rows_that_stay_as_they_were_are_left_alone(history: Page, server: Daemon) -> None:
    second = history.locator(".run").nth(1)
    second.evaluate("row => { row.seen = true; }")
    second.locator(".quiet").focus()
    with server.connect() as client:
        client.run("report", task_id="new", params={"pw": "x"})
    expect(history.locator(".run .id").first).to_have_text("new")
    row = history.locator(".run").nth(2)
    assert row.evaluate("row => row.seen")
    expect(row.locator(".quiet")).to_be_focused()


def test_what_left_its_queue_without_having_run_says_why(context: BrowserContext) -> None:
    pool = {"limit": 1, "queue": {"enabled": True, "size": 1, "displace": True}}
    quick = {"limit": 1, "queue": {"enabled": True, "max_age": "0.2s"}}
    actions = {name: shell("exec sleep 60", task_pool=pool) for name in ("build", "copy")}
    actions["brief"] = shell("exec sleep 60", task_pool=quick)
    with Daemon(actions=actions, data_dir="data") as server, server.connect() as client:
        for action, *queued in (
            ("build", "displaced", "stopped"),
            ("brief", "expired"),
            ("copy", "runs build", "purged"),
        ):
            client.request("start", action=action, task_id=f"runs {action}")
            if action == "copy":  # its task has run before
                client.send("stop", task_id="runs build")
                client.expect("exited", task_id="runs build")
            for task_id in queued:
                client.request("start", action=action, task_id=task_id)
            if action == "build":
                client.send("stop", task_id="stopped")
                client.expect("dequeued", task_id="stopped")
        client.expect("dequeued", task_id="expired")
        client.request("purge", action="copy")
        with watched(context) as page:
            page.goto(f"http://{server.address}/#history")
            for task_id, why in (
                ("stopped", "stopped while queued"),
                ("purged", "its queue was purged"),
                ("displaced", "a newer task took its place in the queue"),
                ("expired", "it was queued for longer than the queue allows"),
            ):
                row = page.locator(".run", has=page.locator(".id", has_text=re.compile(f"^{task_id}$")))
                expect(row.locator(".run-exit")).to_have_text("never ran")
                expect(row.locator(".run-lasted")).to_have_text("")
                said = row.locator(".run-more")
                expect(said).to_have_text(why)
                assert said.evaluate("e => e.scrollWidth <= e.clientWidth"), "it is cut off"
                assert said.evaluate("e => getComputedStyle(e).color") == row.locator(".run-when").evaluate(
                    "e => getComputedStyle(e).color"
                ), "it looks like a failure"
            # One task's: the run before it counts alone for how long they took.
            page.goto(f"http://{server.address}/#history?task=runs+build")
            expect(page.locator(".run")).to_have_count(2)
            expect(page.locator(".run").first).to_contain_text("a newer task took its place in the queue")
            expect(page.locator(".took")).to_be_hidden()
            page.locator(".run-open").first.click()
            expect(page.locator(".run-head .facts")).to_contain_text("never ran")
            notes = page.locator(".run-lines .note")
            expect(notes.first).to_contain_text("run #2 was queued")
            expect(notes.last).to_contain_text("a newer task took its place in the queue")
            page.set_viewport_size({"width": 390, "height": 780})
            page.goto(f"http://{server.address}/#history")
            expect(page.locator(".run-more.problem:visible")).to_have_count(5)
            assert page.evaluate("document.documentElement.scrollWidth") == 390
