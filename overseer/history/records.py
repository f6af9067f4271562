"""Records of runs, and the interface that takes them; no database here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from overseer.protocol import RetryPolicy
from overseer.util.dataclass_json import from_plain


@dataclass(frozen=True, slots=True)
class Trigger:
    """What started a run: ``type`` as on the wire, and by whom or what."""

    type: str
    by: str = ""

    @property
    def listed(self) -> str:
        """``by`` as all are shown it who see the task."""
        return self.by


@dataclass(frozen=True, slots=True)
class ChainTrigger(Trigger):
    """The trigger of a start that follows the end of a task.

    Attributes:
        depth: how many starts have led to it, itself included.
        discreet: some of those who see the one task may not know of the other.
    """

    depth: int = 1
    discreet: bool = False

    @property
    def listed(self) -> str:
        return "" if self.discreet else self.by


def trigger_of(data: Mapping[str, Any]) -> Trigger:
    """A trigger from its fields; those of a later version are ignored."""
    return from_plain(ChainTrigger if "depth" in data else Trigger, data)


RESTART = Trigger("restart")
SERVICE = Trigger("service")
BOOT = Trigger("boot", "boot")

# What is to become of a standing task. Those that wait are to be started in the order of their places.
QUEUED = "queued"  # it waits for its run, which is to be
STOPPED = "stopped"  # a person has stopped it


class Intent(NamedTuple):
    """What is to become of a standing task: one of the words above, or "" if only its last run tells."""

    word: str = ""
    place: int = 0


@dataclass(slots=True, eq=False)
class Run:
    """A run, as recorded at its start.

    Attributes:
        params: secrets masked.
        complete: no parameter is secret, so the task can be restarted from them.
        policy: the retry policy given at the start; None: its action's.
        queued: when it was queued, if it was.
        first_seq: the seq that its first line would have.
        definition: a hash of its action's definition.
        number: counts the runs of its task's id; set by the recorder.
        logged: its lines are logged, and the log knows where they end.
        host: the machine that it runs on; "": the server's own.
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
    host: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnd:
    """How a run ended. ``cpu_ms`` and ``max_rss``: None if not measured; ``again``: another run of its task
    follows; ``gave_up``: none does before a reset, after so many exits (0: it was not given up)."""

    at: datetime
    exit_code: int
    signal: str
    reason: str
    duration_ms: int
    failed: bool
    last_seq: int
    cpu_ms: int | None = None
    max_rss: int | None = None
    again: bool = False
    gave_up: int = 0

    @property
    def status(self) -> str:
        """The run's final status, as on the wire."""
        if self.reason in ("stopped", "shutdown"):
            return "stopped"
        if self.reason == "lost":
            return "lost"
        return "failed" if self.failed else "succeeded"


@dataclass(frozen=True, slots=True)
class Owed:
    """What is still to follow the end of a run.

    Attributes:
        room: who is to carry it out.
        change: what happened, as that room needs it to be told.
    """

    run_id: str
    room: str
    change: str


class Recorder:
    """Receives the supervisor's records of runs; this one keeps nothing. Thread-safe.

    ``started`` and ``ended`` wait briefly for the row to be stored, and must be called without a lock; the
    others do not block.
    """

    enabled = False

    def last_seq(self, task_id: str) -> int:
        """The highest seq that this id may have used; 0: none."""
        return 0

    def reserve(self, run: Run, seq: int) -> int:
        """Reserve numbers for a run whose lines have reached ``seq``, so that none is used twice, even after
        a crash. Returns the seq at which to call it again."""
        raise NotImplementedError

    def started(self, run: Run) -> None:
        """A run has begun; clients hear of it afterwards."""

    def ended(self, run: Run, end: RunEnd, owed: Sequence[Owed] = ()) -> None:
        """A run is over; clients hear of it afterwards. What is ``owed`` is stored with it, or not at all."""

    def start_failed(
        self, run: Run, error: str, *, again: bool = False, owed: Sequence[Owed] = (), gave_up: int = 0
    ) -> None:
        """A run could not be started."""

    def paid(self, run_id: str, room: str = "") -> None:
        """A room owes nothing for a run any more; "": none does."""

    def queued(self, run: Run) -> None:
        """A task waits for a run. Starting it, or failing to, ends that."""

    def never_started(self, task_id: str, reason: str, error: str) -> None:
        """A task that has waited for its run, if it has, will not be started."""

    def goes_on(self, run: Run) -> None:
        """The run's task is about to have another, so it counts as running."""

    def not_given_up(self, run: Run) -> None:
        """The run's task was told to stop, or to start again, before it was given up."""

    def called_off(self, run: Run) -> None:
        """The run's task was stopped by a person, so a boot must not restart it."""

    def intend(self, task_id: str, intent: Intent) -> None:
        """What is to become of a standing task."""
