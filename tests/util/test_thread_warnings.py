"""Warnings that are collected by several threads at once."""

from __future__ import annotations

import threading
import warnings

from overseer.util.thread_warnings import collected


class _Doubt(UserWarning):
    pass


def warn(text: str, kind: type[Warning] = _Doubt) -> None:
    warnings.warn(text, kind, stacklevel=1)


def test_each_thread_is_given_its_own_in_whatever_order_they_leave() -> None:
    entered, leave = threading.Event(), threading.Event()
    theirs: list[_Doubt] = []

    def hang() -> None:
        with collected(_Doubt) as said:
            entered.set()
            leave.wait(30)
            warn("theirs")
        theirs.extend(said)

    thread = threading.Thread(target=hang)
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        thread.start()
        assert entered.wait(30)
        with collected(_Doubt) as ours:
            warn("ours")
            leave.set()
            thread.join(30)
            warn("ours as well")
            warn("for everybody", UserWarning)
        warn("after it")
    assert [str(each) for each in theirs] == ["theirs"]
    assert [str(each) for each in ours] == ["ours", "ours as well"]
    assert [str(each.message) for each in shown] == ["for everybody", "after it"]


def test_what_is_collected_within_is_not_the_outer_ones() -> None:
    with collected(_Doubt) as outer:
        warn("before")
        with collected(_Doubt) as inner:
            warn("within")
        warn("after")
    assert [str(each) for each in outer] == ["before", "after"]
    assert [str(each) for each in inner] == ["within"]


def test_all_are_given_however_often_and_whatever_is_ignored() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with collected(_Doubt) as said:
            for _ in range(3):
                warn("again")
    assert len(said) == 3
