"""The connection to a Dask cluster. All actions with the same address and certificates share one.

The engine's event loop runs in a thread of its own; this module is called, and calls, from other threads.
One thread watches the connection and the runs that have no place yet: it connects again when the scheduler is
back, and submits anew what the scheduler has forgotten.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
import warnings
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from distributed import Client
from distributed.security import Security

from overseer.config.cluster import ClusterSection
from overseer.drivers.dask import far
from overseer.drivers.dask.frames import FORMAT
from overseer.drivers.dask.link import Link
from overseer.drivers.dask.places import Entry, fault_of, matching_workers, release
from overseer.drivers.dask.reach import CONNECT_S, Reach, said_of
from overseer.drivers.dask.run import FarWorker
from overseer.errors import SpawnError
from overseer.process import registry
from overseer.protocol import ClusterInfo, ClusterWorker
from overseer.util.crew import Crew
from overseer.util.locks import Rank, assert_held, lock
from overseer.util.threads import start_thread

_log = logging.getLogger(__name__)

_LOOK_S = 0.25  # between looks at the connection and at runs without a place
_PAUSE_S = 1.0  # between attempts to connect
_MATCH_S = 2.0  # between looks for workers that match a pattern
_SLOW_S = 1.0  # without a place, after which a run waits for one that others have
_BUSY = ("executing", "long-running")
_NOT_YET = "not connected yet"


class Cluster:
    """See the module. Connects when it is first used, and closes when nothing uses it any more."""

    def __init__(self, section: ClusterSection) -> None:
        self.address = section.address
        tls = section.tls
        self._security = None
        if tls is not None:
            self._security = Security(
                tls_ca_file=tls.ca,
                tls_client_cert=tls.cert,
                tls_client_key=tls.key or tls.cert,
                require_encryption=True,
            )
        self._lock = lock(Rank.LEAF, f"cluster {self.address}")  # guards the fields below
        self._changed = threading.Condition(
            self._lock
        )  # notified when the connection has changed, or the use
        self._users = 0
        self._runs: dict[str, Entry] = {}
        self._new = False  # one has come since the last look
        self._links: dict[str, Link] = {}  # by relay
        self._client: Client | None = None
        self._why = _NOT_YET  # why there is none
        self._tried = 0  # attempts to connect
        self._thread: threading.Thread | None = None
        self._closing = False  # no new link is wanted
        self._numbers = itertools.count(1)  # of submissions
        self._places = Crew("cluster-places", 4)
        self._reach: Reach  # set by the thread that watches, before anything needs it
        self._names: dict[str, str] = {}  # addresses of workers, by name
        self._looked = 0.0

    # Use

    def use(self) -> None:
        """Keep the connection until :meth:`release`."""
        with self._lock:
            self._users += 1
            self._begin_locked()

    def release(self) -> None:
        with self._lock:
            self._users -= 1
            self._changed.notify_all()

    def _begin_locked(self) -> None:
        assert_held(self._lock)
        if self._thread is None:
            self._thread = start_thread(self._watch, f"cluster-{self.address}")
        self._changed.notify_all()

    def submit(self, run: FarWorker, section: ClusterSection, requested: bool) -> None:
        """Have the engine find a place for a run.

        Args:
            requested: somebody waits: it fails if there is no connection.

        Raises:
            SpawnError: so it is.
        """
        entry = Entry(run, section)
        with self._lock:
            self._runs[run.order.run] = entry
            self._new = True
            self._begin_locked()
            if not requested or self._is_connected_locked():
                return
            tried = self._tried
            self._changed.wait_for(lambda: self._client is not None or self._tried > tried, CONNECT_S)
            if self._is_connected_locked():
                return
            del self._runs[run.order.run]
            why = self._why
        raise SpawnError(f"the cluster {self.address} cannot be reached: {why}")

    def _is_connected_locked(self) -> bool:
        assert_held(self._lock)
        return self._client is not None

    @property
    def is_slow(self) -> bool:
        """Whether runs wait for places already, so that the next need not expect one at once."""
        with self._lock:
            limit = time.monotonic() - _SLOW_S
            return any(each.waits and each.since < limit for each in self._runs.values())

    def forget(self, run: FarWorker) -> None:
        """Nothing more is expected of a run."""
        with self._lock:
            entry = self._runs.pop(run.order.run, None)
            links = list(self._links.values())
            self._changed.notify_all()
        for link in links:
            link.remove(run)
        if entry is not None and entry.future is not None:
            release(entry.future)

    def _ours(self, actions: Collection[str]) -> tuple[list[str], dict[str, list[FarWorker]]]:
        """The tasks of these actions that wait, and their runs, by worker."""
        with self._lock:
            links = list(self._links.values())
            waiting = [
                each.run.task_id for each in self._runs.values() if each.waits and each.run.action in actions
            ]
        placed: dict[str, list[FarWorker]] = {}
        for link in links:
            runs = [run for run in link.runs if run.lives and run.action in actions]
            placed.setdefault(link.address, []).extend(runs)
        return waiting, placed

    def figures(self, actions: Collection[str]) -> tuple[bool, int, Mapping[str, int]]:
        waiting, placed = self._ours(actions)
        hosts = {runs[0].host or address: len(runs) for address, runs in placed.items() if runs}
        return self._client is not None, len(waiting), hosts

    def look(self, actions: Collection[str], whole: bool) -> ClusterInfo:
        waiting, placed = self._ours(actions)
        with self._lock:
            client, why = self._client, self._why
        info = ClusterInfo(self.address, tuple(actions), False, why, tuple(waiting))
        if client is None:
            return info
        try:
            told = self._look(client)
        except Exception as error:
            return replace(info, error=said_of(error))
        workers = [
            ClusterWorker(
                str(each["name"]),
                address,
                each["status"],
                each["nthreads"],
                sum(each["metrics"].get("task_counts", {}).get(name, 0) for name in _BUSY) if whole else None,
                tuple(sorted(run.task_id for run in placed.get(address, ()))),
            )
            for address, each in told.items()
        ]
        workers.sort(key=lambda worker: (worker.name, worker.address))
        return replace(info, connected=True, error="", workers=tuple(workers))

    # The connection

    def _watch(self) -> None:
        """Be connected while there is any use for it."""
        reach: Reach | None = None
        try:
            while reach is None and self._in_use():
                try:
                    reach = self._reach = Reach(self._security, lambda: self._client)
                except (OSError, RuntimeError) as error:
                    self._has_failed(error)
            while self._in_use():
                self._stay_connected()
        except BaseException:
            _log.exception("the connection to %s failed", self.address)
        finally:
            with self._lock:
                self._closing = True
                links = list(self._links.values())
            for link in links:
                link.close()
            if reach is not None:
                reach.close()
            with self._lock:
                self._thread, self._closing = None, False
                self._why = _NOT_YET
                if self._users or self._runs:
                    self._begin_locked()

    def _has_failed(self, error: BaseException) -> None:
        """There is no connection: tell who waits, and pause."""
        with self._lock:
            self._why = said_of(error)
            self._tried += 1
            self._changed.notify_all()
            self._changed.wait(_PAUSE_S)

    def _in_use(self) -> bool:
        with self._lock:
            return bool(self._users or self._runs)

    def _stay_connected(self) -> None:
        """Connect, and stay so while there is any use for it."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of versions that differ somewhere
                client = Client(
                    self.address,
                    loop=self._reach.loop,
                    timeout=CONNECT_S - 0.5,
                    security=self._security,
                    set_as_default=False,
                    name="sticky-overseer",
                )
        except Exception as error:
            self._has_failed(error)
            return
        stream = client.scheduler_comm
        client.subscribe_topic(far.topic(registry.server_id), self._announced)
        with self._lock:
            self._client = client
            self._changed.notify_all()
        _log.info("connected to the cluster %s", self.address)
        try:
            while self._in_use():
                if client.scheduler_comm is not stream or stream.closed() or client.status != "running":
                    _log.warning("the connection to the cluster %s is lost", self.address)
                    break
                self._find_places(client)
                with self._lock:
                    self._changed.wait_for(self._is_asked_locked, _LOOK_S)
        finally:
            with self._lock:
                self._client = None
                self._why = "the connection is lost"
                for entry in self._runs.values():
                    entry.future = None
            with suppress(Exception):
                client.close(timeout=1.0)

    def _is_asked_locked(self) -> bool:
        """Whether there is a new run, or no use any more."""
        assert_held(self._lock)
        return self._new or not (self._users or self._runs)

    def _find_places(self, client: Client) -> None:
        """Submit the runs that the engine does not know of, or no longer."""
        with self._lock:
            self._new = False
            waiting = [entry for entry in self._runs.values() if entry.waits]
        picky = any(entry.section.workers for entry in waiting)
        if picky and time.monotonic() > self._looked + _MATCH_S:
            with suppress(OSError):
                self._look(client)
        for entry in waiting:
            try:
                self._find_place(client, entry)
            except Exception as error:
                _log.exception("a task cannot be submitted to %s", self.address)
                entry.run.fail(SpawnError(f"the cluster {self.address} does not take it: {said_of(error)}"))

    def _find_place(self, client: Client, entry: Entry) -> None:
        run, future, section = entry.run, entry.future, entry.section
        matching = matching_workers(section.workers, self._names)
        if future is not None:
            if future.status == "error":
                run.fail(SpawnError(f"a worker of {self.address} cannot run it: {fault_of(future)}"))
                return
            if future.status == "pending" and matching == entry.matching:
                return
            entry.future = None  # called off, or nobody has heard of its place
            release(future)
        if matching is not None and not matching:
            return
        entry.matching = matching
        future = client.submit(
            far.hold,
            registry.server_id,
            run.order.run,
            section.lease,
            key=f"overseer-{run.order.run}-{next(self._numbers)}",
            pure=False,
            workers=None if matching is None else sorted(matching),
            resources=dict(section.resources) or None,
        )
        with self._lock:
            if self._runs.get(run.order.run) is entry:
                entry.future = future
                return
        release(future)  # it was called off meanwhile

    def _look(self, client: Client) -> dict[str, Any]:
        """What the scheduler says of its workers, by address. Raises OSError."""
        told = self._reach.sync(client.scheduler.identity, n_workers=-1, timeout=CONNECT_S)
        workers: dict[str, Any] = told["workers"]
        self._names = {address: str(each["name"]) for address, each in workers.items()}
        self._looked = time.monotonic()
        return workers

    # Places

    def _announced(self, event: Any) -> None:
        """Called on the engine's loop when a worker has a place for a run."""
        self._places.do(partial(self._place, event[1]))

    def _place(self, said: dict[str, Any]) -> None:
        """Order the run where there is a place for it; refuse all further places."""
        with self._lock:
            entry = self._runs.get(said["run"])
        if entry is not None and said["format"] != FORMAT:
            text = f"{said['name']} has sticky-overseer {said['version']}, which this one does not understand"
            entry.run.fail(SpawnError(text))
            entry = None
        for _ in range(2):  # a link may close just now
            link = self._link(said)
            if link is None:
                return
            if entry is None:
                link.say({"op": "refuse", "run": said["run"]})
                return
            if link.add(entry.run):
                if not entry.run.place(link):
                    link.remove(entry.run)
                    link.say({"op": "refuse", "run": said["run"]})
                return

    def _link(self, said: dict[str, Any]) -> Link | None:
        """The link to the relay that has announced something; None while the connection is being closed."""
        address = said["address"]
        with self._lock:
            link = self._links.get(said["relay"])
            if link is None and not self._closing:
                ask = partial(self._reach.ask, address, relay=said["relay"])
                link = Link(said["name"], address, said["lease"], ask, self._is_gone, self._closed)
                self._links[said["relay"]] = link
            return link

    def _closed(self, closed: Link) -> None:
        with self._lock:
            self._links = {relay: link for relay, link in self._links.items() if link is not closed}

    def _is_gone(self, address: str) -> bool:
        """Whether the scheduler says that a worker has left."""
        with self._lock:
            client = self._client
        if client is None:
            return False
        try:
            return address not in self._look(client)
        except Exception:
            return False
