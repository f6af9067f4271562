"""What the trial of a program, in an upgrade, has found out about texts: when the program takes over, and
everybody waits, it need not find it out again.

What was found is what ``marshal`` can write. It holds for the same program and the same text alone.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from typing import Any


class Findings:
    """Empty, and closed, but in an upgrade. Thread-safe."""

    def __init__(self) -> None:
        self._known: MutableMapping[Any, Any] = {}
        self._recorded = False

    def open(self, known: MutableMapping[Any, Any], *, record: bool) -> None:
        """Use what is known; ``record``: this is the trial, which adds to it."""
        self._known, self._recorded = known, record

    def close(self) -> None:
        """Forget all."""
        self._known, self._recorded = {}, False

    def get(self, *about: Any) -> Any:
        """What was found about this, or None."""
        return self._known.get(about)

    def add(self, find: Callable[[], Any], *about: Any) -> None:
        """Record what ``find`` returns, if this is the trial."""
        if self._recorded:
            self._known[about] = find()


findings = Findings()
"""This process's."""
