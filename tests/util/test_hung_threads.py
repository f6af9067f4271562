"""Threads that do jobs and can be replaced: what is done, in which order, and until when."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from overseer.util.hung_threads import ReplaceableThreads, Replaced, post


@pytest.fixture
def threads() -> Iterator[ReplaceableThreads]:
    made = ReplaceableThreads("jobs", 1)
    yield made
    made.close(30.0)


def test_jobs_are_done_in_order_and_one_that_fails_ends_no_thread(threads: ReplaceableThreads) -> None:
    done: list[tuple[int, threading.Thread]] = []

    def job(number: int) -> None:
        done.append((number, threading.current_thread()))
        raise ValueError(number)

    for number in range(5):
        threads.do(lambda number=number: job(number))
    threads.close(30.0)
    assert [number for number, _ in done] == [0, 1, 2, 3, 4]
    assert len({thread for _, thread in done}) == 1


def test_who_takes_over_from_a_thread_that_hangs_is_the_one_that_ends(threads: ReplaceableThreads) -> None:
    hangs, returns, over = threading.Event(), threading.Event(), threading.Event()
    posts = []

    def job() -> None:
        posts.append(post())
        hangs.set()
        assert returns.wait(30)
        raise Replaced

    threads.do(job)
    threads.do(over.set)
    assert hangs.wait(30)
    successor = threading.Thread(target=posts[0].go_on, daemon=True)
    successor.start()
    assert over.wait(30)
    returns.set()
    posts[0].thread.join(30)
    assert not posts[0].thread.is_alive()
    assert successor.is_alive(), "it waits for the next job"
    threads.close(30.0)
    successor.join(30)
    assert not successor.is_alive()


def test_after_the_end_nothing_begins(threads: ReplaceableThreads) -> None:
    threads.close()
    before = threading.active_count()
    threads.do(lambda: pytest.fail("it was done"))
    assert threading.active_count() == before
