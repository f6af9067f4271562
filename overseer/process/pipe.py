"""Reads what a child writes to its pipes or terminal, and drains them after the leader's death.

Other processes may hold a pipe open after the leader's death and go on writing to it. What the leader wrote
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
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from overseer.process.lines import Lines, LineSplitter
from overseer.process.raw import MaskedRaw
from overseer.util.handover_format import Incoming, Outgoing
from overseer.util.standstill import standstill

DRAIN_IDLE_S = 2.0
DRAIN_MAX_S = 10.0
SHOW_EVERY_S = 0.1  # at most one look at a pipe's unfinished line in this time
MOST_READ = 65536  # at a time: as much as a pipe holds
LITTLE_READ = 4096  # the size of the first read, which mostly gets a single line
_HANDED_OVER = ("again_at", "owed", "silent_at", "_showing", "_show_at", "_raw_again")  # of a pipe
_READS_A_CHECK = 32  # after which a flood lets the other pipe and the leader's exit be seen


class Pipe:
    """One of a run's pipes, or its terminal, and where what is read of it goes."""

    __slots__ = (
        "_deliver", "_groups", "_most", "_raw", "_raw_again", "_show", "_show_at", "_showing", "_size",
        "_splitter", "again_at", "ahead", "fd", "owed", "silent_at", "stream",
    )  # fmt: skip

    def __init__(
        self,
        fd: int,
        splitter: LineSplitter,
        deliver: Callable[[str, list[Lines]], None],
        show: Callable[[bytes], float | None] | None = None,
        raw: Callable[[bytes], float | None] | None = None,
        stream: str = "",
        most: int = MOST_READ,
    ) -> None:
        """
        Args:
            fd: our end of it, or a terminal's master; non-blocking, and closed with the reader.
            deliver: gets the stream's name, and the lines of each read that completes any, which it takes
                out of the list; may block.
            show: gets the end of the unfinished line when it has changed (``b""``: there is none) and
                ``SHOW_EVERY_S`` has passed; may return in how many seconds to call it again, changed or not.
            raw: gets the bytes of each read before its lines are delivered; may block, and may return in how
                many seconds to call it with ``b""`` if nothing comes.
            stream: its name.
            most: bytes read at a time.
        """
        self.fd = fd
        self.stream = stream
        self.again_at: float | None = (
            None  # when ``show`` or ``raw`` is to be called, changed or not (monotonic)
        )
        self.owed = 0  # bytes that may be the leader's, once it is dead
        self.ahead = b""  # what another program has read of it, and not delivered
        self.silent_at = 0.0  # when it is drained unless something comes (monotonic)
        self._splitter = splitter
        self._deliver = deliver
        self._show = show
        self._raw = raw
        self._most = most
        self._size = LITTLE_READ  # of the next read
        self._showing = False  # the last call of show was not b""
        self._show_at = 0.0  # when it may be called again (monotonic)
        self._raw_again: float | None = None  # what raw returned last
        self._groups: list[Lines] = []  # of the latest read; those left in it have not been delivered

    def read(self) -> bool:
        """Read what there is, within limits; False at the end of the pipe."""
        for _ in range(_READS_A_CHECK):
            try:
                data: bytes | None = os.read(self.fd, self._size)
            except OSError as error:
                data = _instead(error)
            if not data:
                return data is None
            if self._raw is not None:
                self._raw_again = self._raw(data)
            if groups := self._splitter.feed(data):  # as in _take, which would be one call more
                self._groups = groups
                self._deliver(self.stream, groups)
            if self._showing or self._splitter.held:
                self._call_later(self._show_unfinished())
            elif self._raw is not None or self.again_at is not None:
                self._call_later(None)
            if len(data) < LITTLE_READ or standstill.closed:  # it is empty, and no flood fills it meanwhile
                self._size = LITTLE_READ
                return True
            self._size = self._most
        return True

    def drain(self) -> bool:
        """Read once, now that the leader is dead; False at the end of the pipe."""
        try:
            data: bytes | None = os.read(self.fd, self._most)
        except OSError as error:
            data = _instead(error)
        if not data:
            return data is None
        self.owed -= len(data)
        self._take(data)
        self.silent_at = time.monotonic() + DRAIN_IDLE_S
        return True

    def resume(self) -> None:
        """Go on after a ``deliver`` that has raised: do what was left to do after the latest read."""
        if self._groups:
            self._deliver(self.stream, self._groups)
        ahead, self.ahead = self.ahead, b""
        for begin in range(0, len(ahead), self._most):
            self._take(ahead[begin : begin + self._most])
        self._call_later(self._show_unfinished())

    def _take(self, data: bytes) -> None:
        if self._raw is not None:
            self._raw_again = self._raw(data)
        if groups := self._splitter.feed(data):
            self._groups = groups
            self._deliver(self.stream, groups)

    def finish(self) -> None:
        """Nothing more is read of it: deliver what is held."""
        if self._raw is not None:
            self._hand_on_raw()
        if groups := self._splitter.close():
            self._groups = groups
            self._deliver(self.stream, groups)

    def call_again(self) -> None:
        """It is ``again_at``, and nothing has come."""
        self._hand_on_raw()
        self._call_later(self._show_unfinished())

    def _call_later(self, seconds: float | None) -> None:
        """Be called again in so many seconds, or when ``raw`` wants to be, if that is sooner."""
        if self._raw_again is not None:
            seconds = self._raw_again if seconds is None else min(seconds, self._raw_again)
        self.again_at = None if seconds is None else time.monotonic() + seconds

    def _hand_on_raw(self) -> None:
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

    def export(self, out: Outgoing) -> dict[str, Any]:
        """What another program has to know to go on with it, its unfinished line included."""
        return {
            "fd": out.pipe(self.fd),
            "state": [getattr(self, name) for name in _HANDED_OVER],
            "splitter": self._splitter.export(out),
            "raw": self._raw.export(out) if isinstance(self._raw, MaskedRaw) else None,
        }

    def restore(self, data: Mapping[str, Any], given: Incoming) -> None:
        """Go on where another program's has been."""
        self.ahead = given.kept(data["fd"])
        for name, value in zip(_HANDED_OVER, data["state"], strict=True):
            setattr(self, name, value)
        self._splitter.restore(data["splitter"], given)
        if data["raw"] is not None and isinstance(self._raw, MaskedRaw):
            self._raw.restore(data["raw"], given)


class PipeReader:
    """Reads all pipes of a run to their ends on the calling thread."""

    def __init__(self, pipes: Iterable[Pipe], leader: int) -> None:
        """``leader``: the leader's pidfd; not closed here."""
        self._open = {pipe.fd: pipe for pipe in pipes}
        self._leader = leader
        self.dead_at: float | None = None  # when the leader was seen dead (monotonic)
        self._drained_by: float | None = None  # when to stop at last, once the leader is dead (monotonic)

    def run(self) -> None:
        """Return when there is nothing more to read. May be called again after a ``deliver`` has raised, and
        goes on from there."""
        with standstill:
            for pipe in self._open.values():
                pipe.resume()
        if self._drained_by is None:
            self._read_while_leader_lives()
            if not self._open:
                return
            with standstill:
                self._drained_by = self._begin_drain()
        self._drain(self._drained_by)

    @property
    def streams(self) -> list[str]:
        """The names of those that are still read."""
        return [pipe.stream for pipe in self._open.values()]

    def close(self) -> None:
        """Close the pipes that are still open."""
        for fd in self._open:
            os.close(fd)
        self._open.clear()

    def _read_while_leader_lives(self) -> None:
        """Read until the leader is dead, or all pipes have come to their ends."""
        poll = select.poll()
        for fd in (self._leader, *self._open):  # in this order they are reported
            poll.register(fd, select.POLLIN)
        pipes = self._open.values()
        while pipes:
            timeout: int | None = None
            for pipe in pipes:
                if pipe.again_at is not None:
                    wait = max(0, math.ceil((pipe.again_at - time.monotonic()) * 1000))  # never too short
                    timeout = wait if timeout is None else min(wait, timeout)
            ready = poll.poll(timeout)
            with standstill:  # what is read is delivered
                if not ready:
                    moment = time.monotonic()
                    for pipe in pipes:
                        if pipe.again_at is not None and pipe.again_at <= moment:
                            pipe.call_again()
                for fd, event in ready:
                    if fd == self._leader:
                        self.dead_at = time.monotonic()
                        continue
                    pipe = self._open[fd]
                    # Without POLLIN all is read, and nobody has the other end.
                    if event == select.POLLHUP or not (self.dead_at or pipe.read()):
                        poll.unregister(fd)
                        self._finish(pipe)
                if self.dead_at:
                    return

    def _begin_drain(self) -> float:
        """The leader is dead; returns when to stop at last."""
        for fd, pipe in self._open.items():
            # What is in the pipe now may be its own: that is read however long the callbacks take.
            pipe.owed = int.from_bytes(fcntl.ioctl(fd, termios.FIONREAD, bytes(4)), sys.byteorder)
        return time.monotonic() + DRAIN_MAX_S

    def _drain(self, end: float) -> None:
        poll = select.poll()
        silent_at = time.monotonic() + DRAIN_IDLE_S
        for fd, pipe in self._open.items():
            pipe.silent_at = silent_at
            poll.register(fd, select.POLLIN)
        while self._open:
            patience = min(end, *(pipe.silent_at for pipe in self._open.values())) - time.monotonic()
            ready = dict(poll.poll(max(0.0, patience) * 1000))
            with standstill:
                for fd, pipe in list(self._open.items()):
                    moment = time.monotonic()
                    if fd in ready:
                        over = (moment >= end and pipe.owed <= 0) or not pipe.drain()
                    else:
                        over = moment >= min(end, pipe.silent_at)
                    if over:
                        poll.unregister(fd)
                        self._finish(pipe)

    def _finish(self, pipe: Pipe) -> None:
        pipe.finish()
        del self._open[pipe.fd]
        os.close(pipe.fd)

    def export(self, out: Outgoing) -> dict[str, Any]:
        """The pipes that are still read; at a standstill."""
        return {
            "drained_by": self._drained_by,
            "pipes": [pipe.export(out) for pipe in self._open.values()],
        }

    def restore(self, data: Mapping[str, Any], given: Incoming) -> None:
        """Go on with the pipes that another program has exported; it has these, in this order."""
        self._drained_by = data["drained_by"]
        for pipe, said in zip(self._open.values(), data["pipes"], strict=True):
            pipe.restore(said, given)


def _instead(error: OSError) -> bytes | None:
    """What a read has found that failed: None, nothing yet; b"", the end, as a terminal says it."""
    if error.errno == errno.EAGAIN:
        return None
    if error.errno == errno.EIO:
        return b""
    raise error
