"""Probable mistakes in a retry policy: settings that cancel each other out or do nothing."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate

from overseer.protocol import RetryPolicy
from overseer.util.durations import format_duration

_MOST_EXITS = 10_000  # a window never counts more


def retry_problems(policy: RetryPolicy) -> Iterator[str]:
    """A sentence for each."""
    if policy.grows and not policy.restart_delay:
        yield "restart_factor does nothing without a restart_delay"
    if 0 < policy.restart_max_delay < policy.restart_delay:
        yield "restart_delay is longer than restart_max_delay, which is then every delay"
    elif not policy.grows:
        for name in ("restart_max_delay", "restart_reset"):
            if getattr(policy, name):
                yield f"{name} does nothing without a restart_factor greater than 1: no delay grows"
    if policy.error_window and policy.error_threshold:
        shortest = _shortest_ns(policy, min(policy.error_threshold, _MOST_EXITS))
        if shortest >= policy.error_window:
            delays = (
                f"the delays alone between {policy.error_threshold} exits take {format_duration(shortest)}"
            )
            window = format_duration(policy.error_window)
            yield f"error_threshold is never reached: {delays}, and error_window is {window}"


def _shortest_ns(policy: RetryPolicy, exits: int) -> int:
    """The least time from the first of that many exits to the last, without jitter."""
    delays = exits - 1
    # What the first delays take in all.
    sums = [0, *accumulate(policy.delay_after(number) for number in range(delays))]
    if not policy.restart_reset:
        return sums[-1]
    # Runs long enough to reset the delay take their time too; delays grow, so equal shares take least.
    shortest = sums[-1]
    for resets in range(1, delays):
        share, over = divmod(delays, resets + 1)
        total = over * sums[share + 1] + (resets + 1 - over) * sums[share] + resets * policy.restart_reset
        shortest = min(shortest, total)
    return shortest
