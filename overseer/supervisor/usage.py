"""Resource usage of running tasks: on request, pushed to watchers, and for each run's peak."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence

from overseer.net.frames import Encoded
from overseer.process.usage import Usage as Measured
from overseer.process.usage import usage_meter
from overseer.protocol import TaskUsage, Usage, encode
from overseer.supervisor.clients import Client
from overseer.supervisor.phases import Phase
from overseer.supervisor.table import TaskTable
from overseer.supervisor.task import Requester, Task
from overseer.supervisor.timer_kinds import Due
from overseer.util.locks import assert_held
from overseer.util.threads import run_on_thread
from overseer.util.timers import Timer, Timers
from overseer.workers.base import Worker

PUSH_S = 2.0  # between passes while a client watches
_PEAK_S = 10.0  # between passes while anything runs
_FIRST_S = 1.0  # from a run's start to its first pass, so that short runs are measured, too
_FRESH_S = 0.5  # maximum age of the answer to a request
_AT_ONCE = 50  # tasks pushed per hold of the hub's lock
_FAR_S = 1.0  # until what other machines say of theirs is waited for no longer
_STALE_S = 5.0  # age from which it is not shown
_KEEPS_UP = 64 * 1024  # a client with more bytes pending is pushed nothing

_log = logging.getLogger(__name__)

_Run = tuple[Task, str]


class UsageWatch:
    """Measures all running tasks together, on a thread that lives for one pass."""

    def __init__(self, table: TaskTable, timers: Timers) -> None:
        self._table = table
        self._timers = timers
        self._next: Timer | None = None  # hub's lock
        self._looked_at = 0.0  # monotonic; hub's lock
        self._failing = False
        # Those who are sent the usage of all tasks; called with the hub's lock.
        self.of_all: Callable[[], list[Client]] = list

    def tell(self, task_id: str, requester: Requester) -> None:
        """Send the requester the usage of one task, or of all that it may see.

        Raises:
            RequestError: no such task.
        """
        with self._table.begin(requester):
            if task_id:
                tasks = [self._table.find(task_id, requester.principal)]
            else:
                tasks = [task for task in self._table if requester.principal.sees(task.action)]
            workers = {task.run_id: task.worker for task in tasks if _runs(task)}
        usage = _measure(workers, _FRESH_S)
        with self._table.begin(requester) as tx:
            rows = [_row(task, usage[task.run_id]) for task in tasks if _runs(task) and task.run_id in usage]
            requester.tell(tx, Usage(id=requester.request_id, tasks=tuple(rows)))

    def began_locked(self) -> None:
        """Called when a run has begun."""
        assert_held(self._table.lock)
        self._look_in_locked(_FIRST_S)

    def watched_locked(self) -> None:
        """Called when a client has begun to watch."""
        assert_held(self._table.lock)
        self._look_in_locked(max(0.0, self._looked_at + _FRESH_S - time.monotonic()))

    def look(self) -> None:
        """Called by the timer when a pass is due."""
        run_on_thread(self._look, "usage")

    def _look(self) -> None:
        with self._table.lock:
            self._looked_at = time.monotonic()  # clients that begin to watch together share the next pass
            runs = [(task, task.run_id) for task in self._table if _runs(task)]
            watched = bool(runs and self.of_all()) or any(_is_watched(task) for task, _ in runs)
            workers = {run: task.worker for task, run in runs}
        try:
            if watched:
                usage = _measure(workers)
                for begin in range(0, len(runs), _AT_ONCE):
                    self._push(runs[begin : begin + _AT_ONCE], usage)
            elif runs:
                usage_meter.measure()
            self._failing = False
        except OSError as error:
            if not self._failing:
                _log.warning("cannot measure what tasks use: %s", error)
            self._failing = True
        with self._table.lock:
            if any(map(_runs, self._table)):  # whoever has begun to watch meanwhile has said so
                self._look_in_locked(PUSH_S if watched else _PEAK_S)

    def _push(self, runs: Sequence[_Run], usage: Mapping[str, Measured]) -> None:
        with self._table.begin() as tx:
            watchers = self.of_all()
            rows: dict[Client, list[TaskUsage]] = {}
            of_all: list[tuple[str, TaskUsage]] = []  # with their actions
            for task, run in runs:
                if task.run_id != run or run not in usage or not _runs(task):
                    continue
                if watchers:
                    of_all.append((task.action, _row(task, usage[run])))
                for subscription in task.stream.subscribers.values():
                    client = subscription.client
                    if subscription.usage and _keeps_up(client) and client not in watchers:
                        rows.setdefault(client, []).append(_row(task, usage[run]))
            for client, of_its in rows.items():
                tx.send(client, Usage(tasks=tuple(of_its)))
            views: dict[tuple[str, ...] | None, Encoded | None] = {}  # by what may be seen
            for client in filter(_keeps_up, watchers):
                who = client.principal
                if who.actions not in views:
                    seen = tuple(row for action, row in of_all if who.sees(action))
                    views[who.actions] = Encoded([encode(Usage(tasks=seen))]) if seen else None
                if (view := views[who.actions]) is not None:
                    tx.send_encoded(client, view)

    def _look_in_locked(self, seconds: float) -> None:
        assert_held(self._table.lock)
        self._next = self._timers.bring_forward(self._next, time.monotonic() + seconds, Due.USAGE)


def _measure(workers: Mapping[str, Worker | None], max_age: float = 0.0) -> Mapping[str, Measured]:
    """What runs use, by run id; those on other machines say so themselves."""
    begun = time.monotonic()
    far = {run: worker for run, worker in workers.items() if worker is not None and _is_far(worker)}
    usage = usage_meter.measure(max_age)
    for run, worker in far.items():
        told = _told(worker, begun - max_age, begun + _FAR_S)
        if told is not None and told.at > begun - _STALE_S:
            usage[run] = told
    return usage


def _is_far(worker: Worker) -> bool:
    try:
        return worker.ask_usage()
    except Exception:  # a driver's own
        _log.exception("task %s: the driver failed to have its usage measured", worker.task_id)
        return False


def _told(worker: Worker, since: float, until: float) -> Measured | None:
    try:
        return worker.usage(since, until)
    except Exception:
        _log.exception("task %s: the driver failed to say what it uses", worker.task_id)
        return None


def _runs(task: Task) -> bool:
    return task.phase is Phase.RUNNING


def _keeps_up(client: Client) -> bool:
    """What is past when it is read is worth nothing."""
    return client.outbox.pending <= _KEEPS_UP


def _is_watched(task: Task) -> bool:
    return any(subscription.usage for subscription in task.stream.subscribers.values())


def _row(task: Task, used: Measured) -> TaskUsage:
    percent = None if used.percent is None else round(used.percent, 1)
    return TaskUsage(
        task.id, percent, used.rss, used.processes, used.threads, used.read_bytes, used.write_bytes
    )
