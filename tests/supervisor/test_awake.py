"""The clock that leaves out what the process did not run."""

from __future__ import annotations

from overseer.util.awake import TICK, AwakeClock, Ticker, awake
from overseer.util.timers import Timers


class Time:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_it_is_the_monotonic_clock_while_nobody_ticks() -> None:
    time = Time()
    clock = AwakeClock(time)
    time.now += 500
    assert clock() == 1500.0


def test_ticks_that_come_in_time_change_nothing() -> None:
    time = Time()
    clock = AwakeClock(time)
    for _ in range(100):
        clock.tick()
        time.now += TICK + 0.1
        assert clock() == time.now


def test_time_without_ticks_is_left_out_whoever_looks_first() -> None:
    time = Time()
    clock = AwakeClock(time)
    clock.tick()
    time.now += 95
    before = clock()
    assert before < 1001, "somebody looks before the tick"
    clock.tick()
    assert clock() == before, "it goes on from there"
    time.now += TICK
    assert clock() == before + TICK
    clock.stop()
    time.now += 95
    assert clock() == before + TICK + 95


def test_a_ticker_whose_timers_end_leaves_the_clock_going() -> None:
    timers = Timers("awake-timers")
    ticker = Ticker(timers)
    assert awake._last[0] is not None
    timers.close()
    Ticker(timers)
    assert awake._last[0] is None
    ticker.stop()
    assert awake._last[0] is None
