"""What a hub's timers are for."""

from __future__ import annotations

from enum import Enum


class Due(Enum):
    """What is due when a timer fires, with the ids that it bears. Each checks that it still is."""

    RESTART = "restart"  # of the task with this id
    TIMEOUT = "timeout"  # of the run of the task with this id
    EXPIRE = "expire"  # what has waited in a queue for too long
    PRUNE = "prune"  # finished tasks that are too old
    WATCH = "watch"  # telling those who watch
    USAGE = "usage"  # a look at what tasks use
    MEMORY = "memory"  # a look at whether rings must give way
    WIDEN = "widen"  # backlogs of launches that a slow driver holds up
