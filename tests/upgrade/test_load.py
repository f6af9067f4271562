"""A server that is replaced again and again under load loses, doubles and disorders nothing."""

from __future__ import annotations

import os
import time

from tests.faults.support import Held, address_of, wait_until
from tests.harness import Daemon, shell
from tests.net.rawclient import CONTINUATION, TEXT, RawClient, frame
from tests.upgrade.support import assert_in_order, lines_of

_TIMES = int(os.environ.get("OVERSEER_TEST_UPGRADES", "3"))
_WAIT = 60.0
_LINES = 30_000

_ACTIONS = {
    "flood": shell(f"seq 1 {_LINES}"),
    "lone": shell("i=0; while :; do i=$((i+1)); echo $i; sleep 0.01; done"),
    "code": shell("sleep $0; exit $1", config={
        "entrypoint": "/bin/sh", "command": ["-c", "sleep $0; exit $1", "[[.after]]", "[[.code]]"],
        "parameters": {"after": {}, "code": {}},
    }),
    "failing": shell("exit 3", retry={"restart_delay": "200ms", "error_threshold": 1000}),
    "narrow": shell("sleep 0.05; echo done", task_pool={"limit": 1, "queue": {"enabled": True}}),
    "stubborn": shell("trap '' TERM; echo 1; while :; do sleep 0.05; done", stop_grace=2),
    "cat": shell("cat", config={"stdin": "pipe"}),
}  # fmt: skip


def _upgrade(client) -> dict:
    answer = client.request("upgrade", timeout=_WAIT)
    assert answer["type"] == "upgraded", answer
    return answer


def test_nothing_is_lost_doubled_or_disordered_however_often_the_server_is_replaced():
    with (
        Daemon(actions=_ACTIONS, clients={"stall_timeout": 300}) as daemon,
        daemon.connect() as client,
        daemon.connect() as flooded,
        daemon.connect() as other,
    ):
        for number in range(8):
            client.request("start", action="lone", task_id=f"lone-{number}")
        client.request("start", action="failing", task_id="failing")
        client.request("start", action="cat", task_id="cat")
        deaf = RawClient(address_of(daemon), timeout=_WAIT)
        deaf.send_json(type="start", id="1", action="flood", task_id="blocked", on_lag="block")
        held: Held | None = None
        for turn in range(_TIMES):
            for number in range(5):
                params = {"after": f"0.{number * 2}", "code": str(number + 1)}
                client.request("start", _WAIT, action="code", task_id=f"code-{turn}-{number}", params=params)
                client.send("start", action="narrow", task_id=f"narrow-{turn}-{number}")
            client.request("start", _WAIT, action="stubborn", task_id=f"stubborn-{turn}")
            client.expect("output", _WAIT, task_id=f"stubborn-{turn}")
            stopped_at = time.monotonic()
            client.send("stop", task_id=f"stubborn-{turn}")
            flooded.request("start", _WAIT, action="flood", task_id=f"flood-{turn}")
            said = other.request("subscribe", _WAIT, task_id=f"flood-{turn}", since_seq=0)
            answer = _upgrade(client)
            assert answer["tasks"] >= 8
            text = f"turn {turn}\n" * 1000
            client.request("input", _WAIT, task_id="cat", data=text)
            for number in range(5):
                ended = client.expect("exited", _WAIT, task_id=f"code-{turn}-{number}")
                assert (ended["exit_code"], ended["reason"]) == (number + 1, "exited")
                client.expect("exited", _WAIT, task_id=f"narrow-{turn}-{number}")
            ended = client.expect("exited", _WAIT, task_id=f"stubborn-{turn}")
            assert (ended["reason"], ended["signal"]) == ("stopped", "SIGKILL")
            assert time.monotonic() - stopped_at >= 1.9
            for each, first in ((flooded, 1), (other, said["oldest_seq"] or 1)):
                each.expect("exited", _WAIT, task_id=f"flood-{turn}")
                assert assert_in_order(each.messages, f"flood-{turn}", first) == _LINES
            if turn == 0:
                held = Held.by(daemon)
        for number in range(8):
            assert assert_in_order(client.messages, f"lone-{number}") > 0
        order = [
            m["task_id"]
            for m in client.messages
            if m["type"] == "exited" and m["task_id"].startswith("narrow")
        ]
        assert order == [f"narrow-{turn}-{number}" for turn in range(_TIMES) for number in range(5)]
        echoed = [text for _, text in lines_of(client.messages, "cat")]
        assert echoed == [f"turn {turn}" for turn in range(_TIMES) for _ in range(1000)]
        client.send("stop", task_id="failing")
        received: list[dict] = []
        while not received or received[-1]["type"] != "exited":
            received.append(deaf.receive_json())
        assert assert_in_order(received, "blocked") == _LINES
        deaf.close()
        assert held is not None
        last = held
        wait_until(lambda: Held.by(daemon).threads <= last.threads + 3, _WAIT, "as few threads as at first")
        wait_until(
            lambda: sum(Held.by(daemon).fds.values()) <= sum(last.fds.values()) + 3,
            _WAIT,
            "as few descriptors as at first",
        )


def test_a_message_of_which_half_has_come_is_completed_in_the_new_program():
    with Daemon(actions=_ACTIONS) as daemon, daemon.connect() as client:
        raw = RawClient(address_of(daemon), timeout=_WAIT)
        raw.request(type="pool_info", id="whole")
        data = frame(TEXT, b'{"type":"li', fin=False) + frame(CONTINUATION, b'st","id":"half"}')
        for piece in (data[:1], data[1:9], data[9:20], data[20:]):
            raw.send_raw(piece)
            _upgrade(client)
        assert raw.receive_json()["id"] == "half"
        raw.close()
