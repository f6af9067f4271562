"""How a run is stopped."""

from __future__ import annotations

import signal
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StopPolicy:
    """What a stop ends, with which signal, and how long it waits before SIGKILL.

    Attributes:
        kill_mode: "tree": every process that can be recognised as the run's; "group": the leader's process
            group; "leader": the leader alone. After a natural exit, the first two end what is left of the
            group; "leader" ends nothing.
        signal: the first signal, by number or name ("SIGINT").
        grace: seconds between it and SIGKILL.
    """

    kill_mode: str = "tree"
    signal: int | str = signal.SIGTERM
    grace: float = 5.0

    def __post_init__(self) -> None:
        if self.kill_mode not in ("tree", "group", "leader"):
            raise ValueError(f"kill_mode must be tree, group or leader, not {self.kill_mode!r}")
        _ = self.signal_number

    @property
    def signal_number(self) -> int:
        """The signal's number; ValueError for an unknown name."""
        if not isinstance(self.signal, str):
            return self.signal
        try:
            return signal.Signals[self.signal]
        except KeyError:
            raise ValueError(f"no such signal: {self.signal!r}") from None
