"""One step of the hub: decided under its lock, carried out once the lock is released.

    with table.begin(requester) as tx:
        tx.send(client, event)
        tx.launch(task, why)
        tx.stop(worker, grace)

At the end of the block the lock is released; then outboxes are flushed, workers stopped and runs launched, in
that order, even if the block raises, since slots may have been taken and messages appended.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from enum import Enum
from types import TracebackType

from overseer.drivers.api import driver_failure
from overseer.errors import RequestError
from overseer.protocol import Event
from overseer.supervisor.clients import Client, DeferredFlush
from overseer.supervisor.journal import Journal
from overseer.supervisor.observers import Observers
from overseer.supervisor.task import Requester, Task
from overseer.util.jsonlog import EventLog
from overseer.util.locks import assert_held
from overseer.util.standstill import standstill
from overseer.workers.base import Worker

_log = logging.getLogger(__name__)


class Launch(Enum):
    """Why a run is started, which decides the meaning of a failure to start it.

    Attributes:
        requested: a requester waits for the outcome.
    """

    FIRST = 1  # a client's start: the request is refused, and the task vanishes
    QUEUED = 2  # from the queue: fails like a run, since it was accepted
    RESTART = 3  # by its retry policy: fails like a run
    RESET = 4  # a client's reset or restart of a task that is over: the request is refused, and it stays over
    AGAIN = 5  # a client's restart, after the stop: the request is refused, and it fails like a run

    def __init__(self, _: int) -> None:
        self.requested = self.name in ("FIRST", "RESET")


class Transaction(DeferredFlush):
    """Holds the hub's lock for a ``with`` block; afterwards carries out what was decided in it.

    Args:
        lock: the hub's.
        launch: launches a task's run, for a client if there is one; returns "" or the error.
        settle: called before the lock is released, for what follows from what was decided.
        observers: hear what becomes of tasks.
        journal: has it too, for those who watch.
        requester: is sent an ``error`` if the block raises a :class:`RequestError`.
    """

    def __init__(
        self,
        lock: threading.Lock,
        launch: Callable[[Task, Launch, Client | None], str | RequestError],
        settle: Callable[[Transaction], None],
        observers: Observers,
        journal: Journal,
        requester: Requester | None = None,
    ) -> None:
        super().__init__()
        self._lock = lock
        self._launch = launch
        self._settle = settle
        self._observers = observers
        self._journal = journal
        self._requester = requester
        self._stops: list[tuple[Worker, float | None]] = []
        self._launches: list[tuple[Task, Launch, Client | None]] = []
        self._problems: list[str | RequestError] = []  # results of stops and launches; "": success

    @property
    def by(self) -> str:
        """The name of whoever asked for it; "" if nobody did, or has one."""
        return "" if self._requester is None else self._requester.trigger.by

    def __enter__(self) -> Transaction:
        standstill.__enter__()  # a step, until what was decided has been carried out
        self._lock.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._settle_and_release(error)
            super().__exit__(kind, error, trace)
            for worker, grace in self._stops:
                self._problems.append(stop_worker(worker, grace))
            for task, why, client in self._launches:
                self._problems.append(self._launch(task, why, client))
        finally:
            standstill.__exit__(kind, error, trace)

    def _settle_and_release(self, error: BaseException | None) -> None:
        """Answer a refusal while the lock is held: nothing may come between the finding and the reply that
        reports it."""
        try:
            if self._requester is not None and isinstance(error, RequestError):
                self._requester.refuse(self, error.message, error.existing_task_id, error.param, error.code)
                error.answered = self._requester.client is not None
            self._settle(self)
        finally:
            self._lock.release()

    def check(self) -> None:
        """Raise a RequestError with the first error of the stops and launches, if there is one."""
        for problem in self._problems:
            if isinstance(problem, RequestError):
                raise problem
            if problem:
                raise RequestError(problem, code="failed")

    def log(self, log: EventLog, event: Event, told: Client | None = None) -> None:
        super().log(log, event, told)
        if self._journal.on:
            self._journal.happened_locked(event, self.encode(event).payloads[0], told)

    def stop(self, worker: Worker, grace: float | None = None) -> None:
        """Stop a worker; ``grace`` None: its policy's."""
        assert_held(self._lock)
        self._stops.append((worker, grace))

    def observe(self, task: Task, event: Event, outcome: str = "") -> None:
        """Something became of a task; see :class:`Change`."""
        assert_held(self._lock)
        self._observers.note(task, event, outcome)

    def launch(self, task: Task, why: Launch) -> None:
        """Begin a run of a task, which is in a launching phase and has its slot."""
        assert_held(self._lock)
        task.next_run()
        self._launches.append((task, why, task.requester.client if why.requested else None))


def stop_worker(worker: Worker, grace: float | None = None) -> str:
    """Stop a worker, which may be a driver's own; returns "" or the error."""
    try:
        worker.stop(grace)
    except BaseException as error:  # other stops must go on, and the requester be told
        _log.exception("task %s: the driver failed to stop its worker", worker.task_id)
        return f"the driver failed: {driver_failure(error)}"
    return ""


def lives(worker: Worker) -> bool:
    """Whether what a worker runs still lives; one that fails to say so does."""
    try:
        return worker.lives
    except BaseException:  # a driver's own
        _log.exception("task %s: the driver failed to say whether its worker lives", worker.task_id)
        return True
