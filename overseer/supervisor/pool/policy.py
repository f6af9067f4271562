"""The rules of the pool, without its state: which task may run, queue, be displaced or be trimmed.

Pure functions, and the values they return. A *place* is what a queue's ``size`` counts. An item usually holds
a place of its own action's queue; one that displaced an item of another queue took over its place, so that
displacing never queues more items than all sizes together allow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from overseer.protocol import QueueConfig


@dataclass(frozen=True, slots=True)
class QueueState:
    """The state of one action's queue, as far as decisions need it."""

    action: str
    config: QueueConfig
    taken: int
    """The number of its places taken."""
    oldest: int | None
    """The arrival of its oldest item that was not forced (smaller is earlier), or None."""


@dataclass(frozen=True, slots=True)
class Admit:
    """Start it now."""


@dataclass(frozen=True, slots=True)
class Enqueue:
    """Queue it."""


@dataclass(frozen=True, slots=True)
class Displace:
    """Remove the oldest item that was not forced from the queue of ``action``, and queue the new one."""

    action: str


@dataclass(frozen=True, slots=True)
class Refuse:
    """Refuse it; ``reason`` is for people."""

    reason: str


Decision: TypeAlias = Admit | Enqueue | Displace | Refuse


@dataclass(frozen=True, slots=True)
class Admission:
    """The answer to a start.

    Attributes:
        position: in the queue, from 1; 0: it has a slot, or is refused.
        displaced: the ids that it displaced from a queue.
        refusal: why it is refused, for people; "": it is not.
    """

    position: int = 0
    displaced: tuple[str, ...] = ()
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class Trim:
    """A running task above a lowered limit, to be stopped with ``grace`` seconds.

    Its slot stays taken until :meth:`PoolManager.release`, or :meth:`PoolManager.requeue` if ``requeue`` is
    true.
    """

    task_id: str
    requeue: bool
    grace: float


@dataclass(frozen=True, slots=True)
class ResizeResult:
    """The consequences of new settings: ids admitted, and running ones to trim."""

    admitted: tuple[str, ...] = ()
    trimmed: tuple[Trim, ...] = ()


@dataclass(frozen=True, slots=True)
class Reconfigured:
    """The pools that have changed (``""``: the global one), and the ids admitted."""

    changed: tuple[str, ...]
    admitted: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Requeued:
    """``position`` counts from 1; 0 is not queued, for shutdown. ``admitted`` may name the task itself."""

    position: int
    admitted: tuple[str, ...] = ()


LAST = 2**62
"""A place beyond the end of any queue."""


@dataclass(frozen=True, slots=True)
class Where:
    """Where a task is moved to: a place, from 1, at the most the last one; or right before, or after, another
    task. One of the three is given."""

    place: int = 0
    before: str = ""
    after: str = ""

    def index(self, others: Sequence[str]) -> int:
        """Its index among the ``others`` that wait there. Raises KeyError for one that does not."""
        if self.place:
            return min(self.place, len(others) + 1) - 1
        other = self.before or self.after
        if other not in others:
            raise KeyError(other)
        return others.index(other) + (1 if self.after else 0)


@dataclass(frozen=True, slots=True)
class MoveResult:
    """The place of a task that was moved, from 1.

    Attributes:
        position: in its action's queue.
        overall: among all that it was moved among; 0: these were its action's.
        changed: whether any task has another place now.
    """

    position: int
    overall: int
    changed: bool


def has_room(limit: int, running: int) -> bool:
    """Whether one more may run; ``limit`` 0: unlimited."""
    return limit == 0 or running < limit


def yields(displace: str, force: bool) -> bool:
    """Whether a start may displace an item (that was not forced) from a queue with this ``displace``."""
    return displace == "true" or (force and displace != "prohibit")


def admit(room: bool, own: QueueState, others: Callable[[], Iterable[QueueState]], force: bool) -> Decision:
    """Decide on a start: ``room``: both limits let it run; ``own``: its action's queue.

    ``others`` returns the remaining queues; it is called only when they matter.
    """
    if room:
        return Admit()
    if not own.config.enabled:
        return Refuse(f'pool is full and action "{own.action}" has no queue')
    if own.config.size == 0 or own.taken < own.config.size:
        return Enqueue()
    if own.oldest is not None and yields(own.config.displace, force):
        return Displace(own.action)
    candidates = [
        (other.oldest, other.action)
        for other in others()
        if other.oldest is not None and yields(other.config.displace, force)
    ]
    if candidates:
        return Displace(min(candidates)[1])
    return Refuse(f'pool is full and so is the queue of action "{own.action}" (size {own.config.size})')


def count_excess(old_limit: int, new_limit: int, running: int, leaving: int) -> int:
    """How many more to trim when a limit changes; ``leaving`` of the ``running`` are already being stopped.

    Only a lowered limit trims: tasks that a reset started beyond an unchanged or raised one go on.
    """
    lowered = new_limit != 0 and (old_limit == 0 or new_limit < old_limit)
    return max(0, running - leaving - new_limit) if lowered else 0


def pick_excess(started: Sequence[str], count: int, order: str) -> Sequence[str]:
    """The ``count`` tasks to trim of ``started`` (oldest first): the oldest, or the newest, newest first."""
    if order == "last":
        return started[: -count - 1 : -1]
    return started[:count]
