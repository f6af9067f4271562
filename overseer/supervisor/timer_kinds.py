"""The kinds of the hub's timers."""

from __future__ import annotations

from enum import Enum


class Due(Enum):
    """What is due when a timer with its ids fires. Each handler checks that it still is."""

    RESTART = "restart"  # of the task with this id
    TIMEOUT = "timeout"  # of the run of the task with this id
    EXPIRE = "expire"  # queued tasks that are too old
    PRUNE = "prune"  # finished tasks that are too old
    WATCH = "watch"  # telling those who watch
    USAGE = "usage"  # a pass over what tasks use
    MEMORY = "memory"  # a check of the memory limit
    WIDEN = "widen"  # backlogs held up by a slow driver
