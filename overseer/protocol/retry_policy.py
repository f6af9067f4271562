"""When a task is started again after it has ended."""

from __future__ import annotations

from datetime import timedelta
from typing import TypeAlias

from overseer.protocol.declare import value
from overseer.schema.fields import fields_of, optional
from overseer.schema.quantities import COUNT, DURATION, Factor
from overseer.schema.types import Choice
from overseer.util.durations import nanoseconds

Duration: TypeAlias = float | str | timedelta
"""Whole nanoseconds, a float of seconds, Go's text such as ``"5s"``, or a timedelta."""

_RESTART_ON = Choice("any", "failure")


@value(init=False)
class RetryPolicy:
    """When and how a task is restarted after an exit that was not asked for."""

    # Durations are whole nanoseconds here.
    restart_delay: int = optional(DURATION, "How long to wait before a restart", default=0)
    restart_jitter: int = optional(
        DURATION,
        "Up to this much is added to each delay, at random, so that many tasks do not restart at once",
        default=0,
    )
    error_window: int = optional(
        DURATION, "Only exits this recent count towards error_threshold; 0s counts all", default=0
    )
    error_threshold: int = optional(
        COUNT,
        "After this many exits the task is errored, which means down until a reset; 0: it restarts without "
        "limit",
        default=0,
    )
    restart_on: str = optional(
        _RESTART_ON,
        "Which exits restart the task: failure (a code that is not a success, a signal, a timeout), or any",
        default_text="`failure`",
        default="",
    )
    restart_factor: float | None = optional(
        Factor(1), "Each delay is this many times the one before; absent: 1", default_text="`1`", default=None
    )
    restart_max_delay: int = optional(
        DURATION, "No delay grows longer than this, jitter aside; 0s: any length", default=0
    )
    restart_reset: int = optional(
        DURATION, "After a run that lasted this long, the delays start over; 0s: never", default=0
    )

    def __init__(
        self,
        restart_delay: Duration = 0,
        restart_jitter: Duration = 0,
        error_window: Duration = 0,
        error_threshold: int = 0,
        restart_on: str = "",
        restart_factor: float | None = None,
        restart_max_delay: Duration = 0,
        restart_reset: Duration = 0,
    ) -> None:
        # Durations may be given as "5s" or as a timedelta as well.
        for name, duration in (
            ("restart_delay", restart_delay),
            ("restart_jitter", restart_jitter),
            ("error_window", error_window),
            ("restart_max_delay", restart_max_delay),
            ("restart_reset", restart_reset),
        ):
            try:
                object.__setattr__(self, name, nanoseconds(duration))
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None
        object.__setattr__(self, "error_threshold", error_threshold)
        object.__setattr__(self, "restart_on", restart_on)
        object.__setattr__(self, "restart_factor", restart_factor)

    @property
    def empty(self) -> bool:
        """Whether no field is set."""
        return self == _NO_RETRY

    @property
    def grows(self) -> bool:
        """Whether one delay is longer than the one before."""
        return self.restart_factor is not None and self.restart_factor > 1

    def merged_over(self, base: RetryPolicy) -> RetryPolicy:
        """This policy with what it leaves unset (zero, empty) taken from ``base``."""
        if base.empty:
            return self
        names = [each.name for each in fields_of(RetryPolicy)]
        return RetryPolicy(**{name: getattr(self, name) or getattr(base, name) for name in names})

    def delay_after(self, restarts: int) -> int:
        """The delay, in nanoseconds and without jitter, once there have been so many restarts."""
        delay = self.restart_delay
        if delay and self.grows:
            try:
                delay = round(delay * float(self.restart_factor or 1) ** restarts)
            except OverflowError:
                delay = _LONGEST_NS
        return min(delay, self.restart_max_delay or _LONGEST_NS)


_NO_RETRY = RetryPolicy()
_LONGEST_NS = 2**63 - 1  # what a duration can say
