"""What the parts of a server have counted, also in the programs before this one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

Counters = Mapping[str, tuple[str, float]]
"""Help text and value, by name."""


class Counting(Protocol):
    """A part that counts from its beginning."""

    def counters(self) -> Counters: ...


class Totals:
    """The counters of these parts, and what was ``before`` them."""

    def __init__(self, parts: Sequence[Counting], before: Counters) -> None:
        self._parts = parts
        self._before = before

    def counters(self) -> Counters:
        counters = {name: counter for part in self._parts for name, counter in part.counters().items()}
        for name, (text, before) in self._before.items():
            text, value = counters.get(name, (text, 0.0))
            counters[name] = text, value + before
        return counters
