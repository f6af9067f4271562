"""The configuration reloaded under a running server: what changes, and what is never disturbed."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest

import overseer
from overseer.config import load_config
from overseer.daemon.reload import Prepared, Reloader, compare
from overseer.errors import RequestError
from overseer.protocol import Reloaded
from overseer.supervisor.definitions import Definitions
from overseer.supervisor.hub import Hub
from tests.daemon.support import Manager, get
from tests.e2e.conftest import end_all
from tests.faults.support import wait_until
from tests.harness import ROOT, Daemon, WsClient, shell
from tests.harness.daemon import run_program
from tests.harness.hubs import tasks_of

LONG = "echo ready; exec sleep 60"
TOP = {"task_pool": {"limit": 10}, "retry": {"restart_delay": "1s"}}
BASE = {**TOP, "actions": {"a": shell("echo a"), "b": shell("echo b")}}


def write(directory: Path, **config: Any) -> Path:
    path = directory / "config.yaml"
    path.write_text(json.dumps({"listen": "127.0.0.1:0", **config}))
    return path


@pytest.fixture(scope="module")
def server() -> Iterator[Daemon]:
    with Daemon(**BASE) as daemon:
        yield daemon


@pytest.fixture
def daemon(server: Daemon) -> Iterator[Daemon]:
    """The server with its first configuration and nothing to do."""
    yield server
    write(server.directory, **BASE)
    with server.connect() as client:
        assert client.request("reload")["type"] == "reloaded"
        end_all(client)


@pytest.fixture
def client(daemon: Daemon) -> Iterator[WsClient]:
    with daemon.connect() as client:
        yield client


def reload(daemon: Daemon, client: WsClient, dry_run: bool = False, **config: Any) -> dict[str, Any]:
    """Write another file and ask for it; the answer without type and id."""
    write(daemon.directory, **config)
    reply = client.request("reload", dry_run=dry_run or None)
    del reply["id"]
    return {name: value for name, value in reply.items() if name != "type" or value == "error"}


def actions(**changed: Any) -> dict[str, Any]:
    merged = {**BASE["actions"], **changed}
    return {**TOP, "actions": {name: action for name, action in merged.items() if action is not None}}


# -- what differs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        (BASE, {}),
        (actions(c=shell("x")), {"added": ("c",)}),
        (actions(a=None), {"removed": ("a",)}),
        (actions(a=shell("echo other")), {"changed": ("a",)}),
        (actions(a=shell("echo a", description="d")), {"changed": ("a",)}),
        ({**BASE, "retry": {}}, {"changed": ("a", "b"), "settings": ("retry",)}),
        ({**BASE, "templates": "jinja"}, {"changed": ("a", "b"), "settings": ("templates",)}),
        ({**BASE, "task_pool": {"limit": 11}}, {"settings": ("task_pool",)}),
        ({**BASE, "task_pool": {"limit": 10, "queue": {"size": 1, "enabled": True}}},
         {"changed": ("a", "b"), "settings": ("task_pool",)}),
        ({**BASE, "history": {"tasks": 5}, "name": "n"}, {"settings": ("name", "history")}),
        ({**BASE, "log_file": "x", "auth": {"session_age": 60}},
         {"settings": ("auth",), "restart_needed": ("log_file",)}),
    ],
)  # fmt: skip
def test_what_differs(tmp_path: Path, new: Mapping[str, Any], expected: dict[str, Any]) -> None:
    old = load_config(write(tmp_path, **BASE), {})
    changes = compare(old, load_config(write(tmp_path, **new), {}))
    assert changes == Reloaded("", **expected)


def test_numbers_differ_when_their_text_does(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("actions: {a: {type: exec, config: {entrypoint: x, command: [1.1, 1]}}}")
    old = load_config(file, {})
    file.write_text("actions: {a: {type: exec, config: {entrypoint: x, command: [1.10, 1]}}}")
    assert compare(old, load_config(file, {})).changed == ("a",)


# -- the request and the signal --------------------------------------------------------------------------


def test_actions_come_change_and_go(daemon: Daemon, client: WsClient) -> None:
    answer = reload(daemon, client, **actions(a=shell("echo new a"), b=None, c=shell("echo c")))
    assert answer == {"added": ["c"], "changed": ["a"], "removed": ["b"]}
    assert [each["name"] for each in client.request("describe")["actions"]] == ["a", "c"]
    assert [output["data"] for output in client.run("a")[1]] == ["new a"]
    assert [output["data"] for output in client.run("c")[1]] == ["c"]
    assert client.request("start", action="b")["message"] == "unknown action: b"
    assert "start-c" in get(daemon, "/openapi.json")[2]


def test_a_dry_run_says_the_same_and_changes_nothing(daemon: Daemon, client: WsClient) -> None:
    answer = reload(daemon, client, dry_run=True, **actions(b=None), listen="127.0.0.1:1", log_file="x")
    assert answer == {"dry_run": True, "removed": ["b"], "restart_needed": ["listen", "log_file"]}
    assert client.run("b")[2]["exit_code"] == 0


def test_what_needs_a_restart_is_told_until_there_is_one_or_it_is_taken_back(
    daemon: Daemon, client: WsClient
) -> None:
    assert reload(daemon, client, **BASE, log_file="x") == {"restart_needed": ["log_file"]}
    assert reload(daemon, client, **actions(b=None), log_file="x") == {
        "removed": ["b"],
        "restart_needed": ["log_file"],
    }
    assert reload(daemon, client, **BASE) == {"added": ["b"]}


BROKEN = [
    ("", "the file is empty"),
    ("# all of it\n", "the file is empty"),
    ("actions: [", "config.yaml:"),
    ("actions: {a: {type: exec, stop_signal: SIGTREM}}", "did you mean SIGTERM?"),
    ("actions: {a: {type: nothing}}", "unknown type 'nothing'"),
    (
        'actions: {a: {type: exec, config: {entrypoint: "[[if]]"}}}',
        "config.yaml:1: actions.a.config.entrypoint",
    ),
    (
        'actions: {a: {type: exec, config: {entrypoint: "[[ x | upper ]]"}}}',
        "or `templates: jinja` at the top of the file",
    ),
    (None, "config.yaml: no such file"),
]


@pytest.mark.parametrize(("text", "said"), BROKEN)
def test_a_broken_file_changes_nothing_and_says_why(
    daemon: Daemon, client: WsClient, text: str | None, said: str
) -> None:
    path = daemon.directory / "config.yaml"
    path.unlink()
    if text is not None:
        path.write_text(text)
    reply = client.request("reload")
    assert reply["type"] == "error"
    assert said in reply["message"]
    assert client.run("a")[2]["exit_code"] == 0
    assert "overseer_config_last_reload_successful 0.0" in get(daemon, "/metrics")[2]
    write(daemon.directory, **BASE)
    assert client.request("reload")["type"] == "reloaded"
    assert "overseer_config_last_reload_successful 1.0" in get(daemon, "/metrics")[2]


def test_a_signal_does_the_same(daemon: Daemon, client: WsClient) -> None:
    write(daemon.directory, **actions(signalled=shell("echo c")))
    daemon.process.send_signal(signal.SIGHUP)
    assert daemon.wait_stderr("added signalled").endswith("info: configuration reloaded: added signalled")
    assert client.run("signalled")[2]["exit_code"] == 0
    (daemon.directory / "config.yaml").write_text("actions: 4")
    daemon.process.send_signal(signal.SIGHUP)
    said = daemon.wait_stderr("the number 4")
    assert said.startswith("error: the configuration was not reloaded: config.yaml:1: actions: ")
    assert client.run("signalled")[2]["exit_code"] == 0


def test_the_log_tells_of_reloads_by_clients_too(daemon: Daemon, client: WsClient) -> None:
    reload(daemon, client, **actions(told=shell("echo c")), nmae="x")
    assert daemon.wait_stderr("added told")
    assert daemon.wait_stderr("nmae: unknown key").startswith("warning: config.yaml:")
    reload(daemon, client, actions=5)
    assert daemon.wait_stderr("the number 5").startswith("error: the configuration was not reloaded: ")
    said = daemon.stderr
    reload(daemon, client, dry_run=True, actions=6)
    reload(daemon, client, dry_run=True, **BASE)
    client.run("told")
    assert daemon.stderr == said


@pytest.mark.parametrize("nohup", [False, True])
def test_the_signal_ends_a_server_whose_terminal_is_gone_but_with_nohup(tmp_path: Path, nohup: bool) -> None:
    ours, theirs = pty.openpty()
    write(tmp_path, **BASE)
    program = Path(__file__).parents[2] / "sticky_overseer.py"
    start = ["nohup", sys.executable] if nohup else [sys.executable]
    command = ["setsid", "--ctty", "--wait", *start, str(program)]
    with subprocess.Popen(
        command, cwd=tmp_path, stdin=theirs, stdout=theirs, stderr=subprocess.PIPE
    ) as server:
        os.close(theirs)
        assert server.stderr is not None
        try:
            assert any(b"listening" in line for line in server.stderr)
            os.close(ours)
            if nohup:
                assert any(b"configuration reloaded" in line for line in server.stderr)
                server.send_signal(signal.SIGTERM)
            assert server.wait(30) == 0
        finally:
            with contextlib.suppress(OSError):
                os.close(ours)
            server.kill()


def test_it_warns_of_all_that_a_start_warns_of(daemon: Daemon, client: WsClient) -> None:
    needs = {"parameters": {"who": None}}
    new = actions(
        needs=shell("echo [[.who]]", config=needs, on_boot="resume"),
        first=shell("true", then={"any": ["needs"]}),
        probed=shell("exec sleep 60", health={"exec": ["no-such-probe", "[[.any]]"]}, retry={}),
        missing={"type": "exec", "config": {"entrypoint": "/no/such/program"}},
    )
    new |= {
        "nmae": "x",
        "storage": {"runs": 5},
        "tasks": {
            "last": {"action": "needs", "autostart": "last"},
            "past": {"action": "a", "schedule": {"at": "2020-01-01T00:00:00Z"}},
        },
        "channels": {"unused": {"exec": ["no-such-notifier"]}},
        "webhooks": {"hook": {"action": "needs", "scheme": "github", "secret": {"secret": "key"}}},
        "secrets": {"key": {"env": "NO_SUCH_VARIABLE"}},
    }
    dry = reload(daemon, client, dry_run=True, **new)
    assert "warnings" in dry, dry
    told = reload(daemon, client, **new)
    assert dry["warnings"] == told["warnings"]
    checked = run_program("--config", "config.yaml", "--check", "--lenient", cwd=daemon.directory)
    said = [line.removeprefix("warning: ") for line in checked.stderr.splitlines()]
    assert sorted(told["warnings"]) == sorted(said)
    assert len(said) >= 12, said


def test_what_a_start_would_refuse_is_refused(daemon: Daemon, client: WsClient) -> None:
    answer = reload(daemon, client, **BASE, clients={"on_lag": "catch_up"})
    assert answer["message"].endswith("clients.on_lag: it needs the logs of a data_dir")


@pytest.fixture
def short_of_threads(tmp_path: Path) -> Iterator[tuple[Daemon, Path]]:
    """A server that may be denied threads, and the file that says which."""
    names = tmp_path / "names"
    names.touch()
    with (
        contextlib.closing(Manager(str(tmp_path / "manager"))) as manager,
        Daemon(
            **BASE,
            data_dir=str(tmp_path / "data"),
            program=Path(__file__).parent / "short_of_threads.py",
            environment={"NO_THREADS": str(names), "PYTHONPATH": str(ROOT), "NOTIFY_SOCKET": manager.address},
        ) as daemon,
    ):
        manager.hear_until("READY")  # it listens before it has all threads of its own
        yield daemon, names


@pytest.mark.parametrize("lacking", ["observers", "schedules"])
def test_what_lacks_a_thread_stays_as_it_was_and_is_told_and_the_rest_goes_over(
    short_of_threads: tuple[Daemon, Path], lacking: str
) -> None:
    daemon, names = short_of_threads
    told = daemon.directory / "told"
    new = {
        **actions(a=None, new=shell("echo new"), first=shell("true", then={"any": ["new"]})),
        "tasks": {"often": {"action": "new", "schedule": {"every": "1s"}}},
        "channels": {"file": {"exec": ["/bin/sh", "-c", f"cat >> {told}"]}},
        "notify": [{"on": ["success"], "tasks": ["first"], "to": "file"}],
        "data_dir": json.loads((daemon.directory / "config.yaml").read_text())["data_dir"],
    }
    parts = {"observers": ("schedules", "chains", "notices"), "schedules": ("schedules",)}[lacking]
    names.write_text(lacking)
    with daemon.connect() as client, daemon.connect() as other:
        answer = reload(daemon, client, **new, trusted_cidrs=["192.0.2.0/24"])
        assert (answer["added"], answer["removed"]) == (["new", "first"], ["a"])
        assert answer["warnings"] == [
            f"{part}: not as the file says, until the next reload: can't start new thread" for part in parts
        ]
        for each in (client, other):
            assert each.wait_closed()[0] == 1008
    for part in parts:
        assert daemon.wait_stderr(f"{part}: not as").startswith("error: ")
    names.write_text("")
    write(daemon.directory, **new)
    daemon.process.send_signal(signal.SIGHUP)
    daemon.wait_stderr("configuration reloaded: settings trusted_cidrs")
    with daemon.connect() as client:
        assert "overseer_config_last_reload_successful 1.0" in get(daemon, "/metrics")[2]
        client.request("subscribe", task_id="often")
        client.expect("exited", task_id="often")
        client.run("first", task_id="first")
        wait_until(told.exists, what="the notice")
        wait_until(
            lambda: any(
                task.get("trigger") == {"type": "chain", "by": "chain:first"}
                for task in client.request("list")["tasks"]
            ),
            what="what follows",
        )


# -- tasks that are there --------------------------------------------------------------------------------


def test_a_task_keeps_what_it_started_with_through_restarts(daemon: Daemon, client: WsClient) -> None:
    flag = daemon.directory / "go"
    script = f"echo old; while [ ! -e {flag} ]; do sleep 0.05; done; rm {flag}; exit 1"
    looping = {"retry": {"restart_delay": "10ms"}}
    reload(daemon, client, **actions(a=shell(script, **looping)))
    client.request("start", action="a", task_id="t")
    client.expect("output", data="old")
    reload(daemon, client, **actions(a=shell("echo new", **looping)))
    flag.touch()
    client.expect("restarting")
    client.expect("output", task_id="t", data="old")
    assert [output["data"] for output in client.run("a", task_id="other")[1]] == ["new"]
    client.send("stop", task_id="t")
    client.expect("exited", task_id="t", intentional=True)


def test_tasks_of_an_action_that_is_gone_run_wait_and_stop_as_before(
    daemon: Daemon, client: WsClient
) -> None:
    long = shell(LONG, task_pool={"limit": 1, "queue": {"enabled": True}})
    reload(daemon, client, **actions(a=long))
    client.request("start", action="a", task_id="one")
    client.request("start", action="a", task_id="two")
    assert reload(daemon, client, **actions(a=None)) == {"removed": ["a"]}
    states = {task["task_id"]: task["state"] for task in client.request("list")["tasks"]}
    assert (states["one"], states["two"]) == ("active", "queued")
    client.send("stop", task_id="one")
    client.expect("started", task_id="two")
    client.send("stop", task_id="two")
    client.expect("exited", task_id="two")
    assert 'overseer_tasks_started_total{action="a"}' in get(daemon, "/metrics")[2]


def test_a_restart_takes_the_dedupe_key_as_it_is_now(daemon: Daemon, client: WsClient) -> None:
    def by(*names: str) -> dict[str, Any]:
        config = {"parameters": {"x": {"default": ""}, "y": {"default": ""}}}
        return actions(a={**shell(LONG, config=config), "dedupe_key": names})

    reload(daemon, client, **by("x", "y"))
    for task_id, y in ("one", "1"), ("two", "2"):
        client.request("start", action="a", task_id=task_id, params={"x": "0", "y": y})
    reload(daemon, client, **by("x"))
    restarted = client.request("restart", task_id="one")
    assert (restarted["type"], restarted["task_id"]) == ("started", "one")
    for refused in (
        client.request("restart", task_id="two"),
        client.request("start", action="a", params={"x": "0", "y": "3"}),
    ):
        assert (refused["type"], refused["existing_task_id"]) == ("error", "one")
    client.expect("exited", task_id="one", will_restart=True)
    client.send("stop", task_id="one")
    client.expect("exited", task_id="one")
    assert client.request("restart", task_id="two")["type"] == "started"


def test_a_reset_takes_the_action_as_it_is_now(daemon: Daemon, client: WsClient) -> None:
    once = {"retry": {"error_threshold": 1}}
    reload(daemon, client, **actions(a=shell("exit 3", **once)))
    client.request("start", action="a", task_id="t", params={"p": "1"})
    client.expect("errored")
    reload(daemon, client, **actions(a=None))
    assert client.request("reset", task_id="t")["message"] == "unknown action: a"
    needs = {"parameters": {"p": {"validate": 'value == "2"'}}}
    reload(daemon, client, **actions(a=shell("echo mended", config=needs, **once)))
    assert "does not meet" in client.request("reset", task_id="t")["message"]
    reload(daemon, client, **actions(a=shell("echo mended", **once)))
    client.request("reset", task_id="t")
    client.expect("output", task_id="t", data="mended")
    assert client.expect("exited", task_id="t", exit_code=0)


def test_pools_change_without_stopping_anybody(daemon: Daemon, client: WsClient) -> None:
    def limited(limit: int) -> dict[str, Any]:
        return actions(a=shell(LONG, task_pool={"limit": limit, "queue": {"enabled": True}}))

    reload(daemon, client, **limited(2))
    for name in "123":
        client.request("start", action="a", task_id=name)
    reload(daemon, client, **limited(1))
    update = client.expect(
        "pool_updated", action="a", pool={**client.request("pool_info", action="a")["pool"]}
    )
    assert (update["pool"]["limit"], update["pool"]["running"]) == (1, 2)
    assert client.settle() is not None
    assert not client.pending("exited")
    reload(daemon, client, **limited(3))
    client.expect("started", task_id="3")
    client.request("set_pool", action="a", limit=4)
    reload(daemon, client, **limited(3), history={"tasks": 5})
    assert client.request("pool_info", action="a")["pool"]["limit"] == 4


def test_limits_count_for_new_connections_and_new_runs(daemon: Daemon, client: WsClient) -> None:
    reload(daemon, client, **actions(a=shell("echo 12345678")), limits={"max_params": 1, "max_line": 4})
    assert client.run("a")[1][0]["data"] == "1234"
    assert client.request("start", action="a", params={"p": "", "q": ""})["type"] == "started"
    with daemon.connect() as another:
        assert "at most 1" in another.request("start", action="a", params={"p": "", "q": ""})["message"]


def test_no_task_is_disturbed_by_reloads_under_load(daemon: Daemon) -> None:
    """Three clients start tasks as fast as they end, while the action changes again and again."""
    script = "for i in 1 2 3 4 5; do echo {}-$i; done"
    over = threading.Event()
    failures: list[object] = []
    runs = []

    def work() -> None:
        try:
            with daemon.connect() as client:
                while not over.is_set():
                    task_id = client.request("start", action="a")["task_id"]  # started, or queued
                    exited = client.expect("exited", task_id=task_id)
                    lines = [output["data"] for output in client.outputs(task_id)]
                    version = lines[0].partition("-")[0] if lines else ""
                    if exited["exit_code"] or lines != [f"{version}-{i}" for i in range(1, 6)]:
                        failures.append((lines, exited))
                    runs.append(version)
        except Exception as error:
            failures.append(error)

    with daemon.connect() as admin:
        reload(daemon, admin, **actions(a=shell(script.format(0))))
        admin.request("start", action="b", task_id="long")
        workers = [threading.Thread(target=work) for _ in range(3)]
        for worker in workers:
            worker.start()
        try:
            for version in range(1, 26):
                pool = {"limit": 1 + version % 3, "queue": {"enabled": True}}
                changed = actions(
                    a=shell(script.format(version), task_pool=pool), b=[None, shell("x")][version % 2]
                )
                assert "error" not in reload(daemon, admin, **changed)
        finally:
            over.set()
            for worker in workers:
                worker.join(30)
    assert not failures
    assert len(set(runs)) > 3


# -- services and handlers, in this process --------------------------------------------------------------


class Scanner(overseer.ServiceHandler):
    """A service that says when it runs."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.running = threading.Event()
        self.ended = threading.Event()

    def describe(self) -> overseer.ActionInfo:
        return overseer.ActionInfo(self.name, "scanner")

    def validate(self, params: Mapping[str, str]) -> None: ...

    def start(
        self, task_id: str, params: Mapping[str, str], callbacks: overseer.WorkerCallbacks
    ) -> overseer.Worker:
        raise overseer.SpawnError("it only scans")

    def run_service(self, stop: threading.Event, submitter: overseer.TaskSubmitter) -> None:
        self.running.set()
        stop.wait()
        self.ended.set()


def test_services_of_changed_actions_are_replaced_and_others_go_on(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, actions={name: shell("true") for name in "abc"}), {})
    old = {name: Scanner(name) for name in "abc"}
    hub = Hub(config, old)
    hub.start_services()
    try:
        assert all(each.running.wait(30) for each in old.values())
        new = {"a": old["a"], "b": Scanner("b"), "c": overseer.build_action_handlers(config)["c"]}
        hub.redefine(Definitions(config, new))
        assert [old[name].ended.is_set() for name in "abc"] == [False, True, True]
        assert new["b"].running.wait(30)
    finally:
        hub.shutdown()
        hub.close()
    assert old["a"].ended.is_set()
    assert new["b"].ended.is_set()
    with pytest.raises(RequestError, match="shutting down"):
        hub.redefine(Definitions(config, {}))


@pytest.mark.parametrize("tried_again", [True, False])
def test_a_service_without_a_thread_to_be_had_is_tried_again_by_the_next_reload(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tried_again: bool
) -> None:
    def no_more(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    config = load_config(write(tmp_path, actions={"a": shell("true")}), {})
    hub = Hub(config, {})
    scanner = Scanner("a")
    definitions = Definitions(config, {"a": scanner})
    try:
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", no_more)
            hub.redefine(definitions)
        assert "action a: its service cannot be started: can't start new thread" in caplog.text
        assert hub.definitions is definitions
        if tried_again:
            hub.redefine(definitions)
            assert scanner.running.wait(30)
    finally:
        assert hub.shutdown()
        hub.close()
    assert scanner.ended.is_set() is tried_again


def test_handlers_of_unchanged_actions_stay_with_what_they_remember(tmp_path: Path) -> None:
    path = write(tmp_path, **BASE)
    config = load_config(path, {})
    hub = Hub(config, overseer.build_action_handlers(config))
    before = hub.definitions.handlers
    write(tmp_path, **actions(b=shell("echo other")))
    nothing_else = Prepared((), lambda handlers: (), lambda: None, {}, lambda: None)
    Reloader(str(path), hub, lambda config: nothing_else, config).reload(lambda changes: None)
    after = hub.definitions.handlers
    assert (after["a"] is before["a"], after["b"] is before["b"]) == (True, False)
    hub.shutdown()
    hub.close()


class Fleeting(dict[str, overseer.ActionHandler]):
    """Handlers that a reload takes away as soon as somebody has looked for one, if it can then."""

    meanwhile: Callable[[], None] | None = None

    def __contains__(self, name: object) -> bool:
        found = super().__contains__(name)
        if self.meanwhile is not None:
            reloading, self.meanwhile = threading.Thread(target=self.meanwhile), None
            reloading.start()
            reloading.join(0.2)  # it may have to wait for a lock that is held here
        return found


@pytest.mark.parametrize("operation", ["pools.info", "pools.change", "pools.purge", "actions"])
def test_an_action_that_a_reload_takes_away_meanwhile_is_there_or_unknown(
    tmp_path: Path, operation: str
) -> None:
    config = load_config(write(tmp_path, actions={"a": shell("true")}), {})
    after = load_config(write(tmp_path, actions={}), {})
    handlers = Fleeting(overseer.build_action_handlers(config))
    hub = Hub(config, handlers)
    gone = threading.Event()

    def take_away() -> None:
        hub.redefine(Definitions(after, {}))
        gone.set()

    try:
        handlers.meanwhile = take_away
        with contextlib.suppress(RequestError):  # it was gone by the time that counts
            attrgetter(operation)(hub)("a")
        assert gone.wait(30)
        with pytest.raises(RequestError, match="unknown action: a"):
            attrgetter(operation)(hub)("a")
    finally:
        hub.shutdown()
        hub.close()


class Overtaken(Scanner):
    """While it validates, the configuration is reloaded."""

    def __init__(self, name: str, meanwhile: Callable[[], None]) -> None:
        super().__init__(name)
        self._meanwhile = meanwhile

    def validate(self, params: Mapping[str, str]) -> None:
        self._meanwhile()

    def run_service(self, stop: threading.Event, submitter: overseer.TaskSubmitter) -> None: ...


@pytest.mark.parametrize("fate", ["removed", "changed"])
def test_a_start_that_a_reload_overtakes_goes_by_what_counts_then(tmp_path: Path, fate: str) -> None:
    config = load_config(write(tmp_path, actions={"a": shell("true")}), {})
    after = config if fate == "changed" else load_config(write(tmp_path, actions={}), {})
    handlers = overseer.build_action_handlers(after)
    hub = Hub(config, {"a": Overtaken("a", lambda: hub.redefine(Definitions(after, handlers)))})
    try:
        if fate == "removed":
            with pytest.raises(RequestError, match="unknown action: a"):
                hub.start("a", "t")
            assert tasks_of(hub) == []
        else:
            hub.start("a", "t")  # the first handler can start nothing
            assert hub.wait_until_idle(10)
            (task,) = tasks_of(hub)
            assert task.last_exit_code == 0
    finally:
        hub.shutdown()
        hub.close()
