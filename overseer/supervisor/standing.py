"""Standing tasks: those started with the server or for others, and the graph of what depends on what."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from overseer.config.standing import in_order
from overseer.errors import RequestError, TakenError
from overseer.history.records import BOOT, Intent, Trigger
from overseer.protocol import Graph, GraphEdge, GraphNode
from overseer.supervisor.definitions import Current
from overseer.supervisor.dependencies import Dependencies, is_met
from overseer.supervisor.intents import Intents
from overseer.supervisor.table import TaskTable
from overseer.supervisor.task import Requester, Task
from overseer.util.locks import assert_held
from overseer.util.standstill import standstill
from overseer.util.threads import run_on_thread

_log = logging.getLogger(__name__)


Record = Callable[[str, str, str], None]


@dataclass(eq=False, repr=False)
class Standing:
    """Starts standing tasks on behalf of the server.

    ``record`` is called with each start: for whom, of which task, and why it was refused, or "".
    """

    _table: TaskTable
    _current: Current
    _dependencies: Dependencies
    _intents: Intents
    _start: Callable[..., str]  # :meth:`Hub.start`
    _waited: Sequence[str] = field(default=(), init=False)  # for their run, when an earlier server ended
    record: Record = field(default_factory=lambda: lambda by, task_id, error: None, init=False)

    def restore(self, intents: Mapping[str, Intent]) -> None:
        """Take over what an earlier server has kept of standing tasks."""
        if intents:
            self._waited = self._intents.restore(intents)

    def start_at_boot(self, resumed: Collection[str], left: Collection[str]) -> None:
        """Start the tasks with autostart.

        Args:
            resumed: tasks that are started in another way.
            left: those of them that are yet to be started, as it is at any time.
        """
        self._dependencies.returning = left
        tasks = self._current.value.config.tasks
        wanted = {name for name, task in tasks.items() if task.autostart == "true"}
        self._start_in_order(wanted.difference(resumed, self._waited))

    def start_waiting(self) -> None:
        """Start those that waited for their run when an earlier server ended, in the order in which they
        waited; after those that ran."""
        self._start_on_thread(self._waited, BOOT, "boot")

    def start_added(self, before: Collection[str]) -> None:
        """After a reload, start the new tasks of the configuration, except those that a person stopped."""
        tasks = self._current.value.config.tasks
        if added := [name for name in tasks if name not in before and tasks[name].autostart == "true"]:
            with self._table.lock:
                stopped = set(self._intents.stopped)
            self._start_in_order(set(added) - stopped)

    def _start_in_order(self, wanted: Collection[str]) -> None:
        order = [name for name in in_order(self._current.value.config.tasks) if name in wanted]
        self._start_on_thread(order, BOOT, "boot")

    def start_needed(self, task_id: str, requester: Requester) -> None:
        """Start the dependencies that a task waits for, except those that a person stopped."""
        needed = self._dependencies.to_start(task_id)
        self._start_on_thread(needed, requester.trigger, "dependencies")

    def _start_on_thread(self, names: Sequence[str], cause: Trigger, thread: str) -> None:
        """Start these in order, on a thread of that name; that some of them run already is fine."""

        def start() -> None:
            with standstill:
                for name in names:
                    try:
                        self._start("", name, requester=Requester(cause=cause))
                    except TakenError:
                        pass
                    except RequestError as error:
                        _log.warning("task %s cannot be started: %s", name, error.message)
                        self.record(cause.by, name, error.message)
                    else:
                        self.record(cause.by, name, "")

        if names:
            run_on_thread(start, thread)

    def stopped_by_person_locked(self, task: Task) -> None:
        """Note that a person stops a task: a standing one stays stopped until a person starts it."""
        assert_held(self._table.lock)
        if task.terms.standing is not None:
            self._intents.stopped_locked(task.id)

    def tell(self, requester: Requester) -> None:
        """Send the requester the standing tasks that it may see, and what they wait for."""
        with self._table.begin(requester) as tx:
            tasks = self._current.value.config.tasks
            shown = {name: task for name, task in tasks.items() if requester.principal.sees(task.action)}
            nodes, edges = [], []
            for name, standing in shown.items():
                task = self._table.get(name)
                status = "" if task is None else task.status
                nodes.append(GraphNode(name, standing.action, status, standing.autostart))
                edges += [
                    GraphEdge(name, other, condition, is_met(condition, self._table.get(other)))
                    for other, condition in standing.depends_on.items()
                    if other in shown
                ]
            requester.tell(tx, Graph(requester.request_id, tuple(nodes), tuple(edges)))
