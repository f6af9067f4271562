"""Home: what can be started, what failed and why, what runs, what comes next."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("playwright")

from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.browser.conftest import watched
from tests.browser.views import visit
from tests.harness import Daemon, WsClient, shell

ACTIONS = {
    "build": shell(
        'echo "building $1"; test "$1" != broken || { echo "no such branch" >&2; exit 3; }',
        title="Build",
        icon="build",
        group="Delivery",
        config={
            "command": [
                "-c",
                'echo "building $1"; test "$1" != broken || { echo "no such branch" >&2; exit 3; }',
                "sh",
                "[[.branch]]",
            ],
            "parameters": {"branch": {"default": "main"}},
        },
    ),
    "deploy": shell(
        "exec sleep 600",
        title="Deploy the shop",
        icon="🚀",
        group="Delivery",
        confirm="Deploy to production?",
    ),
    "rename": shell(
        "true",
        config={"command": ["-c", "true", "[[.name]]"], "parameters": {"name": {}, "size": {"default": "1"}}},
    ),
    "flaky": shell(
        "echo no luck >&2; exit 1",
        title="Try",
        retry={"restart_delay": "10ms", "error_threshold": 3},
    ),
    "nap": shell(
        "exec sleep 600",
        title="Nap",
        config={
            "command": ["-c", "exec sleep 600", "[[.seconds]]", "[[.deep]]", "[[.place]]"],
            "parameters": {
                "seconds": {"type": "integer", "default": "5"},
                "deep": {"type": "boolean", "default": "false"},
                "place": {"default": "sofa"},
            },
        },
    ),
    "internals": shell("true", hidden=True),
}


@pytest.fixture(scope="module")
def busy() -> Iterator[Daemon]:
    tasks = {"nightly": {"action": "build", "schedule": {"cron": "30 2 * * *"}}}
    with Daemon(data_dir="data", actions=ACTIONS, tasks=tasks) as daemon:
        yield daemon


@pytest.fixture
def client(busy: Daemon) -> Iterator[WsClient]:
    with busy.connect() as client:
        yield client
        for task in client.request("list")["tasks"]:
            if task.get("worker_state") == "running":
                client.send("stop", task_id=task["task_id"])
        client.settle()


@pytest.fixture
def home(context: BrowserContext, busy: Daemon) -> Iterator[Page]:
    with watched(context) as page:
        page.goto(f"http://{busy.address}/")
        expect(page.locator("#connection")).to_have_text("Connected")
        yield page


def tile(page: Page, action: str) -> Locator:
    return page.locator(f'.tile[data-action="{action}"]')


def test_actions_are_tiles_under_their_groups_and_hidden_ones_are_not_offered(home: Page) -> None:
    expect(home.locator(".tiles h3")).to_have_text(["Delivery", "Other actions"])
    expect(home.locator(".tile-title")).to_have_text(["Build", "Deploy the shop", "rename", "Try", "Nap"])
    expect(tile(home, "build").locator("use").first).to_have_attribute("href", "#i-a-build")
    expect(tile(home, "deploy").locator(".sign")).to_have_text("🚀")
    expect(tile(home, "rename").locator(".tile-about")).to_have_text("")  # nothing is made up
    visit(home, "actions")
    expect(home.get_by_role("option", name="internals")).to_have_count(0)
    home.get_by_role("button", name="Show 1 hidden action").click()
    expect(home.get_by_role("option", name="internals")).to_be_visible()


def test_one_press_starts_what_needs_nothing_and_the_tile_shows_how_it_went(
    home: Page, client: WsClient
) -> None:
    tile(home, "build").get_by_role("button", name="Start Build").click()
    expect(home.get_by_text("Started Build")).to_be_visible()
    home.get_by_role("button", name="Show output").click()  # first: it goes after some seconds
    expect(home.locator(".pane .line.out .text")).to_have_text("building main")
    assert re.search("#tasks/[0-9a-f-]{36}$", home.url)
    visit(home, "home")
    expect(tile(home, "build").locator(".tile-last")).to_have_text(re.compile("Succeeded.*(just now|s ago)"))
    expect(tile(home, "build").locator(".strip .s-succeeded").last).to_be_visible()


def test_what_needs_something_opens_its_form(home: Page) -> None:
    tile(home, "rename").get_by_role("button", name="Start rename").click()
    expect(home.get_by_role("textbox", name="name")).to_be_focused()
    home.go_back()
    expect(tile(home, "rename").get_by_text("Options", exact=True)).to_have_count(0)
    tile(home, "build").get_by_role("link", name="Options of Build").click()
    expect(home.get_by_role("textbox", name="branch")).to_be_visible()


def test_what_is_to_be_confirmed_is_asked_first_and_what_runs_is_seen_and_stopped(
    home: Page, client: WsClient
) -> None:
    start = tile(home, "deploy").get_by_role("button", name="Start Deploy the shop")
    start.click()
    question = home.get_by_role("dialog", name="Start Deploy the shop?")
    expect(question).to_contain_text("Deploy to production?")
    question.get_by_role("button", name="Cancel").click()
    expect(tile(home, "deploy").locator(".tile-note")).to_have_text("")
    start.click()
    question.get_by_role("button", name="Start").click()
    running = home.get_by_role("region", name="Running now")
    row = running.locator("li", has_text="Deploy the shop")
    expect(row.locator(".lasted")).to_have_text(re.compile(r"^\d+s$"))
    expect(row.locator(".uses")).to_contain_text("iB")
    expect(row.locator(".lasting")).to_be_hidden()  # there is nothing to compare with
    expect(tile(home, "deploy").locator(".tile-note")).to_have_text("1 running")
    expect(home.locator(".hello h2")).to_contain_text("1 task running")
    row.get_by_role("button", name="Stop").click()
    home.get_by_role("dialog").get_by_role("button", name="Stop").click()
    expect(running).to_be_hidden()


def test_a_name_has_what_is_unlike_the_default_and_declared(home: Page, client: WsClient) -> None:
    given = {"seconds": "30", "deep": "false", "place": "bed", "plcae": "roof"}
    client.request("start", action="nap", params=given)
    names = home.get_by_role("region", name="Running now").locator(".name")
    expect(names).to_have_text(["Nap seconds=30 bed"])


def test_a_task_that_failed_over_and_over_is_one_trouble_also_once_it_is_not_known(
    home: Page, client: WsClient
) -> None:
    client.request("start", action="flaky", task_id="unlucky")
    client.expect("errored", task_id="unlucky")
    trouble = home.get_by_role("region", name="Failed lately").locator('li[data-task="unlucky"]')
    expect(trouble).to_have_count(1)
    expect(trouble).to_contain_text("gave up after 3 exits")
    expect(tile(home, "flaky").locator(".tile-last")).to_contain_text("Errored")
    expect(home.locator(".hello h2")).to_have_text(re.compile(r"\d tasks? failed in the last day"))
    client.request("forget", task_id="unlucky")
    expect(trouble.locator(".why")).to_have_text("gave up after 3 exits: exit 1")
    expect(trouble).to_have_count(1)
    client.request("subscribe", task_id="unlucky")
    trouble.get_by_role("button", name="Start again").click()
    client.expect("errored", task_id="unlucky")
    expect(trouble.get_by_role("button", name="Reset")).to_be_visible()


def test_what_was_stopped_before_its_next_attempt_is_so_called(home: Page, client: WsClient) -> None:
    policy = {"restart_delay": "1h", "error_threshold": 5}
    client.request("start", action="flaky", task_id="ended", retry_policy=policy)
    client.expect("restarting", task_id="ended")
    client.send("stop", task_id="ended")
    client.expect("dequeued", task_id="ended")
    trouble = home.get_by_role("region", name="Failed lately").locator('li[data-task="ended"]')
    expect(trouble.locator(".why")).to_have_text("failed once, then stopped: exit 1")
    expect(tile(home, "flaky").locator(".tile-last")).to_contain_text("Stopped")


def test_what_failed_is_told_with_the_last_line_it_wrote(home: Page, client: WsClient) -> None:
    client.run("build", params={"branch": "broken"})
    troubles = home.get_by_role("region", name="Failed lately").locator("li")
    failed = troubles.filter(has_text="Build broken").first  # above it is what was given up on
    expect(failed).to_contain_text("exit 3")
    expect(failed).to_contain_text("no such branch")
    expect(failed.locator("time")).to_have_attribute("title", re.compile(r"\d{4}"))  # exactly
    client.run("build", params={"branch": "broken"}, task_id="again")
    client.run("build", params={"branch": "fine"})
    expect(home.locator(".troubles .fine")).to_have_count(0)
    failed.locator(".name").click()
    expect(home.locator("#view-history")).to_be_visible()
    expect(home.locator("#view-history .run-lines")).to_contain_text("no such branch")


def test_what_comes_next_is_said(home: Page) -> None:
    coming = home.get_by_role("region", name="Coming up")
    expect(coming.locator("li").first).to_contain_text(re.compile("Build ?nightly.*in "))
    expect(home.locator(".hello p")).to_have_text(re.compile("Next: Build, in "))


def test_beside_a_form_are_the_last_runs_of_its_action(home: Page, client: WsClient) -> None:
    client.run("build", params={"branch": "broken"})
    home.goto(home.url.split("#")[0] + "#actions/build")
    runs = home.get_by_role("complementary", name="Its last runs")
    expect(runs.locator("li").first).to_contain_text("Build broken")
    expect(runs.locator("li").first).to_contain_text("exit 3")
    client.run("build", params={"branch": "beside"})
    expect(runs.locator("li").first).to_contain_text("Build beside")
    runs.locator("a.name").first.click()
    expect(home.locator("#view-history .run-head")).to_be_visible()


def test_activity_counts_the_runs_of_hours_for_each_action_with_one_crosshair(
    home: Page, client: WsClient
) -> None:
    client.run("build", params={"branch": "main"})
    client.run("build", params={"branch": "broken"})
    visit(home, "activity")
    home.get_by_role("button", name="The last 6 hours").click()
    row = home.locator(".by-action tr", has_text="Build")
    expect(row.locator(".bad")).to_have_text(re.compile(r"^[1-9]\d* \(\d+ %\)$"))
    runs, took = (home.locator(".past .chart canvas").nth(at) for at in (0, 1))
    expect(runs).to_have_attribute("aria-label", re.compile("Runs, in all: succeeded [1-9].*failed [1-9]"))
    runs.focus()
    home.keyboard.press("ArrowLeft")  # the last part of the time, in both pictures
    expect(runs).to_have_attribute("aria-label", re.compile(r"Runs, \d+:\d+.* . .*failed [1-9]"))
    expect(took).to_have_attribute("aria-label", re.compile(r"took together, \d+:\d+.* . .*of all runs"))
    expect(row.locator("canvas")).to_be_visible()
    assert runs.evaluate("c => c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some((x) => x)")
    row.get_by_role("button", name="Build").click()
    expect(home.get_by_label("Of which action")).to_have_value("build")
    took = home.locator(".past .chart canvas").nth(2)
    expect(took).to_have_attribute("aria-label", re.compile(r"long they took, .*half of them up to \d"))
    expect(home.locator(".by-action tr.chosen")).to_contain_text("Build")
    home.locator(".past .chart canvas").first.press("Enter")  # nothing is pointed at
    expect(home.locator("#view-activity")).to_be_visible()


def test_an_empty_server_says_what_to_do_and_shows_what_was_added(context: BrowserContext) -> None:
    with Daemon(actions={}) as daemon, watched(context) as page:
        page.goto(f"http://{daemon.address}/")
        steps = page.get_by_role("region", name="First steps")
        expect(steps).to_contain_text("There is nothing to run yet")
        expect(steps.get_by_role("button", name="Copy the example")).to_be_visible()
        file = daemon.directory / "config.yaml"
        config = json.loads(file.read_text())
        file.write_text(json.dumps(config | {"actions": {"hello": shell("echo hi", title="Say hello")}}))
        steps.get_by_role("button", name="Reload the configuration").click()
        page.get_by_role("button", name="Start Say hello").click()
        expect(tile(page, "hello").locator(".tile-last")).to_contain_text("Succeeded")
        expect(steps).to_be_hidden()


def test_who_may_not_change_it_is_told_who_does(context: BrowserContext) -> None:
    tokens = [{"name": "onlooker", "token": "a-token-for-looking", "role": "viewer"}]
    with Daemon(actions={}, auth={"tokens": tokens}) as daemon, watched(context, "401") as page:
        page.goto(f"http://{daemon.address}/")
        page.get_by_label("Token").fill("a-token-for-looking")
        page.keyboard.press("Enter")
        steps = page.get_by_role("region", name="First steps")
        expect(steps).to_contain_text("Whoever looks after this server")
        expect(steps.get_by_role("button", name="Reload")).to_have_count(0)


@pytest.fixture
def waiting(context: BrowserContext, busy: Daemon, client: WsClient) -> Iterator[Page]:
    """The page, at Home, after runs of which one failed; its questions about tasks and runs are
    not answered until ``release``."""
    client.run("build", params={"branch": "broken"})
    client.run("build", params={"branch": "main"})
    with watched(context, again=False) as page:
        page.add_init_script(Path(__file__).with_name("withhold.js").read_text())
        page.goto(f"http://{busy.address}/")
        expect(page.locator("#connection")).to_have_text("Connected")
        yield page


def release(page: Page, *types: str) -> None:
    page.evaluate("types => release(types)", list(types))


def test_nothing_is_said_of_tasks_and_runs_before_they_are_known(waiting: Page) -> None:
    kept, headline = waiting.locator("html"), waiting.locator(".hello h2")
    last, strip = (tile(waiting, "build").locator(each) for each in (".tile-last", ".strip"))
    expect(kept).to_have_attribute("data-kept", re.compile(r"watch.*\bruns|\bruns.*watch"))
    expect(waiting.locator("#n-queued")).to_have_text("0")
    expect(headline).to_have_text("")
    expect(waiting.locator("#n-running")).to_have_text("\N{EN DASH}")
    visit(waiting, "tasks")
    expect(waiting.locator("#view-tasks .empty")).to_be_hidden()
    visit(waiting, "home")
    release(waiting, "watch")
    expect(headline).to_have_text("Nothing is running")
    expect(waiting.locator("#n-running")).to_have_text("0")
    expect(waiting.locator(".tile-last")).to_have_text([""] * 5)
    expect(strip).to_have_attribute("aria-label", "Runs")
    release(waiting, "runs")
    expect(headline).to_have_text(re.compile(r"Nothing is running, \d+ tasks? failed in the last day"))
    expect(last).to_contain_text("Succeeded")
    expect(tile(waiting, "rename").locator(".tile-last")).to_have_text("No runs on record")
    expect(strip).to_have_attribute("aria-label", re.compile("The last .* failed"))


def test_what_answers_another_question_is_marked_until_the_answer_comes(waiting: Page) -> None:
    release(waiting, "watch")
    visit(waiting, "history")
    runs, empty = waiting.locator("#view-history .runs"), waiting.locator("#view-history .runs > .empty")
    expect(runs).to_have_attribute("aria-busy", "true")
    expect(empty).to_be_hidden()
    visit(waiting, "activity")
    past = waiting.locator(".past")
    waiting.get_by_role("button", name="The last 6 hours").click()
    expect(past).to_have_attribute("aria-busy", "true")
    expect(past.locator(".hint")).to_have_text("")
    release(waiting, "runs", "run_stats")
    expect(past).not_to_have_attribute("aria-busy", "true")
    expect(past.locator(".by-action")).to_contain_text("Build")
    visit(waiting, "history")
    expect(runs).not_to_have_attribute("aria-busy", "true")
    expect(runs.locator(".run").first).to_contain_text("Build")
