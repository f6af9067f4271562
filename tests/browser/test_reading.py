"""Reading outputs: lines wrap, lead elsewhere, have addresses, are copied and followed; several at once."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

pytest.importorskip("playwright")

from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.browser.conftest import watched
from tests.harness import Daemon, shell

CONTRAST = (Path(__file__).parent / "contrast.js").read_text()
NAMELESS = (Path(__file__).parent / "nameless.js").read_text()
LONG = "word " * 400
_MIXED = rf"""echo '{LONG}end'; printf '日本%0100d\n' 7; echo 'see https://example.org/a_(b)?q=1.'
echo 'javascript://x <a href="http://evil.example">http://good.example/x</a> http:// https://'
printf '\033[31mhttps://split.exa\033[0mmple/path\n'; echo fine; echo 'it is an ERROR: no'; echo quiet >&2
echo '{{"a": 1}}'; echo last"""
DRAWN = re.compile(r"^M0 \d+h")
ACTIONS = {
    "mixed": shell(_MIXED),
    "count": shell("seq 3000; sleep 0.1; echo done"),
    "fed": shell("while read -r line; do echo $line; done <[[.fifo]]", config={"parameters": {"fifo": None}}),
    "flaky": shell("echo try; sleep 0.2; exit 3", retry={"restart_delay": "200ms", "error_threshold": 3}),
    "waits": shell("echo ready; read x; echo got $x; exit 4", config={"stdin": "pipe"}),
}


@pytest.fixture(scope="module")
def server() -> Iterator[Daemon]:
    with Daemon(actions=ACTIONS, data_dir="data") as daemon:
        with daemon.connect() as client:
            client.run("mixed", task_id="mixed")
            client.run("count", task_id="numbers", timeout=30)
        yield daemon


@pytest.fixture
def page(context: BrowserContext, server: Daemon) -> Iterator[Page]:
    with watched(context) as page:
        yield page


def show(page: Page, server: Daemon, *task_ids: str) -> Locator:
    """The page with these outputs open, the last one's pane."""
    page.goto(f"http://{server.address}/#tasks")
    page.evaluate("ids => sessionStorage.setItem('overseer.panes', JSON.stringify(ids))", list(task_ids))
    page.reload()
    expect(page.locator(".pane")).to_have_count(len(task_ids))
    return page.locator(".pane").last


def lines(pane: Locator) -> Locator:
    return pane.locator(".lines")


def turn(pane: Locator, key: str) -> None:
    lines(pane).press(key)


def test_lines_wrap_and_unwrap_and_the_page_remembers(page: Page, server: Daemon) -> None:
    pane = show(page, server, "mixed")
    box = lines(pane)
    expect(pane.locator(".line.out .text", has_text="last")).to_be_visible()
    assert box.evaluate("e => e.scrollWidth > e.clientWidth + 100")
    turn(pane, "w")
    expect(pane.locator(".line[data-part=rest]").first).to_be_attached()
    assert box.evaluate("e => e.scrollWidth <= e.clientWidth")
    # Every character is there once, and no row is wider than the box.
    box.evaluate("e => { e.scrollTop = 0; }")
    expect(pane.locator(".line.out .text").first).to_contain_text("word")
    parts = pane.locator(".line.out .text").all_inner_texts()
    whole = "".join(parts)
    assert whole.startswith(f"{LONG}end日本")
    wide = "e => e.getBoundingClientRect().right - e.closest('.lines').getBoundingClientRect().right"
    assert all(each.evaluate(wide) <= 0 for each in pane.locator(".line.out .text").all()[:12])
    page.set_viewport_size({"width": 1000, "height": 860})
    expect(pane.locator(".line.out .text").first).not_to_have_text(parts[0])
    assert box.evaluate("e => e.scrollWidth <= e.clientWidth")
    page.reload()
    expect(page.locator(".pane .line[data-part=rest]").first).to_be_attached()
    page.set_viewport_size({"width": 1360, "height": 860})


def test_addresses_are_links_and_nothing_else_is(page: Page, server: Daemon) -> None:
    pane = show(page, server, "mixed")
    expect(pane.locator(".address").first).to_be_attached()
    found = pane.locator(".address").evaluate_all(
        "all => all.map((a) => [a.href, a.textContent, a.rel, a.target])"
    )
    assert [href for href, *_ in found] == [
        "https://example.org/a_(b)?q=1",
        "http://evil.example/",
        "http://good.example/x",
        "https://split.example/path",
        "https://split.example/path",
    ]
    assert [text for _, text, *_ in found][:3] == [
        "https://example.org/a_(b)?q=1",
        "http://evil.example",
        "http://good.example/x",
    ]
    assert all(rel == "noopener noreferrer" and target == "_blank" for *_, rel, target in found)
    expect(pane.locator(".line", has_text="javascript:").locator(".text")).to_contain_text(
        '<a href="http://evil'
    )


def test_a_line_has_an_address_that_opens_at_it(page: Page, server: Daemon) -> None:
    pane = show(page, server, "numbers")
    expect(pane.locator(".line .text", has_text="done")).to_be_visible()
    number = pane.locator(".line", has=page.get_by_text("2995", exact=True)).locator(".number")
    number.hover()
    expect(number).to_have_attribute("href", "#tasks/numbers?line=2995")
    number.click()
    assert page.url.endswith("#tasks/numbers?line=2995")
    # Among the lines that come first; a little before them; and far before them, on its run's page.
    for line, where in ((2995, ".pane"), (1500, ".pane"), (7, ".pane")):
        page.evaluate("sessionStorage.clear()")
        page.goto("about:blank")
        page.goto(f"http://{server.address}/#tasks/numbers?line={line}")
        current = page.locator(f"{where} .line.current .text")
        expect(current).to_have_text(str(line), timeout=20_000)
        expect(current).to_be_in_viewport()
    page.goto(f"http://{server.address}/#tasks/numbers?line=999999")
    expect(page.locator("#notices")).to_contain_text("Line 999,999 is not there")


def test_a_line_of_a_task_that_the_server_has_forgotten_is_shown_in_its_run(
    context: BrowserContext, tmp_path: Path
) -> None:
    data = {"actions": {"count": ACTIONS["count"]}, "data_dir": str(tmp_path / "data")}
    with Daemon(**data) as before, before.connect() as client:
        client.run("count", task_id="short-lived", timeout=30)
    with Daemon(**data) as server, watched(context) as page:
        page.goto(f"http://{server.address}/#tasks/short-lived?line=42")
        expect(page.locator(".run-page .line.current .text")).to_have_text("42", timeout=20_000)
        expect(page.locator(".run-head h2")).to_have_text("count #1")


def test_what_is_copied_has_no_numbers_and_wrapped_lines_are_whole(page: Page, server: Daemon) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    pane = show(page, server, "mixed")
    expect(pane.locator(".line .text", has_text="last")).to_be_visible()
    turn(pane, "t")
    turn(pane, "w")
    box = lines(pane)
    expect(pane.locator(".line .time").last).not_to_be_empty()
    box.evaluate("e => { e.scrollTop = 0; }")
    expect(pane.locator(".line.out .text").first).to_contain_text("word")
    select = """e => {
      const rows = [...e.querySelectorAll(".line.out")];
      const last = rows.find((row) => row.textContent.includes("see http"));
      getSelection().setBaseAndExtent(rows[0], 0, last.querySelector(".text"), 1);
    }"""
    box.evaluate(select)
    page.keyboard.press("Control+c")
    copied = page.evaluate("navigator.clipboard.readText()").split("\n")
    assert copied == [f"{LONG}end", f"日本{7:0100d}", "see "]
    # Lines that are picked, from one to another.
    box.evaluate("getSelection().removeAllRanges()")
    turn(pane, "w")
    pane.locator(".line", has_text="fine").locator(".number").click()
    page.keyboard.press("Shift+ArrowDown")
    pane.locator(".line", has_text="last").locator(".number").click(modifiers=["Shift"])
    page.keyboard.press("Control+c")
    copied = [line for line in page.evaluate("navigator.clipboard.readText()").split("\n") if line != "quiet"]
    assert copied == ["fine", "it is an ERROR: no", '{"a": 1}', "last", ""]


def test_errors_are_marked_counted_and_gone_to(page: Page, server: Daemon) -> None:
    pane = show(page, server, "mixed")
    expect(pane.get_by_role("button", name="2 errors: go to the next")).to_be_visible()
    expect(pane.locator(".mark-loud")).to_have_attribute("d", DRAWN)
    expect(pane.locator(".mark-quiet")).to_have_attribute("d", DRAWN)
    turn(pane, "E")
    expect(pane.locator(".line.current .text")).to_have_text("quiet")
    turn(pane, "E")
    expect(pane.locator(".line.current .text")).to_have_text("it is an ERROR: no")
    pane.get_by_role("button", name="2 errors").click()
    expect(pane.locator(".line.current .text")).to_have_text("quiet")


def test_the_end_is_followed_or_the_view_holds_still(page: Page, server: Daemon, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with server.connect() as client:
        client.request("start", action="fed", task_id="slowly", params={"fifo": str(fifo)})
    with fifo.open("w", buffering=1) as feed:
        pane = show(page, server, "slowly")
        follow = pane.get_by_role("button", name="Follow the end")
        feed.write("".join(f"row {number}\n" for number in range(60)))
        last = pane.locator(".line.out .text").last
        expect(last).to_have_text("row 59")
        expect(follow).to_have_text("Following")
        # Who scrolls up stays there, whatever comes, and goes on at the end.
        lines(pane).hover()
        page.mouse.wheel(0, -300)
        expect(follow).to_have_attribute("aria-pressed", "false")
        top = pane.locator(".line.out .text").first.inner_text()
        feed.write("".join(f"row {number}\n" for number in range(60, 80)))
        expect(follow).to_have_text("20 new")
        assert pane.locator(".line.out .text").first.inner_text() == top
        follow.click()
        expect(last).to_have_text("row 79")
        expect(follow).to_have_text("Following")
        turn(pane, "p")
        feed.write("row 80\n")
        expect(follow).to_have_text("1 new")
        expect(last).to_have_text("row 79")
        turn(pane, "End")
        expect(last).to_have_text("row 80")
        # What is being marked does not run away.
        last.dblclick()
        expect(follow).to_have_attribute("aria-pressed", "false")
        page.evaluate("getSelection().removeAllRanges()")
    expect(follow).to_have_attribute("aria-pressed", "false")
    turn(pane, "End")
    expect(follow).to_have_text("At the end")  # the task is over


def test_a_restart_is_a_divider_that_says_how_the_run_ended(page: Page, server: Daemon) -> None:
    with server.connect() as client:
        client.request("start", action="flaky", task_id="flaky")
        pane = show(page, server, "flaky")
        client.expect("errored", task_id="flaky", timeout=20)
    # While it is watched, and out of the log.
    for _ in range(2):
        expect(pane.locator(".line.bad.ended .text").last).to_contain_text("exit code 3 after")
        expect(pane.locator(".line.bad.ended .text", has_text="exit code 3")).to_have_count(3)
        expect(pane.locator(".line.begun").nth(2)).to_be_visible()
        expect(pane.locator(".line.out .text")).to_have_text(["try"] * 3)
        page.reload()


def test_a_run_that_is_followed_leads_on_to_the_next(page: Page, server: Daemon) -> None:
    with server.connect() as client:
        client.request("start", action="waits", task_id="waits")
        page.goto(f"http://{server.address}/#history?task=waits")
        page.locator(".run-open").get_by_text("waits #1", exact=True).click()
        expect(page.locator(".run-page .line.out .text")).to_have_text("ready")
        expect(page.locator(".follow")).to_contain_text("Following")
        client.request("input", task_id="waits", data="one\n")
        client.expect("exited", task_id="waits")
        expect(page.locator(".run-page .line.ended").last).to_contain_text("exit code 4", timeout=20_000)
        client.request("start", action="waits", task_id="waits")
        expect(page.locator(".run-head h2")).to_have_text("waits #2", timeout=20_000)
        # How the one before ended is still to be seen.
        expect(page.locator(".run-page .line.bad.ended").first).to_contain_text("run #1: exit code 4")
        expect(page.locator(".run-page .line.begun").first).to_contain_text("run #2 started")
        page.get_by_role("button", name="The run before").click()
        expect(page.locator(".run-head h2")).to_have_text("waits #1")
        expect(page.locator(".newer")).to_contain_text("Run #2 goes on", timeout=20_000)
        client.request("input", task_id="waits", data="two\n")
        client.expect("exited", task_id="waits")


def test_outputs_are_side_by_side_stacked_alone_or_together(
    page: Page, server: Daemon, tmp_path: Path
) -> None:
    fifos = [tmp_path / name for name in ("a", "b")]
    with server.connect() as client:
        for fifo in fifos:
            os.mkfifo(fifo)
            client.request("start", action="fed", task_id=f"feed {fifo.name}", params={"fifo": str(fifo)})
    show(page, server, "feed a", "feed b")
    panes = page.locator(".pane")
    one, two = panes.first, panes.nth(1)
    box = "e => { const { x, y } = e.getBoundingClientRect(); return [x, y]; }"
    assert one.evaluate(box)[1] == two.evaluate(box)[1]
    page.get_by_role("button", name="One below the other").click()
    assert one.evaluate(box)[0] == two.evaluate(box)[0]
    lines(two).press("m")
    expect(one).to_be_hidden()
    expect(page.locator("#views")).to_be_hidden()
    expect(two.get_by_role("button", name="All outputs")).to_be_visible()
    page.locator(".pane-tab", has_text="feed a").click()
    expect(one).to_be_visible()
    expect(two).to_be_hidden()
    lines(one).press("m")
    expect(page.locator("#views")).to_be_visible()
    page.get_by_role("button", name="Together, in the order of time").click()
    together = page.locator(".together")
    with fifos[0].open("w", buffering=1) as a, fifos[1].open("w", buffering=1) as b:
        for number in range(6):
            (a if number % 2 else b).write(f"step {number}\n")
            expect(together.locator(".line.out .text").last).to_have_text(f"step {number}")
        whose = together.locator(".line.out .who").all_inner_texts()
        assert whose == ["fed feed b", "fed feed a"] * 3
        assert together.locator(".line.out .text").all_inner_texts() == [
            f"step {number}" for number in range(6)
        ]
        colours = together.locator(".line.out .who").evaluate_all(
            "all => all.map((e) => getComputedStyle(e).color)"
        )
        assert len(set(colours)) == 2
        lines(together).press("p")
        b.write("late\n")
        expect(together.get_by_role("button", name="Follow the end")).to_have_text("1 new")
        lines(together).press("End")
        expect(together.locator(".line.out .text").last).to_have_text("late")
        together.locator(".line", has_text="step 3").locator(".number").click()
        assert page.url.endswith("#tasks/feed%20a?line=2")
    # What was chosen stays.
    page.reload()
    expect(page.locator(".together .line.out .text").last).to_have_text("late")


def test_search_finds_as_one_types_and_goes_round(page: Page, server: Daemon) -> None:
    pane = show(page, server, "numbers")
    expect(pane.locator(".line .text", has_text="done")).to_be_visible()
    lines(pane).press("/")
    field = pane.get_by_label("Search the output")
    expect(field).to_be_focused()
    found, current = pane.locator(".found"), pane.locator(".line.current .text")
    page.keyboard.type("99")
    expect(found).to_contain_text(" of ")
    last = current.inner_text()
    page.keyboard.press("Shift+Enter")
    expect(current).not_to_have_text(last)
    page.keyboard.press("Enter")
    expect(current).to_have_text(last)
    page.keyboard.press("Enter")
    expect(found).to_contain_text("1 of ")
    page.keyboard.press("Escape")
    expect(field).to_have_value("")
    expect(found).to_be_empty()
    page.keyboard.press("Escape")
    expect(lines(pane)).to_be_focused()
    lines(pane).press("/")
    page.keyboard.type("DONE")
    expect(found).to_have_text("1 of 1")
    pane.get_by_role("button", name="Match case").click()
    expect(found).to_have_text("not found")


def test_while_disconnected_nothing_goes_on_and_it_is_said(context: BrowserContext) -> None:
    with Daemon(actions={"tick": shell("n=0; while :; do echo $((n+=1)); sleep 0.05; done")}) as server:
        with server.connect() as client:
            client.request("start", action="tick", task_id="tick")
        with watched(context, "ERR_CONNECTION", "WebSocket") as page:
            pane = show(page, server, "tick")
            follow = pane.get_by_role("button", name="Follow the end")
            expect(follow).to_have_text("Following")
            server.kill()
            expect(follow).to_have_text("Offline")
            expect(pane.locator(".line.note .text").last).to_have_text("connection lost")
            before = pane.inner_text()
            page.wait_for_timeout(1500)
            assert pane.inner_text() == before


_SCROLLED = """async (box) => {
  box.scrollTop = 0;
  for (const end = performance.now() + 800; performance.now() < end; ) {
    box.dispatchEvent(new Event("scroll"));
    await new Promise((done) => setTimeout(done));
  }
}"""


def test_a_run_is_opened_with_one_page_of_its_lines(page: Page, server: Daemon) -> None:
    asked: list[dict[str, Any]] = []

    def sent(text: str | bytes) -> None:
        message = json.loads(text)
        if message["type"] == "logs":
            asked.append(message)

    page.once("websocket", lambda socket: socket.on("framesent", sent))
    page.goto(f"http://{server.address}/#history?task=numbers")
    page.locator(".run-open").last.click()
    box = page.locator(".run-page .lines")
    for seq, shown in ((0, "3000"), (1500, "1500"), (1, "1"), (2999, "2999")):
        if seq:
            page.evaluate(
                "seq => { location.hash = `${location.hash.split('/').slice(0, 3).join('/')}/${seq}`; }", seq
            )
        expect(box.locator(".line.out .text").get_by_text(shown, exact=True)).to_be_in_viewport()
    assert len([message for message in asked if message.get("limit", 0) > 1]) == 4, asked
    # At the top one page more, however often the box is told that it was scrolled before that page is drawn.
    box.evaluate(_SCROLLED)
    assert len([message for message in asked if message.get("limit", 0) > 1]) == 5, asked


# What a finger has to hit, in outputs and their menu.
_TOUCHED = """[...document.querySelectorAll("#dock :is(button, input, select)")]
  .map((each) => (each.matches("[type=checkbox]") ? each.closest("label") : each))
  .filter((each) => each.checkVisibility() && each.offsetHeight)
  .filter((each) => Math.min(each.offsetWidth, each.offsetHeight) < 44)
  .map((each) => each.outerHTML.slice(0, 100))"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_an_output_is_read_with_one_thumb(page: Page, server: Daemon, scheme: str) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    show(page, server, "mixed", "numbers")
    pane = page.locator(".pane").first
    expect(pane.locator(".line[data-part=rest]").first).to_be_attached()  # wrapped, since there is no room
    page.get_by_role("button", name="mixed").click()
    view = pane.get_by_role("button", name="View")
    middle = "e => e.getBoundingClientRect().y > innerHeight / 2"
    assert view.evaluate(middle)
    assert pane.get_by_label("Search the output").evaluate(middle)
    assert pane.get_by_role("button", name="Follow the end").evaluate(middle)
    pane.get_by_label("Search the output").fill("word")
    expect(pane.locator(".found")).to_have_text("1 of 1")
    view.click()
    menu = pane.locator(".view-menu")
    expect(menu).to_be_visible()
    box = menu.bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390
    assert box["y"] + box["height"] <= 844
    assert page.evaluate(_TOUCHED) == []
    assert page.evaluate(CONTRAST) == []
    assert page.evaluate(NAMELESS) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


_MERGED = """async () => {
  const { TaskLog } = await import("/tasklog.js");
  const { MergedLog } = await import("/mergedlog.js");
  const logs = [new TaskLog("a"), new TaskLog("b")];
  const ts = (second) => `2030-01-01T00:00:${String(second).padStart(2, "0")}.000000Z`;
  const seqs = [0, 0];
  const write = (which, second) => {
    seqs[which] += 1;
    const lines = [`${"ab"[which]}${second}`];
    logs[which].addChunk({ stream: "stdout", ts: ts(second), seq: seqs[which], lines }, 0);
  };
  write(0, 1); write(0, 5); write(1, 2);
  const merged = new MergedLog(logs.map((log, hue) => ({ log, who: { name: log.taskId, hue } })));
  const numbers = () => Array.from({ length: merged.length }, (_, at) => merged.first + at);
  const all = () => numbers().map((number) => merged.line(number).text).join(" ");
  const whose = () => numbers().map((number) => merged.sourceOf(number).who.name).join("");
  const said = [all()];
  write(0, 9); merged.take(); said.push(all());
  const frozen = merged.freeze();
  write(1, 7); // was on its way for longer
  const moved = merged.take() - merged.first;
  said.push(all(), whose(), frozen.length, moved);
  logs[0].addEarlier([{ seq: 0, ts: ts(0), stream: "stdout", data: "a0" }], () => []);
  merged.take(); said.push(all());
  return said;
}"""
_WRAPPED = r"""async () => {
  const { rowsOf, rangeOf, whole } = await import("/wrap.js");
  const texts = ["", "x".repeat(40), "x".repeat(41), "日本".repeat(30), "a\tb\t".repeat(12),
    "e\u0301".repeat(50), "👍🏽 ok ".repeat(20), "\x1b[31mred\x1b[0m ".repeat(30),
    "10%\r20%\r" + "z".repeat(90), "y".repeat(1_000_000), "é".repeat(300_000)];
  return texts.map((text) => {
    const line = { text, style: null };
    const rows = rowsOf(line, 20);
    const plain = whole(line).pieces.map((piece) => piece.text).join("");
    let joined = "";
    for (let part = 0; part < rows; part += 1) joined += plain.slice(...rangeOf(line, 20, part));
    const middle = rangeOf(line, 20, rows >> 1);
    return [rows, joined === plain, middle[1] - middle[0] <= 40];
  });
}"""


def test_lines_of_several_tasks_are_in_the_order_of_their_times(page: Page, server: Daemon) -> None:
    show(page, server, "mixed")
    assert page.evaluate(_MERGED) == [
        "a1 b2 a5",
        "a1 b2 a5 a9",
        "a1 b2 a5 b7 a9",
        "ababa",
        4,
        3,
        "a0 a1 b2 a5 b7 a9",
    ]


def test_rows_have_each_character_once_however_wide_it_is(page: Page, server: Daemon) -> None:
    show(page, server, "mixed")
    found = page.evaluate(_WRAPPED)
    assert all(whole and short for _, whole, short in found), found
    rows = [count for count, *_ in found]
    assert rows[:4] == [1, 2, 3, 6]
    assert rows[5] == 3
    assert rows[8] == 5
    assert rows[9:] == [50_000, 15_000]


def test_a_time_has_an_address_that_opens_at_it(page: Page, server: Daemon) -> None:
    with server.connect() as client:
        tail = client.request("logs", task_id="numbers", from_seq=1500, limit=1)["lines"][0]
        first = client.request("logs", task_id="numbers", since=tail["ts"], limit=1)["lines"][0]
        run = client.request("runs", task_id="numbers")["runs"][-1]
    at = quote(tail["ts"])
    page.goto(f"http://{server.address}/#tasks/numbers?at={at}")
    current = page.locator(".line.current .text")
    expect(current).to_have_text(first["data"])
    expect(current).to_be_in_viewport()
    page.goto(f"http://{server.address}/#history/numbers/{run['run_id']}?at={at}")
    expect(page.locator(".run-page .line.current .text")).to_have_text(first["data"])
    page.goto(f"http://{server.address}/#tasks/numbers")
    pane = page.locator(".pane").last
    pane.locator(".lines").press("g")
    at_field = pane.get_by_label("Go to a time")
    expect(at_field).to_be_focused()
    at_field.fill("2001-01-01T00:00:00")
    at_field.press("Enter")
    expect(pane.locator(".line.current .text")).to_have_text("1")
    assert "?at=2001" in page.url or "?line=" in page.url


def _start(page: Page, server: Daemon, action: str) -> Locator:
    """Start it at Home; the notice that leads to its output."""
    page.goto(f"http://{server.address}/#home")
    page.get_by_role("button", name=f"Start {action}").click()
    return page.locator(".notice", has=page.get_by_role("button", name="Show output"))


def test_what_ended_before_its_output_was_opened_has_its_end_last(page: Page, server: Daemon) -> None:
    notice = _start(page, server, "mixed")
    expect(page.locator(".tile", has_text="mixed").locator(".tile-last")).to_contain_text("ago")
    notice.get_by_role("button", name="Show output").click()
    shown = page.locator(".pane .line")
    expect(shown.last).to_contain_text("exit code 0 after")
    expect(shown.first).to_contain_text("run #1 started")


def test_an_output_that_was_opened_on_the_way_gives_way_to_the_next(page: Page, server: Daemon) -> None:
    show(page, server, "numbers")
    for _ in range(2):
        notice = _start(page, server, "mixed")
        notice.get_by_role("button", name="Show output").click()
        expect(notice).to_have_count(0)
        expect(page.locator(".pane h3")).to_have_text(["count", "mixed"])
    page.goto(f"http://{server.address}/#actions/count")  # it is not about this form
    expect(page.locator(".pane")).to_have_count(1)
    page.get_by_role("button", name="Start count").click()
    expect(page.locator(".pane")).to_have_count(2)
    expect(page.locator(".notice").last).to_contain_text("Started count")
    expect(page.get_by_role("button", name="Show output")).to_have_count(0)


def test_on_a_phone_going_anywhere_leaves_an_output(page: Page, server: Daemon) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    _start(page, server, "mixed").get_by_role("button", name="Show output").click()
    expect(page.locator(".pane .lines")).to_be_in_viewport()
    page.locator("#tab-home").click()
    page.get_by_role("button", name="Start fed").click()  # which wants something
    expect(page.locator(".action-form").get_by_label("fifo")).to_be_in_viewport()
    expect(page.locator(".action-list")).to_be_hidden()
    page.get_by_role("button", name="Back").click()
    page.get_by_role("option", name="waits").click()
    expect(page.get_by_role("button", name="Start waits")).to_be_in_viewport()
    page.go_back()
    expect(page.get_by_role("option", name="waits")).to_be_in_viewport()
    expect(page.locator(".action-form")).to_be_hidden()
