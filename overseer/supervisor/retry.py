"""Retry decisions: what follows when a run ends by itself.

Pure: time and randomness are arguments, and each decision returns the next :class:`RetryState`.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import TypeAlias

from overseer.protocol import RetryPolicy

IMMEDIATE_S = 1.0  # a shorter run counts towards the floor
FLOOR_STEP_NS = 50_000_000
FLOOR_CAP_NS = 5_000_000_000
# The floor does not apply to a policy with at least this delay, which does not spin.
DELIBERATE_DELAY_NS = 100_000_000
# With a window, every exit is remembered; this bounds their number, and so the effective threshold.
MAX_WINDOWED_EXITS = 10_000
_MAX_DURATION_NS = 2**63 - 1  # the longest duration on the wire


@dataclass(frozen=True, slots=True)
class RetryState:
    """What later retry decisions need of a task's unintentional exits so far."""

    exits: tuple[float, ...] = ()
    """Monotonic times of those within the policy's window, oldest first."""
    total: int = 0
    """The number of all exits."""
    attempts: int = 0
    """Restarts decided so far, so the number of the latest one."""
    immediate: int = 0
    """The number of latest runs in a row that were shorter than ``IMMEDIATE_S``."""
    grown: int = 0
    """How often the delay has grown since it was last reset."""


@dataclass(frozen=True, slots=True)
class NoRestart:
    """The task has ended; there is no restart."""


@dataclass(frozen=True, slots=True)
class Restart:
    """Start again in ``delay_ns`` nanoseconds; ``attempt`` counts from 1."""

    delay_ns: int
    attempt: int


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Too many exits: ``exit_count`` of them counted."""

    exit_count: int


Decision: TypeAlias = NoRestart | Restart | GiveUp


def effective_policy(start: RetryPolicy | None, config: RetryPolicy) -> RetryPolicy | None:
    """The policy of a task, with ``restart_on`` filled in; None: it is never restarted.

    ``start`` is the start request's policy, if any, ``config`` the action's merged over the top-level one. A
    start's policy replaces the config's, even an empty one, which restarts without limit after any exit. The
    config's restarts only after failures unless it says otherwise, so that one-shot jobs do not loop, and not
    at all if it is empty.
    """
    if start is not None:
        return replace(start, restart_on=start.restart_on or "any")
    if config.empty:
        return None
    return replace(config, restart_on=config.restart_on or "failure")


def restart_floor(immediate: int) -> int:
    """The shortest delay, in nanoseconds, after ``immediate`` immediate exits in a row.

    The first restart may come at once; then 50 ms, 100 ms, 200 ms and so on up to 5 s.
    """
    if immediate < 2:
        return 0
    # The exponent is bounded, too: a task may fail immediately for weeks.
    return min(FLOOR_STEP_NS << min(immediate - 2, 10), FLOOR_CAP_NS)


def decide(
    policy: RetryPolicy | None,
    state: RetryState,
    *,
    now_s: float,
    failed: bool,
    ran_for_s: float,
    rng: random.Random,
) -> tuple[Decision, RetryState]:
    """What follows an unintentional exit, and the state from then on.

    ``policy`` is from :func:`effective_policy`, ``now_s`` is monotonic, ``ran_for_s`` is the run's duration.
    A restart that failed to spawn counts as a failure after 0 seconds.

    The delay is what ``restart_delay`` has grown to plus a random part of ``restart_jitter`` (both ends
    included), and at least :func:`restart_floor`, unless it is long enough without the jitter not to spin;
    ``restart_max_delay`` does not lower the floor.
    """
    state, count = _recorded(policy, state, now_s, ran_for_s)
    if policy is None or (policy.restart_on == "failure" and not failed):
        return NoRestart(), state
    threshold = _threshold(policy)
    if 0 < threshold <= count:
        return GiveUp(count), state
    deliberate = policy.delay_after(state.grown)
    delay = deliberate + rng.randint(0, policy.restart_jitter)
    if deliberate < DELIBERATE_DELAY_NS:
        delay = max(delay, restart_floor(state.immediate))
    state = replace(state, attempts=state.attempts + 1, grown=state.grown + 1)
    return Restart(min(delay, _MAX_DURATION_NS), state.attempts), state


def _threshold(policy: RetryPolicy) -> int:
    return min(policy.error_threshold, MAX_WINDOWED_EXITS) if policy.error_window else policy.error_threshold


def _recorded(
    policy: RetryPolicy | None, state: RetryState, now_s: float, ran_for_s: float
) -> tuple[RetryState, int]:
    """The state with this exit added, and the number of exits that count towards the threshold."""
    total = state.total + 1
    exits: tuple[float, ...] = ()
    count = total
    if policy is not None and policy.error_window and policy.error_threshold:
        window_s = policy.error_window / 1e9
        inside = [at for at in state.exits if now_s - at < window_s]
        # Exits beyond the threshold never matter, so they are dropped.
        exits = (*inside, now_s)[-_threshold(policy) :]
        count = len(exits)
    immediate = state.immediate + 1 if ran_for_s < IMMEDIATE_S else 0
    reset = policy is not None and 0 < policy.restart_reset <= ran_for_s * 1e9
    return RetryState(exits, total, state.attempts, immediate, 0 if reset else state.grown), count
