"""What the parts of a hub share; made once, by the hub."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass

from overseer.supervisor.clients import Client, Clients
from overseer.supervisor.definitions import Current
from overseer.supervisor.metrics import Metrics
from overseer.supervisor.pool.pool import PoolManager
from overseer.supervisor.table import TaskTable
from overseer.supervisor.task import Requester, Task
from overseer.supervisor.transaction import Launch, Transaction
from overseer.util.jsonlog import EventLog
from overseer.util.timers import Timers


@dataclass(frozen=True, eq=False, slots=True)
class State:
    """A hub's tasks and all that goes with them.

    Attributes:
        lock: the hub's; guards the table, and whatever else must change together with it.
        freed: over that lock; notified when an id falls free, so that a shutdown can wait for the last one.
        rng: for restart jitter; used with the lock held.
        launch: launches what a transaction says, as :meth:`Starts.launch_for` does.
    """

    current: Current
    lock: threading.Lock
    freed: threading.Condition
    table: TaskTable
    pool: PoolManager
    clients: Clients
    metrics: Metrics
    timers: Timers
    log: EventLog
    rng: random.Random
    launch: Callable[[Task, Launch, Client | None], str]

    def begin(self, requester: Requester | None = None) -> Transaction:
        """A transaction over the lock; the requester is sent an ``error`` when its block is refused."""
        return Transaction(self.lock, self.launch, requester)
