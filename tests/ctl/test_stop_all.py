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
