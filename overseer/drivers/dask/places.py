"""A run that wants a place on a cluster, and what the engine has for that: a task, a future."""

from __future__ import annotations

import fnmatch
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from distributed import Future

from overseer.config.cluster import ClusterSection
from overseer.drivers.dask.reach import said_of
from overseer.drivers.dask.run import FarWorker


@dataclass(eq=False)
class Entry:
    """A run, and the engine's task that holds a place for it, or will."""

    run: FarWorker
    section: ClusterSection
    future: Future | None = None
    matching: frozenset[str] | None = None  # the workers that it was submitted for; None: any
    since: float = field(default_factory=time.monotonic)

    @property
    def waits(self) -> bool:
        return not self.run.placed


def matching_workers(patterns: tuple[str, ...], names: Mapping[str, str]) -> frozenset[str] | None:
    """The addresses of the workers that match any pattern; None: no pattern.

    Args:
        names: of all workers, by address.
    """
    if not patterns:
        return None
    return frozenset(
        address
        for address, name in names.items()
        for each in (name, address, _host(address))
        if any(fnmatch.fnmatchcase(each, pattern) for pattern in patterns)
    )


def fault_of(future: Future) -> str:
    try:
        error = future.exception(timeout=1)
    except Exception as failure:
        error = failure
    return f"{type(error).__name__}: {said_of(error)}"


def release(future: Future) -> None:
    """Let go of a task of the engine, which calls it off if it has not begun. Does not block."""
    with suppress(Exception):
        future.release()


def _host(address: str) -> str:
    return address.partition("://")[2].rpartition(":")[0]
