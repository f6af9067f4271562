"""What axe, an independent judge of accessibility, has to say of every view: nothing serious."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("playwright")
pytest.importorskip("axe_playwright_python", reason="it is not installed: see requirements-dev.lock")

import axe_playwright_python as axe
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.actions import ACTIONS
from tests.browser.conftest import watched
from tests.browser.forwarder import Forwarder
from tests.browser.table import open_outputs
from tests.browser.test_connection import BROKEN
from tests.browser.views import VIEWS, visit
from tests.harness import Daemon, WsClient
from tests.pictures.harbour import harbour

AXE = (Path(axe.__file__).parent / "axe.min.js").read_text()
SIZES = ({"width": 1440, "height": 900}, {"width": 390, "height": 844})
# By its rules: all of them, and in the other scheme those that depend on colours, which are all that differs.
SCHEMES = {"light": {}, "dark": {"runOnly": ["color-contrast", "link-in-text-block"]}}


def findings(page: Page, rules: dict[str, list[str]]) -> list[str]:
    """What is serious or worse, in a line each."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE)
    options = {"resultTypes": ["violations"], **rules}
    found = page.evaluate("options => axe.run(document, options)", options)["violations"]
    return [
        f"{each['id']}: {each['nodes'][0]['html'][:160]}"
        for each in found
        if each["impact"] in ("serious", "critical")
    ]


def judge(page: Page, where: str) -> None:
    for scheme, rules in SCHEMES.items():
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
        assert findings(page, rules) == [], (where, scheme)


@pytest.mark.parametrize(
    "size", [SIZES[0], pytest.param(SIZES[1], marks=pytest.mark.long)], ids=("desktop", "phone")
)
def test_no_view_has_a_serious_fault(page: Page, client: WsClient, size: dict[str, int]) -> None:
    client.request("start", action="one", task_id="runs")
    client.request("start", action="one", task_id="waits")
    client.request("start", action="fail", task_id="broken")
    client.expect("errored", task_id="broken")
    if size is SIZES[0]:  # on a phone an output is all that there is
        open_outputs(page, client, "broken")
    page.set_viewport_size(size)  # type: ignore[arg-type]
    for view in VIEWS:
        visit(page, view)
        judge(page, view)
    page.goto(page.url.split("#")[0] + "#tokens")
    expect(page.locator("#view-tokens .pair").first).to_be_visible()
    assert page.locator(".too-little").count() == 0, "a pair of ink and ground below 4.5:1"
    judge(page, "tokens")


@pytest.mark.long
def test_neither_has_a_server_that_is_at_work_and_has_a_history(
    context: BrowserContext, tmp_path: Path
) -> None:
    shown = {
        "actions/build": ".action-runs li",
        "history": ".lane .run-bar",
        "activity?span=7d": ".by-action tr",
        "plan": ".calendar li",
    }
    with harbour(tmp_path / "data") as (daemon, _), watched(context) as page:
        page.goto(f"http://{daemon.address}/")
        for address, sign in shown.items():
            page.goto(f"http://{daemon.address}/#{address}")
            expect(page.locator(sign).first).to_be_visible()
            judge(page, address)
        page.goto(f"http://{daemon.address}/#history")
        page.locator(".run-open").first.click()
        expect(page.locator(".run-lines .line").first).to_be_visible()
        judge(page, "a run")


def test_neither_has_the_page_without_a_sign_in_or_a_connection(context: BrowserContext) -> None:
    tokens = [{"name": "boss", "token": "a-token-for-everything", "role": "admin"}]
    with (
        Daemon(auth={"tokens": tokens}, actions=ACTIONS) as daemon,
        Forwarder(daemon.address) as wire,
        watched(context, "401", *BROKEN) as page,
    ):
        page.goto(f"http://{wire.address}/")
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        judge(page, "signed out")
        page.get_by_label("Token").fill("a-token-for-everything")
        page.keyboard.press("Enter")
        expect(page.locator("#connection")).to_have_text("Connected")
        expect(page.locator(".tile").first).to_be_visible()
        wire.cut()
        expect(page.locator("#offline")).to_be_visible()
        judge(page, "offline")
