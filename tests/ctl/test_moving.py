"""``overseerctl move``."""

from __future__ import annotations

from tests.ctl.conftest import Ctl
from tests.ctl.test_terminal import terminal
from tests.harness import Daemon, shell

_POOL = {"limit": 1, "queue": {"enabled": True}}
ACTIONS = {name: shell("exec sleep 60", task_pool=_POOL) for name in ("build", "test")}


def _order(ctl: Ctl, *action: str) -> list[str]:
    return [item["task_id"] for item in ctl("pool", *action, "--json").json["queue_items"]]


def test_waiting_tasks_are_moved(ctl: Ctl, daemon: Daemon) -> None:
    for name in ("build-0", "test-0", "build-1", "test-1", "build-2", "test-2"):
        ctl("start", name.split("-")[0], "--id", name)
    assert _order(ctl) == ["build-1", "test-1", "build-2", "test-2"]
    for arguments, order in (
        (("build-2", "--first"), "build-2 build-1 test-1 test-2"),
        (("build-2", "--down"), "build-1 build-2 test-1 test-2"),
        (("test-2", "--up"), "build-1 build-2 test-2 test-1"),
        (("build-1", "--last"), "build-2 test-2 test-1 build-1"),
        (("build-1", "--to", "2"), "build-2 build-1 test-2 test-1"),
        (("test-1", "--before", "build-1"), "build-2 test-1 build-1 test-2"),
        (("test-1", "--after", "test-2"), "build-2 build-1 test-2 test-1"),
        (("test-1", "--up", "--within-action"), "build-2 build-1 test-1 test-2"),
        (("test-1", "build-1", "--first"), "test-1 build-1 build-2 test-2"),
        (("build-1", "test-1", "--last"), "build-2 test-2 build-1 test-1"),
    ):
        assert ctl("move", *arguments).status == 0
        assert _order(ctl) == order.split()
    assert ctl("move", "test-1", "--first", "--json").json[0]["overall"] == 1
    done = ctl("move", "build-0", "--first")
    assert (done.status, done.err) == (1, "overseerctl: build-0: it is not queued\n")
    assert ctl("move", "build-1", "test-1", "--up").status == 2
    assert ctl("move", "build-1", "--to", "0").status == 2
    assert ctl("move", "build-1").status == 2
    with terminal(daemon, "move", "build-1", "--first") as shown:
        shown.wait_for(b"build-1: now number 1 in the queue, number 1 of the queued build tasks")
        assert shown.wait() == 0
