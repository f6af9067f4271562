"""What clients may be told, worked out from nothing but the protocol's description.

:class:`Truth` follows all tasks through the eyes of one client that is subscribed to everything and loses
nothing, or of the event log. :class:`View` follows what any one client hears. Both raise :class:`Broken`.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from overseer.util.timestamps import parse_timestamp

__all__ = ["Broken", "Limits", "Pictures", "Truth", "View"]

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


# Event to the states that it may come in. "to restart" is between an exited that says so and its restarting
# or, when a client asked for the restart, its started.
_LEGAL = {
    "queued": {"none", "over", "errored", "waiting", "to restart"},
    "dequeued": {"queued", "waiting", "to restart"},
    "started": {"none", "over", "errored", "queued", "waiting", "to restart"},
    "output": {"running"},
    "exited": {"running"},
    "restarting": {"to restart", "queued", "waiting"},
    "errored": {"over", "queued", "waiting", "to restart"},
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
        if task.state in ("waiting", "to restart") and not restart_of and task.runs:
            raise Broken(f"a restart that says it is none: {message}, {task}")
        # A task awaiting its restart keeps its slot, and so one that a reset gave it over the limit.
        task.by_reset = bool(restart_of) and (
            task.state == "errored" or (task.by_reset and task.state in ("waiting", "to restart"))
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


# A task may have been made, though not taken in, a little before the end of another one of its id.
_MADE = timedelta(seconds=1)


class Pictures:
    """What one client has heard, against what replies show: none may be older than a message before it."""

    def __init__(self) -> None:
        self._moments: dict[str, dict[str, str]] = {}  # by task: what happened last when, as far as heard
        self._dequeued: dict[str, str] = {}
        self._limits: dict[str, int] = {}
        self._counters: dict[str, int] = {}

    def see(self, message: Message) -> None:
        kind = message["type"]
        if kind in ("started", "exited", "errored"):
            moments = self._moments.setdefault(message["task_id"], {})
            moments[kind] = max(message["ts"], moments.get(kind, ""))  # what is stored may come again
        elif kind == "dequeued":
            self._dequeued[message["task_id"]] = message["ts"]
        elif kind == "tasks":
            for row in message["tasks"]:
                self._row(row)
        elif kind in ("pool_info", "pool_updated"):
            self._pool(message)
        elif kind == "metrics" and "global" in message:
            if any(message["global"][name] < count for name, count in self._counters.items()):
                raise Broken(f"a counter went back: {message} after {self._counters}")
            self._counters = message["global"]

    def _row(self, row: Message) -> None:
        moments = self._moments.get(row["task_id"], {})
        heard = {
            "started": row.get("last_started_at", "") >= moments.get("started", ""),
            "exited": row.get("last_exited_at", "") >= moments.get("exited", ""),
            "errored": row["state"] == "errored"
            or "worker_state" not in row  # it is being reset
            or row.get("last_started_at", "") > moments.get("errored", ""),
        }
        for kind, moment in moments.items():
            anothers = parse_timestamp(row["created_at"]) + _MADE > parse_timestamp(moment)
            if not heard[kind] and not anothers:
                raise Broken(f"{row} is older than its {kind} of {moment}, which came before")
        dequeued = self._dequeued.get(row["task_id"], "")
        if row["state"] == "queued" and row["queued_at"] < dequeued:
            raise Broken(f"{row} had been dequeued, at {dequeued}")

    def _pool(self, message: Message) -> None:
        action, pool = message.get("action", ""), message["pool"]
        limit = self._limits.setdefault(action, pool["limit"])
        if message["type"] == "pool_updated":
            self._limits[action] = pool["limit"]
        elif limit != pool["limit"]:  # whoever changes it, everybody is told of it
            raise Broken(f"{message}, but the limit was {limit} by then")
        for item in pool.get("queue_items", ()):
            if item["queued_at"] < self._dequeued.get(item["task_id"], ""):
                raise Broken(f"{item} had been dequeued, at {self._dequeued[item['task_id']]}")


_NUMBERED = re.compile(r"(\d+) of it(?:\r\d+ done)?")  # a line of the soak's "making", whole or not


class Unfinished:
    """What one client hears of lines that have no end yet: only where it asked for that, of a run that
    goes on, and never of a line that has had its end."""

    def __init__(self) -> None:
        self._wanted: set[str] = set()
        self._over: set[tuple[str, int]] = set()  # runs
        self._ended: dict[tuple[str, int], int] = {}  # by run: the greatest number of a whole line
        self.told = 0

    def see(self, message: Message, request: Message | None) -> None:
        """One message, and the request that it answers."""
        kind, task_id = message["type"], message.get("task_id", "")
        if request is not None and "partial" in request and kind in ("subscribed", "started", "queued"):
            (self._wanted.add if request["partial"] else self._wanted.discard)(task_id)
        elif kind == "unsubscribed":
            self._wanted.discard(task_id)
        run = task_id, message.get("pid", 0)
        if kind == "started":
            self._over.discard(run)
            self._ended.pop(run, None)
        elif kind == "exited":
            self._over.add(run)
        elif kind == "output" and (line := _NUMBERED.fullmatch(message["data"])):
            self._ended[run] = max(int(line[1]), self._ended.get(run, 0))
        elif kind == "partial":
            self.told += 1
            if task_id not in self._wanted:
                raise Broken(f"{message}, but nobody asked for that")
            if run in self._over:
                raise Broken(f"{message}, but that run is over")
            line = _NUMBERED.fullmatch(message["data"])
            if line and int(line[1]) <= self._ended.get(run, 0):
                raise Broken(f"{message}, but that line has ended")


class View:
    """What one client hears of the tasks that it is subscribed to; fed everything in the order it came.

    ``lossless``: no gap may come; otherwise gaps must be exact.
    """

    def __init__(self, lossless: bool) -> None:
        self._lossless = lossless
        self._next: dict[str, int | None] = {}  # of each subscription: the seq to come, None: any
        self._asked: dict[str, Message] = {}  # requests not answered yet
        self._pictures = Pictures()
        self._unfinished = Unfinished()
        self.lines = 0
        self.missed = 0

    def ask(self, request: Message) -> None:
        """A request is about to be sent."""
        self._asked[request["id"]] = request

    @property
    def partials(self) -> int:
        return self._unfinished.told

    @property
    def subscribed(self) -> set[str]:
        return set(self._next)

    def see(self, message: Message) -> None:
        """One message."""
        self._pictures.see(message)
        kind, task_id = message["type"], message.get("task_id", "")
        request = self._asked.pop(message.get("id") or "", None)
        self._unfinished.see(message, request)
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
