"""The clock that leaves out what the process did not run."""

from __future__ import annotations

from overseer.util.awake_clock import TICK, AwakeClock, Ticker, awake
from overseer.util.timers import Timer, Timers


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
    assert before < 1000 + 2 * TICK, "somebody looks before the tick"
    clock.tick()
    assert clock() == before, "it goes on from there"
    time.now += TICK
    assert clock() == before + TICK
    clock.stop()
    time.now += 95
    assert clock() == before + TICK + 95


def test_a_ticker_whose_timers_end_leaves_the_clock_going() -> None:
    timers = Timers("awake-timers")
    ticker = Ticker(timers, lambda: True)
    assert awake._last[0] is not None
    timers.close()
    Ticker(timers, lambda: True)
    assert awake._last[0] is None
    ticker.stop()
    assert awake._last[0] is None


def test_it_ticks_while_that_is_needed_and_not_otherwise() -> None:
    scheduled: list[Timer] = []

    class Noted(Timers):
        def schedule(self, delay: float, *due: object) -> Timer:
            scheduled.append(super().schedule(3600, *due))
            return scheduled[-1]

    timers = Noted("awake-timers")
    needed = False
    ticker = Ticker(timers, lambda: needed)
    try:
        assert not scheduled
        assert awake._last[0] is None
        needed = True
        ticker.begin()
        ticker.begin()
        assert len(scheduled) == 1
        assert awake._last[0] is not None
        ticker._tick()
        assert len(scheduled) == 2
        needed = False
        ticker._tick()
        assert len(scheduled) == 2
        assert awake._last[0] is None
        needed = True
        ticker.begin()
        assert len(scheduled) == 3
        assert awake._last[0] is not None
    finally:
        ticker.stop()
        timers.close()
    assert awake._last[0] is None
    ticker.begin()
    assert len(scheduled) == 3, "it is over"
