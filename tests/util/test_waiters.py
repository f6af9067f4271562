"""Waiters: who waits for one thing is woken by that, and costs nothing when gone."""

from __future__ import annotations

import threading

from overseer.util.locks import Rank, lock
from overseer.util.waiters import Waiters


def test_a_wake_reaches_those_alone_who_wait_for_that() -> None:
    guard = lock(Rank.LEAF, "waiters")
    ours, others = Waiters(guard), Waiters(guard)
    asked: list[str] = []
    over = False

    def wait(waiters: Waiters, name: str) -> None:
        with guard:
            waiters.wait_for(lambda: asked.append(name) or over)  # type: ignore[func-returns-value]

    threads = [threading.Thread(target=wait, args=pair) for pair in ((ours, "ours"), (others, "others"))]
    for thread in threads:
        thread.start()
    while True:
        with guard:
            if len(asked) == 2:
                over = True
                ours.wake()
                break
    threads[0].join(30)
    assert not threads[0].is_alive()
    assert sorted(asked) == ["others", "ours", "ours"]
    with guard:
        others.wake()
    threads[1].join(30)
    assert not threads[1].is_alive()
    assert (ours._condition, others._condition) == (None, None)


def test_a_wait_that_is_too_long_ends_and_leaves_nothing() -> None:
    guard = lock(Rank.LEAF, "waiters")
    waiters = Waiters(guard)
    with guard:
        waiters.wake()
        assert not waiters.wait_for(lambda: False, 0.001)
        assert waiters.wait_for(lambda: True)
    assert waiters._condition is None
