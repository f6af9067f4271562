"""Turns: few at a time, in order, and none is lost."""

from __future__ import annotations

import threading
import time

from overseer.net.turns import Turn, Turns


def asked(turns: Turns) -> Turn:
    turn = Turn(turns)
    turn.begin()
    turn.ask()
    return turn


def test_a_few_have_a_turn_and_the_others_theirs_in_the_order_in_which_they_asked() -> None:
    turns = Turns(2)
    first, second, third, fourth = (asked(turns) for _ in range(4))
    assert [each.wait(0) for each in (first, second, third, fourth)] == [True, True, False, False]
    second.end()
    assert [each.wait(0) for each in (third, fourth)] == [True, False]
    first.end()
    assert fourth.wait(0)


def test_who_does_something_else_is_given_none() -> None:
    turns = Turns(1)
    busy = Turn(turns)
    busy.ask()
    assert asked(turns).wait(0)


def test_who_gives_up_its_place_in_the_queue_leaves_it_to_the_next() -> None:
    turns = Turns(1)
    first, second, third = (asked(turns) for _ in range(3))
    second.end()
    first.end()
    assert not second.wait(0)
    assert third.wait(0)


def test_asking_often_is_asking_once() -> None:
    turns = Turns(1)
    first, second = asked(turns), asked(turns)
    for turn in (first, second):
        turn.ask()
    first.end()
    second.end()
    assert asked(turns).wait(0)


def test_many_threads_all_get_on_and_never_more_than_a_few_at_once() -> None:
    turns = Turns(2)
    counting = threading.Lock()
    now = most = done = 0

    def work() -> None:
        nonlocal now, most, done
        turn = Turn(turns)
        for _ in range(20):
            turn.begin()
            turn.ask()
            assert turn.wait(30)
            with counting:
                now += 1
                most = max(most, now)
            time.sleep(0)
            with counting:
                now -= 1
                done += 1
            turn.end()

    threads = [threading.Thread(target=work) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert (done, now) == (400, 0)
    assert most <= 2
