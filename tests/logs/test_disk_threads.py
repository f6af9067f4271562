"""Whose call hangs, and whose merely takes its time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from overseer.logs.disk_threads import _MOST_HUNG, _WATCH_S, DiskThreads
from overseer.util.hung_threads import Replaced, replaceable

PATIENCE = 0.05


def _given_up(work: Callable[[threading.Event], object], *, replaceably: bool) -> bool:
    """Whether work is gone on without, on a thread that can be replaced or through the log-writer; it is told
    by an event."""
    threads = DiskThreads()
    given_up = threading.Event()

    def do() -> None:
        with replaceable(given_up.set if replaceably else None):
            try:
                if not threads.do(lambda: work(given_up) and None, PATIENCE, lambda: None):
                    given_up.set()
            except Replaced:
                pass

    thread = threading.Thread(target=do)
    thread.start()
    thread.join(30)
    assert not thread.is_alive()
    threads.close()
    return given_up.is_set()


@pytest.mark.parametrize("replaceably", [True, False])
def test_a_thread_that_waits_for_the_gil_does_not_hang(replaceably: bool) -> None:
    """Its call has returned, which it can say only once others let it: on a busy machine that takes long."""

    def looking(given_up: threading.Event) -> None:  # as often as it would
        end = time.monotonic() + 6 * PATIENCE
        while time.monotonic() < end:
            time.sleep(0.005)

    assert not _given_up(looking, replaceably=replaceably)


@pytest.mark.parametrize("replaceably", [True, False])
def test_a_thread_that_is_blocked_hangs(replaceably: bool) -> None:
    assert _given_up(lambda given_up: given_up.wait(30), replaceably=replaceably)


def test_no_thread_begins_anything_while_so_many_hang() -> None:
    threads = DiskThreads()
    go, ran = threading.Event(), []
    threads.later(lambda: go.wait(30) and None)
    threads.later(lambda: ran.append(1))
    threads._hung = _MOST_HUNG
    go.set()
    threads.close()
    assert ran == []


def test_after_the_end_nobody_is_watched_longer_than_something_is_under_way() -> None:
    threads = DiskThreads()
    threads.close()
    with replaceable(lambda: None):
        assert threads.read(_watching, PATIENCE, lambda: None)  # a job that had been accepted
    for thread in _watching():
        thread.join(_WATCH_S / 2)
        assert not thread.is_alive()


def _watching() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "log-watch"]
