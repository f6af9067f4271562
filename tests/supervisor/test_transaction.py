"""What a transaction decided is carried out: after the lock, in order, and whatever else happens."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from overseer.errors import RequestError
from overseer.net.frames import Encoded
from overseer.net.outbox import Outbox
from overseer.protocol import Error
from overseer.supervisor.clients import Client
from overseer.supervisor.journal import Journal
from overseer.supervisor.observers import Observers
from overseer.supervisor.task import Requester, Task
from overseer.supervisor.transaction import Launch, Transaction
from overseer.util.locks import LockOrderError, Rank, lock
from overseer.workers.os_process import Worker


class _World:
    """Records what is done to outboxes, workers and runs, and whether the hub's lock was held then."""

    def __init__(self) -> None:
        self.lock = lock(Rank.HUB, "hub")
        self.done: list[tuple[str, bool]] = []
        self.client = Client(cast(Outbox, self))
        self.requester = Requester(self.client, "r")
        self.errors: list[bytes] = []

    def _note(self, what: str) -> None:
        self.done.append((what, self.lock.locked()))

    def flush(self) -> None:
        self._note("flush")

    def append(self, message: Encoded) -> None:
        self._note("append")
        self.errors.append(message.lines)

    def worker(self, name: str, error: Exception | None = None) -> Worker:
        def stop(grace: float | None) -> None:
            self._note(f"stop {name} {grace}")
            if error is not None:
                raise error

        return cast(Worker, SimpleNamespace(task_id=name, stop=stop))

    def task(self, name: str) -> Task:
        return cast(Task, SimpleNamespace(id=name, requester=self.requester, next_run=lambda: None))

    def launch(self, task: Task, why: Launch, client: Client | None) -> str:
        asker = "its client" if client is self.client else "nobody"
        self._note(f"launch {task.id} {why.name} for {asker}")
        return f"no {task.id}"

    def begin(self) -> Transaction:
        journal = Journal(self.lock, lambda _: None)
        return Transaction(self.lock, self.launch, lambda tx: None, Observers(), journal, self.requester)


def test_it_flushes_then_stops_then_launches_with_the_lock_released() -> None:
    world = _World()
    with world.begin() as tx:
        tx.launch(world.task("a"), Launch.QUEUED)
        tx.launch(world.task("b"), Launch.FIRST)
        tx.stop(world.worker("w"), 2.0)
        tx.send(world.client, Error(id="", message=""))
    assert world.done == [
        ("append", True),
        ("flush", False),
        ("stop w 2.0", False),
        ("launch a QUEUED for nobody", False),
        ("launch b FIRST for its client", False),
    ]


def test_what_fails_keeps_nothing_else_from_being_done_and_the_first_problem_is_told() -> None:
    world = _World()
    with world.begin() as tx:
        tx.stop(world.worker("w", OSError("out of order")))
        tx.stop(world.worker("x"))
        tx.launch(world.task("a"), Launch.RESTART)
        tx.launch(world.task("b"), Launch.RESTART)
    assert [what.split()[1] for what, _ in world.done] == ["w", "x", "a", "b"]
    with pytest.raises(RequestError, match="out of order"):
        tx.check()


def test_a_block_that_raises_is_carried_out_and_a_refusal_is_answered_under_the_lock() -> None:
    world = _World()
    refused = RequestError("not so")
    with pytest.raises(RequestError):
        _stop_and_raise(world, "w", refused)
    assert refused.answered
    assert world.done == [("append", True), ("flush", False), ("stop w None", False)]
    assert b'"message":"not so"' in world.errors[0]
    with pytest.raises(ZeroDivisionError):
        _stop_and_raise(world, "x", ZeroDivisionError())
    assert world.done[3:] == [("stop x None", False)]
    assert not world.lock.locked()


def _stop_and_raise(world: _World, name: str, error: Exception) -> None:
    with world.begin() as tx:
        tx.stop(world.worker(name))
        raise error


def test_it_takes_decisions_only_under_its_lock() -> None:
    world = _World()
    with world.begin() as tx:
        pass
    with pytest.raises(LockOrderError):
        tx.stop(world.worker("w"))
    with pytest.raises(LockOrderError):
        tx.launch(world.task("a"), Launch.RESET)
    assert world.done == []
