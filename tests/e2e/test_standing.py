"""Standing tasks: named in the file, started for each other and with the server, stopped in order."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.support import get
from tests.faults.support import wait_until
from tests.harness import Daemon, WsClient, shell

SLEEP = shell("exec sleep 1000")
# Ends when the test makes the file.
JOB = shell("while [ ! -e gate ]; do sleep 0.02; done; exit $(cat gate)")
WEB_ON_DB = {"web": {"action": "sleep", "depends_on": ["db"]}, "db": {"action": "sleep"}}


def served(tasks: dict[str, Any], **more: Any) -> Daemon:
    """A server with these standing tasks; an action for each name in ``more`` that is one."""
    actions = {"sleep": SLEEP, "job": JOB, **more.pop("actions", {})}
    return Daemon(actions=actions, tasks=tasks, **more)


def watch(client: WsClient, *names: str) -> None:
    for name in names:
        client.request("subscribe", task_id=name)


def statuses(client: WsClient) -> dict[str, str]:
    return {task["task_id"]: task["status"] for task in client.request("list")["tasks"]}


def wait_again(client: WsClient) -> None:
    """Web waits for db, after both of them have run and were stopped."""
    client.request("start", task_id="web")
    client.expect("started", task_id="web")
    for name in ("web", "db"):
        client.send("stop", task_id=name)
        client.expect("exited", task_id=name)
    assert client.request("restart", task_id="web")["waiting_on"] == ["db"]


def test_a_start_by_name_takes_action_and_parameters_from_the_file() -> None:
    greet = shell("echo hello [[.who]]", config={"parameters": {"who": {}}})
    tasks = {"greeting": {"action": "greet", "params": {"who": "Ann"}}}
    with served(tasks, actions={"greet": greet}) as daemon, daemon.connect() as client:
        client.request("start", task_id="greeting")
        assert client.expect("output")["data"] == "hello Ann"
        client.expect("exited")
        assert client.info("greeting")["status"] == "succeeded"
        assert client.request("start", task_id="greeting", action="greet")["type"] == "started"
        client.expect("exited")
        for wrong, said in (
            ({"action": "sleep"}, "greeting is a standing task, and runs greet"),
            (
                {"params": {"who": "Bob"}},
                "greeting is a standing task: its parameters are in the configuration",
            ),
        ):
            assert client.request("start", task_id="greeting", **wrong)["message"] == said
        unknown = client.request("start", task_id="nobody")
        assert (unknown["message"], unknown["code"]) == (
            "no such task in the configuration: nobody",
            "not_found",
        )
        assert client.request("start")["message"] == "start: action is required (a string)"


def test_a_task_starts_what_it_waits_for_and_then_itself() -> None:
    tasks = {
        "web": {"action": "sleep", "depends_on": {"api": "started", "schema": "succeeded"}},
        "api": {"action": "sleep", "depends_on": ["db"]},
        "schema": {"action": "job", "depends_on": ["db"]},
        "db": {"action": "sleep"},
        "other": {"action": "sleep"},
    }
    with served(tasks) as daemon, daemon.connect() as client:
        watch(client, *tasks)
        queued = client.request("start", task_id="web")
        assert (queued["type"], queued["position"]) == ("queued", 0)
        assert queued["waiting_on"] == ["api", "schema"]
        client.expect("queued", task_id="web", waiting_on=["schema"])
        client.expect("started", task_id="schema")
        assert statuses(client) == {"web": "waiting", "api": "running", "schema": "running", "db": "running"}
        assert client.info("web")["waiting_on"] == ["schema"]
        assert client.info("web")["state"] == "queued"
        order = [message["task_id"] for message in client.messages if message["type"] == "started"]
        assert order.index("db") < min(order.index("api"), order.index("schema"))
        assert not client.pending("started", task_id="web")
        (daemon.directory / "gate").write_text("0")
        client.expect("started", task_id="web")
        assert statuses(client)["web"] == "running"
        assert "waiting_on" not in client.info("web")


def test_what_failed_is_waited_for_until_it_succeeds() -> None:
    tasks = {"web": {"action": "sleep", "depends_on": {"schema": "succeeded"}}, "schema": {"action": "job"}}
    with served(tasks) as daemon, daemon.connect() as client:
        watch(client, *tasks)
        (daemon.directory / "gate").write_text("3")
        client.request("start", task_id="web")
        client.expect("exited", task_id="schema", exit_code=3)
        assert statuses(client) == {"web": "waiting", "schema": "failed"}
        (daemon.directory / "gate").write_text("0")
        client.request("start", task_id="schema")
        client.expect("started", task_id="web")


def test_a_wait_can_be_stopped_and_holds_no_slot() -> None:
    tasks = {"web": {"action": "sleep", "depends_on": {"schema": "succeeded"}}, "schema": {"action": "job"}}
    with served(tasks, task_pool={"limit": 2}) as daemon, daemon.connect() as client:
        watch(client, *tasks)
        client.request("start", task_id="web")
        client.expect("started", task_id="schema")
        assert client.request("pool_info")["pool"]["running"] == 1
        assert client.request("start", action="sleep", task_id="filler")["type"] == "started"
        client.send("stop", task_id="web")
        assert client.expect("dequeued", task_id="web")["reason"] == "stopped"
        (daemon.directory / "gate").write_text("0")
        client.expect("exited", task_id="schema")
        client.settle()
        assert not client.pending("started", task_id="web")
        assert statuses(client) == {"schema": "succeeded", "filler": "running"}


def test_once_its_wait_is_over_a_task_queues_for_a_slot() -> None:
    tasks = {"web": {"action": "sleep", "depends_on": {"schema": "ended"}}, "schema": {"action": "job"}}
    with served(tasks, task_pool={"limit": 1}) as daemon, daemon.connect() as client:
        watch(client, *tasks)
        client.request("start", task_id="web")
        client.expect("started", task_id="schema")
        client.request("set_pool", limit=2)
        client.request("start", action="sleep", task_id="filler")
        client.request("set_pool", limit=1)  # stops one, the first: schema
        client.expect("exited", task_id="schema")
        assert client.expect("queued", task_id="web", position=1)
        assert statuses(client)["web"] == "queued"
        client.send("stop", task_id="filler")
        client.expect("started", task_id="web")


def test_what_a_person_stopped_is_started_for_nobody() -> None:
    with served(WEB_ON_DB) as daemon, daemon.connect() as client:
        watch(client, *WEB_ON_DB)
        client.request("start", task_id="db")
        client.send("stop", task_id="db")
        client.expect("exited", task_id="db")
        assert client.request("start", task_id="web")["waiting_on"] == ["db"]
        client.settle()
        assert statuses(client) == {"web": "waiting", "db": "stopped"}
        client.request("start", task_id="db")
        client.expect("started", task_id="web")


def test_a_restart_of_what_is_over_waits_again() -> None:
    with served(WEB_ON_DB) as daemon, daemon.connect() as client:
        watch(client, *WEB_ON_DB)
        wait_again(client)
        client.request("restart", task_id="db")
        client.expect("started", task_id="web")


def test_a_wait_of_what_ran_before_leaves_nothing_that_it_waits_for() -> None:
    with served(WEB_ON_DB) as daemon, daemon.connect() as client:
        watch(client, *WEB_ON_DB)
        wait_again(client)
        client.send("stop", task_id="web")
        client.expect("dequeued", task_id="web")
        info = client.info("web")
        assert (info["status"], info.get("waiting_on")) == ("stopped", None)


def test_a_wait_goes_on_when_its_action_is_gone_from_the_file() -> None:
    tasks = {"web": {"action": "sleep", "depends_on": {"schema": "succeeded"}}, "schema": {"action": "job"}}
    with served(tasks) as daemon, daemon.connect() as client:
        watch(client, *tasks)
        client.request("start", task_id="web")
        client.expect("started", task_id="schema")
        left = {"listen": "127.0.0.1:0", "actions": {"job": JOB}, "tasks": {"schema": tasks["schema"]}}
        (daemon.directory / "config.yaml").write_text(json.dumps(left))
        assert client.request("reload")["removed"] == ["sleep"]
        (daemon.directory / "gate").write_text("0")
        client.expect("exited", task_id="schema")
        client.expect("started", task_id="web")
        assert get(daemon, "/metrics")[0] == 200


def test_a_chain_of_a_hundred_starts_in_order_and_stops_in_reverse() -> None:
    tasks: dict[str, Any] = {
        f"t{number:02}": {"action": "sleep", "depends_on": [f"t{number - 1:02}"] if number else []}
        for number in range(100)
    }
    with served(tasks, shutdown_timeout=60) as daemon, daemon.connect() as client:
        watch(client, *tasks)
        client.request("start", task_id="t99")
        client.expect("started", 30, task_id="t99")
        daemon.process.send_signal(signal.SIGTERM)
        client.expect("exited", 30, task_id="t00")
        order = {
            what: [message["task_id"] for message in client.messages if message["type"] == what]
            for what in ("started", "exited")
        }
        assert [*dict.fromkeys(order["started"])] == [*tasks]
        assert order["exited"] == [*reversed(tasks)]


def test_the_order_of_stops_keeps_its_budget() -> None:
    stubborn = shell('trap "" TERM; echo up; while :; do sleep 0.05; done', stop_grace=60)
    tasks = {"web": {"action": "stubborn", "depends_on": ["db"]}, "db": {"action": "sleep"}}
    with (
        served(tasks, actions={"stubborn": stubborn}, shutdown_timeout=3) as daemon,
        daemon.connect() as client,
    ):
        watch(client, *tasks)
        client.request("start", task_id="web")
        client.expect("output", task_id="web")
        daemon.process.send_signal(signal.SIGTERM)
        assert client.expect("exited", 20, task_id="db")["signal"] == "SIGTERM"
        daemon.wait(20)


def test_with_the_server_start_those_that_say_so_and_what_they_need() -> None:
    tasks = {
        "web": {"action": "sleep", "autostart": True, "depends_on": ["db"]},
        "db": {"action": "sleep"},
        "idle": {"action": "sleep"},
        "broken": {"action": "broken", "autostart": True, "retry": {"restart_delay": "1h"}},
    }
    broken = {"type": "exec", "config": {"entrypoint": "/nowhere/at/all"}}
    with served(tasks, actions={"broken": broken}) as daemon, daemon.connect() as client:
        watch(client, *tasks)
        deadline = {"web": "running", "db": "running", "broken": "restarting"}
        while statuses(client) != deadline:  # each list is a round trip
            pass
        graph = client.request("graph")
        assert [(node["task_id"], node.get("status"), node["autostart"]) for node in graph["nodes"]] == [
            ("web", "running", "true"),
            ("db", "running", "false"),
            ("idle", None, "false"),
            ("broken", "restarting", "true"),
        ]
        assert graph["edges"] == [{"task_id": "web", "depends_on": "db", "condition": "ready", "met": True}]


def test_what_the_server_starts_by_itself_is_in_the_audit() -> None:
    tasks = {
        "db": {"action": "sleep"},
        "web": {"action": "sleep", "autostart": True, "depends_on": ["db"]},
        "idle": {"action": "sleep"},
        "wrong": {"action": "picky", "autostart": True},
    }
    refused = {"n": {"default": "x", "validate": "value != 'x'"}}
    actions = {"picky": shell("true", config={"parameters": refused})}
    with served(tasks, actions=actions, audit_file="audit") as daemon, daemon.connect() as client:
        wait_until(lambda: statuses(client).get("web") == "running", 20.0)
        client.request("start", task_id="idle")
        file = daemon.directory / "audit"
        wait_until(lambda: '"task_id":"idle"' in file.read_text(), 20.0)
        lines = [json.loads(line) for line in file.read_text().splitlines()]
    own = {each["request"]["task_id"]: each for each in lines if each["from"] == "server"}
    assert {name: each["who"] for name, each in own.items()} == dict.fromkeys(("db", "web", "wrong"), "boot")
    assert "'n'" in own["wrong"]["error"]
    assert "error" not in own["db"]
    assert "error" not in own["web"]


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_last_means_if_it_was_running(tmp_path: Path, end: str) -> None:
    tasks = {name: {"action": "sleep", "autostart": "last"} for name in ("kept", "stopped", "never")}
    more = {"data_dir": str(tmp_path / "data")}
    with served(tasks, **more) as daemon, daemon.connect() as client:
        for name in ("kept", "stopped"):
            client.request("start", task_id=name)
        client.send("stop", task_id="stopped")
        client.expect("exited", task_id="stopped")
        if end == "kill":
            daemon.kill()
    with served(tasks, **more) as daemon, daemon.connect() as client:
        watch(client, "kept")
        while "kept" not in statuses(client):
            pass
        assert statuses(client) == {"kept": "running"}


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_what_was_wanted_comes_back_and_what_a_person_stopped_does_not(tmp_path: Path, end: str) -> None:
    last = {"autostart": "last"}
    tasks: dict[str, Any] = {
        "waits": {"action": "sleep", "depends_on": {"job": "succeeded"}, **last},
        "behind": {"action": "one", **last},
        "queued": {"action": "one", **last},
        "gave up waiting": {"action": "sleep", "depends_on": {"job": "succeeded"}, **last},
        "left the queue": {"action": "one", **last},
        "retries": {"action": "fails", **last},
        "stopped": {"action": "sleep", "autostart": "last"},
        "stopped while retrying": {"action": "fails", **last},
        "over": {"action": "over", **last},
        "not said": {"action": "sleep", "depends_on": {"job": "succeeded"}},
        "job": {"action": "job"},
    }
    actions = {
        "one": {**SLEEP, "task_pool": {"limit": 1, "queue": {"enabled": True}}},
        "fails": shell("exit 3", retry={"restart_delay": "1h"}),
        "over": shell("exit 0"),
    }
    more = {"actions": actions, "data_dir": str(tmp_path / "data")}
    with served(tasks, **more) as daemon, daemon.connect() as client:
        watch(client, *tasks)
        for name in tasks:
            if name == "job":  # which the first of those that wait for it has started
                continue
            assert client.request("start", task_id=name)["type"] in ("started", "queued"), name
        for name in ("gave up waiting", "left the queue", "stopped", "stopped while retrying"):
            if name == "stopped while retrying":
                client.expect("restarting", task_id=name)
            client.send("stop", task_id=name)
        client.expect("restarting", task_id="retries")
        client.expect("exited", task_id="over")
        client.expect("exited", task_id="stopped")
        expected = {
            "waits": "waiting",
            "behind": "running",
            "queued": "queued",
            "retries": "restarting",
        }
        client.request("runs")  # answered once everything before it is stored
        now = statuses(client)
        assert {name: now[name] for name in expected} == expected
        if end == "kill":
            daemon.kill()
    # Twice: what waits at the next end, too, is wanted after it.
    for _ in range(2):
        with served(tasks, **more) as daemon, daemon.connect() as client:
            wait_until(lambda: statuses(client) == {**expected, "job": "running"})
            client.request("runs")
            if end == "kill":
                daemon.kill()


def test_what_a_person_stopped_is_started_for_nobody_after_the_servers_end_either(tmp_path: Path) -> None:
    tasks = {"web": {"action": "sleep", "depends_on": ["db"], "autostart": True}, "db": {"action": "sleep"}}
    more = {"data_dir": str(tmp_path / "data")}
    with served(tasks, **more) as daemon, daemon.connect() as client:
        wait_until(lambda: statuses(client) == {"web": "running", "db": "running"})
        client.request("subscribe", task_id="db")
        client.send("stop", task_id="db")
        client.expect("exited", task_id="db")
        daemon.kill()
    with served(tasks, **more) as daemon, daemon.connect() as client:
        wait_until(lambda: "web" in statuses(client))
        client.settle()
        assert statuses(client) == {"web": "waiting"}
        daemon.kill()
    with served(tasks, **more) as daemon, daemon.connect() as client:
        client.request("start", task_id="db")
        wait_until(lambda: statuses(client) == {"web": "running", "db": "running"})
        client.request("runs")
        daemon.kill()
    with served(tasks, **more) as daemon, daemon.connect() as client:
        wait_until(lambda: statuses(client) == {"web": "running", "db": "running"})


def test_a_reload_starts_what_is_new_and_nothing_else() -> None:
    tasks = {"old": {"action": "sleep", "autostart": True}}
    with served(tasks) as daemon, daemon.connect() as client:
        while "old" not in statuses(client):
            pass
        client.send("stop", task_id="old")
        while statuses(client)["old"] != "stopped":
            pass
        text = (daemon.directory / "config.yaml").read_text()
        new = '"new": {"action": "sleep", "autostart": true, "depends_on": ["old"]}, "old"'
        (daemon.directory / "config.yaml").write_text(text.replace('"old"', new, 1))
        assert client.request("reload")["settings"] == ["tasks"]
        while "new" not in statuses(client):
            pass
        assert statuses(client) == {"old": "stopped", "new": "waiting"}
        # Not even if it was gone from the file in between.
        file = daemon.directory / "config.yaml"
        both = file.read_text()
        gone = both.replace('"old": {', '"young": {').replace('["old"]', '["young"]')
        for text in (gone, both):
            file.write_text(text)
            assert client.request("reload")["settings"] == ["tasks"]
        wait_until(lambda: "young" in statuses(client))  # started in the same way, so that way works
        client.settle()
        assert statuses(client)["old"] == "stopped"


def test_a_restart_takes_the_parameters_that_the_file_has_now() -> None:
    say = shell(
        "echo in [[.dir]]; exec sleep 1000",
        config={"cwd": "[[.dir]]", "parameters": {"dir": {}}},
        dedupe_key=["dir"],
    )
    with served({"web": {"action": "say", "params": {"dir": "/"}}}, actions={"say": say}) as daemon:
        file = daemon.directory / "config.yaml"

        def redefine(old: str, new: str) -> None:
            text = file.read_text()
            assert text.count(old) == 1
            file.write_text(text.replace(old, new))
            assert client.request("reload")["settings"] == ["tasks"]

        with daemon.connect() as client:
            client.request("start", task_id="web")
            assert client.expect("output")["data"] == "in /"
            redefine('"dir": "/"', '"dir": "/tmp"')
            assert client.info("web")["params"] == {"dir": "/"}
            assert client.request("restart", task_id="web")["type"] == "started"
            client.expect("exited", task_id="web")
            assert client.expect("output")["data"] == "in /tmp"
            assert client.info("web")["params"] == {"dir": "/tmp"}
            # What it had is free again, and what it has is not.
            assert client.request("start", action="say", params={"dir": "/tmp"})["existing_task_id"] == "web"
            other = client.request("start", action="say", params={"dir": "/"}, task_id="other")
            assert other["type"] == "started"
            client.send("stop", task_id="web")
            client.expect("exited", task_id="web")
            # A start that fails leaves the task as it was.
            redefine('"dir": "/tmp"', '"dir": "/missing"')
            assert "/missing" in client.request("restart", task_id="web")["message"]
            assert client.info("web")["params"] == {"dir": "/tmp"}
            assert client.info("web")["status"] == "stopped"
            redefine('"action": "say"', '"action": "sleep"')
            refused = client.request("restart", task_id="web")
            assert refused["code"] == "conflict"
            assert "runs another action" in refused["message"]
