"""What the parts of a server tell monitoring, and what they have counted in the programs before this one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

Samples = Mapping[str, tuple[str, float]]
"""Help text and value, by name."""


class Counting(Protocol):
    """A part that counts from its beginning."""

    def counters(self) -> Samples: ...


class Gauging(Protocol):
    """A part that tells how things are."""

    def gauges(self) -> Samples: ...


def counters_of(*parts: Counting | None) -> Samples:
    """The counters of those parts that there are."""
    return {name: sample for part in filter(None, parts) for name, sample in part.counters().items()}


def gauges_of(*parts: Gauging | None) -> Samples:
    """The gauges of those parts that there are."""
    return {name: sample for part in filter(None, parts) for name, sample in part.gauges().items()}


class Totals:
    """What is counted, and what was ``before`` that."""

    def __init__(self, counted: Callable[[], Samples], before: Samples) -> None:
        self._counted = counted
        self._before = before

    def counters(self) -> Samples:
        counters = dict(self._counted())
        for name, (text, before) in self._before.items():
            text, value = counters.get(name, (text, 0.0))
            counters[name] = text, value + before
        return counters
