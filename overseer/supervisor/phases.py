"""Where a task may stand, which step may follow which, and how a run may be asked to end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import NamedTuple


class Phase(Enum):
    """A task's phase; the value starts with the ``state`` that clients see.

    Attributes:
        in_use: the task's id is taken.
        goes_on: its driver is starting a run, or is about to when a delay is over.
        launching: its driver is starting a run, or about to.
    """

    QUEUED = "queued", 0
    STARTING = "active", 1  # its driver is starting a run
    RUNNING = "active", 2
    WAITING = "active", 3  # for its restart
    ENDED = "active", 4  # by itself, and nothing follows
    STOPPED = "stopped", 5  # on purpose
    ERRORED = "errored", 6  # given up
    # Its driver is starting a run requested after it was over; if that fails, it is over again.
    RESETTING = "active", 7
    FORGOTTEN = "", 8  # replaced by a new task of that id, or never started

    def __init__(self, state: str, _: int) -> None:
        self.state = state
        self.in_use = self.name in ("QUEUED", "STARTING", "RUNNING", "WAITING", "RESETTING")
        self.goes_on = self.name in ("STARTING", "WAITING")
        self.launching = self.name in ("STARTING", "RESETTING")

    __hash__ = object.__hash__  # each is there once, and Enum's is slow


# All legal steps. A requeued task returns to QUEUED when its run is over or fails to start, or directly from
# WAITING.
NEXT: dict[Phase, frozenset[Phase]] = {
    Phase.QUEUED: frozenset({Phase.STARTING, Phase.STOPPED, Phase.FORGOTTEN}),
    Phase.STARTING: frozenset(
        {Phase.RUNNING, Phase.WAITING, Phase.QUEUED, Phase.STOPPED, Phase.ERRORED, Phase.FORGOTTEN}
    ),
    Phase.RUNNING: frozenset(
        {Phase.WAITING, Phase.ENDED, Phase.STOPPED, Phase.ERRORED, Phase.QUEUED, Phase.STARTING}
    ),
    Phase.WAITING: frozenset({Phase.STARTING, Phase.STOPPED, Phase.QUEUED}),
    Phase.ENDED: frozenset({Phase.RESETTING, Phase.QUEUED, Phase.FORGOTTEN}),
    Phase.STOPPED: frozenset({Phase.RESETTING, Phase.QUEUED, Phase.FORGOTTEN}),
    Phase.ERRORED: frozenset({Phase.RESETTING, Phase.FORGOTTEN}),
    # STARTING: it has been accepted, and waits for a place to run on.
    Phase.RESETTING: frozenset({Phase.RUNNING, Phase.STARTING, Phase.ERRORED, Phase.ENDED, Phase.STOPPED}),
    Phase.FORGOTTEN: frozenset(),
}


class StopRequest(Enum):
    """Why a run is being stopped."""

    NONE = 0
    STOP = 1
    REQUEUE = 2  # trimmed by a pool whose excess is requeued
    RESTART = 3  # to be started again at once


@dataclass(frozen=True, slots=True)
class RunExit:
    """How a run ended by its driver's account, checked, so that announcing it cannot fail.

    ``lost``: why nobody knows how it ended, or "".
    """

    exit_code: int
    intentional: bool
    signal: str
    at: datetime
    ran_out_of_memory: bool
    cpu_ms: int | None
    max_rss: int | None
    values: Mapping[str, str]
    lost: str


@dataclass(frozen=True, slots=True)
class LastRun:
    """How a task's latest run that is over ended, as clients are shown it.

    Attributes:
        at: None: none is over.
        signal: that ended it, or "".
        reason: why it ended.
        max_rss: bytes.
        values: that it hands on; none once another one has begun.
    """

    at: datetime | None = None
    exit_code: int | None = None
    signal: str = ""
    reason: str = ""
    duration_ms: int | None = None
    cpu_ms: int | None = None
    max_rss: int | None = None
    values: Mapping[str, str] = field(default_factory=dict)


class RunEnding(NamedTuple):
    """How a run ended by the overseer's account.

    ``asked``: it was told to end; ``failed``: otherwise, it counts as a failure; ``ran_for``: seconds.
    """

    asked: bool
    reason: str
    failed: bool
    ran_for: float

    @property
    def duration_ms(self) -> int:
        return int(self.ran_for * 1000)
