"""A thread that cannot begin has not been started, rather than being waited for without end."""

from __future__ import annotations

import sys
import threading
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
