"""Web pages: which are let in, on a real server, and one of another origin in a real browser."""

from __future__ import annotations

import http.server
import shutil
import socket
import threading
from collections.abc import Iterator

import pytest

from tests.auth.support import ACTIONS, TOKENS, bearer, open_status, protocols, token_of
from tests.auth.support import http as http_to
from tests.harness import Daemon, shell

PAGE = """<!doctype html><title>attack</title><script>
const target = new URLSearchParams(location.search).get("target");
function attempt(protocols) {
  return new Promise((resolve) => {
    const socket = new WebSocket(`ws://${target}/ws`, protocols);
    socket.onopen = () => {
      socket.send(JSON.stringify({type: "start", id: "1", action: "touch"}));
      setTimeout(() => resolve("open"), 300);
    };
    socket.onerror = () => resolve("refused");
  });
}
async function fetched(path, options) {
  try { return String((await fetch(`http://${target}${path}`, options)).status); } catch { return "refused"; }
}
async function attack() {
  return [
    await attempt([]),
    await attempt(["overseer.v1", "bearer.guess"]),
    await fetched("/ws/manifest"),
    await fetched("/session", {method: "POST", headers: {Authorization: "Bearer guess"}}),
    await fetched("/session", {method: "DELETE", mode: "no-cors", credentials: "include"}),
  ].join(" ");
}
attack().then((said) => { document.title = said; });
</script>"""


def _origin(text: str) -> tuple[str, str]:
    return ("Origin", text)


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    with Daemon(
        actions=ACTIONS, allowed_origins=["https://app.example"], allowed_hosts=["build.example"]
    ) as daemon:
        yield daemon


@pytest.mark.parametrize(
    ("origin", "host", "status"),
    [
        ("http://localhost:8080", "localhost:8080", 101),
        ("http://127.0.0.1:8080", "127.0.0.1:8080", 101),
        ("http://[::1]:8080", "[::1]:8080", 101),
        (f"http://{socket.gethostname()}:8080", f"{socket.gethostname()}:8080", 101),
        ("http://build.example", "build.example", 101),
        ("https://app.example", "localhost:8080", 101),
        ("https://evil.example", "localhost:8080", 403),
        ("http://localhost:3000", "localhost:8080", 403),
        ("http://evil.example:8080", "evil.example:8080", 403),
        ("null", "localhost:8080", 403),
        ("https://app.example", "evil.example", 403),
    ],
)
def test_pages_are_let_in_by_origin_and_host(daemon: Daemon, origin: str, host: str, status: int) -> None:
    assert open_status(daemon, [_origin(origin)], host) == status
    for path in ("/openapi.json", "/ws/manifest", "/"):
        assert http_to(daemon, path, [_origin(origin)], host=host).status == (200 if status == 101 else 403)


def test_whoever_is_no_browser_is_not_affected(daemon: Daemon) -> None:
    assert open_status(daemon, [], "any.example") == 101
    assert http_to(daemon, "/openapi.json", host="any.example").status == 200


def test_the_log_says_which_line_would_let_a_page_in(daemon: Daemon) -> None:
    open_status(daemon, [_origin("https://one.example:8443")])
    daemon.wait_stderr('to let it in: allowed_origins: ["https://one.example:8443"]')
    open_status(daemon, [_origin("http://two.example")], "two.example")
    daemon.wait_stderr('to let it in: allowed_hosts: ["two.example"]')


def test_with_tokens_the_token_decides_and_not_the_name() -> None:
    with Daemon(actions=ACTIONS, auth={"tokens": TOKENS}) as daemon:
        token = protocols("overseer.v1", f"bearer.{token_of('viewer-all')}")
        assert open_status(daemon, [_origin("http://any.example"), token], "any.example") == 101
        assert open_status(daemon, [_origin("http://any.example")], "any.example") == 401
        # A stolen token is no use in a page of somebody else's.
        assert open_status(daemon, [_origin("https://evil.example"), token], "any.example") == 403
        evil = [_origin("https://evil.example"), bearer("admin-all")]
        assert http_to(daemon, "/ws/manifest", evil).status == 403


def test_a_strangers_page_cannot_keep_the_tokens_of_programs_out() -> None:
    with Daemon(actions=ACTIONS, auth={"tokens": TOKENS}) as daemon:
        wrong = ("Authorization", "Bearer wrong")
        for headers in ([wrong], [wrong, _origin("http://evil.example")]):
            statuses = [
                http_to(daemon, "/ws/manifest", headers, host="evil.example").status for _ in range(12)
            ]
            assert statuses[-1] == 429
        assert http_to(daemon, "/ws/manifest", [bearer("viewer-all")]).status == 200


class _Elsewhere(http.server.BaseHTTPRequestHandler):
    """The attacking page, wherever it is asked for."""

    def do_GET(self) -> None:
        body = PAGE.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


_OPENS = """() => new Promise((resolve) => {
    const socket = new WebSocket(`ws://${location.host}/ws`);
    socket.onopen = () => resolve(true);
    socket.onerror = () => resolve(false);
})"""


_READS = "() => fetch('/api/v1/tasks').then((response) => response.status)"


@pytest.mark.skipif(shutil.which("chromium") is None, reason="no browser")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.allow_leaks("the browser's driver ends in its own time")
def test_a_page_of_another_origin_fails_in_a_real_browser() -> None:
    sync_api = pytest.importorskip("playwright.sync_api")
    actions = {"touch": shell("echo touched > touched")}
    with (
        Daemon(actions=actions) as open_one,
        Daemon(actions=actions, auth={"tokens": TOKENS}) as closed_one,
        http.server.HTTPServer(("127.0.0.1", 0), _Elsewhere) as elsewhere,
        sync_api.sync_playwright() as playwright,
    ):
        thread = threading.Thread(target=elsewhere.serve_forever, daemon=True)
        thread.start()
        # evil.example is this machine, as after DNS rebinding.
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--no-sandbox", "--host-resolver-rules=MAP *.example 127.0.0.1"],
        )
        try:
            page = browser.new_page()
            for daemon in (open_one, closed_one):
                port = daemon.address.rpartition(":")[2]
                for site, target in (
                    ("evil.example", "127.0.0.1"),
                    ("127.0.0.1", "127.0.0.1"),
                    ("evil.example",) * 2,
                ):
                    page.goto(f"http://{site}:{elsewhere.server_port}/?target={target}:{port}")
                    page.wait_for_function("document.title !== 'attack'", timeout=15_000)
                    # (Of its last attempt no page can say what became of it.)
                    assert page.title().split()[:4] == ["refused"] * 4
            # Rebound: the page is of the very origin that it attacks, and still is kept out.
            page.goto(f"http://evil.example:{open_one.address.rpartition(':')[2]}/")
            assert page.evaluate(_OPENS) is False
            assert page.evaluate(_READS) == 403
            # The same page by a name of ours is let in.
            page.goto(f"http://{open_one.address}/")
            assert page.evaluate(_OPENS) is True
            assert page.evaluate(_READS) == 200
        finally:
            browser.close()
            elsewhere.shutdown()
            thread.join(30)
        for daemon in (open_one, closed_one):
            assert not (daemon.directory / "touched").exists()
