"""Adopted orphans: reaped when they exit, terminated when the server shuts down."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import time
from contextlib import suppress

from overseer.process.finder import finder
from overseer.process.forking import hand_forked, is_popen_child, remember_popens
from overseer.process.registry import registry
from overseer.process.standalone.terminate import Termination
from overseer.process.standalone.tree import Process, read_process

_log = logging.getLogger(__name__)

_PR_SET_CHILD_SUBREAPER = 36
_ORPHAN_GRACE_S = _ORPHAN_KILL_S = 0.5
_SCAN_S = 0.05  # at least, between scans of the children that one zombie hides
_RETRY_S = 1.0


class Orphans:
    """Reaps adopted orphans, and nothing else: no leader, and no child that other code here waits for.

    Other code's children are those of a Popen and, if it forks by other means, those in this process's own
    group. A child that leads a session, or a group within this process's session, is then ambiguous, and is
    reaped only if nothing else has done so for some seconds. Everything else in another session was adopted.
    """

    UNCLAIMED_S = 5.0

    def __init__(self) -> None:
        self._seen: dict[int, float] = {}  # zombies of unknown origin, and when each was first seen
        self._next_scan = 0.0
        self._recheck: float | None = None  # in how many seconds one must be rechecked

    def reap(self) -> float | None:
        """Reap all orphans that have exited; called on SIGCHLD, always on one thread.

        Returns:
            None, or in how many seconds it should be called again even without SIGCHLD.
        """
        self._recheck = None
        while True:
            try:
                first = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                first = None
            if first is None:
                self._seen.clear()
                return None
            # waitid shows the oldest zombie; those behind it are seen this cheaply only if it is reaped.
            if not self._is_orphan(first.si_pid):
                break
            _reap(first.si_pid)
        self._scan_children()
        return self._recheck

    def _scan_children(self) -> None:
        """A zombie that is not ours to reap hides the others: scan all children."""
        now = time.monotonic()
        if now < self._next_scan:
            self._recheck_in(self._next_scan - now)
            return
        try:
            children = finder.adopted()
        except OSError:
            self._recheck_in(_RETRY_S)
            return
        zombies = [pid for pid in children if _is_zombie(pid)]
        for pid in zombies:
            if self._is_orphan(pid):
                _reap(pid)
        self._seen = {pid: since for pid, since in self._seen.items() if pid in zombies}
        # A scan of many children takes long; at most half of the time is spent on it.
        self._next_scan = time.monotonic() + max(_SCAN_S, time.monotonic() - now)

    def _is_orphan(self, pid: int) -> bool:
        """Whether this zombie should be reaped here, now."""
        # Checked first: a child spawned between the two checks is registered by the second.
        spawning = registry.spawning()
        in_the_making = spawning or is_popen_child(pid)
        if registry.has_child(pid):
            return False
        try:
            process = read_process(pid)
        except OSError:  # out of file descriptors
            self._recheck_in(_RETRY_S)
            return False
        if process is None or process.group == os.getpgrp():
            return False
        home = process.session == os.getsid(0)
        if not home and process.session != pid:
            return True
        if in_the_making:
            self._recheck_in(_SCAN_S if spawning else _RETRY_S)
            return False
        if not home and not hand_forked():
            return True
        now = time.monotonic()
        remaining = self._seen.setdefault(pid, now) + self.UNCLAIMED_S - now
        if remaining > 0:
            self._recheck_in(remaining)
        return remaining <= 0

    def _recheck_in(self, seconds: float) -> None:
        self._recheck = seconds if self._recheck is None else min(self._recheck, seconds)


def _is_zombie(pid: int) -> bool:
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return False


def _reap(pid: int) -> None:
    with suppress(ChildProcessError):
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG)


_orphans = Orphans()


def adopt_orphans() -> bool:
    """Make this process a child subreaper: it adopts orphaned descendants, so that stops find them.

    From then on the main thread must call :func:`reap_orphans` on each SIGCHLD. Returns False, with a warning
    in the log, where the system does not support it.
    """
    remember_popens()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0:
        finder.adopt()
        return True
    error = os.strerror(ctypes.get_errno())
    _log.warning("cannot adopt orphans (%s): a stop will not find every process that left its group", error)
    return False


def reap_orphans() -> float | None:
    """Reap adopted orphans that have exited; called on the main thread on SIGCHLD.

    Returns:
        None, or in how many seconds to call it again even if no SIGCHLD comes.
    """
    return _orphans.reap()


def end_orphans() -> bool:
    """End the orphans that could not be attributed to a run; at shutdown, when all runs are over.

    Those are the children of this process that nothing here waits for, that are in neither its group nor its
    session, and that show no run's id. One that shows an id was left alive on purpose when its run ended.
    Takes a second at most.

    Returns:
        Whether all have ended.
    """
    group, session = os.getpgrp(), os.getsid(0)
    ended: set[int] = set()

    def find() -> list[tuple[Process, int]]:
        snapshot = finder.look()
        spared = registry.children()
        found = [
            process
            for process in snapshot.children.get(os.getpid(), ())
            if not (process.zombie or registry.issued(process.run) or process.pid in spared)
            and process.group != group
            and process.session != session
        ]
        ended.update(process.pid for process in found)
        return [(process, signal.SIGTERM) for process in found]

    deadline = time.monotonic() + _ORPHAN_GRACE_S
    termination = Termination(find, deadline=lambda: deadline, killing=_ORPHAN_KILL_S)
    over = termination.run(look_first=True)
    if ended:
        pids = ", ".join(map(str, sorted(ended)))
        _log.warning("ended processes that had detached themselves from their tasks: %s", pids)
    if not over:
        _log.warning("SIGKILL did not end these processes: %s", ", ".join(map(str, termination.left)))
    return over
