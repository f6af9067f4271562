"""Going over to another configuration: what differs is applied, nobody is stopped, nothing is lost."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from overseer.protocol import ExcessConfig, PoolConfig, QueueConfig
from overseer.supervisor.pool.pool import PoolManager
from tests.supervisor.pool.pools import QUEUED, REFUSED, RUNNING, outcome_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)
QUEUE = QueueConfig(enabled=True)


def pool(limit: int = 0, queue: QueueConfig | None = QUEUE, excess: ExcessConfig | None = None) -> PoolConfig:
    return PoolConfig(limit, queue, excess or ExcessConfig())


def start(manager: PoolManager, *names: str, action: str = "a") -> list[str]:
    return [outcome_of(manager.acquire(name, action, False, NOW)) for name in names]


def test_a_raised_limit_admits_and_a_lowered_one_stops_nobody() -> None:
    manager = PoolManager(pool(), {"a": pool(1)})
    start(manager, "1", "2", "3")
    assert manager.reconfigure(pool(), {"a": pool(2)}).admitted == ("2",)
    lowered = manager.reconfigure(pool(), {"a": pool(1)})
    assert (lowered.changed, lowered.admitted, manager.info("a").running) == (("a",), (), 2)
    assert manager.release("1") == ()
    assert manager.release("2") == ("3",)


def test_what_the_file_does_not_change_stays_as_it_was_set() -> None:
    manager = PoolManager(pool(5), {"a": pool(1), "b": None})
    manager.resize("a", limit=7)
    manager.resize("", limit=9)
    assert manager.reconfigure(pool(5), {"a": pool(1), "b": None}).changed == ()
    assert (manager.info("a").limit, manager.info().limit) == (7, 9)
    # The queue has changed in the file, the limit has not.
    assert manager.reconfigure(pool(5), {"a": pool(1, QueueConfig()), "b": None}).changed == ("a",)
    assert manager.info("a").limit == 7
    assert manager.reconfigure(pool(4), {"a": pool(1, QueueConfig()), "b": None}).changed == ("",)
    assert manager.info().limit == 4


def test_a_queue_that_is_turned_off_keeps_who_waits() -> None:
    manager = PoolManager(pool(), {"a": pool(1)})
    start(manager, "1", "2")
    manager.reconfigure(pool(), {"a": pool(1, QueueConfig())})
    assert start(manager, "3") == [REFUSED]
    assert manager.release("1") == ("2",)


def test_a_new_action_has_a_pool_and_one_that_follows_the_global_queue_follows_it() -> None:
    manager = PoolManager(pool(1, QueueConfig()), {"a": None})
    assert start(manager, "1", "2") == [RUNNING, REFUSED]
    changed = manager.reconfigure(pool(1), {"a": None, "b": pool(3)}).changed
    assert set(changed) == {"", "b"}
    assert start(manager, "2") == [QUEUED]
    assert start(manager, "3", action="b") == [QUEUED]


def test_an_action_that_is_gone_keeps_its_tasks_and_goes_when_they_have() -> None:
    manager = PoolManager(pool(), {"a": pool(1), "b": pool()})
    start(manager, "1", "2")
    manager.reconfigure(pool(), {"b": pool()})
    assert manager.release("1") == ("2",)
    assert manager.release("2") == ()
    manager.reconfigure(pool(), {"b": pool()})
    with pytest.raises(KeyError):
        manager.info("a")


def test_an_action_that_comes_back_while_its_tasks_run_has_the_new_settings() -> None:
    manager = PoolManager(pool(), {"a": pool(1)})
    start(manager, "1", "2")
    manager.reconfigure(pool(), {})
    back = manager.reconfigure(pool(), {"a": pool(2)})
    assert (back.changed, back.admitted) == (("a",), ("2",))


def test_excess_that_changes_counts_at_the_next_lowering() -> None:
    manager = PoolManager(pool(), {"a": pool(2)})
    start(manager, "1", "2")
    manager.reconfigure(pool(), {"a": pool(2, excess=ExcessConfig("requeue", "last", 1))})
    (trim,) = manager.resize("a", limit=1).trimmed
    assert (trim.task_id, trim.requeue, trim.grace) == ("2", True, 1.0)
