"""``task_pool``, whose keys have alternative spellings; it becomes a PoolConfig."""

from __future__ import annotations

from dataclasses import replace

from overseer.config.key_hints import hints_at
from overseer.protocol import ExcessConfig, PoolConfig, QueueConfig
from overseer.schema.fields import declared, field
from overseer.schema.location import Location
from overseer.schema.objects import Object
from overseer.schema.quantities import COUNT, SECONDS


def _queue(read: QueueConfig, location: Location) -> QueueConfig:
    if not read.enabled and (read.size or read.max_age):
        location.warn("the queue is not enabled: add `enabled: true`, or nothing ever waits in it")
    return read


@declared()
class PoolSection:
    """``task_pool``, of the server or of an action."""

    limit: int | None = field(
        COUNT, "How many tasks may run at once; 0: any number.", default=None, default_text="`0`"
    )
    queue: QueueConfig | None = field(
        Object(QueueConfig, _queue), "Where starts wait while the pool is full, see below.", default=None
    )
    excess: ExcessConfig = field(
        Object(ExcessConfig), "What happens to running tasks when the limit is lowered, see below.",
        default=ExcessConfig,
    )  # fmt: skip
    size: int | None = field(COUNT, "Another spelling of `limit`.", default=None)
    queue_size: int | None = field(
        COUNT, "Short for a `queue` that is enabled and has this size; 0: no queue.", default=None
    )
    queue_timeout: float | None = field(SECONDS, "Another spelling of `queue.max_age`.", default=None)


def _pool(read: PoolSection, location: Location) -> PoolConfig:
    if read.limit is not None and read.size is not None and read.limit != read.size:
        location.warn(f"limit ({read.limit}) and size ({read.size}) mean the same: limit wins")
    queue = read.queue
    if queue is None and read.queue_size is not None:
        queue = QueueConfig(enabled=read.queue_size > 0, size=read.queue_size)
    elif queue is not None and read.queue_size is not None and (queue.size or 0) != read.queue_size:
        location.warn("queue and queue_size mean the same: queue wins")
    if read.queue_timeout is not None:
        if queue is None:
            location.warn("queue_timeout does nothing without a queue or queue_size beside it")
        elif queue.max_age and queue.max_age != read.queue_timeout:
            location.warn("queue.max_age and queue_timeout mean the same: queue.max_age wins")
        else:
            queue = replace(queue, max_age=read.queue_timeout)
    limit = read.limit if read.limit is not None else read.size
    return PoolConfig(limit=limit or 0, queue=queue, excess=read.excess)


POOL = Object(PoolSection, _pool, hint=hints_at("pool", PoolSection))
