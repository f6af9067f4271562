"""A thread that cannot begin has not been started, rather than being waited for without end."""

from __future__ import annotations

import gc
import sys
import threading
import weakref
from collections.abc import Callable

import pytest

from overseer.util import threads
from overseer.util.threads import DaemonThread, start_thread


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_BEGINS_S", 0.05)


def test_a_thread_runs_what_it_is_given() -> None:
    ran = threading.Event()
    thread = start_thread(ran.set, "some")
    assert (thread.name, thread.daemon) == ("some", True)
    thread.join(30)
    assert ran.is_set()


def test_one_that_ends_before_it_has_begun_is_refused(monkeypatch: pytest.MonkeyPatch, soon: None) -> None:
    def no_memory(self: DaemonThread) -> None:
        raise MemoryError

    monkeypatch.setattr(DaemonThread, "_bootstrap", no_memory)
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)
    ran = threading.Event()
    with pytest.raises(RuntimeError, match="can't start new thread"):
        start_thread(ran.set, "some")
    assert not ran.is_set()
    threading._limbo.clear()  # type: ignore[attr-defined] # where threading keeps it


def test_one_that_begins_after_its_start_has_failed_does_nothing(
    monkeypatch: pytest.MonkeyPatch, soon: None
) -> None:
    go, ran, over = threading.Event(), threading.Event(), threading.Event()
    real: Callable[[DaemonThread], None] = DaemonThread._bootstrap  # type: ignore[attr-defined]

    def late(self: DaemonThread) -> None:
        go.wait(30)
        real(self)
        over.set()

    monkeypatch.setattr(DaemonThread, "_bootstrap", late)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        start_thread(ran.set, "some")
    go.set()
    assert over.wait(30)
    assert not ran.is_set()


def test_none_is_started_twice(monkeypatch: pytest.MonkeyPatch, soon: None) -> None:
    ran = threading.Semaphore(0)
    begun = DaemonThread(target=ran.release, name="some")
    begun.start()
    begun.join(30)
    refused = DaemonThread(target=ran.release, name="some")
    with monkeypatch.context() as patch:
        patch.setattr(DaemonThread, "_bootstrap", lambda _: None)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            refused.start()
    threading._limbo.clear()  # type: ignore[attr-defined] # where threading keeps it
    for thread in (begun, refused):
        with pytest.raises(RuntimeError, match="only be started once"):
            thread.start()
    assert ran.acquire(blocking=False)
    assert not ran.acquire(blocking=False)


def test_one_that_the_system_has_refused_may_be_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_more(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    ran = threading.Event()
    thread = DaemonThread(target=ran.set, name="some")
    with monkeypatch.context() as patch:
        patch.setattr(threading, "_start_new_thread", no_more)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            thread.start()
    thread.start()
    assert ran.wait(30)


def test_what_has_its_thread_goes_without_the_garbage_collector() -> None:
    class Some:
        def __init__(self) -> None:
            self.thread = DaemonThread(target=self.work, name="some")

        def work(self) -> None:
            pass

    gc.disable()
    try:
        some = Some()
        some.thread.start()
        some.thread.join(30)
        gone = weakref.ref(some)
        del some
        assert gone() is None
    finally:
        gc.enable()


def test_one_that_has_begun_is_not_refused_as_there_is_no_memory_to_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wait = threading.Event.wait

    def fail(event: threading.Event, timeout: float | None = None) -> bool:
        wait(event, timeout)
        raise MemoryError

    ran = list[int]()
    with monkeypatch.context() as without:
        without.setattr(threading.Event, "wait", fail)
        thread = start_thread(lambda: ran.append(1), "some")
    thread.join(30)
    assert ran == [1]
