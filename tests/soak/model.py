"""What clients may be told, worked out from nothing but the protocol's description.

:class:`Truth` follows all tasks through the eyes of one client that is subscribed to everything and loses
nothing, or of the event log. :class:`View` follows what any one client hears. Both raise :class:`Broken`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Broken", "Limits", "Truth", "View"]

Message = dict[str, Any]


class Broken(AssertionError):
    """The server said what it must not say."""


@dataclass(frozen=True)
class Limits:
    """How many may run at once: of each action, and in all."""

    action: dict[str, int]
    all: int


@dataclass
class _Task:
    state: str = "none"
    pid: int = 0
    seq: int = 0
    action: str = ""
    by_reset: bool = False
    runs: int = 0
    recent: list[str] = field(default_factory=list)


# Event to the states that it may come in. "to restart" is between an exited that says so and its restarting.
_LEGAL = {
    "queued": {"none", "over", "errored", "waiting"},
    "dequeued": {"queued", "waiting"},
    "started": {"none", "over", "errored", "queued", "waiting"},
    "output": {"running"},
    "exited": {"running"},
    "restarting": {"to restart", "queued", "waiting"},
    "errored": {"over", "queued", "waiting", "errored"},  # the last: after a reset that could not start it
}


class Truth:
    """Every event of every task, in order. ``action_of`` tells a task's action from its id."""

    def __init__(self, limits: Limits, action_of: dict[str, str]) -> None:
        self._limits = limits
        self._action_of = action_of
        self._tasks: dict[str, _Task] = {}
        self._running: Counter[str] = Counter()  # by action
        self._by_reset = 0
        self.counts: Counter[str] = Counter()

    def see(self, message: Message) -> None:
        """One event."""
        kind = message["type"]
        if kind == "gap":
            raise Broken(f"a gap for a client that must lose nothing: {message}")
        if kind not in _LEGAL or (action := self._action_of.get(message["task_id"])) is None:
            return
        task = self._tasks.setdefault(message["task_id"], _Task(action=action))
        if kind != "output":
            task.recent = [*task.recent[-7:], f"{kind} {message.get('pid', '')}"]
        if task.state not in _LEGAL[kind]:
            raise Broken(f"{message} while {task}")
        self.counts[kind] += 1
        getattr(self, f"_{kind}")(task, message)

    def over(self) -> None:
        """At the end: every run has had its exit."""
        running = {
            name: task for name, task in self._tasks.items() if task.state in ("running", "to restart")
        }
        if running or self.counts["started"] != self.counts["exited"]:
            raise Broken(f"{self.counts}, and never ended: {running}")

    def _queued(self, task: _Task, message: Message) -> None:
        task.state = "queued"

    def _dequeued(self, task: _Task, message: Message) -> None:
        task.state = "over"

    def _started(self, task: _Task, message: Message) -> None:
        restart_of = message.get("restart_of", 0)
        if restart_of and restart_of != task.pid:
            raise Broken(f"{message}, but the run before was {task}")
        if task.state == "waiting" and not restart_of and task.runs:
            raise Broken(f"a restart that says it is none: {message}, {task}")
        # A task awaiting its restart keeps its slot, and so one that a reset gave it over the limit.
        task.by_reset = bool(restart_of) and (
            task.state == "errored" or (task.by_reset and task.state == "waiting")
        )
        if not restart_of:
            task.seq = task.runs = 0
        task.state, task.pid = "running", message["pid"]
        task.runs += 1
        self._running[task.action] += 1
        self._by_reset += task.by_reset
        limit = self._limits.action.get(task.action)
        if limit is not None and self._running[task.action] > limit:
            raise Broken(f"{self._running[task.action]} of {task.action} run, {limit} may")
        if sum(self._running.values()) - self._by_reset > self._limits.all:
            raise Broken(f"{self._running} run, {self._limits.all} may; {self._by_reset} by a reset")

    def _output(self, task: _Task, message: Message) -> None:
        if message["seq"] != task.seq + 1 or message["pid"] != task.pid:
            raise Broken(f"{message} after {task}")
        task.seq += 1

    def _exited(self, task: _Task, message: Message) -> None:
        if message["pid"] != task.pid:
            raise Broken(f"{message} while {task}")
        self._running[task.action] -= 1
        self._by_reset -= task.by_reset
        task.state = "to restart" if message.get("will_restart") else "over"

    def _restarting(self, task: _Task, message: Message) -> None:
        task.state = "waiting"

    def _errored(self, task: _Task, message: Message) -> None:
        task.state = "errored"


class View:
    """What one client hears of the tasks that it is subscribed to; fed everything in the order it came.

    ``lossless``: no gap may come; otherwise gaps must be exact.
    """

    def __init__(self, lossless: bool) -> None:
        self._lossless = lossless
        self._next: dict[str, int | None] = {}  # of each subscription: the seq to come, None: any
        self._asked: dict[str, Message] = {}  # requests not answered yet
        self.lines = 0
        self.missed = 0

    def ask(self, request: Message) -> None:
        """A request is about to be sent."""
        self._asked[request["id"]] = request

    @property
    def subscribed(self) -> set[str]:
        return set(self._next)

    def see(self, message: Message) -> None:
        """One message."""
        kind, task_id = message["type"], message.get("task_id", "")
        request = self._asked.pop(message.get("id") or "", None)
        if kind == "error" or (kind in ("queued", "dequeued") and request is None):
            return
        if request is not None and request["type"] == "start":
            self._next.setdefault(task_id, None)
        if kind == "subscribed":
            assert request is not None
            self._subscribed(task_id, request, message)
        elif kind == "unsubscribed":
            self._next.pop(task_id, None)
        elif kind in ("started", "output", "exited", "restarting", "errored", "gap"):
            if task_id not in self._next:
                if kind == "started" and message["id"]:
                    return  # the late answer to a request
                raise Broken(f"{message}, but it is not subscribed to that")
            if kind == "started" and not message.get("restart_of"):
                self._next[task_id] = 1
            elif kind in ("output", "gap"):
                self._lines(task_id, message)

    def _subscribed(self, task_id: str, request: Message, message: Message) -> None:
        if "last_seq" in message:
            last, oldest, since = message["last_seq"], message["oldest_seq"], request["since_seq"]
            self._next[task_id] = last + 1 if since >= last or not oldest else max(since + 1, oldest)
        else:
            self._next.setdefault(task_id, None)

    def _lines(self, task_id: str, message: Message) -> None:
        gap = message["type"] == "gap"
        first = message["from_seq"] if gap else message["seq"]
        last = message["to_seq"] if gap else first
        expected = self._next[task_id]
        if gap and self._lossless:
            raise Broken(f"a gap for a client that must lose nothing: {message}")
        if (expected is not None and first != expected) or last < first:
            raise Broken(f"seq {expected} was to come: {message}")
        self._next[task_id] = last + 1
        self.lines += 0 if gap else 1
        self.missed += last - first + 1 if gap else 0
