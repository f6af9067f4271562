"""What there is to say about a server in numbers: for monitoring, not for the wire.

Tasks and pools are of one moment; counters, durations and clients are read just before and after it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["ClientFigures", "Figures", "HistogramFigures", "PoolFigures"]


@dataclass(frozen=True, slots=True)
class HistogramFigures:
    """How many durations were observed, by how long they were.

    ``counts[n]`` is the number of those up to ``bounds[n]`` seconds and above the bound before; the last one,
    beyond all bounds, makes ``counts`` one longer. ``total`` is the sum of all in seconds.
    """

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    total: float


@dataclass(frozen=True, slots=True)
class PoolFigures:
    """A pool; a ``limit`` of 0 is none."""

    limit: int
    running: int
    queued: int


@dataclass(frozen=True, slots=True)
class ClientFigures:
    """The connected clients together. ``lagging`` have more than half their buffer pending."""

    connected: int
    pending: int  # bytes, of all
    most_pending: int  # bytes, of the one that has most
    lagging: int
    longest_lag: float  # seconds


@dataclass(frozen=True, slots=True)
class Figures:
    """A hub's numbers, by action where they belong to one."""

    counters: Mapping[str, Mapping[str, int]]
    queue_waits: Mapping[str, HistogramFigures]
    run_times: Mapping[str, HistogramFigures]
    tasks: Mapping[str, Mapping[str, int]]  # action to phase's name to how many
    pools: Mapping[str, PoolFigures]
    pool: PoolFigures  # of all together
    clients: ClientFigures
    stalled_clients: int  # closed because they did not read, since start-up
