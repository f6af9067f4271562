"""The page while the server is upgraded: what it shows goes on, by plain connections and encrypted ones."""

from __future__ import annotations

import re
import ssl
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

pytest.importorskip("playwright")

from playwright.sync_api import Browser, Page, expect

from overseer.client import Client
from tests.auth.conftest import Certificates
from tests.browser.conftest import watched
from tests.faults.support import wait_until
from tests.harness import ROOT, Daemon, shell
from tests.upgrade.support import FUNCTIONS

_WAIT = 90_000  # ms
pytestmark = pytest.mark.timeout(400)
_ACTIONS = {
    "counts": shell("i=0; while :; do i=$((i+1)); echo line $i; sleep 0.02; done"),
    "virtual": {"type": "virtual"},
}
# Keeps the bad news that the page shows.
_COUNT = """
    window.seen = [];
    new MutationObserver(() => {
        const bar = document.getElementById("offline");
        if (bar && !bar.hidden) window.seen.push(bar.textContent);
        for (const each of document.querySelectorAll(".notice.bad")) window.seen.push(each.textContent);
    }).observe(document, {subtree: true, childList: true, attributes: true, attributeFilter: ["hidden"]});
"""


@dataclass(frozen=True)
class Place:
    daemon: Daemon
    page: Page
    trusted: ssl.SSLContext | None
    encrypted: bool
    sockets: list[str] = field(default_factory=list)  # WebSockets that the page has opened

    def connect(self) -> Client:
        scheme = "wss" if self.encrypted else "ws"
        return Client(f"{scheme}://{self.daemon.address}/ws", tls=self.trusted)

    @property
    def bad(self) -> list[str]:
        """The bad news that the page has shown."""
        return list(self.page.evaluate("window.seen"))


@pytest.fixture(scope="module", params=["plain", pytest.param("encrypted", marks=pytest.mark.long)])
def place(
    request: pytest.FixtureRequest, browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    program = tmp_path_factory.mktemp("program") / "program.py"
    program.write_text(textwrap.dedent(FUNCTIONS))
    encrypted, more, trusted = request.param == "encrypted", {}, None
    if encrypted:
        made = Certificates(tmp_path_factory.mktemp("certificates"))
        more = {"tls": {"cert": made.path("server.crt"), "key": made.path("server.key")}}
        trusted = ssl.create_default_context(cafile=made.path("ca.crt"))
    context = browser.new_context(ignore_https_errors=True)
    context.add_init_script(_COUNT)
    with (
        Daemon(program=program, environment={"PYTHONPATH": str(ROOT)}, actions=_ACTIONS, **more) as daemon,
        watched(context, again=False) as page,
    ):
        place = Place(daemon, page, trusted, encrypted)
        page.on("websocket", lambda socket: place.sockets.append(socket.url))
        page.goto(f"{'https' if encrypted else 'http'}://{daemon.address}/#tasks")
        expect(page.locator("#connection")).to_have_text("Connected")
        yield place
    context.close()


def _shown(page: Page) -> list[int]:
    """The numbers of the lines that are in sight."""
    return sorted(int(text.split()[1]) for text in page.locator(".line.out .text").all_inner_texts())


def _wait_for_line(page: Page, number: int) -> None:
    wait_until(lambda: (_shown(page) or [0])[-1] > number, 120.0, f"line {number}")


def test_what_is_shown_goes_on_without_a_word(place: Place) -> None:
    page = place.page
    with place.connect() as client:
        client.start("counts", task_id="counts")
        page.get_by_role("gridcell", name="counts", exact=True).first.dblclick()
        _wait_for_line(page, 10)
        before = len(place.sockets)
        assert before == 1
        for _ in range(2):
            last = _shown(page)[-1]
            client.upgrade(timeout=120, force=True)
            _wait_for_line(page, last + 100)
            seen = _shown(page)
            assert seen == list(range(seen[0], seen[0] + len(seen)))
        expect(page.locator("#connection")).to_have_text("Connected")
        assert place.bad == []
        assert (len(place.sockets) - before) == (2 if place.encrypted else 0)
        client.stop("counts")


def test_admins_upgrade_by_the_page_which_says_what_cannot_go_on(place: Place) -> None:
    page = place.page
    with place.connect() as client:
        client.start("virtual", task_id="function")
        page.locator("#advanced").click()
        page.locator("#upgrade").click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("the task function, the service of virtual", timeout=_WAIT)
        dialog.get_by_role("button", name="Cancel").click()
        assert {task.task_id: task.status for task in client.tasks()}["function"] == "running"
        page.locator("#upgrade").click()
        dialog.get_by_role("button", name="End them and upgrade").click(timeout=_WAIT)
        said = page.get_by_text(re.compile("The server is 1.0 now, after a pause of [0-9]+ ms"))
        expect(said).to_be_visible(timeout=_WAIT)
        assert place.bad == []
