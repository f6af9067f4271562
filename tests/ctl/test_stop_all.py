"""All tasks are stopped in an order that none of them notices."""

from __future__ import annotations

from tests.ctl.conftest import Ctl
from tests.harness import Daemon, shell

ACTIONS = {
    "quick": shell("exec sleep 60"),
    "slow": shell("trap 'sleep 0.3; exit 0' TERM; echo up; while :; do sleep 0.02; done"),
}
TASKS = {
    "db": {"action": "quick"},
    "web": {"action": "slow", "depends_on": ["db"]},
    "proxy": {"action": "slow", "depends_on": {"web": "started"}},
}


def test_all_are_stopped_in_the_reverse_of_their_dependencies(ctl: Ctl, daemon: Daemon) -> None:
    with daemon.connect() as client:
        client.request("watch", output=True)
        ctl("start", "proxy")
        up = {client.expect("output", data="up")["task_id"] for _ in range(2)}
        assert up == {"web", "proxy"}
        done = ctl("stop", "--all", "--yes", "--json")
        assert (done.status, done.json) == (0, {"stopped": ["proxy", "web", "db"]})
        assert [client.expect("exited")["task_id"] for _ in TASKS] == ["proxy", "web", "db"]


def test_a_task_whose_stop_is_refused_is_not_waited_for(ctl: Ctl) -> None:
    roles = {"boss": "admin", "eve": "viewer"}
    tokens = [{"name": name, "token": name * 8, "role": role} for name, role in roles.items()]
    with Daemon(actions=ACTIONS, tasks=TASKS, auth={"tokens": tokens}) as guarded:
        server = ("--url", guarded.url, "--token")
        assert ctl("start", "proxy", *server, "boss" * 8).status == 0
        done = ctl("stop", "--all", "--yes", *server, "eve" * 8)
        assert done.status == 1
        assert {line.split(": ")[1] for line in done.err.splitlines()} == set(TASKS)
        assert ctl("stop", "--all", "--yes", *server, "boss" * 8).status == 0
