"""Ending processes: a signal, a time of grace, SIGKILL, until a look at /proc finds none left.

Nothing is signalled by a bare pid: a pidfd is opened, the process behind it is checked to be the one that was
found, and the signal goes through the pidfd. Self-contained like ``tree``, for the guardian's sake.
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

_HELD = 64  # pidfds held at once; of more processes the rest is found again when these are dead
_KILL_S = 10.0  # for catching what forks while it is being killed
_LONGEST_WAIT_S = 24 * 60 * 60.0  # poll takes no more than 24.8 days; then the deadline is looked at again
_STUCK_ROUNDS = 2  # SIGKILL does not end a process in uninterruptible sleep; no point in waiting then


class Ending:
    """One effort to end everything that ``find`` finds. :meth:`run` may take the grace and some seconds."""

    def __init__(
        self,
        find: Callable[[], list[tuple[Process, int]]],
        *,
        strike: Callable[[int | None], set[int]] | None = None,
        leader: int = -1,
        deadline: Callable[[], float],
        wake: int = -1,
        killing: float = _KILL_S,
    ) -> None:
        """
        Args:
            find: what is alive now, each with the signal that asks it to end; OSError when it cannot tell.
            strike: sends a signal (None: each its own) at once to what can be reached without looking, and
                returns the process groups that this reached.
            leader: a pidfd that must be ready as well before all is over; not closed here.
            deadline: when the grace is over (:func:`time.monotonic`); asked again after each ``wake``.
            wake: an fd that becomes readable when the deadline has changed; not closed here.
            killing: seconds for which SIGKILL is sent again and again before it gives up.
        """
        self._find = find
        self._strike = strike
        self._leader = leader
        self._deadline = deadline
        self._wake = wake
        self._killing = killing
        self._asked: set[tuple[int, int]] = set()  # pid and start of those that had their gentle signal
        self._held: dict[int, tuple[int, int]] = {}  # pidfd to pid and start
        self._poll = select.poll()
        self.left: list[int] = []  # pids that could not be ended

    def run(self, *, look_first: bool, struck: bool = False) -> bool:
        """End them; True when none is left.

        Args:
            look_first: find everything before the first signal, for what it orphans is harder to find.
            struck: the first strike was made before.
        """
        for fd in (self._leader, self._wake):
            if fd >= 0:
                self._poll.register(fd, select.POLLIN)
        try:
            return self._ask(look_first, struck) or self._kill()
        finally:
            for fd in self._held:
                os.close(fd)
            self._held.clear()

    def _ask(self, look_first: bool, struck: bool) -> bool:
        """Gentle signals until the deadline."""
        found = self._look() if look_first else []
        reached = self._strike(None) if self._strike is not None and not struck else set()
        self._send(found or [], reached, None)
        while (remaining := self._deadline() - time.monotonic()) > 0:
            if not self._wait(min(remaining, _LONGEST_WAIT_S)):
                continue
            found = self._look()
            if found is not None and not found:
                return True
            self._send(found or [], set(), None)
            if not self._held:
                time.sleep(min(0.05, remaining))  # out of file descriptors: nothing to wait on but time
        return False

    def _kill(self) -> bool:
        """SIGKILL to whatever there is, again and again: what is being killed may be forking."""
        end = time.monotonic() + self._killing
        stuck, before, seen = 0, None, set[tuple[int, int]]()
        while time.monotonic() < end:
            reached = self._strike(signal.SIGKILL) if self._strike is not None else set()
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
                    continue  # they breed: waiting for their deaths would only give the others time
            self._wait(0.02 if found is None else min(1.0, self._killing))
        return False

    def _look(self) -> list[tuple[Process, int]] | None:
        try:
            return self._find()
        except OSError:
            return None

    def _send(self, found: list[tuple[Process, int]], reached: set[int], number: int | None) -> None:
        """Signal each, unless its group was, or it was asked already; hold its pidfd while there is room."""
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
                # Only now it is certain who is behind the pid, and whether the group's signal has reached it:
                # it may have left since it was found.
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
        """For want of a file descriptor: as exact as it gets without one."""
        try:
            for number in numbers if _now(process) is not None else ():
                os.kill(process.pid, number)
        except OSError:
            pass

    def _wait(self, timeout: float) -> bool:
        """Wait for all that is held, the leader included, to die; False when time ran out or a wake came."""
        end = time.monotonic() + timeout
        while self._leader >= 0 or self._held:
            for fd, _ in self._poll.poll(max(0.0, end - time.monotonic()) * 1000):
                if fd == self._wake:
                    os.eventfd_read(fd)
                    return False
                if fd == self._leader:
                    # Not reaped here; and always ready from now on, which would turn the wait into a spin.
                    self._poll.unregister(fd)
                    self._leader = -1
                else:
                    self._bury(fd)
            if (self._leader >= 0 or self._held) and time.monotonic() >= end:
                return False
        return True

    def _bury(self, fd: int) -> None:
        """It is dead. If it was an orphan that this process adopted, nobody else would reap it."""
        self._poll.unregister(fd)
        del self._held[fd]
        try:  # noqa: SIM105 (contextlib costs the guardian memory)
            os.waitid(os.P_PIDFD, fd, os.WEXITED | os.WNOHANG)
        except OSError:
            pass  # somebody else's child
        os.close(fd)


def _now(process: Process) -> Process | None:
    """The process as it is now; None when it is gone, or nothing can be read."""
    try:
        current = read_process(process.pid)
    except OSError:
        return None
    return current if current is not None and current.start == process.start else None


def signal_name(number: int) -> str:
    """As in "SIGKILL"; those of real time are counted from SIGRTMIN."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIGRTMIN+{number - signal.SIGRTMIN}"
