"""Notices of a real server to real receivers: who is told what, once, also over restarts of the server."""

from __future__ import annotations

import json
import re
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from overseer.testing.leaks import wait_for_exit
from tests.daemon.support import get
from tests.faults.support import wait_until
from tests.harness import Daemon, WsClient, allowed, run_program, shell
from tests.notices.receiver import Receiver

KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
CODE = {"parameters": {"code": "0", "note": ""}}
ACTIONS = {
    "job": shell("exit [[.code]]", config=CODE),
    "flaky": shell("exit 3", retry={"restart_delay": "1ms", "error_threshold": 2}),
    "waits": shell("echo up; exec sleep 60"),
    "first": shell("true", then={"any": ["needs"]}),
    "needs": shell("true", config={"parameters": {"needed": {}}}),
    "sick": shell(
        "echo up; until test -e well; do sleep 0.02; done; touch was_well; exec sleep 60",
        health={"exec": ["test", "-e", "was_well"], "interval": "50ms", "failures": 2, "on_failure": "none"},
    ),
}
ALL = ["failure", "recovery", "errored", "unhealthy"]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@contextmanager
def serve(receiver: Receiver, *rules: dict[str, Any], **top_level: Any) -> Iterator[tuple[Daemon, WsClient]]:
    notify = list(rules) or [{"on": ALL, "to": "ops"}]
    config = {"channels": {"ops": {"webhook": receiver.url}}, "notify": notify, **top_level}
    with Daemon(actions=ACTIONS, **config) as daemon, daemon.connect() as client:
        yield daemon, client


def fail(client: WsClient, task_id: str, code: int = 3) -> None:
    client.run("job", task_id=task_id, params={"code": str(code)})


def events(receiver: Receiver, number: int) -> list[tuple[str, str]]:
    return [(notice["event"], notice["message"]) for notice in receiver.wait(number)]


def test_a_change_of_state_is_told_once_and_signed(receiver: Receiver) -> None:
    channel = {"webhook": receiver.url, "secret": {"secret": "key"}, "headers": {"X-Who": {"secret": "who"}}}
    secrets = {name: {"command": ["echo", value]} for name, value in (("key", KEY), ("who", "ana-and-bob"))}
    with serve(receiver, channels={"ops": channel}, secrets=secrets, name="home") as (_, client):
        fail(client, "nightly")
        fail(client, "nightly")
        client.run("job", task_id="nightly", params={"note": 'a "quoted" note'})
        client.run("flaky", task_id="web")
        client.expect("errored", task_id="web")
        client.run("first", task_id="chain")
        assert events(receiver, 4) == [
            ("failure", "nightly failed: exit code 3"),
            ("recovery", receiver.told[1]["message"]),
            ("errored", "web is errored: gave up after 2 exits, the last with exit code 3"),
            (
                "failure",
                "needs failed: it was to follow chain and was refused: missing required parameter 'needed'",
            ),
        ]
    told = receiver.told
    assert told[1]["message"].startswith("nightly has recovered; the trouble began at ")
    assert (told[1]["count"], told[1]["since"]) == (2, told[0]["ts"])
    assert told[1]["params"] == {"note": 'a "quoted" note'}
    always = {"task_id": "nightly", "action": "job", "trigger": "client", "server": "home"}
    assert told[0].items() >= {**always, "exit_code": 3, "reason": "exited"}.items()
    for headers, body in receiver.got:
        assert Webhook(KEY).verify(body, headers)["type"].startswith("task.")
        assert headers["x-who"] == "ana-and-bob"
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 4


def test_stops_and_the_end_of_the_server_are_no_failures(receiver: Receiver) -> None:
    with serve(receiver) as (_, client):
        for task_id in ("stopped", "shut down"):
            client.send("start", action="waits", task_id=task_id)
            client.expect("output", task_id=task_id)
        client.send("stop", task_id="stopped")
        client.expect("exited", task_id="stopped")
        fail(client, "last")
        assert [notice["task_id"] for notice in receiver.wait(1)] == ["last"]
    assert len(receiver.got) == 1


def test_health_is_told(receiver: Receiver) -> None:
    with serve(receiver) as (daemon, client):
        client.send("start", action="sick", task_id="sick")
        receiver.wait(1)
        (daemon.directory / "well").touch()
        (was, now) = receiver.wait(2)
        assert was["message"].startswith("sick is unhealthy: ")
        assert (was["event"], now["event"]) == ("unhealthy", "recovery")


def test_a_task_that_cannot_be_started_at_boot_is_told(receiver: Receiver) -> None:
    actions = {"nowhere": {"type": "exec", "config": {"entrypoint": "/no/such/program"}}}
    tasks = {"db": {"action": "nowhere", "autostart": True}}
    channels = {"ops": {"webhook": receiver.url}}
    with Daemon(actions=actions, tasks=tasks, channels=channels, notify=[{"on": "errored", "to": "ops"}]):
        (told,) = receiver.wait(1)
        assert told["message"] == "db could not be started: cannot start '/no/such/program': no such file"
        assert (told["task_id"], told["reason"], told["trigger"]) == ("db", "start_failed", "boot")


def test_a_body_is_a_template_into_which_nothing_breaks_out(receiver: Receiver) -> None:
    body = '{"text": "[[.message]]", "data": {"event": "[[.event]] [[.params.note]]"}}'
    with serve(receiver, channels={"ops": {"webhook": receiver.url, "body": body}}) as (_, client):
        client.run("job", task_id="t", params={"code": "3", "note": 'x", "y": "\n'})
        assert receiver.wait(1) == [{"event": 'failure x", "y": "\n'}]


@contextmanager
def _killed(receiver: Receiver, data: Path) -> Iterator[WsClient]:
    """A server that is killed at the end, once all that it has to store is stored."""
    config = {"actions": ACTIONS, "channels": {"ops": {"webhook": receiver.url}}, "data_dir": str(data)}
    daemon = Daemon(**config, notify=[{"on": ALL, "to": "ops"}]).start()
    try:
        with daemon.connect() as client:
            yield client
            client.request("runs")
        daemon.process.kill()
        assert wait_for_exit(daemon.pid, 10)
    finally:
        daemon.kill()


def _stored(data: Path) -> tuple[int, int]:
    """How many notices and states are stored."""
    with closing(sqlite3.connect(f"file:{data}/overseer.db?mode=ro", uri=True)) as db:
        counts = [db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("notices", "told")]
    return counts[0], counts[1]


def test_what_was_told_is_not_told_again_by_the_next_server(receiver: Receiver, tmp_path: Path) -> None:
    data = tmp_path / "data"
    with _killed(receiver, data) as client:
        fail(client, "nightly")
        receiver.wait(1)
        wait_until(lambda: _stored(data) == (0, 1))
    with serve(receiver, data_dir=str(data)) as (_, client):
        fail(client, "nightly")
        fail(client, "other")
        assert [notice["task_id"] for notice in receiver.wait(2)] == ["nightly", "other"]
    with serve(receiver, data_dir=str(data)) as (_, client):
        client.run("job", task_id="nightly")
        assert receiver.wait(3)[2]["event"] == "recovery"
    assert receiver.told[2]["count"] == 2


def test_what_could_not_be_told_is_told_in_order_by_the_next_server(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    down = Receiver.__new__(Receiver)
    down.url = f"http://127.0.0.1:{port}/hook"
    with _killed(down, data) as client:
        fail(client, "a")
        fail(client, "b")
        wait_until(lambda: _stored(data)[0] == 2)
    with Receiver(port) as receiver, serve(receiver, data_dir=str(data)) as (_, client):
        client.run("job", task_id="a")
        assert [(each["task_id"], each["event"]) for each in receiver.wait(3)] == [
            *(("a", "failure"), ("b", "failure"), ("a", "recovery")),
        ]


def test_a_receiver_that_was_down_is_told_when_it_is_up_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    down = Receiver.__new__(Receiver)
    down.url = f"http://127.0.0.1:{port}/hook"
    with serve(down) as (daemon, client):
        fail(client, "a")
        daemon.wait_stderr("channel ops: a notice is not delivered: 127.0.0.1: Connection refused")
        assert "overseer_notices_pending 1.0" in get(daemon, "/metrics")[2]
        with Receiver(port) as receiver:
            receiver.wait(1)  # two seconds after the first attempt
            daemon.wait_stderr("channel ops accepts notices again")
            assert "overseer_notices_sent_total 1.0" in get(daemon, "/metrics")[2]


def test_one_that_says_410_is_told_nothing_until_a_reload(receiver: Receiver) -> None:
    receiver.answer = 410
    with serve(receiver) as (daemon, client):
        fail(client, "a")
        daemon.wait_stderr("ops is disabled until a reload or restart: 127.0.0.1 answers 410")
        fail(client, "b")
        receiver.answer = 204
        assert client.request("reload")["type"] == "reloaded"
        fail(client, "c")
        assert receiver.wait(2)[1]["task_id"] == "c"
        assert "overseer_notices_failed_total 2.0" in get(daemon, "/metrics")[2]


def test_one_that_never_answers_holds_up_nobody(receiver: Receiver) -> None:
    over = threading.Event()

    def silence(_: BaseHTTPRequestHandler) -> None:
        over.wait(30)

    receiver.answer = silence
    with Receiver() as other:
        channels = {"ops": {"webhook": receiver.url}, "other": {"webhook": other.url}}
        rule = {"on": ["failure"], "to": ["ops", "other"]}
        with serve(receiver, rule, channels=channels) as (daemon, client):
            for number in range(3):
                fail(client, f"t{number}")
            assert len(other.wait(3)) == 3
            assert len(receiver.got) == 1
            begun = time.monotonic()
            daemon.stop()
            assert time.monotonic() - begun < allowed(8)
        over.set()


def test_one_that_redirects_elsewhere_is_not_followed(receiver: Receiver) -> None:
    with Receiver() as other:

        def redirect(request: BaseHTTPRequestHandler) -> None:
            request.send_response(307)
            request.send_header("Location", other.url.replace("127.0.0.1", "localhost"))
            request.end_headers()

        receiver.answer = redirect
        with serve(receiver) as (daemon, client):
            fail(client, "a")
            daemon.wait_stderr("127.0.0.1 redirects to another host, localhost: put that into the file")
            fault = client.request("notify_test", channel="ops")
            assert fault["message"].startswith("not delivered to ops: 127.0.0.1 redirects to another host")
        assert other.got == []


def test_a_program_gets_the_notice_on_stdin_and_in_variables_and_ends_whole(receiver: Receiver) -> None:
    said = '"$OVERSEER_NOTICE_EVENT $OVERSEER_NOTICE_EXIT_CODE $OVERSEER_NOTICE_MESSAGE"'
    script = f"cat >> got; echo {said} >> said"
    fails = "sleep 61 & echo it cannot >&2; exit 4"
    channels = {"tell": {"exec": ["sh", "-c", script]}, "fails": {"exec": ["sh", "-c", fails]}}
    with serve(receiver, {"on": "failure", "to": "tell"}, channels=channels) as (daemon, client):
        fail(client, "a")
        file = daemon.directory / "said"
        deadline = time.monotonic() + 30
        while not (file.exists() and file.read_text()):
            assert time.monotonic() < deadline
            client.request("list")
        assert file.read_text() == "failure 3 a failed: exit code 3\n"
        assert json.loads((daemon.directory / "got").read_text())["data"]["task_id"] == "a"
        assert client.request("notify_test", channel="fails")["message"] == (
            "not delivered to fails: sh ended with status 4: it cannot"
        )
        assert not any("sleep 61" in command for command in daemon.processes().values())
        assert client.request("notify_test", channel="tell")["type"] == "notify_tested"
        assert file.read_text().splitlines()[1] == "test  a test of the channel tell"
        unknown = client.request("notify_test", channel="tel")
        assert unknown["message"] == "no such channel: tel; did you mean tell?"


def test_it_is_told_again_while_it_lasts(receiver: Receiver) -> None:
    with serve(receiver, {"on": ["failure", "recovery"], "to": "ops", "repeat": "0.3s"}) as (_, client):
        fail(client, "a")
        told = receiver.wait(3)
        assert [notice["reminder"] for notice in told[:3]] == [False, True, True]
        assert "still so, once since" in told[1]["message"]
        client.run("job", task_id="a")
        while receiver.told[-1]["event"] != "recovery":
            receiver.wait(len(receiver.got) + 1)


def test_without_a_channel_nothing_of_it_is_there() -> None:
    with Daemon(actions=ACTIONS) as daemon, daemon.connect() as client:
        fail(client, "a")
        threads = {path.read_text().strip() for path in Path(f"/proc/{daemon.pid}/task").glob("*/comm")}
        assert not threads & {"notices", "rules", "notice"}
        assert "overseer_notices" not in get(daemon, "/metrics")[2]
        message = client.request("notify_test", channel="ops")["message"]
        assert message == "this server's configuration has no channels"


def test_check_warns_of_what_is_forgotten_and_of_starts_that_are_refused(tmp_path: Path) -> None:
    config = {
        "listen": "127.0.0.1:0",
        "actions": {
            "a": {"type": "exec", "config": {"entrypoint": "true"}, "then": {"any": ["b", "c"]}},
            "b": {"type": "exec", "config": {"entrypoint": "true", "parameters": {"x": {}}}},
            "c": {"type": "exec", "config": {"entrypoint": "true", "parameters": {"name": "n"}}},
        },
        "channels": {"ops": {"exec": ["true"]}, "idle": {"exec": ["true"]}},
        "notify": [{"on": ["failure"], "to": ["ops"]}],
    }
    config["actions"]["a"]["then"]["any"][1] = {"action": "c", "params": {"nam": "1"}}
    (tmp_path / "config.yaml").write_text(json.dumps(config, indent=1))
    said = run_program("--check", "--config", "config.yaml", cwd=tmp_path)
    assert said.returncode == 0
    warnings = re.findall(r"config.yaml:\d+: (.*)", said.stderr)
    assert "actions.a.then.any.0: b needs the parameter x, which is not given here" in warnings
    assert "actions.a.then.any.1: c has no parameter nam; did you mean name?" in warnings
    assert "channels.idle: no rule in notify names it" in warnings
    assert any(warning.startswith("notify: without a data_dir the server forgets") for warning in warnings)
