"""What the tests of the pool share: a clock to turn by hand, a pool on it, short ways to ask."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from overseer.protocol import PoolConfig, QueueConfig
from overseer.supervisor.pool.policy import Admission, Trim
from overseer.supervisor.pool.pool import PoolManager

MOMENT = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)


RUNNING, QUEUED, REFUSED = "running", "queued", "refused"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Pool(PoolManager):
    """A PoolManager with defaults for what most tests do not care about."""

    def __init__(
        self,
        limit: int = 0,
        queue: QueueConfig | None = None,
        *,
        everyone: PoolConfig | None = None,
        **actions: PoolConfig | None,
    ) -> None:
        self.clock = Clock()
        super().__init__(everyone or PoolConfig(limit, queue), actions or {"a": None, "b": None}, self.clock)

    def start(self, task_id: str, action: str | None = None, *, force: bool = False) -> Admission:
        """The action is the id's first letter when not given."""
        return self.acquire(task_id, action or task_id[0], force, MOMENT)

    def outcome(self, task_id: str, action: str | None = None, *, force: bool = False) -> str:
        return outcome_of(self.start(task_id, action, force=force))

    def fill(self, *task_ids: str) -> None:
        for task_id in task_ids:
            assert self.outcome(task_id) != REFUSED, task_id

    def waiting(self, action: str = "") -> list[str]:
        return [item.task_id for item in self.info(action).queue_items]

    def running(self, action: str = "") -> int:
        return self.info(action).running


def outcome_of(admission: Admission) -> str:
    if admission.refusal:
        return REFUSED
    return QUEUED if admission.position else RUNNING


def queue(size: int = 0, **rest: object) -> QueueConfig:
    """A queue that is on."""
    return QueueConfig(enabled=True, size=size, **rest)  # type: ignore[arg-type]


def own(limit: int = 0, queue: QueueConfig | None = None, **rest: object) -> PoolConfig:
    return PoolConfig(limit, queue, **rest)  # type: ignore[arg-type]


def ids(trimmed: Sequence[Trim]) -> list[str]:
    return [trim.task_id for trim in trimmed]
