"""Lines in the making, and lines as terminals show them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright")

from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import watched
from tests.browser.table import open_outputs
from tests.harness import Daemon, WsClient

INJECT = (Path(__file__).parent / "inject.js").read_text()


def test_lines_are_interpreted_before_they_are_cut(page: Page, client: WsClient) -> None:
    long = "\x1b[31m" * 900 + "shown whole"
    texts = {
        "222%": "".join(f"\r{n}% of it" for n in range(3000)),
        "back": "abc\b\bX",
        "over": "overwritten\rOVER",
        "erased": "something\r\x1b[Kelse",
        "escapes": long,
    }
    found = page.evaluate(
        """async (texts) => {
          const { draw, plain } = await import("/ansi.js");
          const text = (t) => draw(t, null, 3000).pieces.map((p) => p.text).join("");
          return Object.fromEntries(Object.entries(texts).map(([k, t]) => [k, [text(t), plain(t)]]));
        }""",
        texts,
    )
    wanted = {
        "222%": "2999% of it",
        "back": "aXc",
        "over": "OVERwritten",
        "erased": "else",
        "escapes": "shown whole",
    }
    assert found == {name: [text, text] for name, text in wanted.items()}


def test_reading_a_line_takes_time_that_grows_with_its_length_alone(page: Page) -> None:
    """Ten times as long, some ten times the time; quadratic would be a hundred."""
    slowest = page.evaluate(
        r"""async () => {
          const { carry, draw, plain } = await import("/ansi.js");
          const units = ["abc\r", "\r\x1b[K\x1b[999999Cx", "\x1b[1000000G\x1b[1Kx", "a\b", "\x1b]aa",
            "\x1b[;", "\x1b ", "\r\r\r\rx", "\x1b["];
          const took = (unit, size) => {
            const text = `${unit.repeat(size / unit.length)}\r`;
            const begun = performance.now();
            plain(text); draw(text, null, 3000); carry(text, null);
            return performance.now() - begun;
          };
          return Math.max(...units.map((unit) => took(unit, 1e6) / Math.max(40, took(unit, 1e5))));
        }"""
    )
    assert slowest < 50


def progress(text: str, stream: str = "stdout") -> dict[str, Any]:
    ts = "2030-01-01T00:00:00.000Z"
    return {"type": "partial", "task_id": "making", "pid": 1, "stream": stream, "data": text, "ts": ts}


def test_a_line_in_the_making_is_redrawn_in_place(
    context: BrowserContext, daemon: Daemon, client: WsClient
) -> None:
    client.request("start", action="silent", task_id="making")
    with watched(context, again=False) as page:
        page.add_init_script(INJECT)
        page.goto(f"http://{daemon.address}/#tasks")
        pane = open_outputs(page, client, "making")
        facts = page.get_by_label("The selected task")
        expect(facts).to_contain_text("No complete line so far")
        assert page.evaluate("asked") == ["subscribe"]
        rows = pane.locator(".line.partial")
        for text in ("10 %", "\x1b[32m55 %\x1b[0m", "Password: "):
            page.evaluate("message => inject(message)", progress(text))
            expect(rows).to_have_count(1)
        expect(rows.locator(".text")).to_have_text("Password:")
        assert rows.locator(".text").evaluate("e => e.textContent") == "Password: "
        expect(rows.locator(".cursor")).to_be_in_viewport()
        expect(facts.locator(".last-lines")).to_have_text("Password:")
        page.evaluate("message => inject(message)", progress("careful", "stderr"))
        expect(rows).to_have_count(2)
        pane.get_by_role("button", name="View").click()
        pane.get_by_label("stderr").uncheck()
        expect(rows).to_have_count(1)
        line = {**progress(""), "type": "output", "seq": 1, "lines": ["Password: done"], "overwritten": True}
        page.evaluate("message => inject(message)", line)
        expect(rows).to_have_count(0)
        expect(pane.locator(".line.out .text")).to_have_text("Password: done ↺")
        pane.get_by_label("stderr").check()
        expect(rows).to_have_text("errcareful")
        client.send("stop", task_id="making")
        expect(pane.locator(".line.note").last).to_contain_text("as requested")
        expect(rows).to_have_count(0)


def test_a_prompt_is_seen_before_its_line_ends(page: Page, client: WsClient) -> None:
    """With a server that tells of lines in the making."""
    if "partial" not in client.request("manifest")["manifest"]["messages"]["subscribe"]["fields"]:
        pytest.skip("this server does not tell of lines in the making")
    client.request("start", action="prompt", task_id="asks")
    pane = open_outputs(page, client, "asks")
    expect(pane.locator(".line.partial .text")).to_have_text("Continue?")
    expect(page.get_by_label("The selected task").locator(".last-lines")).to_have_text("Continue?")
