"""The rules of the pool, without its state: which task may run, queue, be displaced or be trimmed.

Pure functions over values, and the values that the pool answers with. A *place* is what a queue's ``size``
counts. An item usually holds a place of its own action's queue; one that displaced an item of another queue
took over that item's place, so that displacing never makes more items wait than all sizes allow together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from overseer.protocol import QueueConfig


@dataclass(frozen=True, slots=True)
class QueueState:
    """What a decision needs to know of one action's queue."""

    action: str
    config: QueueConfig
    taken: int
    """Its places that are taken."""
    oldest: int | None
    """When its oldest item that was not forced arrived (smaller is earlier); None when there is none."""


@dataclass(frozen=True, slots=True)
class Admit:
    """Start it now."""


@dataclass(frozen=True, slots=True)
class Enqueue:
    """Let it wait in its action's queue."""


@dataclass(frozen=True, slots=True)
class Displace:
    """Take the oldest item that was not forced out of the queue of ``action``, and let the new one wait."""

    action: str


@dataclass(frozen=True, slots=True)
class Refuse:
    """Neither; ``reason`` is for a person."""

    reason: str


Decision: TypeAlias = Admit | Enqueue | Displace | Refuse


class Outcome(Enum):
    """What became of a start."""

    RUNNING = "running"
    QUEUED = "queued"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Admission:
    """The answer to a start. ``position`` in the queue counts from 1; ``reason`` says why it is refused."""

    outcome: Outcome
    position: int = 0
    displaced: tuple[str, ...] = ()
    """Ids that lost their place in a queue to it."""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Trim:
    """A running task that a lowered limit has no room for: to be stopped, with ``grace`` seconds to end.

    Its slot stays taken until :meth:`PoolManager.release`, or :meth:`PoolManager.requeue` when ``requeue``
    is true.
    """

    task_id: str
    requeue: bool
    grace: float


@dataclass(frozen=True, slots=True)
class Resize:
    """What new settings lead to: ids that now run, and running ones that have to go."""

    admitted: tuple[str, ...] = ()
    trimmed: tuple[Trim, ...] = ()


@dataclass(frozen=True, slots=True)
class Reconfigured:
    """The pools that have changed (``""`` for the global one), and ids that now run."""

    changed: tuple[str, ...]
    admitted: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Requeued:
    """``position`` counts from 1; 0 is not queued, for shutdown. ``admitted`` may name the task itself."""

    position: int
    admitted: tuple[str, ...] = ()


def has_room(limit: int, running: int) -> bool:
    """Whether one more may run; ``limit`` 0 is none."""
    return limit == 0 or running < limit


def yields(displace: str, force: bool) -> bool:
    """Whether a queue with this ``displace`` gives up an item (that was not forced) to a start."""
    return displace == "true" or (force and displace != "prohibit")


def admit(room: bool, own: QueueState, others: Callable[[], Iterable[QueueState]], force: bool) -> Decision:
    """What becomes of a start: ``room`` is whether both limits let it run, ``own`` the queue of its action.

    ``others`` gives the remaining queues; it is called only when they matter.
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
    """How many more to trim when a limit changes; ``leaving`` of the ``running`` are on their way out.

    Only a lowered limit trims: what a reset started over an unchanged or raised one goes on.
    """
    lowered = new_limit != 0 and (old_limit == 0 or new_limit < old_limit)
    return max(0, running - leaving - new_limit) if lowered else 0


def pick_excess(started: Sequence[str], count: int, order: str) -> Sequence[str]:
    """The ``count`` to trim of ``started`` (oldest first): the first of them, or the last, last first."""
    if order == "last":
        return started[: -count - 1 : -1]
    return started[:count]
