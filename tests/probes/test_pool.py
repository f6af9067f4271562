"""The threads of probes: few, in order, and never two for one task."""

from __future__ import annotations

import threading
import time

import pytest

from overseer.probes import pool as module
from overseer.probes.pool import Pool


def test_jobs_of_one_key_run_one_after_another_and_others_do_not_wait_for_them() -> None:
    pool = Pool()
    held, order, done = threading.Event(), [], threading.Semaphore(0)

    def job(name: str) -> None:
        if name == "a1":
            assert held.wait(30)
        order.append(name)
        done.release()

    for name in ("a1", "a2", "b1", "a3"):
        pool.submit(name[0], lambda name=name: job(name))
    assert done.acquire(timeout=30)
    assert order == ["b1"]
    held.set()
    for _ in range(3):
        assert done.acquire(timeout=30)
    assert order == ["b1", "a1", "a2", "a3"]
    pool.close()


def test_there_are_no_more_threads_than_it_may_have() -> None:
    pool = Pool(most=3)
    held, at_once, most = threading.Event(), 0, 0
    lock, done = threading.Lock(), threading.Semaphore(0)

    def job() -> None:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        assert held.wait(30)
        with lock:
            at_once -= 1
        done.release()

    for key in range(50):
        pool.submit(key, job)
    deadline = time.monotonic() + 30
    while at_once < 3 and time.monotonic() < deadline:
        time.sleep(0.001)  # a bound on how long it takes, not a wait for that it stays so
    assert len([each for each in threading.enumerate() if each.name == "probe"]) == 3
    held.set()
    for _ in range(50):
        assert done.acquire(timeout=30)
    assert most == 3
    pool.close()


def test_a_job_that_fails_takes_only_itself_with_it(caplog: pytest.LogCaptureFixture) -> None:
    pool = Pool(most=1)
    done = threading.Event()
    pool.submit("a", lambda: 1 // 0)
    pool.submit("a", done.set)
    assert done.wait(30)
    pool.close()
    assert "a probe of a failed" in caplog.text


def test_idle_threads_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LINGER_S", 0.01)
    pool = Pool()
    for _ in range(2):
        done = threading.Event()
        pool.submit("a", done.set)
        assert done.wait(30)
        for thread in threading.enumerate():
            if thread.name == "probe":
                thread.join(30)
                assert not thread.is_alive()
    pool.close()


def test_what_has_not_begun_at_the_end_is_dropped() -> None:
    pool = Pool(most=1)
    begun, held, ran = threading.Event(), threading.Event(), []
    pool.submit("a", lambda: (begun.set(), held.wait(10)))
    assert begun.wait(30)
    pool.submit("a", lambda: ran.append("a"))
    pool.submit("b", lambda: ran.append("b"))
    threading.Timer(0.05, held.set).start()
    pool.close(10)
    pool.submit("c", lambda: ran.append("c"))
    assert ran == []


def test_nothing_follows_a_job_that_goes_on_at_the_end() -> None:
    pool = Pool()
    begun, closed, ran = threading.Event(), threading.Event(), []

    def job() -> None:
        begun.set()
        assert closed.wait(30)
        pool.submit("a", lambda: ran.append("a"))

    pool.submit("a", job)
    assert begun.wait(30)
    pool.close(0.0)
    closed.set()
    pool.close(30.0)
    assert ran == []
