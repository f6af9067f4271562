"""The lock checker that the whole suite runs under."""

from __future__ import annotations

import threading

import pytest

from overseer.util.locks import LockOrderError, Rank, assert_held, assert_none_held, lock


def test_locks_may_be_taken_in_order_of_rank() -> None:
    with lock(Rank.HUB, "hub"), lock(Rank.POOL, "pool"), lock(Rank.LEAF, "leaf"):
        pass
    assert_none_held("this")


@pytest.mark.parametrize(
    ("first", "second"), [(Rank.TASK, Rank.HUB), (Rank.TASK, Rank.TASK), (Rank.LEAF, Rank.LEAF)]
)
def test_taking_them_out_of_order_is_an_error(first: Rank, second: Rank) -> None:
    inner = lock(second, "inner")
    with lock(first, "outer"), pytest.raises(LockOrderError, match="inner"):
        inner.acquire()
    assert not inner.locked()


def test_upcalls_under_a_lock_are_an_error() -> None:
    with lock(Rank.LEAF, "leaf"), pytest.raises(LockOrderError, match="a driver"):
        assert_none_held("a driver")


def test_a_condition_over_a_checked_lock_waits_and_wakes() -> None:
    condition = threading.Condition(lock(Rank.LEAF, "leaf"))
    woken = threading.Event()

    def wait() -> None:
        with condition:
            assert condition.wait_for(woken.is_set, timeout=30)

    thread = threading.Thread(target=wait)
    thread.start()
    with condition:
        woken.set()
        condition.notify_all()
    thread.join(30)
    assert not thread.is_alive()
    assert_none_held("this")


def test_without_checking_it_is_a_plain_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("overseer.util.locks._seed", "")
    assert type(lock(Rank.HUB, "hub")) is type(threading.Lock())


def test_a_lock_that_should_be_held_and_is_not_is_an_error() -> None:
    inner = lock(Rank.HUB, "hub")
    with inner:
        assert_held(inner)
    with pytest.raises(LockOrderError, match="not held"):
        assert_held(inner)
