"""The timers' thread: order, cancelling, closing."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator

import pytest

from overseer.util.timers import Timers


@pytest.fixture
def timers() -> Iterator[Timers]:
    timers = Timers()
    yield timers
    timers.close()


def test_calls_come_in_the_order_they_are_due_and_not_early(timers: Timers) -> None:
    calls: list[tuple[str, float]] = []
    done = threading.Event()
    began = time.monotonic()
    timers.schedule(0.09, lambda: (calls.append(("c", time.monotonic())), done.set()))
    timers.schedule(0.03, lambda: calls.append(("a", time.monotonic())))
    timers.schedule_at(began + 0.06, lambda: calls.append(("b", time.monotonic())))
    assert done.wait(30)
    assert [name for name, _ in calls] == ["a", "b", "c"]
    for (_, at), delay in zip(calls, (0.03, 0.06, 0.09), strict=True):
        assert at - began >= delay


def test_a_cancelled_call_does_not_come(timers: Timers) -> None:
    calls: list[str] = []
    done = threading.Event()
    timer = timers.schedule(0.02, lambda: calls.append("cancelled"))
    timers.schedule(0.04, done.set)
    assert timer.pending
    timer.cancel()
    timer.cancel()
    assert not timer.pending
    assert done.wait(30)
    assert calls == []


def test_many_cancelled_calls_are_not_kept(timers: Timers) -> None:
    for _ in range(10_000):
        timers.schedule(3600, lambda: None).cancel()
    assert len(timers._heap) < 200


def test_a_failing_call_is_logged_and_the_next_still_comes(
    timers: Timers, caplog: pytest.LogCaptureFixture
) -> None:
    done = threading.Event()
    timers.schedule(0, lambda: 1 / 0)
    timers.schedule(0.01, done.set)
    assert done.wait(30)
    assert "ZeroDivisionError" in caplog.text


def test_nothing_is_called_after_close(timers: Timers) -> None:
    calls: list[str] = []
    timers.schedule(0.01, lambda: calls.append("before"))
    timers.close()
    timers.close()
    assert not timers.schedule(0, lambda: calls.append("after")).pending
    assert "after" not in calls
    assert not any(thread.name == "timers" for thread in threading.enumerate())


def test_a_call_may_schedule_cancel_and_close(timers: Timers) -> None:
    done = threading.Event()

    def first() -> None:
        timers.schedule(0, second)

    def second() -> None:
        timers.close()
        done.set()

    timers.schedule(0, first)
    assert done.wait(30)


def test_what_is_due_may_be_a_value_and_its_meaning_elsewhere() -> None:
    fired: queue.Queue[tuple[object, ...]] = queue.Queue()
    timers = Timers("values", fire=lambda *due: fired.put(due))
    try:
        timer = timers.schedule(0, "restart", "task", 3)
        assert fired.get(timeout=30) == ("restart", "task", 3)
        assert not timer.pending
    finally:
        timers.close()
