"""Sections of the file whose values are not shaped like the file: pools (spelled in two ways) and retries."""

from __future__ import annotations

from dataclasses import dataclass, replace

from overseer.config.kinds import Choice, Duration, Flag, Seconds, Whole
from overseer.config.report import Spot
from overseer.config.schema import Section, key
from overseer.protocol import ExcessConfig, PoolConfig, QueueConfig, RetryPolicy

__all__ = ["EXCESS", "POOL", "QUEUE", "RETRY", "ExcessSection", "PoolSection", "QueueSection", "RetrySection"]


@dataclass(frozen=True)
class RetrySection:
    """``retry``: restarts after an exit that nobody asked for."""

    restart_delay: int = key(Duration(), "How long to wait before a restart.", default=0)
    restart_jitter: int = key(
        Duration(),
        "Up to this much is added to each delay, at random, so that many tasks do not restart at once.",
        default=0,
    )
    error_window: int = key(
        Duration(), "Only exits this recent count towards `error_threshold`; `0s` counts all.", default=0
    )
    error_threshold: int = key(
        Whole(), "This many exits make the task `errored`: down until a `reset`; 0: it restarts for ever.",
        default=0,
    )  # fmt: skip
    restart_on: str = key(
        Choice("any", "failure"),
        "Which exits restart: `failure` (a code other than 0, or a signal) or `any`.",
        default="", default_text="`failure`",
    )  # fmt: skip


def _retry(read: RetrySection, spot: Spot) -> RetryPolicy:
    return RetryPolicy(
        restart_delay=read.restart_delay,
        restart_jitter=read.restart_jitter,
        error_window=read.error_window,
        error_threshold=read.error_threshold,
        restart_on=read.restart_on,
    )


RETRY = Section(RetrySection, _retry)


@dataclass(frozen=True)
class QueueSection:
    """``task_pool.queue``: where starts wait while the pool is full."""

    enabled: bool = key(Flag(), "Whether starts wait at all; else they are refused.", default=False)
    size: int = key(Whole(), "How many may wait; 0: any number.", default=0)
    order: str = key(
        Choice("first", "last"), "Who starts next: the `first` that came or the `last`.", default="first"
    )
    max_age: float = key(
        Seconds(),
        "Who waits longer than this is dropped (`dequeued`, reason `expired`); 0: never.",
        default=0.0,
    )
    displace: str = key(
        Choice("false", "true", "prohibit", booleans=True),
        "Who may push the oldest start out of a full queue: any other (`true`), one with `force` (`false`) "
        "or none (`prohibit`). A forced one is never pushed out.",
        default="false",
    )


def _queue(read: QueueSection, spot: Spot) -> QueueConfig:
    if not read.enabled and (read.size or read.max_age):
        spot.warn("the queue is not enabled: add `enabled: true`, or nothing ever waits in it")
    return QueueConfig(
        enabled=read.enabled,
        size=read.size,
        order=read.order,
        max_age=_tidy(read.max_age),
        displace=read.displace,
    )


QUEUE = Section(QueueSection, _queue)


@dataclass(frozen=True)
class ExcessSection:
    """``task_pool.excess``: what becomes of running tasks when a limit is lowered below their number."""

    action: str = key(
        Choice("stop", "requeue"),
        "`stop` them, or stop them and put them back into the queue (`requeue`).",
        default="stop",
    )
    order: str = key(
        Choice("first", "last"), "Which go: the `first` that were started or the `last`.", default="first"
    )
    grace: float = key(Seconds(), "Time between the stop signal and SIGKILL.", default=5.0)


def _excess(read: ExcessSection, spot: Spot) -> ExcessConfig:
    return ExcessConfig(action=read.action, order=read.order, grace=_tidy(read.grace))


EXCESS = Section(ExcessSection, _excess)


@dataclass(frozen=True)
class PoolSection:
    """``task_pool``, of the server or of an action."""

    limit: int | None = key(
        Whole(), "How many tasks may run at once; 0: any number.", default=None, default_text="`0`"
    )
    queue: QueueConfig | None = key(
        QUEUE, "Where starts wait while the pool is full, see below.", default=None
    )
    excess: ExcessConfig = key(
        EXCESS, "What becomes of running tasks when the limit is lowered, see below.", default=ExcessConfig
    )
    size: int | None = key(Whole(), "Another spelling of `limit`.", default=None)
    queue_size: int | None = key(
        Whole(), "Short for a `queue` that is enabled and has this size; 0: no queue.", default=None
    )
    queue_timeout: float | None = key(Seconds(), "Another spelling of `queue.max_age`.", default=None)


def _pool(read: PoolSection, spot: Spot) -> PoolConfig:
    if read.limit is not None and read.size is not None and read.limit != read.size:
        spot.warn(f"limit ({read.limit}) and size ({read.size}) are one thing spelled twice: limit wins")
    queue = read.queue
    if queue is None and read.queue_size is not None:
        queue = QueueConfig(enabled=read.queue_size > 0, size=read.queue_size)
    elif queue is not None and read.queue_size is not None and (queue.size or 0) != read.queue_size:
        spot.warn("queue and queue_size are one thing spelled twice: queue wins")
    if read.queue_timeout is not None:
        if queue is None:
            spot.warn("queue_timeout does nothing without a queue or queue_size beside it")
        elif queue.max_age and queue.max_age != read.queue_timeout:
            spot.warn("queue.max_age and queue_timeout are one thing spelled twice: queue.max_age wins")
        else:
            queue = replace(queue, max_age=_tidy(read.queue_timeout))
    limit = read.limit if read.limit is not None else read.size
    return PoolConfig(limit=limit or 0, queue=queue, excess=read.excess)


POOL = Section(PoolSection, _pool)


def _tidy(seconds: float) -> float:
    """An int where it is whole, so that it goes over the wire as clients know it."""
    return int(seconds) if seconds == int(seconds) else seconds
