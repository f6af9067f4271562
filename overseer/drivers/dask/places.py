"""The runs that want a place on a cluster, and what the engine has for each: a task, a future."""

from __future__ import annotations

import fnmatch
import itertools
import logging
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from distributed import Client, Future

from overseer.config.cluster import ClusterSection
from overseer.drivers.dask import relay
from overseer.drivers.dask.remote_worker import RemoteWorker
from overseer.drivers.dask.transport import said_of
from overseer.errors import SpawnError
from overseer.process.registry import registry
from overseer.util.locks import Rank, lock

_log = logging.getLogger(__name__)

_AT_ONCE = 50  # runs
_PATIENCE_S = 2.0  # for a run to begin, before its requester is told that it waits


@dataclass(eq=False)
class Entry:
    """A run, and the engine's task that holds a place for it, or will."""

    run: RemoteWorker
    section: ClusterSection
    requested: bool  # somebody waits, and is told if there is no connection
    future: Future | None = None
    matching: frozenset[str] | None = None  # the workers that it was submitted for; None: any
    since: float = field(default_factory=time.monotonic)


class Places:
    """Finds places for runs that have not begun. Thread-safe; what takes names is called by one thread.

    Args:
        address: of the cluster.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._numbers = itertools.count(1)  # of submissions
        self._lock = lock(Rank.LEAF, f"places {address}")  # guards the fields below
        self._entries: dict[str, Entry] = {}  # by run; those that have begun are dropped now and then
        self._new: list[Entry] = []  # not submitted yet
        self._client: Client | None = None  # the latest

    def add(self, entry: Entry) -> None:
        with self._lock:
            self._entries[entry.run.order.run] = entry
            self._new.append(entry)

    def remove(self, entry: Entry) -> None:
        """Nothing more is expected of it: the engine may forget it."""
        with self._lock:
            self._entries.pop(entry.run.order.run, None)
            future, entry.future = entry.future, None
        if future is not None:
            release(future)
        if entry.run.key and self._client is not None:
            _tell(self._client, "client-releases-keys", [entry.run.key])

    @property
    def has_new(self) -> bool:
        return bool(self._new)

    def waiting(self, actions: Collection[str]) -> list[str]:
        """The tasks of these actions whose runs have no place."""
        with self._lock:
            entries = list(self._entries.values())
        return [each.run.task_id for each in entries if not each.run.placed and each.run.action in actions]

    def lost(self) -> None:
        """The connection is lost: all are submitted anew to the next."""
        with self._lock:
            self._new = list(self._entries.values())
            for entry in self._new:
                entry.future = entry.matching = None

    def refuse(self, why: str) -> None:
        """There is no connection: who waits for an answer is told why; what has been accepted waits."""
        with self._lock:
            entries = list(self._entries.values())
        for entry in entries:
            if not entry.run.placed and not entry.run.told:
                if entry.requested:
                    entry.run.fail(SpawnError(why))
                else:
                    entry.run.wait_longer()

    def submit_new(self, client: Client, names: Mapping[str, str]) -> None:
        """Submit some of what has come since the last time.

        Args:
            names: of all workers, by address.
        """
        self._client = client
        with self._lock:
            entries, self._new = self._new[:_AT_ONCE], self._new[_AT_ONCE:]
        self._submit(client, entries, names)

    def look(self, names: Mapping[str, str], heard: float) -> bool:
        """Have submitted again what the engine has forgotten, or what other workers match now; tell who waits
        for long.

        Args:
            heard: monotonic; up to when the scheduler is known to answer.

        Returns:
            Whether any run waits for workers that match.
        """
        self._keep(self._drop_begun())
        with self._lock:
            entries = list(self._entries.values())
            new = set(map(id, self._new))
        for entry in entries:
            if entry.since + _PATIENCE_S < heard:
                entry.run.wait_longer()
            if id(entry) not in new and not entry.run.placed and self._reclaim(entry, names):
                with self._lock:
                    self._new.append(entry)
        return any(entry.section.workers and not entry.run.placed for entry in entries)

    def _drop_begun(self) -> list[Entry]:
        with self._lock:
            begun = [entry for entry in self._entries.values() if entry.run.begun_there]
            for entry in begun:
                del self._entries[entry.run.order.run]
        return begun

    def _keep(self, entries: Collection[Entry]) -> None:
        """Have the scheduler know the places of runs that have begun as taken, even if this connection ends:
        else it would forget them, and give them to others."""
        client = self._client
        kept = [entry for entry in entries if entry.future is not None]
        for entry in kept:
            assert entry.future is not None
            entry.run.key = entry.future.key
        if client is None:
            return
        _tell(client, "client-desires-keys", [entry.run.key for entry in kept])
        # Those whose end came too early to be seen by :meth:`remove`.
        _tell(client, "client-releases-keys", [entry.run.key for entry in kept if not entry.run.lives])

    def _reclaim(self, entry: Entry, names: Mapping[str, str]) -> bool:
        """Whether it must be submitted anew; what the engine has for it is let go then. Fails a run that no
        worker can hold a place for."""
        future, matching = entry.future, matching_workers(entry.section.workers, names)
        if future is None:
            return matching is None or bool(matching)
        if future.status == "error":
            text = f"a worker of {self._address} cannot run it: {fault_of(future)}"
            entry.run.fail(SpawnError(text))
            return False
        if future.status == "pending" and matching == entry.matching:
            return False
        with self._lock:
            entry.future = None  # called off, or nobody has heard of its place
        release(future)
        return True

    def _submit(self, client: Client, entries: Collection[Entry], names: Mapping[str, str]) -> None:
        """Submit them, those together that want the same: each message costs the scheduler a millisecond."""
        alike: dict[tuple[int, frozenset[str] | None], list[Entry]] = {}  # by section's id, and workers
        for entry in entries:
            matching = matching_workers(entry.section.workers, names)
            if matching is None or matching:
                alike.setdefault((id(entry.section), matching), []).append(entry)
        for (_, matching), some in alike.items():
            try:
                self._submit_alike(client, some[0].section, matching, some)
            except Exception as error:
                _log.exception("tasks cannot be submitted to %s", self._address)
                text = f"the cluster {self._address} does not take it: {said_of(error)}"
                for entry in some:
                    entry.run.fail(SpawnError(text))

    def _submit_alike(
        self,
        client: Client,
        section: ClusterSection,
        matching: frozenset[str] | None,
        entries: Collection[Entry],
    ) -> None:
        runs = [entry.run.order.run for entry in entries]
        futures = client.map(
            relay.hold,
            [registry.server_id] * len(runs),
            runs,
            [section.lease] * len(runs),
            key=[f"overseer-{run}-{next(self._numbers)}" for run in runs],
            pure=False,
            workers=None if matching is None else sorted(matching),
            resources=dict(section.resources) or None,
        )
        unwanted = []
        with self._lock:
            for entry, future in zip(entries, futures, strict=True):
                if self._entries.get(entry.run.order.run) is entry:
                    entry.future, entry.matching = future, matching
                else:  # it was called off meanwhile
                    unwanted.append(future)
        for future in unwanted:
            release(future)


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


def _tell(client: Client, operation: str, keys: list[str]) -> None:
    """Tell the scheduler about tasks of nobody in particular. Does not block."""
    if keys:
        with suppress(Exception):  # the connection is lost
            client._send_to_scheduler({"op": operation, "keys": keys, "client": "fire-and-forget"})


def _host(address: str) -> str:
    return address.partition("://")[2].rpartition(":")[0]
