"""Turns the results of health probes into a status, for one run. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from overseer.config.probes import HealthConfig


class Verdict:
    """The status of one run, by its health probes.

    Attributes:
        status: starting, healthy or unhealthy.
        lenient: whether failures do not count yet.
    """

    def __init__(self, config: HealthConfig, began: float) -> None:
        """``began``: when the run did, in seconds of the clock that :meth:`add` is given."""
        self._config = config
        self._lenient_until = began + config.start_period
        self.lenient = config.start_period > 0
        self.status = "starting"
        self._failures = 0  # in a row
        self._successes = 0

    @property
    def interval(self) -> float:
        """Seconds until the next probe."""
        return self._config.first_interval if self.lenient else self._config.interval

    def add(self, passed: bool, now: float) -> bool:
        """Count a result; returns whether it changed the status."""
        if passed:
            self._failures = 0
            self._successes += 1
            enough = self._successes >= self._config.successes
            self.lenient = self.lenient and not enough
            return self._become("healthy") if enough else False
        self._successes = 0
        self.lenient = self.lenient and now < self._lenient_until
        if self.lenient:
            return False
        self._failures += 1
        return self._become("unhealthy") if self._failures >= self._config.failures else False

    def export(self) -> list[Any]:
        """For :meth:`restore`."""
        return [self.status, self.lenient, self._failures, self._successes]

    def restore(self, data: Sequence[Any]) -> None:
        """Go on where another program's was."""
        self.status, self.lenient, self._failures, self._successes = data

    def _become(self, status: str) -> bool:
        changed = self.status != status
        self.status = status
        return changed
