"""A value that several threads need first is made once."""

from __future__ import annotations

import threading

import pytest

from overseer.util.once import Once


def test_threads_that_need_it_at_once_get_the_same() -> None:
    begun, go, made = threading.Event(), threading.Event(), []

    def make() -> object:
        begun.set()
        assert go.wait(30)
        made.append(object())
        return made[-1]

    once = Once(make)
    assert not once.made
    got: list[object] = []
    threads = [threading.Thread(target=lambda: got.append(once())) for _ in range(4)]
    for each in threads:
        each.start()
    assert begun.wait(30)
    go.set()
    for each in threads:
        each.join(30)
    assert once.made
    assert made * 4 == got


def test_one_that_cannot_be_made_is_tried_again() -> None:
    tries = iter([0, 1])
    once = Once(lambda: 1 // next(tries))
    with pytest.raises(ZeroDivisionError):
        once()
    assert not once.made
    assert once() == 1
