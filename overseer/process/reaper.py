"""Adopted orphans: reaped when they have ended, and ended with the server."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from overseer.process.forking import hand_forked, is_popen_child, remember_popens
from overseer.process.registry import Registry, adopted_children, registry
from overseer.process.standalone.terminate import Ending
from overseer.process.standalone.tree import Process, read_process

_log = logging.getLogger(__name__)

_PR_SET_CHILD_SUBREAPER = 36
_ORPHAN_KILL_S = 0.5
_LOOK_S = 0.05  # between looks at what one zombie hides
_RETRY_S = 1.0


class Orphans:
    """Reaps adopted orphans, and nothing else: no leader, and no child that other code here waits for.

    That other code's are those of a Popen, and, when it forks by other means, those in this process's own
    group. What opened a session itself, or a group within this process's session, may then be anybody's, and
    is taken when nobody has, for some seconds. Everything else in another session was adopted.
    """

    UNCLAIMED_S = 5.0

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._seen: dict[int, float] = {}  # zombies of unknown origin, and when each was first seen
        self._next_look = 0.0
        self._again: float | None = None  # in how many seconds one must be looked at again

    def reap(self) -> float | None:
        """Reap what there is to reap; call it on SIGCHLD, always on one thread.

        Returns:
            None, or in how many seconds it should be called again even without SIGCHLD.
        """
        self._again = None
        while True:
            try:
                first = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                first = None
            if first is None:
                self._seen.clear()
                return None
            # It is the eldest of them; what it is decides whether those behind it can be seen so cheaply.
            if not self._is_orphan(first.si_pid):
                break
            _reap(first.si_pid)
        self._look_behind()
        return self._again

    def _look_behind(self) -> None:
        """A zombie that is not ours to reap hides the others, who may be many: look at all children."""
        now = time.monotonic()
        if now < self._next_look:
            self._look_again_in(self._next_look - now)
            return
        try:
            children = adopted_children()
        except OSError:
            self._look_again_in(_RETRY_S)
            return
        zombies = [pid for pid in children if _is_zombie(pid)]
        for pid in zombies:
            if self._is_orphan(pid):
                _reap(pid)
        self._seen = {pid: since for pid, since in self._seen.items() if pid in zombies}
        # Many children take their time; half of it is left to others.
        self._next_look = time.monotonic() + max(_LOOK_S, time.monotonic() - now)

    def _is_orphan(self, pid: int) -> bool:
        """Whether this zombie is to be reaped here, now."""
        # Asked first: what is spawned between the two questions is among the children by the second one.
        spawning = self._registry.spawning()
        in_the_making = spawning or is_popen_child(pid)
        if self._registry.has_child(pid):
            return False
        try:
            process = read_process(pid)
        except OSError:  # out of file descriptors: it is looked at again
            self._look_again_in(_RETRY_S)
            return False
        if process is None or process.group == os.getpgrp():
            return False
        home = process.session == os.getsid(0)
        if not home and process.session != pid:
            return True
        if in_the_making:
            self._look_again_in(_LOOK_S if spawning else _RETRY_S)
            return False
        if not home and not hand_forked():
            return True
        now = time.monotonic()
        remaining = self._seen.setdefault(pid, now) + self.UNCLAIMED_S - now
        if remaining > 0:
            self._look_again_in(remaining)
        return remaining <= 0

    def _look_again_in(self, seconds: float) -> None:
        self._again = seconds if self._again is None else min(self._again, seconds)


def _is_zombie(pid: int) -> bool:
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return False


def _reap(pid: int) -> None:
    with suppress(ChildProcessError):
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG)


_orphans = Orphans(registry)


def adopt_orphans() -> bool:
    """Become the process that orphaned descendants are handed to, so that stops find them.

    From then on the main thread must call :func:`reap_orphans` on each SIGCHLD. Returns False, with a warning
    in the log, where the system does not offer it.
    """
    remember_popens()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0:
        registry.adopting = Path("/proc/thread-self/children").exists()  # not in every kernel
        return True
    error = os.strerror(ctypes.get_errno())
    _log.warning("cannot adopt orphans (%s): a stop will not find every process that left its group", error)
    return False


def reap_orphans() -> float | None:
    """Reap adopted orphans that have ended; on the main thread, on SIGCHLD.

    Returns:
        None, or in how many seconds to call it again even if no SIGCHLD comes.
    """
    return _orphans.reap()


def end_orphans(grace: float = 0.5) -> bool:
    """End what nobody could tell a run of; for the server's end, when all runs are over.

    Those are the children of this process that nobody here waits for, are neither in its group nor in its
    session, and show no id that a run had. What shows one was let be on purpose when its run ended. Takes the
    grace, in seconds, and half a second for SIGKILL at most.

    Returns:
        False when some are left.
    """
    group, session = os.getpgrp(), os.getsid(0)
    ended: set[int] = set()

    def find() -> list[tuple[Process, int]]:
        snapshot = registry.look()
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

    deadline = time.monotonic() + grace
    ending = Ending(find, deadline=lambda: deadline, killing=_ORPHAN_KILL_S)
    over = ending.run(look_first=True)
    if ended:
        pids = ", ".join(map(str, sorted(ended)))
        _log.warning("ended processes that had detached themselves from their tasks: %s", pids)
    if not over:
        _log.warning("processes that SIGKILL does not end are left: %s", ", ".join(map(str, ending.left)))
    return over
