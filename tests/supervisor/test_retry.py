"""The retry machine, over the product of policies and histories."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overseer.protocol import RetryPolicy
from overseer.supervisor.retry import (
    FLOOR_CAP_NS,
    IMMEDIATE_S,
    MAX_WINDOWED_EXITS,
    Decision,
    GiveUp,
    NoRestart,
    Restart,
    RetryState,
    decide,
    effective_policy,
    restart_floor,
)

MS = 1_000_000
S = 1_000 * MS
LONG = 60.0  # a run that is not immediate


def run_through(
    policy: RetryPolicy | None,
    exits: list[tuple[float, int, float]],
    *,
    seed: int = 0,
) -> list[Decision]:
    """The decisions on exits given as (when, code, how long the run was)."""
    rng = random.Random(seed)
    state = RetryState()
    decisions: list[Decision] = []
    for now_s, exit_code, ran_for_s in exits:
        decision, state = decide(
            policy, state, now_s=now_s, failed=exit_code != 0, ran_for_s=ran_for_s, rng=rng
        )
        decisions.append(decision)
    return decisions


def one(policy: RetryPolicy | None, *, exit_code: int = 1, ran_for_s: float = LONG) -> Decision:
    return run_through(policy, [(1000.0, exit_code, ran_for_s)])[0]


class TestWhetherToRestart:
    @pytest.mark.parametrize("exit_code", [-1, 0, 1, 255])
    def test_without_a_policy_every_exit_is_the_end(self, exit_code: int) -> None:
        assert one(None, exit_code=exit_code) == NoRestart()

    @pytest.mark.parametrize(
        ("restart_on", "exit_code", "restarts"),
        [
            ("any", 0, True),
            ("any", 1, True),
            ("any", -1, True),
            ("failure", 0, False),
            ("failure", 1, True),
            ("failure", 255, True),
            ("failure", -1, True),
        ],
    )
    @pytest.mark.parametrize("delay", [0, 3 * S])
    def test_restart_on_says_after_which_exits(
        self, restart_on: str, exit_code: int, restarts: bool, delay: int
    ) -> None:
        policy = RetryPolicy(restart_delay=delay, restart_on=restart_on)
        assert one(policy, exit_code=exit_code) == (Restart(delay, 1) if restarts else NoRestart())

    def test_a_clean_exit_ends_a_task_that_restarts_on_failure_even_past_its_threshold(self) -> None:
        policy = RetryPolicy(error_threshold=1, restart_on="failure")
        assert one(policy, exit_code=0) == NoRestart()

    def test_clean_exits_count_towards_the_threshold_when_any_exit_restarts(self) -> None:
        policy = RetryPolicy(restart_delay=S, error_threshold=2, restart_on="any")
        assert run_through(policy, [(0.0, 0, LONG), (60.0, 0, LONG)]) == [Restart(S, 1), GiveUp(2)]

    def test_attempts_count_from_one_without_limit_when_there_is_no_threshold(self) -> None:
        policy = RetryPolicy(restart_delay=S, error_window=S)
        decisions = run_through(policy, [(float(i), 1, LONG) for i in range(500)])
        assert decisions == [Restart(S, i + 1) for i in range(500)]


class TestThreshold:
    @pytest.mark.parametrize("threshold", [1, 2, 3, 10, 50])
    @pytest.mark.parametrize("window", [0, 3600 * S])
    @pytest.mark.parametrize("restart_on", ["any", "failure"])
    def test_the_exit_that_reaches_it_gives_up(self, threshold: int, window: int, restart_on: str) -> None:
        policy = RetryPolicy(
            restart_delay=S, error_window=window, error_threshold=threshold, restart_on=restart_on
        )
        decisions = run_through(policy, [(float(i), 1, LONG) for i in range(threshold)])
        assert decisions == [Restart(S, i + 1) for i in range(threshold - 1)] + [GiveUp(threshold)]

    def test_without_a_window_exits_of_long_ago_still_count(self) -> None:
        policy = RetryPolicy(restart_delay=S, error_threshold=3)
        assert run_through(policy, [(0.0, 1, LONG), (1e6, 1, LONG), (2e6, 1, LONG)])[-1] == GiveUp(3)

    @pytest.mark.parametrize(
        ("last", "gives_up"), [(9.9, True), (9.999999, True), (10.0, False), (10.1, False)]
    )
    def test_an_exit_as_old_as_the_window_no_longer_counts(self, last: float, gives_up: bool) -> None:
        policy = RetryPolicy(restart_delay=S, error_window=10 * S, error_threshold=3)
        decision = run_through(policy, [(0.0, 1, LONG), (5.0, 1, LONG), (last, 1, LONG)])[-1]
        assert decision == (GiveUp(3) if gives_up else Restart(S, 3))

    def test_a_reset_starts_counting_anew(self) -> None:
        policy = RetryPolicy(restart_delay=S, error_threshold=2)
        for _ in range(2):  # RetryState() is what a reset leaves
            assert run_through(policy, [(0.0, 1, LONG), (1.0, 1, LONG)]) == [Restart(S, 1), GiveUp(2)]

    def test_a_restart_that_could_not_spawn_counts_like_an_exit(self) -> None:
        policy = RetryPolicy(restart_delay=S, error_threshold=3, restart_on="failure")
        decisions = run_through(policy, [(0.0, 1, LONG), (1.0, -1, 0.0), (2.0, -1, 0.0)])
        assert decisions == [Restart(S, 1), Restart(S, 2), GiveUp(3)]

    @pytest.mark.parametrize(("threshold", "kept"), [(0, 0), (1, 1), (20, 20), (10**9, MAX_WINDOWED_EXITS)])
    def test_the_state_keeps_no_more_exits_than_can_matter(self, threshold: int, kept: int) -> None:
        policy = RetryPolicy(error_window=10**18, error_threshold=threshold)
        full = RetryState(exits=tuple(float(i) for i in range(MAX_WINDOWED_EXITS)))
        _, state = decide(policy, full, now_s=20_000.0, failed=True, ran_for_s=LONG, rng=random.Random(0))
        assert len(state.exits) == kept

    def test_a_threshold_beyond_what_is_kept_still_trips(self) -> None:
        policy = RetryPolicy(error_window=10**18, error_threshold=10**9)
        almost = RetryState(exits=tuple(float(i) for i in range(MAX_WINDOWED_EXITS - 1)))
        decision, _ = decide(policy, almost, now_s=2e4, failed=True, ran_for_s=LONG, rng=random.Random(0))
        assert decision == GiveUp(MAX_WINDOWED_EXITS)

    def test_without_a_window_no_times_are_kept_and_any_threshold_is_exact(self) -> None:
        policy = RetryPolicy(restart_delay=S, error_threshold=200_000)
        state = RetryState(total=199_998)
        rng = random.Random(0)
        decision, state = decide(policy, state, now_s=1.0, failed=True, ran_for_s=LONG, rng=rng)
        assert (decision, state.exits) == (Restart(S, 1), ())
        decision, _ = decide(policy, state, now_s=2.0, failed=True, ran_for_s=LONG, rng=rng)
        assert decision == GiveUp(200_000)

    @given(
        gaps=st.lists(st.integers(0, 40), min_size=1, max_size=40),
        window=st.integers(1, 60),
        threshold=st.integers(1, 8),
    )
    def test_the_window_agrees_with_counting_every_exit_there_ever_was(
        self, gaps: list[int], window: int, threshold: int
    ) -> None:
        policy = RetryPolicy(restart_delay=S, error_window=window * S, error_threshold=threshold)
        times = list(itertools.accumulate(gaps))
        decisions = run_through(policy, [(float(at), 1, LONG) for at in times])
        for index, at in enumerate(times):
            inside = sum(1 for earlier in times[: index + 1] if at - earlier < window)
            # A task that gave up has ended, so only the first time is compared in full.
            if inside >= threshold:
                assert decisions[index] == GiveUp(threshold)
                return
            assert decisions[index] == Restart(S, index + 1)


class TestDelay:
    @pytest.mark.parametrize("delay", [0, 1, MS, S, 90 * S])
    @pytest.mark.parametrize("jitter", [1, MS, S])
    def test_jitter_adds_between_nothing_and_all_of_itself(self, delay: int, jitter: int) -> None:
        policy = RetryPolicy(restart_delay=delay, restart_jitter=jitter)
        delays = []
        for seed in range(200):
            decision = run_through(policy, [(0.0, 1, LONG)], seed=seed)[0]
            assert isinstance(decision, Restart)
            delays.append(decision.delay_ns - delay)
        assert 0 <= min(delays) <= jitter // 10
        assert jitter - jitter // 10 <= max(delays) <= jitter

    def test_the_longest_delay_stays_within_a_duration(self) -> None:
        longest = 2**63 - 1
        policy = RetryPolicy(restart_delay=longest, restart_jitter=longest)
        assert one(policy) == Restart(longest, 1)

    def test_immediate_exits_restart_at_once_and_then_slower_and_slower(self) -> None:
        decisions = run_through(RetryPolicy(), [(float(i), 1, 0.01) for i in range(12)])
        delays = [decision.delay_ns // MS for decision in decisions if isinstance(decision, Restart)]
        assert delays == [0, 50, 100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000, 5000]

    def test_a_run_that_lasts_makes_the_next_restart_immediate_again(self) -> None:
        runs = [0.01, 0.01, 0.01, IMMEDIATE_S, 0.01, 0.01]
        decisions = run_through(RetryPolicy(), [(float(i), 1, ran) for i, ran in enumerate(runs)])
        delays = [decision.delay_ns // MS for decision in decisions if isinstance(decision, Restart)]
        assert delays == [0, 50, 100, 0, 0, 50]

    @pytest.mark.parametrize(
        ("delay", "delays"),
        [
            (10 * MS, [10, 50, 100, 200]),
            (60 * MS, [60, 60, 100, 200]),
            (99 * MS, [99, 99, 100, 200]),
            (100 * MS, [100, 100, 100, 100]),
            (S, [1000, 1000, 1000, 1000]),
        ],
    )
    def test_the_floor_lengthens_delays_that_would_spin_and_no_others(
        self, delay: int, delays: list[int]
    ) -> None:
        policy = RetryPolicy(restart_delay=delay)
        decisions = run_through(policy, [(float(i), 1, 0.0) for i in range(4)])
        assert decisions == [Restart(ms * MS, i + 1) for i, ms in enumerate(delays)]

    def test_jitter_alone_does_not_lift_the_floor(self) -> None:
        policy = RetryPolicy(restart_jitter=10)
        decision = run_through(policy, [(float(i), 1, 0.0) for i in range(4)])[-1]
        assert decision == Restart(200 * MS, 4)

    def test_the_floor_grows_steadily_and_is_capped_however_long_it_goes_on(self) -> None:
        floors = [restart_floor(count) for count in range(100)]
        assert floors == sorted(floors)
        assert floors[:3] == [0, 0, 50 * MS]
        assert floors[-1] == FLOOR_CAP_NS == restart_floor(10**15)


SHAPES = [
    RetryPolicy(*values)
    for values in itertools.product([0, S], [0, S], [0, 10 * S], [0, 2], ["", "any", "failure"])
]


HISTORIES: list[tuple[float, ...]] = [(), (0.0,), (95.0,), (0.0, 95.0), (95.0, 96.0, 97.0)]


@pytest.mark.parametrize("policy", SHAPES, ids=repr)
def test_every_shape_of_policy_and_state(policy: RetryPolicy) -> None:
    for earlier, exit_code in itertools.product(HISTORIES, [0, 3]):
        check_against_the_rules(policy, earlier, exit_code)


def check_against_the_rules(policy: RetryPolicy, earlier: tuple[float, ...], exit_code: int) -> None:
    """The rules said again, without their economies."""
    state = RetryState()
    rng = random.Random(1)
    for at in earlier:
        _, state = decide(policy, state, now_s=at, failed=True, ran_for_s=LONG, rng=rng)
    decision, after = decide(policy, state, now_s=100.0, failed=exit_code != 0, ran_for_s=LONG, rng=rng)

    count = 1 + len([at for at in earlier if not policy.error_window or at > 90.0])
    if exit_code == 0 and policy.restart_on == "failure":
        assert decision == NoRestart()
    elif policy.error_threshold and count >= policy.error_threshold:
        assert isinstance(decision, GiveUp)
        assert decision.exit_count >= policy.error_threshold
    else:
        assert isinstance(decision, Restart)
        assert 0 <= decision.delay_ns - policy.restart_delay <= policy.restart_jitter
        assert decision.attempt == state.attempts + 1 == after.attempts
    assert after.total == len(earlier) + 1
    assert state.total == len(earlier)  # a value: deciding left the old one alone


class TestEffectivePolicy:
    FULL = RetryPolicy(S, S, S, 3)

    @pytest.mark.parametrize(
        ("start", "config", "effective"),
        [
            (None, RetryPolicy(), None),
            (None, FULL, RetryPolicy(S, S, S, 3, "failure")),
            (None, RetryPolicy(S, restart_on="any"), RetryPolicy(S, restart_on="any")),
            (None, RetryPolicy(restart_on="any"), RetryPolicy(restart_on="any")),
            (RetryPolicy(), RetryPolicy(), RetryPolicy(restart_on="any")),
            (RetryPolicy(), FULL, RetryPolicy(restart_on="any")),
            (RetryPolicy(restart_delay=2), FULL, RetryPolicy(2, restart_on="any")),
            (RetryPolicy(restart_on="failure"), FULL, RetryPolicy(restart_on="failure")),
            (RetryPolicy(2), RetryPolicy(S, restart_on="failure"), RetryPolicy(2, restart_on="any")),
        ],
        ids=repr,
    )
    def test_the_start_s_own_policy_or_the_config_s(
        self, start: RetryPolicy | None, config: RetryPolicy, effective: RetryPolicy | None
    ) -> None:
        assert effective_policy(start, config) == effective

    def test_an_empty_policy_of_a_start_restarts_at_once_without_limit(self) -> None:
        policy = effective_policy(RetryPolicy(), RetryPolicy())
        assert run_through(policy, [(float(i), 0, LONG) for i in range(100)]) == [
            Restart(0, i + 1) for i in range(100)
        ]


class TestGrowth:
    def delays(self, policy: RetryPolicy, lasts: list[float]) -> list[int]:
        decisions = run_through(policy, [(float(at), 1, lasted) for at, lasted in enumerate(lasts)])
        assert all(isinstance(decision, Restart) for decision in decisions)
        return [decision.delay_ns for decision in decisions if isinstance(decision, Restart)]

    @pytest.mark.parametrize(
        ("factor", "most", "delays"),
        [
            (None, 0, [1, 1, 1, 1, 1]),
            (1, 0, [1, 1, 1, 1, 1]),
            (2, 0, [1, 2, 4, 8, 16]),
            (1.5, 0, [1, 1.5, 2.25, 3.375, 5.0625]),
            (2, 5 * S, [1, 2, 4, 5, 5]),
            (1, S // 2, [0.5] * 5),
        ],
    )
    def test_each_delay_is_a_multiple_of_the_one_before(
        self, factor: float | None, most: int, delays: list[float]
    ) -> None:
        policy = RetryPolicy(restart_delay=S, restart_factor=factor, restart_max_delay=most)
        assert self.delays(policy, [LONG] * 5) == [round(delay * S) for delay in delays]

    def test_only_a_run_that_lasted_long_enough_starts_it_over(self) -> None:
        policy = RetryPolicy(restart_delay=S, restart_factor=2, restart_reset="10s")
        lasts = [5.0, 9.999, 10.0, 0.0, 11.0, 3.0]
        assert self.delays(policy, lasts) == [S, 2 * S, S, 2 * S, S, 2 * S]
        forever = RetryPolicy(restart_delay=S, restart_factor=2)
        assert self.delays(forever, [1e9] * 3) == [S, 2 * S, 4 * S]

    def test_jitter_comes_on_top_of_the_longest_delay(self) -> None:
        policy = RetryPolicy(restart_delay=S, restart_factor=4, restart_max_delay=2 * S, restart_jitter=S)
        assert all(2 * S <= delay <= 3 * S for delay in self.delays(policy, [LONG] * 50)[1:])

    @pytest.mark.parametrize("delay", [1, 50 * MS, 99 * MS])
    def test_the_floor_holds_above_the_longest_delay(self, delay: int) -> None:
        policy = RetryPolicy(restart_delay=delay, restart_factor=2, restart_max_delay=99 * MS)
        found = self.delays(policy, [0.0] * 20)
        assert found == [max(policy.delay_after(at), restart_floor(at + 1)) for at in range(20)]
        assert found[-1] == FLOOR_CAP_NS

    def test_a_delay_that_has_grown_long_enough_needs_no_floor(self) -> None:
        policy = RetryPolicy(restart_delay=50 * MS, restart_factor=2, restart_max_delay=100 * MS)
        assert self.delays(policy, [0.0] * 20) == [50 * MS, *[100 * MS] * 19]

    @pytest.mark.parametrize("factor", [2, 1.1, 1_000_000])
    def test_it_never_grows_beyond_what_can_be_said(self, factor: float) -> None:
        policy = RetryPolicy(restart_delay=S, restart_factor=factor)
        assert policy.delay_after(10**6) == 2**63 - 1
        assert RetryPolicy(restart_factor=factor).delay_after(10**6) == 0
