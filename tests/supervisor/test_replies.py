"""A reply that pictures state is appended in the critical section that pictured it, so that it is never older
than the messages before it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import overseer
from overseer.auth.peer import Peer
from overseer.daemon.audit import Audit
from overseer.daemon.dispatch import Dispatcher
from overseer.daemon.logs import TaskLogs
from overseer.daemon.notices import TaskNotices
from overseer.daemon.runs import RunHistory
from overseer.daemon.schedules import TaskSchedules
from overseer.daemon.systemd import Notifier
from overseer.daemon.upgrade import Upgrades
from overseer.protocol import MessageLimits
from overseer.secrets.vault import Vault
from overseer.supervisor.metrics import Metrics
from overseer.supervisor.output.ring import Ring
from overseer.supervisor.pool.pool import PoolManager
from overseer.supervisor.table import TaskTable
from overseer.supervisor.task import Task
from overseer.util import locks
from overseer.util.jsonlog import EventLog
from overseer.util.timers import Timers
from tests.faults.support import wait_until
from tests.supervisor.output.test_publisher import _Held

_CONFIG = """
task_pool: {limit: 1, queue: {enabled: true, size: 1}}
actions:
  waits: {type: waits, dedupe_key: [name], config: {}}
  fails: {type: waits, retry: {error_threshold: 1}}
"""


class Waits(overseer.ActionHandler):
    """Its tasks run until they are stopped; those of ``fails`` end with an error."""

    def __init__(self, name: str) -> None:
        self.name = name

    def describe(self) -> overseer.ActionInfo:
        return overseer.ActionInfo(self.name, "waits", params={"name": overseer.ParamSpec(default="")})

    def validate(self, params: Mapping[str, str]) -> None:
        if params.get("name") == "invalid":
            raise overseer.ValidationError("not that name")

    def start(
        self, task_id: str, params: Mapping[str, str], callbacks: overseer.WorkerCallbacks
    ) -> overseer.Worker:
        if params.get("name") == "broken":
            raise overseer.SpawnError("it is broken")

        def run(context: overseer.VirtualContext, send: Callable[[str, str], None]) -> int:
            send("stdout", "hello")
            if self.name == "fails":
                return 1
            context.wait()
            return 0

        return overseer.start_virtual_worker(task_id, run, callbacks)


class Watched(_Held):
    """Notes the sections in which each message was appended."""

    def __init__(self, timers: Timers, now: Callable[[], dict[str, int]]) -> None:
        super().__init__(timers, bound=1 << 20)
        self._now = now
        self.heard: list[tuple[dict[str, Any], dict[str, int]]] = []

    def append(self, message: Any, *, output: bool = False) -> None:
        self.heard += [(json.loads(line), self._now()) for line in message.lines.splitlines()]
        super().append(message, output=output)


class Stage:
    """A hub, a dispatcher, and the critical sections in which pictures were taken of it."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path.write_text(_CONFIG)
        config = overseer.load_config(path)
        self.hub = overseer.Hub(config, {name: Waits(name) for name in config.actions})
        self.pictured: dict[str, dict[str, int]] = {}
        self._sections: dict[int, int] = {}
        self._watch_locks(monkeypatch)
        for name, owner, method in (
            ("tasks", TaskTable, "__iter__"),
            ("pool", PoolManager, "rows"),
            ("counters", Metrics, "snapshot_locked"),
            ("action's counters", Metrics, "action_snapshot_locked"),
            ("task's counters", Task, "metrics_locked"),
            ("ring", Ring, "since"),
        ):
            self._watch(monkeypatch, name, owner, method)
        self.timers = Timers()
        self.outbox = Watched(self.timers, self.now)
        reloader: Any = SimpleNamespace()
        history = RunHistory(config, lambda runs: None, lambda task_id: False)
        self.dispatcher = Dispatcher(
            self.hub,
            self.outbox,
            Peer("stdio", ""),
            limits=MessageLimits(),
            requests_per_second=0,
            on_lag="block",
            manifest=lambda principal: {"actions": [info.name for info in self.hub.actions("", principal)]},
            audit=Audit(),
            reloader=reloader,
            history=history,
            logs=TaskLogs(config),
            schedules=TaskSchedules(self.hub, history, Audit()),
            upgrades=Upgrades(lambda: None, Notifier(), EventLog(), Audit(), ""),
            notices=TaskNotices(self.hub, history, Vault()),
        )

    def _watch_locks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        acquire = locks._CheckedLock.acquire

        def counted(lock: locks._CheckedLock, blocking: bool = True, timeout: float = -1) -> bool:
            taken = acquire(lock, blocking, timeout)
            if taken:
                self._sections[id(lock)] = self._sections.get(id(lock), 0) + 1
            return taken

        monkeypatch.setattr(locks._CheckedLock, "acquire", counted)

    def _watch(self, monkeypatch: pytest.MonkeyPatch, name: str, owner: type, method: str) -> None:
        look = getattr(owner, method)

        def noted(*args: Any, **fields: Any) -> Any:
            self.pictured[name] = self.now()
            return look(*args, **fields)

        monkeypatch.setattr(owner, method, noted)

    def now(self) -> dict[str, int]:
        """The sections that this thread is in: the locks that it holds, each with how often it was taken."""
        named: dict[str, Any] = {"hub": self.hub._table.lock, "metrics": self.hub._metrics.lock}
        if (task := self.hub._table._tasks.get("t")) is not None:
            named["task"] = task.lock
        return {name: self._sections.get(id(lock), 0) for name, lock in named.items() if lock._is_owned()}

    def ask(self, type: str, **fields: Any) -> tuple[list[dict[str, Any]], list[dict[str, int]]]:
        """What is heard during a request, and in which sections each was appended."""
        self.pictured.clear()
        self.outbox.heard.clear()
        self.dispatcher.receive(json.dumps({"type": type, "id": "ask", **fields}))
        return [each[0] for each in self.outbox.heard], [each[1] for each in self.outbox.heard]

    def wait_for(self, type: str) -> dict[str, int]:
        """Wait for a message that another thread appends; returns the sections in which it was."""
        wait_until(lambda: any(message["type"] == type for message, _ in self.outbox.heard), what=type)
        return next(sections for message, sections in self.outbox.heard if message["type"] == type)


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    stage = Stage(tmp_path / "config.yaml", monkeypatch)
    stage.hub.submit("waits", "t")
    try:
        yield stage
    finally:
        stage.hub.shutdown()
        stage.dispatcher.closed()
        stage.hub.close()
        stage.timers.close()


_PICTURES = [
    ("list", {}, "tasks", "tasks", "hub"),
    ("list", {"since": "2000-01-01T00:00:00Z"}, "tasks", "tasks", "hub"),
    ("watch", {}, "watching", "tasks", "hub"),
    ("pool_info", {}, "pool_info", "pool", "hub"),
    ("pool_info", {"action": "waits"}, "pool_info", "pool", "hub"),
    ("set_pool", {"action": "waits", "limit": 5}, "pool_info", "pool", "hub"),
    ("set_pool", {"action": "waits", "limit": 5}, "pool_updated", "pool", "hub"),
    ("metrics", {}, "metrics", "counters", "metrics"),
    ("metrics", {"action": "waits"}, "metrics", "action's counters", "metrics"),
    ("metrics", {"task_id": "t"}, "metrics", "task's counters", "task"),
    ("subscribe", {"task_id": "t", "since_seq": 0}, "output", "ring", "task"),
    ("replay", {"task_id": "t", "since_seq": 0}, "output", "ring", "task"),
]


@pytest.mark.parametrize(("request_type", "fields", "reply_type", "picture", "lock"), _PICTURES)
def test_what_a_reply_shows_was_looked_at_in_the_section_that_appends_it(
    stage: Stage, request_type: str, fields: dict[str, Any], reply_type: str, picture: str, lock: str
) -> None:
    if reply_type == "output":
        stream = stage.hub._table._tasks["t"].stream
        wait_until(lambda: stream.last_seq == 1, what="its line")
    heard, sections = stage.ask(request_type, **fields)
    at = [message["type"] for message in heard].index(reply_type)
    assert stage.pictured[picture][lock] == sections[at][lock]


@pytest.mark.parametrize(
    ("request_type", "fields", "reply_type"),
    [
        ("subscribe", {"task_id": "t"}, "subscribed"),
        ("subscribe", {"task_id": "t", "since_seq": 5}, "subscribed"),
        ("subscribe", {"task_id": "unknown"}, "subscribed"),
        ("unsubscribe", {"task_id": "t"}, "unsubscribed"),
        ("watch", {"after": "unknown"}, "watching"),
        ("unwatch", {}, "unwatched"),
        ("purge", {}, "purged"),
        ("describe", {}, "actions"),
        ("describe", {"action": "waits"}, "actions"),
        ("manifest", {}, "manifest"),
        ("metrics", {"task_id": "unknown"}, "metrics"),
        ("usage", {}, "usage"),
        ("start", {"action": "waits", "params": {"name": "second"}}, "queued"),
    ],
)
def test_other_replies_are_appended_in_a_section_of_the_hubs(
    stage: Stage, request_type: str, fields: dict[str, Any], reply_type: str
) -> None:
    heard, sections = stage.ask(request_type, **fields)
    at = [message["type"] for message in heard].index(reply_type)
    assert heard[at]["id"] == "ask"
    assert "hub" in sections[at]


@pytest.mark.parametrize(
    ("request_type", "fields", "message"),
    [
        ("start", {"action": "waits", "task_id": "t"}, "task already running or starting"),
        ("start", {"action": "waits", "params": {"name": "same"}}, "duplicate task"),
        ("start", {"action": "waits", "params": {"name": "third"}}, "pool is full"),
        ("stop", {"task_id": "unknown"}, "task not found"),
        ("forget", {"task_id": "t"}, "task is still running"),
        ("forget", {"task_id": "queued"}, "task is still queued"),
        ("forget", {"task_id": "unknown"}, "task not found"),
        ("signal", {"task_id": "t", "signal": "HUP"}, "no process"),
        ("signal", {"task_id": "queued", "signal": "HUP"}, "task is not running"),
        ("signal", {"task_id": "unknown", "signal": "HUP"}, "task not found"),
        ("restart", {"task_id": "queued"}, "task is queued"),
        ("restart", {"task_id": "unknown"}, "task not found"),
        ("reset", {"task_id": "t"}, "task is not errored"),
        ("reset", {"task_id": "unknown"}, "task not found"),
        ("replay", {"task_id": "unknown"}, "task not found"),
    ],
)
def test_a_refusal_is_told_in_the_section_that_refuses(
    stage: Stage, request_type: str, fields: dict[str, Any], message: str
) -> None:
    stage.ask("start", action="waits", task_id="queued", params={"name": "same"})
    heard, sections = stage.ask(request_type, **fields)
    assert [(each["type"], each["id"]) for each in heard] == [("error", "ask")]
    assert message in heard[0]["message"]
    assert "hub" in sections[0]


def test_a_start_is_answered_with_its_new_state_in_one_section(stage: Stage) -> None:
    stage.hub.pools.change(limit=5)
    stage.ask("start", action="waits", task_id="ok", params={"name": "ok"})
    assert "hub" in stage.wait_for("started")
    stage.ask("start", action="waits", task_id="broken", params={"name": "broken"})
    assert "hub" in stage.wait_for("error")
    stage.ask("start", action="fails", task_id="errs")
    assert "hub" in stage.wait_for("errored")
    stage.ask("reset", task_id="errs")
    assert "hub" in stage.wait_for("started")


def test_what_a_driver_says_of_its_action_is_asked_again_when_a_reload_came_between(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    definitions = stage.hub.definitions
    describe = Waits.describe
    reloads = iter([True])

    def describe_and_reload(handler: Waits) -> overseer.ActionInfo:
        info = describe(handler)
        if next(reloads, False):
            stage.hub.redefine(type(definitions)(definitions.config, {"waits": Waits("renewed")}))
        return info

    monkeypatch.setattr(Waits, "describe", describe_and_reload)
    heard, _ = stage.ask("describe")
    assert [info["name"] for info in heard[-1]["actions"]] == ["waits"], "fails is there no more"


def test_a_long_list_is_encoded_with_nothing_locked(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("overseer.supervisor.listing._LITTLE", 3)
    stage.hub.pools.change(limit=1, queue_size=50)
    for number in range(20):
        stage.hub.submit("waits", f"q{number}", {"name": str(number)})
    info = Task.info_locked
    held = []

    def noted(task: Task) -> overseer.TaskInfo:
        held.append("hub" in stage.now())
        return info(task)

    monkeypatch.setattr(Task, "info_locked", noted)
    heard, _ = stage.ask("list")
    assert len(heard[0]["tasks"]) == 21
    assert held == [False] * 21
    stage.hub.stop("q0")
    stage.ask("list")
    assert held == [False] * 21, "nothing is encoded twice"
    for number in range(1, 3):
        stage.hub._table._tasks[f"q{number}"]._encoded_info = None
    stage.ask("list")
    assert held == [False] * 21 + [True] * 2, "next to nothing is encoded where it is"


def test_counting_looks_at_no_task(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.hub.submit("waits", "q", {"name": "q"})

    def refuse(table: TaskTable) -> Iterator[Task]:
        raise AssertionError("all tasks were looked at")

    monkeypatch.setattr(TaskTable, "__iter__", refuse)
    figures = stage.hub.metrics_view.figures()
    assert {phase: count for phase, count in figures.tasks["waits"].items() if count} == {
        "RUNNING": 1,
        "QUEUED": 1,
    }
    for request in ({"type": "pool_info"}, {"type": "metrics"}, {"type": "set_pool", "limit": 2}):
        heard, _ = stage.ask(**request)
        assert "error" not in [message["type"] for message in heard]
    monkeypatch.undo()
