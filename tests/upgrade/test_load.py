"""A server that is replaced again and again under load loses, doubles and disorders nothing."""

from __future__ import annotations

import base64
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from datetime import datetime
from typing import Any

import pytest

from tests.faults.support import Held, address_of, guardian_of, wait_until
from tests.harness import Daemon, shell
from tests.harness.client import WsClient
from tests.net.rawclient import CONTINUATION, TEXT, Closed, RawClient, frame
from tests.upgrade.support import TIMES, assert_in_order, lines_of, slow, upgrade

_TIMES = TIMES or 2
_WAIT = 120.0
_LINES = 10_000
_INPUT = 300_000  # bytes, more than a pipe takes
_LONE = 6
_KEPT = 50  # tasks that are over

_TICKS = "import time\nwhile True: print(time.monotonic()); time.sleep(0.002)"
_ACTIONS = {
    "flood": shell(f"seq 1 {_LINES}"),
    "lone": shell("i=0; while :; do i=$((i+1)); echo $i; sleep 0.02; done"),
    "code": shell("", config={
        "command": ["-c", "sleep $0; exit $1", "[[.after]]", "[[.code]]"],
        "parameters": {"after": {}, "code": {}},
    }),
    "failing": shell("exit 3", retry={"restart_delay": "200ms", "error_threshold": 10_000}),
    "narrow": shell("sleep 0.05; echo done", task_pool={"limit": 1, "queue": {"enabled": True}}),
    "stubborn": shell("trap '' TERM; echo 1; while :; do sleep 0.05; done", stop_grace=1),
    "limited": shell("sleep 60", timeout=1),
    "cat": shell("cat", config={"stdin": "pipe"}),
    "count": shell("", config={
        "stdin": "pipe",
        "command": ["-c", "while [ ! -e go-$0 ]; do sleep 0.05; done; wc -c", "[[.turn]]"],
        "parameters": {"turn": {}},
    }),
    "tick": shell("true"),
}  # fmt: skip


class _Load:
    """One server, and what is asked of it around each upgrade.

    Args:
        client: asks for most of it, and has subscribed to all that it has started.
    """

    def __init__(self, daemon: Daemon, client: WsClient) -> None:
        self._daemon = daemon
        self._client = client
        self._lone = Counter[str]()  # lines that have come, by task
        self._ended_at = 0.0  # of the failing task
        self.skipped = 0  # starts by the schedule

    def begin(self) -> None:
        for number in range(_LONE):
            self._client.request("start", _WAIT, action="lone", task_id=f"lone-{number}")
        self._client.request("subscribe", _WAIT, task_id="often")
        for name in ("failing", "cat"):
            self._client.request("start", _WAIT, action=name, task_id=name)

    def turn(self, turn: int) -> None:
        """Have the server replaced in the middle of everything."""
        with self._daemon.connect() as flooded, self._daemon.connect() as other:
            client = self._client
            for number in range(5):
                params = {"after": f"0.{number * 2}", "code": str(number + 1)}
                client.request("start", _WAIT, action="code", task_id=f"code-{turn}-{number}", params=params)
                client.send("start", action="narrow", task_id=f"narrow-{turn}-{number}")
            client.request("start", _WAIT, action="limited", task_id=f"limited-{turn}")
            client.request("start", _WAIT, action="stubborn", task_id=f"stubborn-{turn}")
            client.expect("output", _WAIT, task_id=f"stubborn-{turn}")
            stopped_at = time.monotonic()
            client.send("stop", task_id=f"stubborn-{turn}")
            client.request(
                "start", _WAIT, action="count", task_id=f"count-{turn}", params={"turn": f"{turn}"}
            )
            self._give(turn)
            flooded.request("start", _WAIT, action="flood", task_id=f"flood-{turn}")
            said = other.request("subscribe", _WAIT, task_id=f"flood-{turn}", since_seq=0)
            if turn % 2:
                self._kill_guardian()
            upgrade = client.send("upgrade")
            if turn % 4 == 3:
                self._kill_guardian()
            self._give(turn)
            answer = client.expect("upgraded", _WAIT, id=upgrade)
            assert answer["tasks"] >= _LONE
            (self._daemon.directory / f"go-{turn}").touch()
            client.request("input", _WAIT, task_id=f"count-{turn}", data="end", eof=True)
            client.request("input", _WAIT, task_id="cat", data=f"turn {turn}\n" * 1000 + f"end {turn}\n")
            for number in range(5):
                ended = client.expect("exited", _WAIT, task_id=f"code-{turn}-{number}")
                assert (ended["exit_code"], ended["reason"]) == (number + 1, "exited")
                client.expect("exited", _WAIT, task_id=f"narrow-{turn}-{number}")
            ended = client.expect("exited", _WAIT, task_id=f"stubborn-{turn}")
            assert (ended["reason"], ended["signal"]) == ("stopped", "SIGKILL")
            assert time.monotonic() - stopped_at >= 0.9
            ended = client.expect("exited", _WAIT, task_id=f"limited-{turn}")
            assert (ended["reason"], ended["duration_ms"] >= 1000) == ("timeout", True), ended
            counted = client.expect("output", _WAIT, task_id=f"count-{turn}")
            assert counted["data"].strip() == str(2 * _INPUT + 3)
            client.expect("exited", _WAIT, task_id=f"count-{turn}")
            for each, first in ((flooded, 1), (other, said["oldest_seq"] or 1)):
                each.expect("exited", _WAIT, task_id=f"flood-{turn}")
                assert assert_in_order(each.messages, f"flood-{turn}", first) == _LINES
            client.expect("output", _WAIT, task_id="cat", data=f"end {turn}")
        self._check(turn)

    def _give(self, turn: int) -> None:
        """What the task does not read yet."""
        data = base64.b64encode(bytes(_INPUT)).decode()
        self._client.request("input", _WAIT, task_id=f"count-{turn}", data_base64=data)

    def _kill_guardian(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(guardian_of(self._daemon.pid), signal.SIGKILL)

    def _check(self, turn: int) -> None:
        """All that has come since the last time."""
        client = self._client
        last_id = client.send("pool_info")
        taken = client.collect("pool_info", _WAIT, id=last_id)
        end = next(at for at, message in enumerate(client.messages) if message is taken[-1]) + 1
        came = client.messages[:end]
        del client.messages[:end]  # a hundred turns have many
        for number in range(_LONE):
            name = f"lone-{number}"
            last = assert_in_order(taken, name, self._lone[name] + 1)
            assert last > self._lone[name]
            self._lone[name] = last
        echoed = [text for _, text in lines_of(came, "cat")]
        assert echoed == [f"turn {turn}"] * 1000 + [f"end {turn}"]
        order = [m["task_id"] for m in came if m["type"] == "exited"]
        narrow = [name for name in order if name.startswith("narrow")]
        assert narrow == [f"narrow-{turn}-{number}" for number in range(5)]
        self._check_restarts(came)
        self.skipped += sum(m.get("number", 1) for m in came if m["type"] == "skipped")
        pools = {name: client.request("pool_info", _WAIT, action=name)["pool"] for name in _ACTIONS}
        running = {name: pool["running"] for name, pool in pools.items() if name != "tick"}
        assert running == {**dict.fromkeys(running, 0), "lone": _LONE, "cat": 1, "failing": 1}
        assert not any(pool["queue_depth"] for pool in pools.values())

    def _check_restarts(self, came: list[dict[str, Any]]) -> None:
        """The delay of a restart is kept to."""
        for message in came:
            if message.get("task_id") != "failing":
                continue
            if message["type"] == "exited":  # `restarting` may be said a while after the delay has begun
                self._ended_at = datetime.fromisoformat(message["ts"]).timestamp()
                assert message["exit_code"] == 3
            if message["type"] == "started" and self._ended_at:
                assert datetime.fromisoformat(message["ts"]).timestamp() - self._ended_at >= 0.19


@pytest.mark.long
def test_nothing_is_lost_doubled_or_disordered_however_often_the_server_is_replaced():
    with (
        Daemon(
            actions=_ACTIONS,
            clients={"stall_timeout": 3600},
            data_dir="data",
            history={"tasks": _KEPT},
            tasks={"often": {"action": "tick", "schedule": {"every": "1s", "overlap": "queue"}}},
        ) as daemon,
        daemon.connect() as client,
        contextlib.closing(RawClient(address_of(daemon), timeout=_WAIT, receive_buffer=4096)) as blocked,
        contextlib.closing(RawClient(address_of(daemon), timeout=_WAIT, receive_buffer=4096)) as lagging,
    ):
        load = _Load(daemon, client)
        load.begin()
        blocked.send_json(type="start", id="1", action="flood", task_id="blocked", on_lag="block")
        lagging.send_json(type="start", id="1", action="flood", task_id="lagging")
        held = list[Held]()
        for turn in range(_TIMES):
            load.turn(turn)
            held.append(Held.by(daemon))
        for each, name in ((blocked, "blocked"), (lagging, "lagging")):
            received = [each.receive_json()]
            while received[-1]["type"] != "exited":
                received.append(each.receive_json())
            assert assert_in_order(received, name) == _LINES
        _check_schedule(client, load.skipped)
        client.send("stop", task_id="failing")
        if _TIMES > 10:
            _check_memory(daemon, client, held)
        wait_until(
            lambda: Held.by(daemon).threads <= held[0].threads + 3, _WAIT, "as few threads as at first"
        )
        wait_until(
            lambda: sum(Held.by(daemon).fds.values()) <= sum(held[0].fds.values()) + 3,
            _WAIT,
            "as few descriptors as at first",
        )
        assert guardian_of(daemon.pid)


def _check_memory(daemon: Daemon, client: WsClient, held: list[Held]) -> None:
    """Once the tasks that are over are forgotten, there is as much as after the first upgrade."""
    wait_until(
        lambda: len(client.request("list", _WAIT)["tasks"]) < _KEPT + _LONE + 10, _WAIT, "few tasks are kept"
    )
    upgrade(client)
    after = Held.by(daemon).memory
    print([each.memory for each in held], after)
    assert after <= held[0].memory + 5_000


def _check_schedule(client: WsClient, skipped: int) -> None:
    """Each time at which it was due has been run once, or was said to be left out."""
    runs = client.request("runs", _WAIT, task_id="often", limit=1000)["runs"]
    assert all(run["trigger"]["type"] == "schedule" for run in runs)
    assert {run["exit_code"] for run in runs if run["status"] != "running"} == {0}
    starts = sorted(datetime.fromisoformat(run["started"]).timestamp() for run in runs)
    due = round(starts[-1] - starts[0]) + 1
    assert abs(len(runs) + skipped - due) <= 1, (len(runs), skipped, due)


def test_a_message_of_which_half_has_come_is_completed_in_the_new_program():
    with Daemon(actions=_ACTIONS) as daemon, daemon.connect() as client:
        raw = RawClient(address_of(daemon), timeout=_WAIT)
        raw.request(type="pool_info", id="whole")
        data = frame(TEXT, b'{"type":"li', fin=False) + frame(CONTINUATION, b'st","id":"half"}')
        for piece in (data[:1], data[1:20], data[20:]):
            raw.send_raw(piece)
            assert client.request("upgrade", _WAIT)["type"] == "upgraded"
        assert raw.receive_json()["id"] == "half"
        raw.close()


def test_who_is_slow_to_read_what_a_log_has_holds_up_no_upgrade_and_goes_on_where_it_was():
    lines = 200_000  # far more than the ring and the sockets take
    with (
        Daemon(
            actions={"flood": shell(f"seq 1 {lines}")},
            clients={"buffer": "64KiB"},
            data_dir="data",
            limits={"memory": "500KiB"},
            tasks={"flood": {"action": "flood", "autostart": True}},
        ) as daemon,
        daemon.connect() as client,
        RawClient(address_of(daemon), timeout=_WAIT, receive_buffer=4096) as reader,
        RawClient(address_of(daemon), timeout=_WAIT) as again,
    ):
        wait_until(lambda: _statuses(client) == ["succeeded"], _WAIT, "the end of the flood")
        reader.send_json(type="replay", id="1", task_id="flood", since_seq=0)
        received = [reader.receive_json()]
        upgrade(client)
        with pytest.raises(Closed) as closed:
            received.extend(iter(reader.receive_json, None))
        assert closed.value.code == 1012
        last = assert_in_order(received, "flood")
        assert 1 < last < lines
        again.send_json(type="replay", id="1", task_id="flood", since_seq=last)
        assert again.receive_json()["seq"] == last + 1


@slow
def test_a_hundred_tasks_and_their_clients_hardly_notice():
    """The machine may be busy: what counts is how often Python could have been started meanwhile."""
    ticks = {"entrypoint": sys.executable, "command": ["-uc", _TICKS]}
    actions = {"idle": shell("exec sleep 3600"), "tick": {"type": "exec", "config": ticks}}
    with (
        Daemon(actions=actions) as daemon,
        daemon.connect() as client,
        contextlib.closing(RawClient(address_of(daemon), timeout=_WAIT)) as ticking,
    ):
        for number in range(100):
            client.request("start", _WAIT, action="idle", task_id=f"idle-{number}")
        ticking.request(type="start", id="1", action="tick", task_id="tick", timeout=_WAIT)
        ratios = []
        for _ in range(8):
            upgrade, waited = client.send("upgrade"), 0.0
            while not client.pending("upgraded") or waited < 0.01:
                waited = max(waited, _waited(ticking))
            assert client.expect("upgraded", _WAIT, id=upgrade)["tasks"] == 101
            waited = max(waited, *(_waited(ticking) for _ in range(50)))
            began = time.monotonic()
            subprocess.run([sys.executable, "-c", ""], check=True)
            ratios.append(waited / (time.monotonic() - began))
        print([round(each, 1) for each in ratios])
        assert min(ratios) <= 25


def _statuses(client: WsClient) -> list[str]:
    return [each["status"] for each in client.request("list", _WAIT)["tasks"]]


def _waited(ticking: RawClient) -> float:
    """How many seconds the next line took."""
    while (message := ticking.receive_json())["type"] != "output":
        pass
    return time.monotonic() - float(message["data"])
