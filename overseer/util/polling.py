"""How long a poll may wait: it takes milliseconds, and no more of them than make 24.8 days."""

from __future__ import annotations

__all__ = ["poll_timeout"]

_LONGEST_S = 24 * 60 * 60.0  # so also of infinity


def poll_timeout(seconds: float) -> float:
    """Milliseconds to wait in ``poll``, for ``seconds`` that may be negative, or more than it can take.

    So the wait may be over early: who is told that nothing happened must look at the clock.
    """
    return min(max(0.0, seconds), _LONGEST_S) * 1000
