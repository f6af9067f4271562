"""The pool manager under many threads at once."""

from __future__ import annotations

import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from overseer.protocol import ExcessConfig, PoolConfig
from overseer.supervisor.pool import pool as pool_module
from overseer.supervisor.pool import queues as waiting_module
from overseer.supervisor.pool.pool import PoolManager
from tests.supervisor.pool.pools import MOMENT, QUEUED, RUNNING, outcome_of, queue

ACTIONS = ("a", "b", "c")
LIMITS = {"": 5, "a": 2, "b": 3, "c": 0}
THREADS = 8
STEPS = 500


def yields_at_random(seed: int) -> Callable[[FrameType, str, Any], Any]:
    """A trace function that lets other threads in between any two lines of the pool, locks or none."""
    chance = random.Random(seed)
    files = {pool_module.__file__, waiting_module.__file__}

    def trace(frame: FrameType, event: str, arg: Any) -> Any:
        if frame.f_code.co_filename not in files:
            return None
        if chance.random() < 0.03:
            time.sleep(0)
        return trace

    return trace


class Gauge:
    """Counts who runs by what the pool said; never sees more than really run at one moment."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._now: Counter[str] = Counter()
        self.most: Counter[str] = Counter()

    def move(self, task_id: str, by: int) -> None:
        with self._lock:
            for scope in ("", task_id[0]):
                self._now[scope] += by
                self.most[scope] = max(self.most[scope], self._now[scope])


class Worker:
    """One thread's random doings, and its notes of what the pool answered."""

    def __init__(self, pool: PoolManager, gauge: Gauge, number: int, *, resizing: bool) -> None:
        self.pool = pool
        self.gauge = gauge
        self.number = number
        self.random = random.Random(number)
        self.resizing = resizing
        self.mine: list[str] = []  # tasks this thread knows to run and nobody else does
        self.queued: Counter[str] = Counter()
        self.left: Counter[str] = Counter()  # out of a queue, by whatever way
        self.asked: list[str] = []

    def note_started(self, *task_ids: str) -> None:
        for task_id in task_ids:
            self.gauge.move(task_id, 1)
            self.mine.append(task_id)

    def note_admitted(self, task_ids: tuple[str, ...]) -> None:
        self.left.update(task_ids)
        self.note_started(*task_ids)

    def start(self, step: int) -> None:
        task_id = f"{self.random.choice(ACTIONS)}-{self.number}-{step}"
        self.asked.append(task_id)
        admission = self.pool.acquire(task_id, task_id[0], self.random.random() < 0.3, MOMENT)
        self.left.update(admission.displaced)
        outcome = outcome_of(admission)
        if outcome == RUNNING:
            self.note_started(task_id)
        elif outcome == QUEUED:
            self.queued[task_id] += 1

    def release(self) -> None:
        if self.mine:
            task_id = self.mine.pop(self.random.randrange(len(self.mine)))
            self.gauge.move(task_id, -1)
            self.note_admitted(self.pool.release(task_id))

    def requeue(self) -> None:
        if self.mine:
            task_id = self.mine.pop(self.random.randrange(len(self.mine)))
            self.gauge.move(task_id, -1)
            self.queued[task_id] += 1
            self.note_admitted(self.pool.requeue(task_id, MOMENT).admitted)

    def cancel(self) -> None:
        if self.asked and self.pool.cancel(task_id := self.random.choice(self.asked[-5:])):
            self.left[task_id] += 1

    def look(self) -> None:
        scope = self.random.choice(["", *ACTIONS])
        info = self.pool.info(scope)
        assert info.queue_depth == len({item.task_id for item in info.queue_items})
        if not self.resizing and LIMITS[scope]:
            assert info.running <= LIMITS[scope]

    def sweep(self) -> None:
        if self.random.random() < 0.1:
            self.left.update(self.pool.purge(self.random.choice(["", *ACTIONS])))
        else:
            self.pool.next_expiry()
            self.left.update(self.pool.expire())

    def resize(self) -> None:
        if self.resizing:
            resize = self.pool.resize(
                self.random.choice(["", *ACTIONS]), self.random.choice([None, 0, 1, 2, 3, 4]), queue_size=4
            )
            self.note_admitted(resize.admitted)

    def run(self) -> None:
        doings: list[Callable[[], None]] = [
            self.release, self.release, self.requeue, self.cancel, self.look, self.sweep, self.resize
        ]  # fmt: skip
        for step in range(STEPS):
            if self.random.random() < 0.5:
                self.start(step)
            else:
                self.random.choice(doings)()


@pytest.mark.parametrize("resizing", [False, True])
def test_eight_threads_of_random_operations_overrun_no_limit_and_lose_no_task(resizing: bool) -> None:
    pool = PoolManager(
        PoolConfig(LIMITS[""], queue(4, displace="true", max_age=0.02), ExcessConfig("requeue")),
        {
            "a": PoolConfig(LIMITS["a"], queue(3, order="last")),
            "b": PoolConfig(LIMITS["b"], queue(2, displace="prohibit")),
            "c": None,
        },
    )
    gauge = Gauge()
    workers = [Worker(pool, gauge, number, resizing=resizing) for number in range(THREADS)]
    failures: list[BaseException] = []

    together = threading.Barrier(THREADS)

    def work(worker: Worker) -> None:
        try:
            together.wait(30)
            sys.settrace(yields_at_random(worker.number))
            worker.run()
        except BaseException as error:
            failures.append(error)

    threads = [
        threading.Thread(target=work, args=(worker,), name=f"pool-{worker.number}") for worker in workers
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)
    assert not failures

    if not resizing:
        for scope, limit in LIMITS.items():
            assert not limit or gauge.most[scope] == limit, scope  # reached, never passed

    # What runs now is what the threads have left, and once all that is released, nothing is.
    last = Worker(pool, gauge, THREADS, resizing=resizing)
    last.mine = [task_id for worker in workers for task_id in worker.mine]
    assert len(set(last.mine)) == len(last.mine) == pool.info().running
    while last.mine:
        last.release()
    last.left.update(pool.purge())
    assert [pool.info(scope).running for scope in LIMITS] == [0, 0, 0, 0]
    assert sum((worker.queued for worker in workers), Counter()) == sum(
        (worker.left for worker in [*workers, last]), Counter()
    )
