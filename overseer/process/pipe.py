"""Reading what a child writes into one pipe, or terminal, until it can be said that nothing more will come.

Others may hold the pipe open after the leader's death, and may go on writing into it. What the leader wrote
is always read, and so is what the others write, for as long as it keeps coming: until there was nothing for
``DRAIN_IDLE_S`` seconds, for ``DRAIN_MAX_S`` in all.
"""

from __future__ import annotations

import errno
import fcntl
import math
import os
import select
import sys
import termios
import time
from collections.abc import Callable

from overseer.process.lines import Lines, LineSplitter

DRAIN_IDLE_S = 2.0
DRAIN_MAX_S = 10.0
SHOW_EVERY_S = 0.1  # the unfinished line of one pipe, at most
_READ = 65536  # as much as a pipe holds
_LITTLE = 4096  # what is asked for first: mostly it is a line
_READS_A_CHECK = 32  # a flood from the others must not hide the leader's exit


class PipeReader:
    """Reads one pipe to its end on the calling thread."""

    def __init__(
        self,
        pipe: int,
        leader: int,
        splitter: LineSplitter,
        deliver: Callable[[list[Lines]], None],
        show: Callable[[bytes], float | None] | None = None,
        raw: Callable[[bytes], float | None] | None = None,
    ) -> None:
        """
        Args:
            pipe: our end of it, or a terminal's master; non-blocking, and not closed here.
            leader: a pidfd of the process it was made for; not closed here.
            deliver: gets the lines of each read that completes any; it may block.
            show: gets the end of the line that has no LF yet, when that has changed (``b""``: there is none)
                and ``SHOW_EVERY_S`` have passed; it may return after how many seconds it is to be called
                again, changed or not.
            raw: gets what each read gave, before its lines are delivered; it may block, and may return after
                how many seconds it is to be called with ``b""``, should nothing come.
        """
        self._pipe = pipe
        self._leader = leader
        self._splitter = splitter
        self._deliver = deliver
        self._show = show
        self._raw = raw
        self._showing = False  # show was given something last
        self._show_at = 0.0  # when it may be called again (monotonic)
        self._raw_again: float | None = None  # as it returned last

    def run(self) -> None:
        """Returns when there is nothing more to read."""
        if not self._read_while_leader_lives():
            self._drain()
        self._hand_on_what_is_held()
        if last := self._splitter.close():
            self._deliver(last)

    def _read_while_leader_lives(self) -> bool:
        """Read to the pipe's end (True) or until the leader is dead (False)."""
        poll = select.poll()
        poll.register(self._pipe, select.POLLIN)
        poll.register(self._leader, select.POLLIN)
        timeout: int | None = None
        again: float | None = None  # the seconds after which the unfinished line is to be shown once more
        size = _LITTLE
        while True:
            ready = poll.poll(timeout)
            if ready:
                fd, event = ready[0]
                if fd == self._pipe and event == select.POLLHUP:
                    return True  # all is read, and nobody has the other end
                if len(ready) > 1 or fd == self._leader:
                    return False
            elif timeout:
                self._hand_on_what_is_held()
                again = self._show_unfinished()
                timeout = _milliseconds(again)
                continue
            timeout = 0
            for _ in range(_READS_A_CHECK):
                try:
                    data = os.read(self._pipe, size)
                except BlockingIOError:
                    timeout = _milliseconds(again)
                    break
                except OSError as error:
                    data = _end_of_terminal(error)
                if not data:
                    return True
                if self._raw is not None:
                    self._raw_again = self._raw(data)
                if groups := self._splitter.feed(data):
                    self._deliver(groups)
                again = self._show_unfinished() if self._showing or self._splitter.held else None
                if self._raw_again is not None:
                    again = self._raw_again if again is None else min(again, self._raw_again)
                if len(data) < _LITTLE:  # it is empty, and no flood fills it meanwhile
                    size = _LITTLE
                    timeout = None if again is None else _milliseconds(again)
                    break
                size = _READ

    def _hand_on_what_is_held(self) -> None:
        if self._raw is not None and self._raw_again is not None:
            self._raw_again = self._raw(b"")

    def _show_unfinished(self) -> float | None:
        if self._show is None:
            return None
        moment = time.monotonic()
        if moment < self._show_at:  # a flood would have it called for each read
            return self._show_at - moment
        line = self._splitter.unfinished
        if not (line or self._showing):
            return None
        self._show_at = moment + SHOW_EVERY_S
        self._showing = bool(line)
        return self._show(line)

    def _drain(self) -> None:
        """The leader is dead."""
        # What is in the pipe now may be its own: that is read however long the callbacks take.
        owed = int.from_bytes(fcntl.ioctl(self._pipe, termios.FIONREAD, bytes(4)), sys.byteorder)
        poll = select.poll()
        poll.register(self._pipe, select.POLLIN)
        end = time.monotonic() + DRAIN_MAX_S
        while True:
            try:
                data = os.read(self._pipe, _READ)
            except BlockingIOError:
                patience = min(DRAIN_IDLE_S, end - time.monotonic())
                if patience <= 0 or not poll.poll(patience * 1000):
                    return
                continue
            except OSError as error:
                data = _end_of_terminal(error)
            if not data:
                return
            if self._raw is not None:
                self._raw_again = self._raw(data)
            owed -= len(data)
            if groups := self._splitter.feed(data):
                self._deliver(groups)
            if owed <= 0 and time.monotonic() >= end:
                return


def _end_of_terminal(error: OSError) -> bytes:
    """What is read of a terminal that nobody has open any more; raises any other error."""
    if error.errno != errno.EIO:
        raise error
    return b""


def _milliseconds(seconds: float | None) -> int | None:
    """For poll, never a moment too early."""
    return None if seconds is None else math.ceil(seconds * 1000)
