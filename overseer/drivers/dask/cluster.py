"""The connection to a Dask cluster. All actions with the same address and certificates share one.

The engine's event loop runs in a thread of its own; this module is called, and calls, from other threads.
One thread watches the connection and the runs that have no place yet: it connects again when the scheduler is
back, and submits anew what the scheduler has forgotten. Nothing else waits for the engine.
"""

from __future__ import annotations

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
from distributed.versions import VersionMismatchWarning

from overseer.config.cluster import ClusterSection
from overseer.drivers.dask import relay
from overseer.drivers.dask.frames import FORMAT
from overseer.drivers.dask.handover import link_of
from overseer.drivers.dask.heartbeat import Heartbeat
from overseer.drivers.dask.link import Link
from overseer.drivers.dask.places import Entry, Places
from overseer.drivers.dask.remote_worker import RemoteWorker
from overseer.drivers.dask.transport import CONNECT_S, Transport, refuses, said_of
from overseer.errors import SpawnError
from overseer.process.registry import registry
from overseer.protocol import ClusterInfo, ClusterWorker
from overseer.util.locks import Rank, assert_held, lock
from overseer.util.standstill import standstill
from overseer.util.thread_pool import ThreadPool
from overseer.util.threads import start_thread

_log = logging.getLogger(__name__)

_LOOK_S = 0.25  # between looks at the connection and at runs without a place
_PAUSE_S = 1.0  # between attempts to connect
_SILENCE_S = 4.0  # after which a scheduler counts as away
_GIVE_UP_S = 15.0  # after which another connection is better
_MATCH_S = 2.0  # between looks for workers that match a pattern
_BUSY = ("executing", "long-running")
_NOT_YET = "not connected yet"
_SILENT = "the scheduler does not answer"


class Cluster:
    """See the module. Connects when it is first used, and closes when nothing uses it any more."""

    def __init__(self, section: ClusterSection) -> None:
        self._section = section
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
        # Notified when the connection has changed, or the use.
        self._changed = threading.Condition(self._lock)
        self._users = 0
        self._runs: dict[str, Entry] = {}
        self._links: dict[str, Link] = {}  # by relay
        self._unbegun: list[Link] = []  # those of another program that wait until there is a way to workers
        self._reaches = False  # there is
        self._client: Client | None = None
        self._why = _NOT_YET  # why there is none
        self._away = False  # an attempt to connect has failed, and none has succeeded since
        self._thread: threading.Thread | None = None
        self._closing = False  # no new link is wanted
        self._places = Places(self.address)
        self._placing = ThreadPool("cluster-places", 4)
        self._transport: Transport  # set by the thread that watches, before anything needs it; the next, too
        self._heartbeat: Heartbeat
        self._names: dict[str, str] = {}  # of workers, by address
        self._workers_at = 0.0  # monotonic; when the scheduler was asked for them
        self._places_at = 0.0  # monotonic; when runs without a place were looked at

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

    def submit(self, run: RemoteWorker, section: ClusterSection, requested: bool) -> None:
        """Have the engine find a place for a run. Does not block.

        Args:
            requested: somebody waits, so it fails while the cluster is known to be away, or turns out to be.

        Raises:
            SpawnError: it is.
        """
        entry = Entry(run, section, requested)
        with self._lock:
            if requested and self._away:
                raise SpawnError(self._unreachable_locked())
            self._runs[run.order.run] = entry
        self._places.add(entry)
        with self._lock:
            self._begin_locked()

    def adopt(self, run: RemoteWorker, section: ClusterSection, link: Link | None) -> None:
        """Go on with a run of the program before this one."""
        entry = Entry(run, section, requested=False)
        with self._lock:
            self._runs[run.order.run] = entry
            if link is not None and link.relay not in self._links:
                self._links[link.relay] = link
                self._unbegun.append(link)
        if not run.begun_there:
            self._places.add(entry)
        if not run.lives:  # its end was quicker
            self.forget(run)
        with self._lock:
            self._begin_locked()
        self._begin_links()

    def _begin_links(self) -> None:
        """Have links of another program ask on, if there is a way to workers."""
        with self._lock:
            if not self._reaches:
                return
            links, self._unbegun = self._unbegun, []
        for link in links:
            link.begin(self._transport.ask, self._is_gone, self._drop_link)

    def _unreachable_locked(self) -> str:
        assert_held(self._lock)
        return f"the cluster {self.address} cannot be reached: {self._why}"

    def forget(self, run: RemoteWorker) -> None:
        """Nothing more is expected of a run."""
        with self._lock:
            entry = self._runs.pop(run.order.run, None)
            links = list(self._links.values())
            self._changed.notify_all()
        for link in links:
            link.remove(run)
        if entry is not None:
            self._places.remove(entry)

    def _ours(self, actions: Collection[str]) -> tuple[list[str], dict[str, list[RemoteWorker]]]:
        """The tasks of these actions that wait, and their runs, by worker."""
        waiting = self._places.waiting(actions)
        with self._lock:
            links = list(self._links.values())
        placed: dict[str, list[RemoteWorker]] = {}
        for link in links:
            runs = [run for run in link.runs if run.lives and run.action in actions]
            placed.setdefault(link.address, []).extend(runs)
        return waiting, placed

    def figures(self, actions: Collection[str]) -> tuple[bool, int, Mapping[str, int]]:
        waiting, placed = self._ours(actions)
        hosts = {runs[0].host or address: len(runs) for address, runs in placed.items() if runs}
        return self._client is not None and not self._away, len(waiting), hosts

    def look(self, actions: Collection[str], whole: bool) -> ClusterInfo:
        waiting, placed = self._ours(actions)
        with self._lock:
            client, why = None if self._away else self._client, self._why
        info = ClusterInfo(self.address, tuple(actions), False, why, tuple(waiting))
        if client is None:
            return info
        try:
            told = self._ask_for_workers(client)
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
        transport: Transport | None = None
        try:
            while transport is None and self._in_use():
                try:
                    transport = self._transport = Transport(self._security, lambda: self._client)
                    with self._lock:
                        self._reaches = True
                    self._begin_links()
                except (OSError, RuntimeError) as error:
                    self._back_off(said_of(error))
            while self._in_use():
                self._stay_connected()
        except BaseException as error:
            _log.exception("the connection to %s failed", self.address)
            self._back_off(said_of(error))
        finally:
            with self._lock:
                self._closing, self._reaches = True, False
                links = list(self._links.values())
            for link in links:
                link.close()
            if transport is not None:
                transport.close()
            with self._lock:
                self._thread, self._closing = None, False
                self._why = _NOT_YET
                if self._users or self._runs:
                    self._begin_locked()

    def _back_off(self, why: str) -> None:
        """There is no connection: tell those who wait, and pause before the next attempt."""
        self._set_away(why)
        with self._lock:
            if self._users or self._runs:
                self._changed.wait(_PAUSE_S)

    def _set_away(self, why: str) -> None:
        with self._lock:
            self._why, self._away = why, True
            said = self._unreachable_locked()
        self._places.refuse(said)

    def _in_use(self) -> bool:
        with self._lock:
            return bool(self._users or self._runs)

    def _stay_connected(self) -> None:
        """Connect, and stay so while there is any use for it."""
        try:
            # For good: a filter for a while would be every thread's, and a reload collects warnings.
            warnings.simplefilter("ignore", VersionMismatchWarning)
            client = Client(
                self.address,
                loop=self._transport.loop,
                timeout=CONNECT_S - 0.5,
                security=self._security,
                set_as_default=False,
                name="sticky-overseer",
            )
        except Exception as error:
            self._back_off(said_of(error))
            return
        stream = client.scheduler_comm
        self._heartbeat = heartbeat = Heartbeat(self._transport, client, self._answered)
        client.subscribe_topic(relay.topic(registry.server_id), self._announced)
        with self._lock:
            self._client, self._away = client, False
        _log.info("connected to the cluster %s", self.address)
        try:
            while self._in_use():
                if client.scheduler_comm is not stream or stream.closed() or client.status != "running":
                    self._give_up("the connection is lost")
                    break
                heartbeat.look()
                if heartbeat.silence > _GIVE_UP_S:
                    self._give_up(_SILENT)
                    break
                if heartbeat.silence > _SILENCE_S:
                    self._set_away(_SILENT)
                elif self._away:
                    with self._lock:
                        self._away = False
                self._find_places(client, heartbeat)
        finally:
            heartbeat.end()
            with self._lock:
                self._client = None
            self._places.lost()
            with suppress(Exception):
                client.close(timeout=1.0)

    def _give_up(self, why: str) -> None:
        _log.warning("%s: %s", self.address, why)
        self._set_away(why)

    def _find_places(self, client: Client, heartbeat: Heartbeat) -> None:
        """Submit what is new, and at times look at what waits; then wait until there is something to do.

        A few runs are submitted for each answer, as a scheduler that has a thousand to place answers nobody.
        """
        if self._places.has_new and heartbeat.is_answered:
            self._places.submit_new(client, self._names)
            heartbeat.look(0.0)
        moment = time.monotonic()
        if moment - self._places_at > _LOOK_S:
            self._places_at = moment
            if self._places.look(self._names, heartbeat.heard) and moment > self._workers_at + _MATCH_S:
                with suppress(OSError):
                    self._ask_for_workers(client, timeout=1.0)
        with self._lock:
            self._changed.wait_for(
                lambda: (self._places.has_new and heartbeat.is_answered) or not (self._users or self._runs),
                _LOOK_S,
            )

    def _answered(self) -> None:
        with self._lock:
            self._changed.notify_all()

    def _ask_for_workers(self, client: Client, timeout: float = CONNECT_S) -> dict[str, Any]:
        """What the scheduler says of its workers, by address. Raises OSError."""
        told = self._transport.sync(client.scheduler.identity, n_workers=-1, timeout=timeout)
        workers: dict[str, Any] = told["workers"]
        self._names = {address: str(each["name"]) for address, each in workers.items()}
        self._workers_at = time.monotonic()
        return workers

    # Places

    def _announced(self, event: Any) -> None:
        """Called on the engine's loop when a worker has a place for a run."""
        self._heartbeat.note()
        self._placing.do(partial(self._place, event[1]))

    def _place(self, said: dict[str, Any]) -> None:
        """Order the run where there is a place for it; refuse all further places."""
        with standstill:
            with self._lock:
                entry = self._runs.get(said["run"])
            if entry is not None and said["format"] != FORMAT:
                other = f"{said['name']} has sticky-overseer {said['version']}"
                entry.run.fail(SpawnError(f"{other}, which this one does not understand"))
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
        with self._lock:
            link = self._links.get(said["relay"])
            if link is None and not self._closing:
                link = link_of(self._section, said["relay"])
                if link is None:
                    link = Link(said["name"], said["address"], said["lease"], said["relay"])
                link.begin(self._transport.ask, self._is_gone, self._drop_link)
                self._links[said["relay"]] = link
            return link

    def _drop_link(self, closed: Link) -> None:
        with self._lock:
            self._links = {relay: link for relay, link in self._links.items() if link is not closed}

    def _is_gone(self, address: str) -> bool:
        """Whether a worker has ended: the scheduler says that it has left, which may mean that it is cut off,
        and its machine that nobody listens there."""
        with self._lock:
            client = None if self._away else self._client
        if client is None:
            return False
        try:
            return address not in self._ask_for_workers(client, timeout=1.0) and refuses(address)
        except Exception:  # whatever the engine raises: the scheduler does not say that it has left
            return False
