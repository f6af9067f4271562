"""Clients that do anything at any time: what a watcher hears must make sense, and add up."""

from __future__ import annotations

import random
import threading
from collections import Counter
from typing import Any

import pytest

from tests.e2e.conftest import end_all
from tests.harness import Daemon, shell

_REQUESTS = 250  # from each of the clients
_CLIENTS = 4
_IDS = [f"task {number}" for number in range(10)]
_QUEUE = {"enabled": True, "size": 3}
_ACTIONS = {
    "quick": shell("echo a; echo b"),
    "fails": shell("echo no; exit 1", retry={"restart_delay": "5ms", "error_threshold": 3}),
    "looping": shell("sleep 0.02; exit 1", task_pool={"limit": 2, "excess": {"action": "requeue"}}),
    "sleeps": shell("echo up; exec sleep 60", task_pool={"limit": 2, "queue": {**_QUEUE, "displace": True}}),
    "requeued": shell(
        "echo up; exec sleep 60",
        task_pool={"limit": 2, "queue": _QUEUE, "excess": {"action": "requeue", "order": "last"}},
    ),
    "aging": shell("exec sleep 60", task_pool={"limit": 1, "queue": {**_QUEUE, "max_age": 0.05}}),
    "broken": {
        "type": "exec",
        "config": {"entrypoint": "/no/such/program"},
        "task_pool": {"limit": 1, "queue": _QUEUE},
    },
}


def _random_request(rng: random.Random) -> dict[str, Any]:
    task = {"task_id": rng.choice(_IDS)}
    action = rng.choice(list(_ACTIONS))
    policy = rng.choice([None, None, None, {}, {"restart_delay": "10ms", "error_threshold": 2}])
    kind = rng.choices(
        [
            "start",
            "stop",
            "reset",
            "set_pool",
            "purge",
            "subscribe",
            "unsubscribe",
            "replay",
            "list",
            "metrics",
        ],
        [40, 30, 8, 6, 2, 5, 3, 3, 2, 1],
    )[0]
    return {
        "start": {"action": action, "retry_policy": policy, "force": rng.random() < 0.2, **task},
        "set_pool": {
            "action": rng.choice(["", action]),
            "limit": rng.randrange(1, 5),
            "excess": {"action": rng.choice(["stop", "requeue"]), "grace": rng.choice([0, 5])},
        },
        "purge": {"action": rng.choice(["", action])},
        "subscribe": {**task, "since_seq": rng.choice([None, 0, 3])},
        "list": {},
        "metrics": {},
    }.get(kind, task) | {"type": kind}


def _client(daemon: Daemon, seed: int, failures: list[str]) -> None:
    rng = random.Random(seed)
    with daemon.connect() as client:
        sent = {}
        for _ in range(_REQUESTS):
            request = _random_request(rng)
            sent[client.send(**request)] = request["type"]
            if rng.random() < 0.1:
                client.request("pool_info")
        client.settle()
        # Starts are carried out beside the connection, so their answers may come after later ones.
        client.wait_for_answers([id for id, type in sent.items() if type in ("start", "reset")])
        replies: dict[str, list[str]] = {id: [] for id in sent}
        for message in client.messages:
            if message.get("id") in replies:
                replies[message["id"]].append(message["type"])
        for id, type in sent.items():
            got = replies[id]
            if type == "start":
                fine = got in (
                    [["started"], ["queued"], ["error"], ["queued", "started"], ["queued", "error"]]
                )
            else:
                fine = len(got) == 1 or (type in ("stop", "replay") and not got)
            if not fine:
                failures.append(f"{type} {id}: {got}")


class Story:
    """What has been heard of one id; each event must be possible after those before it."""

    def __init__(self) -> None:
        self.state = "none"
        self.pid = 0
        self.seq = 0

    def hear(self, event: dict[str, Any]) -> None:
        handle = getattr(self, event["type"])
        before = self.state
        assert handle(event), f"{event} after {before}, pid {self.pid}, seq {self.seq}"

    def started(self, event: dict[str, Any]) -> bool:
        if "restart_of" in event:
            fine = self.state in ("waiting", "queued", "errored") and event["restart_of"] == self.pid
        else:
            fine = self.state in ("none", "queued", "ended", "stopped", "errored") or self.never_ran
            self.seq = 0
        self.state, self.pid = "running", event["pid"]
        return fine

    @property
    def never_ran(self) -> bool:
        """Whether it is a task from a queue that could not be started and is to be tried again."""
        return self.state == "waiting" and self.pid == 0

    def output(self, event: dict[str, Any]) -> bool:
        self.seq += 1
        return self.state == "running" and (event["pid"], event["seq"]) == (self.pid, self.seq)

    def exited(self, event: dict[str, Any]) -> bool:
        fine = self.state == "running" and event["pid"] == self.pid
        will_restart = event.get("will_restart", False)
        self.state = "to restart" if will_restart else "stopped" if event["intentional"] else "ended"
        return fine and not (will_restart and event["intentional"])

    def restarting(self, event: dict[str, Any]) -> bool:
        if self.state == "queued" and event["pid"] == 0:
            self.pid = 0
        fine = self.state in ("to restart", "waiting", "queued") and event["pid"] == self.pid
        self.state = "waiting"
        return fine

    def errored(self, event: dict[str, Any]) -> bool:
        fine = self.state in ("ended", "waiting", "queued")
        self.state = "errored"
        return fine

    def queued(self, event: dict[str, Any]) -> bool:
        # One that could not be started, and was to be requeued just then, is queued a second time.
        fine = self.state not in ("running", "queued", "to restart") or event["action"] == "broken"
        self.state = "queued"
        return fine and event["position"] > 0

    def dequeued(self, event: dict[str, Any]) -> bool:
        fine = self.state in ("queued", "waiting")
        self.state = "stopped"
        return fine


@pytest.mark.parametrize("seed", [1, 889931])  # the second has resets that fail
def test_whatever_clients_do_the_story_of_each_task_makes_sense(seed: int) -> None:
    failures: list[str] = []
    with (
        Daemon(actions=_ACTIONS, task_pool={"limit": 6, "queue": _QUEUE}) as daemon,
        daemon.connect() as watcher,
    ):
        for task_id in _IDS:
            watcher.request("subscribe", task_id=task_id)
        threads = [
            threading.Thread(target=_client, args=(daemon, seed + number, failures))
            for number in range(_CLIENTS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert failures == []
        end_all(watcher)
        stories = {task_id: Story() for task_id in _IDS}
        news = [
            message
            for message in watcher.messages
            if "task_id" in message and message["type"] not in ("subscribed", "error")
        ]
        for event in news:
            stories[event["task_id"]].hear(event)
        for task in watcher.request("list")["tasks"]:
            assert task["state"] not in ("queued",)
            assert task.get("worker_state") != "running"
        for action in ("", *_ACTIONS):
            pool = watcher.request("pool_info", action=action)["pool"]
            assert (pool["running"], pool["queue_depth"]) == (0, 0), action
        counted = Counter(event["type"] for event in news)
        reasons = Counter(event.get("reason") for event in news)
        metrics = watcher.request("metrics")["global"]
        assert metrics["tasks_completed"] == counted["exited"]
        assert metrics["tasks_errored"] == counted["errored"]
        assert metrics["tasks_restarted"] == counted["restarting"]
        assert metrics["total_output_lines"] == counted["output"]
        assert metrics["enqueued"] == metrics["dequeued"] == counted["queued"]
        assert (metrics["displaced"], metrics["expired"]) == (reasons["displaced"], reasons["expired"])
        first = [e for e in news if e["type"] == "started" and "restart_of" not in e]
        assert metrics["tasks_started"] == len(first)
