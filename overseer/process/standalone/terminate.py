"""Terminates processes: a signal, a grace period, then SIGKILL until a scan of /proc finds none left.

What a stop does before it needs this is in :mod:`overseer.workers.stopping`; the guardian begins here.

No signal goes to a bare pid: a pidfd is opened, the process behind it is verified to be the one that was
found, and the signal is sent through the pidfd. Self-contained like ``tree``, since the guardian uses it.
"""

from __future__ import annotations

import os
import select
import signal
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from overseer.process.standalone.tree import Process

if __package__:
    from overseer.process.standalone.tree import read_process
else:
    from tree import read_process  # type: ignore[import-not-found,no-redef]

_HELD = 64  # pidfds held at once; further processes are found again once these are dead
_KILL_S = 10.0  # for catching processes that fork while they are being killed
_LONGEST_WAIT_S = 24 * 60 * 60.0  # poll takes at most 24.8 days; then the deadline is read again
_STUCK_ROUNDS = 2  # after which the rest is taken to be in uninterruptible sleep, where SIGKILL must wait


class Termination:
    """Ends everything that ``find`` finds. :meth:`run` may take the grace and some seconds."""

    def __init__(
        self,
        find: Callable[[], list[tuple[Process, int]]],
        *,
        signal_group: Callable[[int | None], set[int]] | None = None,
        leader: int = -1,
        deadline: Callable[[], float],
        wake: int = -1,
        killing: float = _KILL_S,
        asked: set[tuple[int, int]] | None = None,
    ) -> None:
        """
        Args:
            find: returns the live processes, each with its first signal; OSError when it cannot tell.
            signal_group: sends a signal (None: the first one) to what can be reached without a scan, and
                returns the process groups that this reached.
            leader: a pidfd of one more process that must end; not closed here.
            deadline: when the grace is over (:func:`time.monotonic`); called again after each ``wake``.
            wake: an fd that becomes readable when the deadline has changed; not closed here.
            killing: seconds for which SIGKILL is repeated before it gives up.
            asked: pid and start of those that have been sent their first signal; grows.
        """
        self._find = find
        self._signal_group = signal_group
        self._leader = leader
        self._deadline = deadline
        self._wake = wake
        self._killing = killing
        self._asked: set[tuple[int, int]] = set() if asked is None else asked
        self._held: dict[int, tuple[int, int]] = {}  # pidfd to pid and start
        self._poll = select.poll()
        self.left: list[int] = []  # pids that could not be ended

    def run(self, *, look_first: bool, signaled: bool = False) -> bool:
        """End them; True when none is left.

        Args:
            look_first: find everything before the first signal, since what it orphans is harder to find.
            signaled: the group has already been sent its first signal.
        """
        for fd in (self._leader, self._wake):
            if fd >= 0:
                self._poll.register(fd, select.POLLIN)
        try:
            return self._ask(look_first, signaled) or self._kill()
        finally:
            for fd in self._held:
                os.close(fd)
            self._held.clear()

    def _ask(self, look_first: bool, signaled: bool) -> bool:
        """Send each its first signal, and wait until the deadline."""
        found = self._look() if look_first else []
        reached = self._signal_group(None) if self._signal_group is not None and not signaled else set()
        self._send(found or [], reached, None)
        while (remaining := self._deadline() - time.monotonic()) > 0:
            if not self._wait(min(remaining, _LONGEST_WAIT_S)):
                continue
            found = self._look()
            if found is not None and not found:
                return True
            self._send(found or [], set(), None)
            if not self._held:
                time.sleep(min(0.05, remaining))  # out of file descriptors, so there is nothing to poll
        return False

    def _kill(self) -> bool:
        """Repeat SIGKILL, since what is being killed may be forking."""
        end = time.monotonic() + self._killing
        stuck, before, seen = 0, None, set[tuple[int, int]]()
        while time.monotonic() < end:
            reached = self._signal_group(signal.SIGKILL) if self._signal_group is not None else set()
            found = self._look()
            if found is not None:
                now = {(process.pid, process.start) for process, _ in found}
                if not now and self._wait(0):
                    return True
                self._send(found, reached, signal.SIGKILL)
                self.left = [process.pid for process, _ in found]
                stuck = stuck + 1 if now == before else 0
                if stuck >= _STUCK_ROUNDS:
                    return False
                before, fresh, seen = now, now - seen, seen | now
                if fresh:
                    continue  # they fork: waiting for their deaths would give the others time
            self._wait(0.02 if found is None else min(1.0, self._killing))
        return False

    def _look(self) -> list[tuple[Process, int]] | None:
        try:
            return self._find()
        except OSError:
            return None

    def _send(self, found: list[tuple[Process, int]], reached: set[int], number: int | None) -> None:
        """Signal each unless its group or itself has been, and hold its pidfd while there is room."""
        for process, gentle in found:
            key = (process.pid, process.start)
            # A stopped process acts on a signal only once it is continued.
            wanted: tuple[int, ...] = (number,) if number is not None else (gentle, signal.SIGCONT)
            if number is None and key in self._asked:
                wanted = ()
            self._asked.add(key)
            held = key in self._held.values()
            if not wanted and (held or len(self._held) >= _HELD):
                continue
            try:
                fd = os.pidfd_open(process.pid)
            except ProcessLookupError:
                continue
            except OSError:
                self._send_by_pid(process, wanted)
                continue
            try:
                # Only with the pidfd is it certain which process this is, and whether the group's signal has
                # reached it: it may have changed groups since it was found.
                current = _now(process)
                if current is None:
                    continue
                if current.group not in reached:
                    for one in wanted:
                        signal.pidfd_send_signal(fd, one)
                if not held and len(self._held) < _HELD:
                    self._held[fd] = key
                    self._poll.register(fd, select.POLLIN)
                    fd = -1
            except (ProcessLookupError, PermissionError):
                pass
            finally:
                if fd >= 0:
                    os.close(fd)

    def _send_by_pid(self, process: Process, numbers: tuple[int, ...]) -> None:
        """Out of file descriptors: as safe as it gets without a pidfd."""
        try:
            for number in numbers if _now(process) is not None else ():
                os.kill(process.pid, number)
        except OSError:
            pass

    def _wait(self, timeout: float) -> bool:
        """Wait for the leader and all held processes to die; False on a timeout or a wake-up."""
        end = time.monotonic() + timeout
        while self._leader >= 0 or self._held:
            for fd, _ in self._poll.poll(max(0.0, end - time.monotonic()) * 1000):
                if fd == self._wake:
                    os.eventfd_read(fd)
                    return False
                if fd == self._leader:
                    # Reaped elsewhere. Its pidfd stays ready, which would turn the wait into a spin.
                    self._poll.unregister(fd)
                    self._leader = -1
                else:
                    self._reap(fd)
            if (self._leader >= 0 or self._held) and time.monotonic() >= end:
                return False
        return True

    def _reap(self, fd: int) -> None:
        """Drop a dead process, and reap it if this process had adopted it, as nothing else would."""
        self._poll.unregister(fd)
        del self._held[fd]
        try:  # noqa: SIM105 (contextlib costs the guardian memory)
            os.waitid(os.P_PIDFD, fd, os.WEXITED | os.WNOHANG)
        except OSError:
            pass  # not our child
        os.close(fd)


def _now(process: Process) -> Process | None:
    """The process as it is now; None if it is gone or cannot be read."""
    try:
        current = read_process(process.pid)
    except OSError:
        return None
    return current if current is not None and current.start == process.start else None


_SIGNAL_NAMES = {int(each): each.name for each in signal.Signals}


def signal_name(number: int) -> str:
    """A signal's name, as in "SIGKILL" or "SIGRTMIN+3"."""
    return _SIGNAL_NAMES.get(number) or f"SIGRTMIN+{number - signal.SIGRTMIN}"
