"""The table of tasks, and what can be done to them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("playwright")

from playwright.sync_api import Page, expect

from tests.browser.table import row, settle
from tests.browser.views import visit
from tests.harness import WsClient

STATES = (Path(__file__).parent / "states.js").read_text()


def test_each_state_has_a_word_a_picture_and_a_colour(page: Page, client: WsClient) -> None:
    client.request("start", action="one", task_id="s-running")
    client.request("start", action="one", task_id="s-queued")
    client.run("greet", task_id="s-succeeded", params={"name": "x"})
    client.request("start", action="fail", task_id="s-errored")
    client.expect("errored", task_id="s-errored")
    client.request("start", action="sleep", task_id="s-stopped")
    client.send("stop", task_id="s-stopped")
    client.expect("exited", task_id="s-stopped")
    settle(page, client)
    words = dict(zip(("Running", "Queued #1", "Succeeded"), ("run", "queue", "check"), strict=True))
    words |= {"Errored": "bad", "Stopped": "stop"}
    ids = {word: f"s-{word.split()[0].lower()}" for word in words}
    for word, task_id in ids.items():
        expect(row(page, task_id).locator(".c-status")).to_have_text(word)
    # All of it in one look, so that each colour is that of the word beside it.
    seen = page.locator(".t-row").evaluate_all(STATES)
    assert {task_id: seen[task_id][:2] for task_id in ids.values()} == {
        ids[word]: [word, f"#i-{picture}"] for word, picture in words.items()
    }
    assert len({seen[task_id][2] for task_id in ids.values()}) == len(words)
    time = row(page, "s-running").locator(".c-time")
    first = time.inner_text()
    expect(time).not_to_have_text(first)
    expect(row(page, "s-errored").locator(".c-exit")).to_contain_text("exit 9: gave up after 2 exits")
    expect(row(page, "s-errored").locator(".c-restarts")).to_have_text("1")
    expect(row(page, "s-queued").locator(".c-time")).to_contain_text("waits")


def test_an_errored_task_shows_why_and_its_last_lines_and_is_reset(page: Page, client: WsClient) -> None:
    client.request("start", action="fail", task_id="broken")
    client.expect("errored", task_id="broken")
    settle(page, client)
    row(page, "broken").click()
    facts = page.get_by_label("The selected task")
    expect(facts.locator(".banner")).to_contain_text("gave up after 2 exits")
    expect(facts.locator(".last-lines")).to_contain_text("no such disk")
    expect(facts).to_contain_text("gives up at 2 exits")
    page.keyboard.press("Enter")
    pane = page.locator(".pane")
    expect(pane.locator(".banner")).to_contain_text("gave up after 2 exits")
    expect(pane.locator(".line.err").last).to_contain_text("no such disk")
    before = pane.locator(".line").count()
    row(page, "broken").get_by_role("button", name="Reset").click()
    expect(pane.locator(".line.note", has_text="started again")).not_to_have_count(0)
    assert pane.locator(".line").count() > before
    expect(pane.locator(".line.bad").last).to_have_text("gave up after 2 exits")


def test_stop_asks_and_start_again_keeps_the_parameters(page: Page, client: WsClient) -> None:
    client.request("start", action="sleep", task_id="victim")
    settle(page, client)
    row(page, "victim").get_by_role("button", name="Stop").click()
    question = page.get_by_role("dialog")
    expect(question).to_contain_text("SIGTERM")
    question.get_by_role("button", name="Cancel").click()
    expect(row(page, "victim").locator(".c-status")).to_have_text("Running")
    row(page, "victim").get_by_role("button", name="Stop").click()
    question.get_by_role("button", name="Stop").click()
    expect(row(page, "victim").locator(".c-status")).to_have_text("Stopped")
    expect(row(page, "victim").locator(".c-exit")).to_have_text("SIGTERM")
    client.run("greet", task_id="polite", params={"name": "once more"})
    settle(page, client)
    row(page, "polite").get_by_role("button", name="Start again").click()
    expect(page.get_by_text("Started greet once more")).to_be_visible()
    task = client.info("polite")
    assert task["params"] == {"name": "once more"}


def test_restart_asks_and_begins_another_run_of_the_same_task(page: Page, client: WsClient) -> None:
    started = client.request("start", action="sleep", task_id="again and again")
    settle(page, client)
    row(page, "again and again").get_by_role("button", name="Restart").click()
    page.get_by_role("dialog").get_by_role("button", name="Restart").click()
    assert client.expect("started", task_id="again and again", id="")["restart_of"] == started["pid"]
    row(page, "again and again").click()
    facts = page.get_by_label("The selected task")
    expect(facts).to_contain_text(re.compile(r"Why\s*stopped"))


def test_a_signal_is_chosen_and_sent(page: Page, client: WsClient) -> None:
    client.request("start", action="sleep", task_id="sig")
    settle(page, client)
    row(page, "sig").click()
    page.get_by_label("The selected task").get_by_role("button", name="Signal").click()
    question = page.get_by_role("dialog")
    question.get_by_label("Signal").select_option("USR1")
    question.get_by_role("button", name="Send").click()
    expect(page.get_by_text("SIGUSR1 sent to sig")).to_be_visible()
    assert client.expect("exited", task_id="sig")["signal"] == "SIGUSR1"
    expect(row(page, "sig").locator(".c-exit")).to_have_text("SIGUSR1")
    expect(page.get_by_label("The selected task")).to_contain_text(re.compile(r"Ran\s*[\d.]+m?s"))


def test_a_button_that_is_pressed_stays_while_the_table_is_drawn_again(page: Page, client: WsClient) -> None:
    """A click needs the button it began on, and the server is asked anew every second."""
    client.request("start", action="sleep", task_id="held")
    settle(page, client)
    page.get_by_role("searchbox", name="Find tasks").fill("held")  # the others come and go out of sight
    expect(page.locator(".t-row")).to_have_count(1)
    row(page, "held").get_by_role("button", name="Stop").hover()
    page.mouse.down()
    # The answer that brings the new task brings this one again: what is asked for begins before its start.
    client.request("start", action="sleep", task_id="another")
    all_tasks = len(client.request("list")["tasks"])
    expect(page.locator(".chip", has_text="All")).to_have_text(f"All {all_tasks:,}")
    page.mouse.up()
    expect(page.get_by_role("dialog")).to_contain_text("held and every process it started")


def test_a_button_that_is_pressed_stays_where_it_is_when_others_join_it(
    page: Page, client: WsClient, tmp_path: Path
) -> None:
    """What can be done to a task grows while it is pressed: here as its restart is due."""
    script = f"if [ -e {tmp_path}/second ]; then exec sleep 60; fi; : >{tmp_path}/second; exit 1"
    policy = {"restart_delay": "3s", "error_window": "1m", "error_threshold": 5}
    client.request(
        "start", action="script", task_id="growing", params={"script": script}, retry_policy=policy
    )
    client.expect("restarting", task_id="growing")
    settle(page, client)
    state = row(page, "growing").locator(".c-status")
    expect(state).to_have_text("Restarting")
    expect(row(page, "growing").locator(".c-exit")).to_have_text("exit 1")
    row(page, "growing").get_by_role("button", name="Stop").hover()
    page.mouse.down()
    expect(state).to_have_text("Running")
    expect(row(page, "growing").locator(".c-exit")).to_have_text("")  # the end before is not its result
    expect(row(page, "growing").get_by_role("button", name="Send a signal")).to_be_visible()
    page.mouse.up()
    expect(page.get_by_role("dialog")).to_contain_text("growing and every process it started")


def test_a_button_beside_the_table_stays_while_its_task_changes(page: Page, client: WsClient) -> None:
    client.run("json", task_id="changing")
    settle(page, client)
    page.get_by_role("gridcell", name="changing", exact=True).click()
    facts = page.get_by_label("The selected task")
    before = facts.locator("dd").all_inner_texts()
    facts.get_by_role("button", name="Output").hover()
    page.mouse.down()
    client.run("json", task_id="changing", params={"other": "now"})
    expect(facts).to_contain_text("other")
    assert facts.locator("dd").all_inner_texts() != before
    page.mouse.up()
    expect(page.locator(".pane .line.out").first).to_be_visible()


def test_everything_works_from_the_keyboard(page: Page, client: WsClient) -> None:
    client.request("start", action="tick", task_id="keys")
    settle(page, client)
    expect(row(page, "keys")).to_be_visible()
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox", name="Find tasks")).to_be_focused()
    page.keyboard.type("keys")
    expect(page.get_by_role("grid").get_by_role("row")).to_have_count(2)
    page.keyboard.press("Enter")
    expect(row(page, "keys")).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Enter")
    expect(page.locator(".pane")).to_have_count(1)
    page.keyboard.press("o")
    expect(page.get_by_role("log", name="Lines of keys")).to_be_focused()
    expect(page.locator(".pane .line.out")).not_to_have_count(0)  # else there is none to go to
    page.keyboard.press("p")
    expect(page.locator(".pane .follow.is-held")).to_be_visible()
    page.keyboard.press("ArrowUp")
    expect(page.locator(".line.current")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(page.locator(".pane")).to_have_count(0)
    page.keyboard.press("x")
    page.keyboard.press("Enter")
    expect(row(page, "keys").locator(".c-status")).to_have_text("Stopped")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    page.keyboard.press("Enter")
    page.keyboard.press("7")
    expect(page.get_by_role("form", name="Send a message")).to_be_visible()


def test_thousands_of_tasks_cost_only_the_rows_in_sight_and_a_purge_clears_them(
    page: Page, client: WsClient
) -> None:
    many = 2000
    client.request("start", action="one", task_id="first")
    for number in range(many):
        client.send("start", action="one", task_id=f"wait-{number:04}")
    client.settle(30)
    expect(page.locator(".chip", has_text="Queued")).to_contain_text("2,000")
    grid = page.get_by_role("grid")
    assert int(grid.get_attribute("aria-rowcount") or 0) > many
    assert grid.get_by_role("row").count() < 60
    page.get_by_role("searchbox", name="Find tasks").fill("wait-")
    page.get_by_role("button", name="Id", exact=True).click()
    expect(grid.get_by_role("columnheader", name="Id")).to_have_attribute("aria-sort", "ascending")
    expect(grid.locator(".t-row").first).to_contain_text("wait-0000")
    expect(grid.locator(".t-row").first).to_contain_text("Queued #1")
    page.locator(".t-body").evaluate("body => body.scrollTop = body.scrollHeight")
    expect(grid.locator(".t-row").last).to_contain_text("wait-1999")
    page.get_by_role("searchbox", name="Find tasks").fill("wait-1500")
    expect(grid.locator(".t-row")).to_have_count(1)
    visit(page, "pools")
    card = page.get_by_role("region", name="one", exact=True)
    expect(card).to_contain_text("1 of 1 running, 2,000 queued")
    expect(card.locator(".queue li").first).to_contain_text("wait-0000")
    expect(card.locator(".queue .rest")).to_have_text("and 1,950 more")
    card.get_by_role("button", name="Purge").click()
    page.get_by_role("dialog").get_by_role("button", name="Purge").click()
    expect(page.get_by_text("Purged 2,000 tasks")).to_be_visible()
    expect(card).to_contain_text("1 of 1 running, 0 queued")
    assert client.request("pool_info", action="one")["pool"]["queue_depth"] == 0


def test_rows_stay_where_they_are_while_a_button_is_aimed_at(page: Page, client: WsClient) -> None:
    client.request("start", action="one", task_id="runs")
    client.request("start", action="one", task_id="aimed-at")
    settle(page, client)
    button = row(page, "aimed-at").get_by_role("button", name="Stop")
    button.hover()
    before = button.bounding_box()
    client.request("start", action="one", task_id="newcomer")
    expect(page.locator(".chip", has_text="Queued")).to_contain_text("2")
    assert button.bounding_box() == before
    expect(row(page, "newcomer")).to_have_count(0)
    button.click()  # stops what waits without asking
    expect(row(page, "aimed-at").locator(".c-status")).to_have_text("Stopped")
    page.get_by_role("searchbox", name="Find tasks").hover()
    expect(page.get_by_role("grid").locator(".t-row").first).to_contain_text("newcomer")
