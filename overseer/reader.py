"""Reading what a child writes into one pipe, until it can be said that nothing more will come.

Others may hold the pipe open after the leader's death, and may go on writing into it. What the leader wrote
is always read, and so is what the others write, for as long as it keeps coming: until there was nothing for
``DRAIN_IDLE_S`` seconds, for ``DRAIN_MAX_S`` in all.
"""

from __future__ import annotations

import fcntl
import os
import select
import sys
import termios
import time
from collections.abc import Callable

from overseer.lines import Lines, LineSplitter

__all__ = ["DRAIN_IDLE_S", "DRAIN_MAX_S", "PipeReader"]

DRAIN_IDLE_S = 2.0
DRAIN_MAX_S = 10.0
_READ = 65536  # as much as a pipe holds
_READS_A_CHECK = 32  # a flood from the others must not hide the leader's exit


class PipeReader:
    """Reads one pipe to its end on the calling thread."""

    def __init__(
        self, pipe: int, leader: int, splitter: LineSplitter, deliver: Callable[[list[Lines]], None]
    ) -> None:
        """
        Args:
            pipe: our end of it, non-blocking; not closed here.
            leader: a pidfd of the process it was made for; not closed here.
            deliver: gets the lines of each read that completes any; it may block.
        """
        self._pipe = pipe
        self._leader = leader
        self._splitter = splitter
        self._deliver = deliver

    def run(self) -> None:
        """Returns when there is nothing more to read."""
        if not self._read_while_leader_lives():
            self._drain()
        if last := self._splitter.close():
            self._deliver(last)

    def _read_while_leader_lives(self) -> bool:
        """Read to the pipe's end (True) or until the leader is dead (False)."""
        poll = select.poll()
        poll.register(self._pipe, select.POLLIN)
        poll.register(self._leader, select.POLLIN)
        timeout: int | None = None
        while True:
            if any(fd == self._leader for fd, _ in poll.poll(timeout)):
                return False
            timeout = 0
            for _ in range(_READS_A_CHECK):
                try:
                    data = os.read(self._pipe, _READ)
                except BlockingIOError:
                    timeout = None
                    break
                if not data:
                    return True
                if groups := self._splitter.feed(data):
                    self._deliver(groups)

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
            if not data:
                return
            owed -= len(data)
            if groups := self._splitter.feed(data):
                self._deliver(groups)
            if owed <= 0 and time.monotonic() >= end:
                return
