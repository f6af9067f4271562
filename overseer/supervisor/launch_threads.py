"""The threads on which drivers start their runs: few, and more only while a driver is slow.

What one client asks of one driver is a *backlog*. It is launched in order, one start at a time, so that a
client's replies come in the order of its requests. While a slow driver holds it up, its concurrency is
doubled now and then, up to a bound per driver; other backlogs are unaffected.
"""

from __future__ import annotations

import itertools
import logging
import threading
from collections import deque
from collections.abc import Callable, Hashable
from functools import partial
from typing import Any

from overseer.process.finder import has_forked
from overseer.supervisor.timer_kinds import Due
from overseer.util.locks import Rank, assert_held, assert_none_held, lock
from overseer.util.standstill import standstill
from overseer.util.threads import start_thread
from overseer.util.timers import Timers

_log = logging.getLogger(__name__)

_MOST = 64  # threads per driver
_STUCK_S = 0.05  # a backlog that has begun nothing for this long gets more threads
_LINGER_S = 5.0  # an idle thread ends after this long, unless processes that it has forked live
_AHEAD = 500  # a backlog's high watermark: above it, its client's next request waits
_PATIENCE_S = 1.0  # but no longer than this, as its other requests must be heard


class _Backlog:
    """The launches that one client, or one cause, has requested of one driver."""

    __slots__ = ("allowed", "going", "key", "moved", "waiting")

    def __init__(self, key: Hashable) -> None:
        self.key = key
        self.waiting: deque[tuple[Any, ...]] = deque()
        self.going = 0
        self.allowed = 1  # its concurrency
        self.moved = True  # one was begun since the last check

    @property
    def ready(self) -> int:
        """The number of launches that may begin now."""
        return min(len(self.waiting), self.allowed - self.going)


class _Driver:
    """A driver's non-empty backlogs, and the number of threads that serve them."""

    __slots__ = ("backlogs", "threads")

    def __init__(self) -> None:
        self.backlogs: dict[Hashable, _Backlog] = {}  # next turn first
        self.threads = 0

    def next_backlog(self) -> _Backlog | None:
        """The backlog whose turn it is; it goes to the end of the line."""
        for backlog in self.backlogs.values():
            if backlog.ready:
                self.backlogs[backlog.key] = self.backlogs.pop(backlog.key)
                return backlog
        return None


class Launcher:
    """Launches runs, which may be slow, in order. Thread-safe.

    Args:
        timers: fire :data:`Due.WIDEN`, at which :meth:`widen` must be called.
        launch: called with what was submitted.
    """

    def __init__(self, timers: Timers, launch: Callable[..., object]) -> None:
        self._timers = timers
        self._launch = launch
        self._lock = lock(Rank.LEAF, "launcher")  # guards the fields below
        self._work = threading.Condition(self._lock)  # notified when a driver needs a thread, and at the end
        # Notified when a backlog falls to its watermark, and at the end.
        self._room = threading.Condition(self._lock)
        self._drivers: dict[str, _Driver] = {}
        self._wanted: deque[_Driver] = deque()  # each will get one of the idle threads
        self._free = 0  # idle threads not yet assigned
        self._threads = 0
        self._numbers = itertools.count(1)
        self._looking = False  # a timer will check for stuck backlogs
        self._out_of_threads = False  # at the last attempt to start one
        self._closed = False

    def __repr__(self) -> str:
        return f"<Launcher {self._threads} threads, {self._free} of them free>"

    def start(self) -> None:
        """Start the permanent thread now, while one can surely be had.

        Raises:
            RuntimeError: the system allows no more threads.
        """
        with self._lock:
            if not self._threads:
                idle = _Driver()
                idle.threads = 1
                if not self._add_thread_locked(idle):
                    raise RuntimeError("can't start new thread")

    def submit(self, driver: str, asker: Hashable, *what: Any) -> None:
        """Launch ``what`` on another thread, after what ``asker`` has already submitted for this driver.

        If there is no thread and none can be started, it is launched here.
        """
        assert_none_held("a launch")
        with self._lock:
            served = self._drivers.setdefault(driver, _Driver())
            backlog = served.backlogs.setdefault(asker, _Backlog(asker))
            backlog.waiting.append(what)
            self._serve_locked(served)
            alone = not self._threads
            # A launch that may begin at once has a thread by now, if one could be had.
            held_up = len(backlog.waiting) > backlog.allowed - backlog.going or self._out_of_threads
            look = held_up and not alone and not self._looking
            self._looking = self._looking or look
        if look:
            self._timers.schedule(_STUCK_S, Due.WIDEN)
        if alone:
            self._launch_all(served)

    def wait_for_room(self, driver: str, asker: Hashable) -> None:
        """Wait, for a bounded time, while the asker's backlog is above its high watermark."""
        assert_none_held("waiting for launches")
        with self._lock:
            backlog = self._drivers[driver].backlogs.get(asker)
            if backlog is not None:
                self._room.wait_for(
                    lambda: self._closed or standstill.closed or len(backlog.waiting) <= _AHEAD, _PATIENCE_S
                )

    def waiting(self) -> list[tuple[str, Hashable, tuple[Any, ...]]]:
        """What has been submitted and not begun, by driver and asker, in order for each asker."""
        with self._lock:
            return [
                (name, backlog.key, what)
                for name, driver in self._drivers.items()
                for backlog in driver.backlogs.values()
                for what in backlog.waiting
            ]

    def close(self) -> None:
        """Let the threads end once everything is launched; does not wait, since one may hang in a driver."""
        with self._lock:
            self._closed = True
            self._work.notify_all()
            self._room.notify_all()

    def _serve_locked(self, driver: _Driver) -> None:
        """Assign the driver as many threads as it can use and may have."""
        assert_held(self._lock)
        wanted = sum(backlog.going + backlog.ready for backlog in driver.backlogs.values())
        while driver.threads < min(wanted, _MOST):
            driver.threads += 1
            if self._free:
                self._free -= 1
                self._wanted.append(driver)
                self._work.notify()
            elif not self._add_thread_locked(driver):
                driver.threads -= 1
                return

    def _add_thread_locked(self, driver: _Driver) -> bool:
        """Start a thread that serves this driver first; False if the system allows none."""
        assert_held(self._lock)
        name = f"launch-{next(self._numbers)}"
        try:
            # A daemon: shutdown waits for tasks, not for threads, and a driver may block in start() forever.
            start_thread(partial(self._run, driver), name)
        except RuntimeError:
            self._out_of_threads = True
            return False
        self._out_of_threads = False
        self._threads += 1
        return True

    def _run(self, driver: _Driver | None) -> None:
        while driver is not None:
            self._launch_all(driver)
            driver = self._next_driver(driver)

    def _launch_all(self, driver: _Driver) -> None:
        """Launch until none of the driver's backlogs may begin anything."""
        backlog: _Backlog | None = None
        while True:
            with standstill:  # what is taken from a backlog is launched
                with self._lock:
                    if backlog is not None:
                        backlog.going -= 1
                        if not backlog.going and not backlog.waiting:
                            del driver.backlogs[backlog.key]
                    backlog = driver.next_backlog()
                    if backlog is None:
                        return
                    what = backlog.waiting.popleft()
                    backlog.going += 1
                    backlog.moved = True
                    if len(backlog.waiting) == _AHEAD:
                        self._room.notify_all()
                try:
                    self._launch(*what)
                except BaseException:
                    _log.exception("a launch failed")

    def _next_driver(self, served: _Driver) -> _Driver | None:
        """The driver that the thread serves next; None: the thread ends."""
        with self._lock:
            served.threads -= 1
            self._free += 1
            self._serve_locked(served)  # for what was submitted meanwhile
        linger = _LINGER_S
        while True:
            with self._lock:
                # The last thread stays: there may be none to be had when one is needed.
                self._work.wait_for(
                    lambda: self._wanted or self._closed, linger if self._threads > 1 else None
                )
                if self._wanted:
                    return self._wanted.popleft()
                if self._closed or (not linger and self._threads > 1):
                    self._free -= 1
                    self._threads -= 1
                    return None
            linger = _LINGER_S if has_forked() else 0.0

    def widen(self) -> None:
        """Double the concurrency of backlogs that have begun nothing since the last check."""
        with self._lock:
            held_up = False
            for driver in self._drivers.values():
                for backlog in driver.backlogs.values():
                    if backlog.waiting:
                        held_up = True
                        if not backlog.moved:
                            backlog.allowed = min(2 * backlog.allowed, _MOST)
                        backlog.moved = False
                self._serve_locked(driver)
            self._looking = held_up
        if held_up:
            self._timers.schedule(_STUCK_S, Due.WIDEN)
