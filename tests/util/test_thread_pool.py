"""A crew does all that it is given, a few at a time, and has no threads when there is nothing to do."""

from __future__ import annotations

import threading
import time

import pytest

from overseer.util.thread_pool import ThreadPool


def test_so_many_jobs_go_on_at_a_time_and_all_are_done() -> None:
    crew = ThreadPool("test-crew", 2)
    together = threading.Barrier(2)
    done: list[int] = []

    def job(number: int) -> None:
        together.wait(10)  # never passed by one alone, and two of three never wait for the third
        done.append(number)

    for number in range(4):
        assert crew.do(lambda number=number: job(number))
    assert together.broken is False
    assert _ended(crew, 10.0)
    assert sorted(done) == [0, 1, 2, 3]


def test_threads_end_when_there_is_nothing_to_do() -> None:
    crew = ThreadPool("test-crew", 3)
    over = threading.Event()
    assert crew.do(over.set)
    assert over.wait(30)
    assert _ended(crew, 10.0)
    for thread in threading.enumerate():
        if thread.name == "test-crew":
            thread.join(30)  # it has nothing left to do but end
            assert not thread.is_alive()


def test_an_idle_thread_that_lingers_does_the_next_job_and_leaves_nobody_waiting_at_the_end() -> None:
    crew = ThreadPool("test-crew", 2, linger=60.0)
    threads: list[threading.Thread] = []
    for number in range(1, 4):
        over = threading.Event()
        assert crew.do(lambda over=over: (threads.append(threading.current_thread()), over.set()))
        assert over.wait(30)
        _wait_until_idle(crew)
        assert len(threads) == number
    assert len(set(threads)) == 1
    assert crew.close(30.0) is True


def test_one_that_fails_is_said_and_the_next_is_done(caplog: pytest.LogCaptureFixture) -> None:
    crew = ThreadPool("test-crew", 1)
    over = threading.Event()
    crew.do(lambda: 1 // 0)
    crew.do(over.set)
    assert over.wait(30)
    assert "test-crew: a job failed" in caplog.text


def test_a_closed_one_begins_nothing_and_waits_for_what_goes_on() -> None:
    crew = ThreadPool("test-crew", 1)
    begun, go, late = threading.Event(), threading.Event(), threading.Event()

    def job() -> None:
        begun.set()
        go.wait(10)

    crew.do(job)
    crew.do(late.set)
    assert begun.wait(30)
    assert crew.close() is False
    assert crew.do(late.set) is False
    go.set()
    assert crew.close(10.0) is True
    assert not late.is_set()


def test_one_that_is_closed_may_do_first_what_it_was_given() -> None:
    crew = ThreadPool("test-crew", 1)
    go = threading.Event()
    done: list[int] = []
    crew.do(lambda: go.wait(10))
    crew.do(lambda: done.append(1))
    assert crew.close(drop=False) is False
    go.set()
    assert crew.close(10.0, drop=False) is True
    assert done == [1]


def test_without_another_thread_a_job_waits_for_those_that_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    crew = ThreadPool("test-crew", 2)
    begun, go, done = threading.Event(), threading.Event(), threading.Event()
    crew.do(lambda: (begun.set(), go.wait(30)))
    assert begun.wait(30)

    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("overseer.util.thread_pool.start_thread", refuse)
    assert crew.do(done.set)
    assert not done.is_set()
    go.set()
    assert done.wait(30)
    assert _ended(crew, 30.0)
    here: list[threading.Thread] = []
    assert crew.do(lambda: here.append(threading.current_thread()))
    assert here == [threading.current_thread()]  # there are none


def _wait_until_idle(crew: ThreadPool) -> None:
    deadline = time.monotonic() + 30
    while crew.busy and time.monotonic() < deadline:
        time.sleep(0.001)  # a bound on how long it takes
    assert not crew.busy


def _ended(crew: ThreadPool, timeout: float) -> bool:
    """Whether its threads end by themselves."""
    with crew._lock:
        return crew._over.wait_for(lambda: not crew._threads, timeout)
