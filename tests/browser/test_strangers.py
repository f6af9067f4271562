"""A page of another origin, in a real browser: whatever it tries against the API and the webhooks, nothing is
started and nothing is read."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import BrowserContext, Page

from tests.harness import Daemon, shell

TRIES = """
async (at) => {
  const done = {};
  const tried = async (name, make) => {
    try { done[name] = await make(); } catch (error) { done[name] = "blocked"; }
  };
  const read = async (path, options) => {
    const response = await fetch(at + path, options);
    return response.type === "opaque" ? "opaque" : `${response.status} ${await response.text()}`;
  };
  const start = "/api/v1/actions/touch/start";
  const hook = "/hooks/touch";
  const json = {"Content-Type": "application/json"};
  const plain = {"Content-Type": "text/plain"};
  const simple = {method: "POST", mode: "no-cors"};
  for (const path of [start, hook]) {
    await tried(`json ${path}`, () => read(path, {method: "POST", headers: json, body: "{}"}));
    await tried(`text ${path}`, () => read(path, {method: "POST", headers: plain, body: "{}"}));
    await tried(`empty ${path}`, () => read(path, {method: "POST"}));
    await tried(`no-cors ${path}`, () => read(path, {...simple, headers: plain, body: "{}"}));
    await tried(`cookies ${path}`, () => read(path, {...simple, credentials: "include"}));
    await tried(`beacon ${path}`, async () => navigator.sendBeacon(at + path, "{}"));
  }
  for (const method of ["PUT", "DELETE"]) {
    await tried(method, () => read("/api/v1/tasks/victim", {method}));
  }
  await tried("read", () => read("/api/v1/tasks"));
  await tried("read no-cors", () => read("/api/v1/tasks", {mode: "no-cors"}));
  await tried("events", () => new Promise((resolve, reject) => {
    const source = new EventSource(at + "/api/v1/events");
    source.onmessage = source.onopen = () => resolve("open");
    source.onerror = () => { source.close(); reject(new Error("refused")); };
  }));
  for (const enctype of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]) {
    for (const path of [start, hook]) {
      await tried(`form ${enctype} ${path}`, () => new Promise((resolve) => {
        const frame = document.createElement("iframe");
        frame.name = `frame ${enctype} ${path}`;
        document.body.append(frame);
        const form = document.createElement("form");
        Object.assign(form, {action: at + path, method: "post", enctype, target: frame.name});
        const input = document.createElement("input");
        Object.assign(input, {name: '{"params": {}, "x": "', value: '"}'});
        form.append(input);
        document.body.append(form);
        frame.onload = () => resolve("sent");
        form.submit();
      }));
    }
  }
  return done;
}
"""


@pytest.fixture(scope="module")
def victim() -> Iterator[Daemon]:
    with Daemon(
        actions={"touch": shell("touch started"), "sleep": shell("exec sleep 60")},
        webhooks={"touch": {"action": "touch"}},
    ) as daemon:
        with daemon.connect() as client:
            client.request("start", action="sleep", task_id="victim")
        yield daemon


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[str]:
    """The address of another site."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = b"<!doctype html><title>evil</title><body></body>"
            if self.path == "/sandboxed":
                page = b'<!doctype html><iframe sandbox="allow-scripts allow-forms" src="/"></iframe>'
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture
def evil(context: BrowserContext) -> Iterator[Page]:
    page = context.new_page()
    yield page
    page.close()


@pytest.mark.parametrize("origin", ["another", "null"])
def test_a_page_of_another_origin_gets_nowhere(
    evil: Page, elsewhere: str, victim: Daemon, origin: str
) -> None:
    evil.goto(f"{elsewhere}/sandboxed" if origin == "null" else elsewhere)
    frame = evil.frames[-1]
    frame.wait_for_load_state()
    assert frame.evaluate("self.origin") == ("null" if origin == "null" else elsewhere)
    done = frame.evaluate(TRIES, f"http://{victim.address}")
    assert len(done) == 23
    # What a page may send unasked is sent, and it learns nothing of what came of it.
    assert {
        name for name, answer in done.items() if answer not in ("blocked", "opaque", "sent", True)
    } == set()
    with victim.connect() as client:
        assert [task["task_id"] for task in client.request("list")["tasks"]] == ["victim"]
    assert not (victim.directory / "started").exists()


def test_the_server_s_own_page_does_get_somewhere(evil: Page, victim: Daemon) -> None:
    evil.goto(f"http://{victim.address}/")
    done = evil.evaluate(TRIES, f"http://{victim.address}")
    assert done["json /api/v1/actions/touch/start"].startswith("201 ")
    assert done["events"] == "open"
    assert done["json /hooks/touch"].startswith("403 ")
    assert done["text /api/v1/actions/touch/start"].startswith("415 ")
