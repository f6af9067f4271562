"""Reads what a child writes to one pipe or terminal, and drains it after the leader's death.

Other processes may hold the pipe open after the leader's death and go on writing to it. What the leader wrote
is always read; what the others write is read until nothing has come for ``DRAIN_IDLE_S`` seconds, and for at
most ``DRAIN_MAX_S`` in all.
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
SHOW_EVERY_S = 0.1  # at most one look at a pipe's unfinished line in this time
_READ = 65536  # as much as a pipe holds
_LITTLE = 4096  # the size of the first read, which mostly gets a single line
_READS_A_CHECK = 32  # between checks of the leader, whose exit a flood from others must not hide


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
            leader: the leader's pidfd; not closed here.
            deliver: gets the lines of each read that completes any, which it takes out of the list; may
                block.
            show: gets the end of the unfinished line when it has changed (``b""``: there is none) and
                ``SHOW_EVERY_S`` has passed; may return in how many seconds to call it again, changed or not.
            raw: gets the bytes of each read before its lines are delivered; may block, and may return in how
                many seconds to call it with ``b""`` if nothing comes.
        """
        self._pipe = pipe
        self._leader = leader
        self._splitter = splitter
        self._deliver = deliver
        self._show = show
        self._raw = raw
        self._showing = False  # the last call of show was not b""
        self._show_at = 0.0  # when it may be called again (monotonic)
        self._raw_again: float | None = None  # what raw returned last
        self._groups: list[Lines] = []  # of the latest read; those left in it have not been delivered

    def run(self) -> None:
        """Return when there is nothing more to read. May be called again after ``deliver`` has raised, and
        goes on from there."""
        if self._groups:
            self._deliver(self._groups)
        if not self._read_while_leader_lives():
            self._drain()
        self._hand_on_what_is_held()
        if groups := self._splitter.close():
            self._groups = groups
            self._deliver(groups)

    def _read_while_leader_lives(self) -> bool:
        """Read to the pipe's end (True) or until the leader is dead (False)."""
        poll = select.poll()
        poll.register(self._pipe, select.POLLIN)
        poll.register(self._leader, select.POLLIN)
        timeout: int | None = None
        again: float | None = None  # seconds until the unfinished line is shown again
        size = _LITTLE
        while True:
            ready = poll.poll(timeout)
            if ready:
                fd, event = ready[0]
                if fd == self._pipe and event == select.POLLHUP:
                    return True  # all is read, and the other end is closed
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
                    self._groups = groups
                    self._deliver(groups)
                again = self._show_unfinished() if self._showing or self._splitter.held else None
                if self._raw_again is not None:
                    again = self._raw_again if again is None else min(again, self._raw_again)
                if len(data) < _LITTLE:  # a short read has emptied the pipe
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
        if moment < self._show_at:  # else a flood would call it for each read
            return self._show_at - moment
        line = self._splitter.unfinished
        if not (line or self._showing):
            return None
        self._show_at = moment + SHOW_EVERY_S
        self._showing = bool(line)
        return self._show(line)

    def _drain(self) -> None:
        """The leader is dead."""
        # What is in the pipe now may be the leader's, and is read however long the callbacks take.
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
                self._groups = groups
                self._deliver(groups)
            if owed <= 0 and time.monotonic() >= end:
                return


def _end_of_terminal(error: OSError) -> bytes:
    """b"" if the terminal's other side is closed; raises any other error."""
    if error.errno != errno.EIO:
        raise error
    return b""


def _milliseconds(seconds: float | None) -> int | None:
    """Rounded up for poll, which must not return early."""
    return None if seconds is None else math.ceil(seconds * 1000)
