"""What the history is told of a run, and the interface by which it is told; without a database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from overseer.protocol import RetryPolicy


@dataclass(frozen=True, slots=True)
class Trigger:
    """Why a run was started: ``type`` as on the wire, and who or what did it."""

    type: str
    by: str = ""


RESTART = Trigger("restart")
SERVICE = Trigger("service")
BOOT = Trigger("boot", "boot")


@dataclass(slots=True, eq=False)
class Run:
    """A run from its start on.

    Attributes:
        params: as they may be shown.
        complete: whether they are all there, none being secret, so that it could be started again from them.
        policy: the retry policy that its start gave; None: its action's.
        queued: since when it had waited, if it had.
        first_seq: of its first line, should it write one.
        definition: a hash of its action's definition.
        number: counts the runs of its task's id; the recorder's.
        logged: whether a log tells where its lines end, as far as it has them.
    """

    run_id: str
    task_id: str
    action: str
    params: Mapping[str, str]
    complete: bool
    policy: RetryPolicy | None
    trigger: Trigger
    queued: datetime | None
    started: datetime
    first_seq: int
    definition: str
    number: int = 0
    logged: bool = False


@dataclass(frozen=True, slots=True)
class RunEnd:
    """How a run ended. ``cpu_ms`` and ``max_rss`` are None where nobody has measured them."""

    at: datetime
    exit_code: int
    signal: str
    reason: str
    duration_ms: int
    failed: bool
    last_seq: int
    cpu_ms: int | None = None
    max_rss: int | None = None

    @property
    def status(self) -> str:
        """The word for what became of the run."""
        if self.reason in ("stopped", "shutdown"):
            return "stopped"
        if self.reason == "lost":
            return "lost"
        return "failed" if self.failed else "succeeded"


class Recorder:
    """What the supervisor tells of its runs; this one keeps nothing. Safe from any thread.

    ``started`` and ``ended`` wait until the row is stored, though not for long, and must be called without a
    lock; the others return at once.
    """

    enabled = False

    def last_seq(self, task_id: str) -> int:
        """The highest seq that a line of this id may have had; 0: none."""
        return 0

    def reserve(self, run: Run, seq: int) -> int:
        """The run's lines have come to ``seq``: have numbers set aside, so that none is given twice, also
        after a crash. Returns at which seq to call it again."""
        raise NotImplementedError

    def started(self, run: Run) -> None:
        """A run has begun; clients are told next."""

    def ended(self, run: Run, end: RunEnd) -> None:
        """A run is over; clients are told next."""

    def start_failed(self, run: Run, error: str) -> None:
        """A run could not be started, for this reason."""

    def goes_on(self, run: Run) -> None:
        """The run's task is to have another, so it counts as running."""

    def called_off(self, run: Run) -> None:
        """Somebody stops the run's task, so that a boot is not to bring it back."""
