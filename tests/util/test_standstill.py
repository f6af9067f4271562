"""Steps and the standstill between them."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator

import pytest

from overseer.util.standstill import Standstill
from tests.harness import allowed

_THREADS = 4
_TIMES = 200


@pytest.fixture
def switching() -> Iterator[None]:
    """Threads change places as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("switching")
def test_no_thread_is_within_a_step_while_it_is_closed() -> None:
    standstill = Standstill()
    within = [False] * _THREADS
    steps = [0] * _THREADS
    over = False

    def work(number: int) -> None:
        while not over:
            with standstill:
                within[number] = True
                with standstill:  # a step within a step goes on, closed or not
                    steps[number] += 1
                within[number] = False

    threads = [threading.Thread(target=work, args=(number,)) for number in range(_THREADS)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(_TIMES):
            standstill.close()
            assert standstill.wait(allowed(10))
            assert not any(within)
            seen = list(steps)
            time.sleep(0.0001)  # lets a thread go on that does not rest
            assert steps == seen
            assert not any(within)
            standstill.open()
    finally:
        over = True
        standstill.open()
        for thread in threads:
            thread.join(allowed(10))
    assert all(steps)


def test_a_thread_that_rests_does_not_hold_it_up() -> None:
    standstill = Standstill()
    resting, on = threading.Event(), threading.Event()
    after: list[bool] = []

    def work() -> None:
        with standstill:
            with standstill.rest():
                resting.set()
                on.wait(allowed(10))
            after.append(standstill.closed)

    thread = threading.Thread(target=work)
    thread.start()
    assert resting.wait(allowed(10))
    standstill.close()
    assert standstill.wait(allowed(10))
    on.set()
    thread.join(0.05)  # it may not go on: nothing to wait for
    assert not after
    standstill.open()
    thread.join(allowed(10))
    assert after == [False]


def test_a_step_that_does_not_end_is_waited_for_in_vain() -> None:
    standstill = Standstill()
    with standstill:
        standstill.close()
        assert not standstill.wait(0.01)
        standstill.open()
    standstill.close()
    assert standstill.wait(allowed(10))
