"""Ends the processes of one run: by stops, and what its leader leaves behind.

What a stop is to a task is decided in ``supervisor.stops``. The stop of a lone leader sends the signal and
leaves the rest to the worker's last reader, which finishes the run. If there is more to end, or the end does
not come promptly, the stop gets a thread of its own, which a blocked callback cannot hold up; the run is over
only when that thread is done, too.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

from overseer.errors import OverseerError
from overseer.process.finder import finder
from overseer.process.registry import Entry
from overseer.process.standalone import cgroups
from overseer.process.standalone.terminate import Termination, signal_name
from overseer.process.standalone.tree import Process, Tree
from overseer.process.usage import Rusage
from overseer.util.latch import Latch
from overseer.util.locks import assert_held
from overseer.util.threads import run_on_thread
from overseer.util.timers import Timer, Timers
from overseer.util.wakeup import Wakeup

_log = logging.getLogger(__name__)

overdue = Timers("stops")
"""Stops that get a thread unless they end soon. Starts with the first stop; a server starts it in advance."""

_PROMPT_S = 0.5  # after which, or at its deadline, a stop gets a thread
_FRESH_S = 0.02  # of a look for orphans, while the leader lives; one that it misses is found after its death


class Outcome(NamedTuple):
    """How a leader ended: exit code (-1: by a signal), the signal, and whether its group still has processes
    to end."""

    code: int
    signal: str
    survivors: bool


LOST = Outcome(-1, "", False)


class Stop:
    """A stop under way; guarded by the worker's lock."""

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.asked: set[tuple[int, int]] = set()  # see Termination
        self.timer: Timer | None = None  # starts its thread; None once it has one
        self.done = Latch()
        self.wake: Wakeup | None = None  # while a termination waits on it


class Processes:
    """The processes of one run, and the stops under way.

    Args:
        pidfd: of the leader; not closed here.
        lock: the worker's. kill and waitid are the only calls under it.
        tell: gets a sentence for people about something unusual.
        ended: called by a stop's thread when it has ended everything.
    """

    def __init__(
        self,
        task_id: str,
        pid: int,
        pidfd: int,
        entry: Entry,
        lock: threading.Lock,
        tell: Callable[[str], None],
        ended: Callable[[], None],
    ) -> None:
        self._task_id = task_id
        self._pid = pid
        self._pidfd = pidfd
        self._entry = entry
        self._policy = entry.policy
        self._lock = lock
        self._tell = tell
        self._ended = ended
        self.rusage: Rusage | None = None  # the leader's, once it is reaped
        self._reaped = False
        self._stop: Stop | None = None  # the last one begun
        self._handed_over: Stop | None = None  # by another program; goes on with resume()
        # Used by one termination at a time: a stop's, or else that of the reader that finishes.
        self._tree = Tree(entry.run, pid, entry.kill_mode, os.getsid(0))

    @property
    def stopping_locked(self) -> bool:
        """Whether a stop is under way."""
        assert_held(self._lock)
        return self._stop is not None and not self._stop.done.is_set()

    @property
    def leader_lives_locked(self) -> bool:
        """Whether the leader still lives."""
        assert_held(self._lock)
        return not self._reaped and not _is_readable(self._pidfd)

    def leader_is_alone(self, dead_at: float | None = None) -> bool:
        """Whether the leader is all there is to end, as far as can be told without a scan of /proc.

        ``dead_at``: a moment at which it was dead (monotonic); None: it may live.
        """
        if self._policy.kill_mode == "leader":
            return True
        cgroup = self._entry.cgroup
        since = time.monotonic() - _FRESH_S if dead_at is None else dead_at
        try:
            if cgroup and not {self._pid}.issuperset(cgroups.members(cgroup)):
                return False
            return finder.is_alone(self._pid, self._tree, since, dead=dead_at is not None)
        except OSError:  # out of file descriptors
            return False

    def stop_locked(self, grace: float | None, alone: bool) -> Callable[[], None] | None:
        """Begin a stop, or shorten the grace of the one under way.

        Args:
            grace: seconds; None: the policy's.
            alone: the result of :meth:`leader_is_alone` a moment ago.

        Returns:
            A function to call after the lock is released, if any.
        """
        assert_held(self._lock)
        grace = max(0.0, self._policy.grace if grace is None else grace)
        deadline = time.monotonic() + grace
        stop = self._stop
        signaled = False
        if stop is None or stop.done.is_set():
            stop = self._stop = Stop(deadline)
            if alone and not self._reaped:
                self._signal_group_locked(None if grace else signal.SIGKILL)
                stop.timer = overdue.schedule(min(_PROMPT_S, grace or _PROMPT_S), self._begin_stop, stop)
                return None
        elif deadline >= stop.deadline:
            return None
        else:
            stop.deadline = deadline
            if stop.wake is not None:
                stop.wake.set()
            if not self._take_over_locked(stop):
                return None
            signaled = True
        return partial(self._on_thread, stop, signaled)

    def send_signal(self, number: int) -> bool:
        """Send it to the whole group or, with a terminal, session; False if the run is over.

        Raises:
            OverseerError: it runs as a user whose processes this one may not signal.
        """
        others = self._session_members() if self._entry.tty else ()
        with self._lock:
            if self._reaped:  # the group's number may have been reused
                return False
            try:
                os.killpg(self._pid, number)
            except ProcessLookupError:
                return False
            except PermissionError:
                raise OverseerError(
                    "the task runs as a user whose processes the server may not signal"
                ) from None
            reached = {self._pid}
            for pid in others:
                with suppress(OSError):  # gone, or as above
                    group = os.getpgid(pid)
                    if group not in reached and os.getsid(pid) == self._pid:
                        os.killpg(group, number)
                        reached.add(group)
        return True

    def _session_members(self) -> list[int]:
        """The other processes in the leader's session, any of which may be gone a moment later."""
        try:
            return [each.pid for each in finder.look().sessions.get(self._pid, ())]
        except OSError:  # out of file descriptors
            return []

    def kill(self) -> None:
        """SIGKILL to the leader and its group."""
        self._signal_group(signal.SIGKILL)

    def wait_for_stops(self, dead_at: float | None = None) -> None:
        """Wait for the thread of a stop under way; finish the stop here if it has no thread.

        ``dead_at``: since when the leader is known to be dead (monotonic); None: only now.
        """
        with self._lock:
            stop = self._stop
            prompt = stop is not None and self._take_over_locked(stop)
        if stop is None:
            return
        if not prompt:
            stop.done.wait()
        elif self.leader_is_alone(dead_at or time.monotonic()):
            stop.done.set()
        else:
            self._end_all(stop, signaled=True)

    def reap(self) -> Outcome:
        """Reap the leader, which is dead."""
        with self._lock:
            try:
                _, status, used = os.wait4(self._pid, 0)
                self.rusage = Rusage(used.ru_utime, used.ru_stime, used.ru_maxrss)
            except ChildProcessError:
                status = None
            self._reaped = self._tree.group_over = True
            # At once, as the group's number may be reused from now on, unless it still has members.
            survivors = self._policy.kill_mode != "leader" and (
                bool(self._entry.tty) or _send_to_group(self._pid, 0)
            )
        if status is None:
            self._tell("its exit status is lost: other code in this program waited for it")
            return LOST._replace(survivors=survivors)
        code = os.waitstatus_to_exitcode(status)
        if code >= 0:
            return Outcome(code, "", survivors)
        return Outcome(-1, signal_name(-code), survivors)

    def end_survivors(self) -> None:
        """End what a leader that exited by itself has left in its group, or its terminal's session."""
        deadline = time.monotonic() + self._policy.grace
        tree = Tree(self._entry.run, self._pid, "session" if self._entry.tty else "group", self._tree.home)
        tree.group_over = True
        termination = Termination(partial(self._find, tree), deadline=lambda: deadline)
        self._report(termination.run(look_first=True), termination)

    def _take_over_locked(self, stop: Stop) -> bool:
        """Whether the stop was waiting for its timer; the caller then has to finish it."""
        assert_held(self._lock)
        if stop.timer is None:
            return False
        stop.timer.cancel()
        stop.timer = None
        return True

    def _begin_stop(self, stop: Stop) -> None:
        """Called by the timer of a stop that takes long."""
        with self._lock:
            taken = self._take_over_locked(stop)
        if taken:
            self._on_thread(stop, signaled=True)

    def _on_thread(self, stop: Stop, signaled: bool) -> None:
        run_on_thread(partial(self._run_stop, stop, signaled), f"stop-{self._task_id}")

    def _run_stop(self, stop: Stop, signaled: bool) -> None:
        self._end_all(stop, signaled)
        self._ended()

    def _end_all(self, stop: Stop, signaled: bool) -> None:
        """End the whole tree; ``signaled``: the first signal has been sent."""
        try:
            wake = Wakeup()
        except OSError:  # out of file descriptors: this stop's grace cannot be shortened
            wake = None
        try:
            with self._lock:
                stop.wake = wake
            termination = Termination(
                partial(self._find, self._tree),
                signal_group=self._signal_group,
                leader=self._pidfd,
                deadline=lambda: stop.deadline,
                wake=-1 if wake is None else wake.fileno(),
                asked=stop.asked,
            )
            look_first = self._policy.kill_mode == "tree" and not signaled
            self._report(termination.run(look_first=look_first, signaled=signaled), termination)
        except BaseException:
            _log.exception("task %s: its stop failed", self._task_id)
        finally:
            with self._lock:
                stop.wake = None
                stop.done.set()
            if wake is not None:
                wake.close()

    def export(self) -> dict[str, Any]:
        """What another program has to know to go on, see :meth:`restore`; at a standstill."""
        with self._lock:
            stop = self._stop
            return {
                "reaped": self._reaped,
                "rusage": self.rusage,
                "known": list(self._tree.known.items()),
                "stop": stop
                and {
                    "deadline": stop.deadline,
                    "asked": list(stop.asked),
                    "done": stop.done.is_set(),
                },
            }

    def restore(self, data: Mapping[str, Any]) -> None:
        """Take over what another program has exported; :meth:`resume` must follow."""
        self._reaped = self._tree.group_over = data["reaped"]
        self.rusage = data["rusage"] and Rusage(*data["rusage"])
        self._tree.known.update(data["known"])
        if said := data["stop"]:
            stop = self._stop = self._handed_over = Stop(said["deadline"])
            stop.asked.update((pid, start) for pid, start in said["asked"])
            if said["done"]:
                stop.done.set()

    def resume(self) -> None:
        """Go on with the stop that was under way; one that has begun since goes on by itself."""
        stop, self._handed_over = self._handed_over, None
        if stop is None:
            return
        if stop.done.is_set():
            run_on_thread(self._ended, f"stop-{self._task_id}")
        else:
            self._on_thread(stop, signaled=True)

    def _find(self, tree: Tree) -> list[tuple[Process, int]]:
        if tree.mode == "leader":
            return []
        gentle = self._policy.signal_number
        found = finder.find(tree, self._pid, self._entry.pipes, self._entry.cgroup)
        return [(process, gentle) for process in found]

    def _signal_group(self, number: int | None) -> set[int]:
        with self._lock:
            return self._signal_group_locked(number)

    def _signal_group_locked(self, number: int | None) -> set[int]:
        """Signal the leader and, unless the mode says otherwise, its group; returns the groups reached."""
        assert_held(self._lock)
        numbers = (number,) if number is not None else (self._policy.signal_number, signal.SIGCONT)
        if self._reaped:
            return set()
        if self._policy.kill_mode == "leader":
            for one in numbers:
                self._send_to_leader(one)
            return set()
        for one in numbers:
            _send_to_group(self._pid, one)
        if number is not None:
            self._send_to_leader(number)  # in case it has left its own group
        return {self._pid}

    def _send_to_leader(self, number: int) -> None:
        with suppress(PermissionError):  # it runs as another user now; reported when the stop gives up
            signal.pidfd_send_signal(self._pidfd, number)

    def _report(self, ended: bool, termination: Termination) -> None:
        if not ended:
            pids = ", ".join(map(str, termination.left)) or str(self._pid)
            text = f"SIGKILL did not end these processes: {pids}"
            _log.warning("task %s: %s", self._task_id, text)
            self._tell(text)


def _is_readable(pidfd: int) -> bool:
    """Whether the process has ended."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(0))


def _send_to_group(group: int, number: int) -> bool:
    """Whether the group has a member, zombies too."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
