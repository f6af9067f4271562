"""What goes over in an upgrade: one server with everything, before and after."""

from __future__ import annotations

import signal
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.faults.support import address_of, wait_until
from tests.harness import Daemon, shell
from tests.harness.client import WsClient
from tests.net.rawclient import RawClient, http_request
from tests.upgrade.support import assert_in_order, counter, go_over, lines_of

_WAIT = 60.0
_TOKEN = "0123456789abcdef0123456789abcdef"
_ACTIONS = {
    "lone": shell("i=0; while :; do i=$((i+1)); echo $i; sleep 0.01; done"),
    "seq": shell("seq 1 20000"),
    "code": shell("sleep 0.2; exit 4"),
    "partly": shell("printf half; while [ ! -e go ]; do sleep 0.05; done; echo ' whole'"),
    "again": shell("sleep 0.1; exit 1", retry={"restart_delay": "1500ms"}),
    "limited": shell("sleep 60", timeout=3),
    "secretive": shell("sleep 0.1; cat; echo $S", config={
        "stdin": "pipe", "env": {"S": "[[.password]]"}, "parameters": {"password": {"type": "secret"}},
    }),
    "terminal": shell("while read x; do echo got $x; done", config={"stdin": "pty"}),
    "narrow": shell("sleep 0.4", task_pool={"limit": 1, "queue": {"enabled": True, "order": "last"}}),
    "filtered": shell(
        "i=0; while :; do i=$((i+1)); echo $i; sleep 0.01; done",
        config={"output": {"stdout": {"condition": "!output.data.contains('7')"}}},
    ),
    "ready": shell("sleep 0.1; echo up; sleep 60", ready={"log": "up"}, health={
        "exec": ["test", "-e", "healthy"], "interval": "200ms", "failures": 1, "on_failure": "none",
    }),
}  # fmt: skip


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    with Daemon(
        actions=_ACTIONS,
        tasks={
            "base": {"action": "ready"},
            "above": {"action": "lone", "depends_on": {"base": "healthy"}},
            "often": {"action": "code", "schedule": {"every": "1s", "overlap": "skip"}},
        },
        data_dir="data",
        audit_file="audit",
        log_file="events",
        history={"age": 86400},
    ) as daemon:
        yield daemon


def lines_logs_and_laggards(daemon: Daemon, client: WsClient) -> Iterator[None]:
    raw = RawClient(address_of(daemon), timeout=_WAIT, receive_buffer=4096)
    raw.send_json(type="start", id="1", action="seq", task_id="lagging")  # catch_up, as there is a log
    client.request("start", _WAIT, action="lone", task_id="lone-1")
    yield
    yield
    raw_messages = [raw.receive_json()]
    while raw_messages[-1]["type"] != "exited":
        raw_messages.append(raw.receive_json())
    assert assert_in_order(raw_messages, "lagging") == 20_000
    raw.close()
    client.send("stop", task_id="lone-1")
    client.expect("exited", _WAIT, task_id="lone-1")
    last = assert_in_order(client.messages, "lone-1")
    logged = client.request("logs", _WAIT, task_id="lone-1", tail=1000)
    assert logged["last_seq"] == last
    assert [line["seq"] for line in logged["lines"]] == list(range(last - len(logged["lines"]) + 1, last + 1))
    runs = client.request("runs", _WAIT, task_id="lone-1")["runs"]
    assert [(run["status"], run["reason"]) for run in runs] == [("stopped", "stopped")]


def unfinished_lines_filters_and_terminals(daemon: Daemon, client: WsClient) -> Iterator[None]:
    client.request("start", _WAIT, action="partly", task_id="partly", partial=True)
    client.expect("partial", _WAIT, task_id="partly", data="half")
    client.request("start", _WAIT, action="filtered", task_id="filtered")
    client.request("start", _WAIT, action="terminal", task_id="terminal")
    yield
    (daemon.directory / "go").touch()
    client.expect("output", _WAIT, task_id="partly", data="half whole")
    client.request("input", _WAIT, task_id="terminal", data="word\n")
    client.expect("output", _WAIT, task_id="terminal", data="got word")
    assert client.request("resize", _WAIT, task_id="terminal", rows=40, cols=100)["type"] == "resized"
    wait_until(lambda: len(lines_of(client.messages, "filtered")) > 100, _WAIT, "a hundred lines")
    kept = [text for _, text in lines_of(client.messages, "filtered")]
    assert kept == [str(number) for number in range(1, int(kept[-1]) + 1) if "7" not in str(number)]
    for name in ("filtered", "terminal"):
        client.send("stop", task_id=name)
        client.expect("exited", _WAIT, task_id=name)


def secrets_stay_masked_where_they_are_cut_in_two(daemon: Daemon, client: WsClient) -> Iterator[None]:
    client.request("start", _WAIT, action="secretive", task_id="s", params={"password": "correct-horse"})
    client.request("input", _WAIT, task_id="s", data="is it correct-")
    time.sleep(0.3)  # so that it has been read, in part
    yield
    assert client.info("s")["params"] == {"password": "***"} or "correct" not in str(client.info("s"))
    client.request("input", _WAIT, task_id="s", data="horse?\n", eof=True)
    client.expect("exited", _WAIT, task_id="s")
    assert [text for _, text in lines_of(client.messages, "s")] == ["is it ***?", "***"]


def timers_go_on(daemon: Daemon, client: WsClient) -> Iterator[None]:
    client.request("start", _WAIT, action="again", task_id="again")
    client.request("start", _WAIT, action="limited", task_id="limited")
    began = time.monotonic()
    restarting = client.expect("restarting", _WAIT, task_id="again")
    assert restarting["attempt"] == 1
    yield
    client.expect("started", _WAIT, task_id="again")
    ended = client.expect("exited", _WAIT, task_id="limited")
    assert ended["reason"] == "timeout"
    assert ended["duration_ms"] >= 3000
    assert time.monotonic() - began >= 2.9
    client.send("stop", task_id="again")
    wait_until(lambda: client.info("again")["status"] == "stopped", _WAIT, "the stop")


def queues_keep_their_order_and_pools_their_limits(daemon: Daemon, client: WsClient) -> Iterator[None]:
    client.request("set_pool", _WAIT, action="narrow", queue_size=7)
    for number in range(6):
        client.request("start", _WAIT, action="narrow", task_id=f"n{number}")
    yield
    pool = client.request("pool_info", _WAIT, action="narrow")["pool"]
    assert pool["limit"] == 1
    for number in range(6):
        client.expect("exited", _WAIT, task_id=f"n{number}")
    order = [each["task_id"] for each in client.messages if each["type"] == "exited"]
    first, *others = [name for name in order if name.startswith("n")]
    assert first == "n0"
    assert others[-3:] == sorted(others[-3:], reverse=True)


def probes_and_what_waits_for_them(daemon: Daemon, client: WsClient) -> Iterator[None]:
    client.request("start", _WAIT, task_id="base")
    client.request("start", _WAIT, task_id="above")
    client.expect("ready", _WAIT, task_id="base")
    yield
    assert client.info("base")["ready"] is True
    assert client.info("above")["status"] == "waiting"
    (daemon.directory / "healthy").touch()
    client.expect("health", _WAIT, task_id="base", status="healthy")
    client.expect("started", _WAIT, task_id="above")
    for name in ("above", "base"):
        client.send("stop", task_id=name)
        client.expect("exited", _WAIT, task_id=name)


def schedules_run_no_slot_twice(daemon: Daemon, client: WsClient) -> Iterator[None]:
    yield
    yield
    after = time.time()
    wait_until(lambda: any(slot > after for slot, _ in _schedule(daemon)[0]), _WAIT, "a start after it")
    slots, runs = _schedule(daemon)
    assert {trigger for _, trigger in runs} == {"schedule"}
    # Slots long ago are forgotten; of a run after the last of these, it is not yet known that it has begun.
    starts = [started for started, _ in runs if started <= slots[-1][1]]
    for (slot, begun), started in zip(reversed(slots), reversed(starts), strict=False):
        assert slot * 1_000_000 <= started <= begun, (slots, starts)


def _schedule(daemon: Daemon) -> tuple[list[tuple[int, int]], list[tuple[int, str]]]:
    """From the database, at one moment: the slots of "often" that were run, each with when it had begun; and
    the starts of all its runs, with their triggers. Both in order."""
    with closing(sqlite3.connect(daemon.directory / "data" / "overseer.db")) as database:
        database.execute("BEGIN")
        slots = database.execute(
            "SELECT slot, at FROM slots WHERE task_id = 'often' AND outcome = 'fired' ORDER BY at"
        ).fetchall()
        runs = database.execute(
            "SELECT started, trigger_type FROM runs WHERE task_id = 'often' ORDER BY started"
        ).fetchall()
    return slots, runs


def watchers_keep_their_place(daemon: Daemon, client: WsClient) -> Iterator[None]:
    watching = client.request("watch", _WAIT)
    yield
    client.request("start", _WAIT, action="code", task_id="seen")
    client.expect("exited", _WAIT, task_id="seen")
    assert not client.pending("watching")
    assert watching["cursor"]


def the_address_never_closes(daemon: Daemon, client: WsClient) -> Iterator[None]:
    over = threading.Event()
    refused: list[OSError] = []

    def connect() -> None:
        while not over.is_set():
            try:
                socket.create_connection(address_of(daemon), _WAIT).close()
            except OSError as error:
                refused.append(error)

    knocking = threading.Thread(target=connect)
    knocking.start()
    yield
    over.set()
    knocking.join(_WAIT)
    assert not refused


_KINDS = (
    lines_logs_and_laggards,
    unfinished_lines_filters_and_terminals,
    secrets_stay_masked_where_they_are_cut_in_two,
    probes_and_what_waits_for_them,
    schedules_run_no_slot_twice,
    watchers_keep_their_place,
    queues_keep_their_order_and_pools_their_limits,
    timers_go_on,
    the_address_never_closes,
)


@pytest.fixture(scope="module")
def failed(daemon: Daemon) -> dict[str, BaseException]:
    return go_over(daemon, _KINDS)


@pytest.mark.parametrize("kind", [kind.__name__ for kind in _KINDS])
def test_goes_over(failed: dict[str, BaseException], kind: str):
    if kind in failed:
        raise failed[kind]


def test_a_signal_upgrades_too_and_the_audit_and_metrics_say_so(daemon: Daemon, client: WsClient):
    before = _upgrades(daemon)
    daemon.process.send_signal(signal.SIGUSR2)
    daemon.process.send_signal(signal.SIGUSR2)
    wait_until(lambda: _upgrades(daemon) >= before + 1, _WAIT, "an upgrade")
    assert '"type":"upgrade"' in (daemon.directory / "audit").read_text()
    assert client.request("pool_info", _WAIT)["type"] == "pool_info"


def _upgrades(daemon: Daemon) -> int:
    return counter(daemon, "upgrades")


def test_there_is_no_moment_without_a_token(tmp_path: Path):
    with Daemon(actions=_ACTIONS, environment={"OVERSEER_TOKEN": _TOKEN}) as daemon:
        answers: set[int] = set()
        over = threading.Event()

        def ask() -> None:
            while not over.is_set():
                answers.add(http_request(address_of(daemon), "/metrics", timeout=_WAIT).status)

        asking = threading.Thread(target=ask)
        asking.start()
        admin = RawClient(address_of(daemon), timeout=_WAIT, headers=[("Authorization", f"Bearer {_TOKEN}")])
        assert admin.request(type="upgrade", id="1", timeout=_WAIT)["type"] == "upgraded"
        over.set()
        asking.join(_WAIT)
        assert answers <= {401, 503}
        assert 401 in answers
        admin.close()
