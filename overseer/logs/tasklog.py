"""Writes the log of one task: batch after batch, each by one write(2), before clients see it.

A failure suspends the log: lines are published without it, and counted. When it can be written again, a new
segment begins with the next line, so the segments' names show what is missing.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import NamedTuple, Protocol

from overseer.logs import files
from overseer.logs.directory import keep_id, make
from overseer.logs.disk_threads import PATIENCE_S, DiskThreads
from overseer.logs.lines import Entry, encode
from overseer.logs.sealing import finish
from overseer.logs.standalone.segments import (
    BLOCK,
    NOBODY,
    UNKNOWN,
    Block,
    Index,
    Opened,
    Run,
    Segment,
    beside,
    list_segments,
    read_runs,
    scan,
)
from overseer.util.locks import Rank, lock

OLD_S = 24 * 3600.0
"""The age at which a segment is sealed, full or not."""
_OPEN_S = 2.0  # how long finding the end of a log may take
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 30.0
_FLOOD = 32 * 1024  # bytes written at once, from which on disk space is reserved for more
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class Growing(NamedTuple):
    """The complete lines of the segment being written."""

    first: int
    found: Index


class Bounds(Protocol):
    """The limits that a log observes."""

    @property
    def full(self) -> int:
        """The size in bytes at which a segment is full."""

    @property
    def room(self) -> bool:
        """Whether the disk has room."""

    @property
    def ours(self) -> Callable[[], bool]:
        """Whether what is at the logs' path is this server's."""

    def changed(self, directory: str) -> None:
        """Note that a segment or run has ended there. Never blocks."""


class _Tail:
    """The last segment; changed by one job at a time."""

    __slots__ = ("began", "blocks", "first", "reserved", "runs", "size")

    def __init__(self, first: int) -> None:
        self.first = first
        self.size = 0
        self.reserved = 0  # up to where disk space is reserved; 0: not at all
        self.blocks: list[Block] = []  # the last one grows
        self.runs: list[Run] = []
        self.began = time.monotonic()

    def grow(self, seq: int, size: int, ts: str) -> None:
        """Note appended lines: the first seq, their bytes, their time."""
        last = self.blocks[-1] if self.blocks else None
        if last is None or last.size >= BLOCK:
            self.blocks.append(Block(seq, self.size, size, ts, ts))
        else:
            self.blocks[-1] = Block(
                last.first, last.offset, last.size + size, max(last.latest, ts), min(last.earliest, ts)
            )
        self.size += size


class TaskLog:
    """Writes one task's log. :meth:`append`, :meth:`open` and :meth:`rest` are called one at a time.

    Args:
        directory: the task's; created when there is something to write.
        threads: do the writing.
        bounds: say whether a segment or the disk is full; notified when a segment or run has ended.
    """

    def __init__(self, task_id: str, directory: str, threads: DiskThreads, bounds: Bounds) -> None:
        self.task_id = task_id
        self.directory = directory
        self._threads = threads
        self._bounds = bounds
        # Held by whatever touches the last segment, one at a time, also by what was given up on; unranked, as
        # only leaves are taken under it.
        self._working = threading.Lock()
        self._lock = lock(Rank.LEAF, "log")  # guards the fields below
        self._end = 1  # one past the last line's seq
        self._tail: _Tail | None = None  # None: the next line begins a segment
        self._file = -1
        self._found = False  # where it ends is known
        self._given_up = 0  # a segment that must not be written any more, though it may be the last
        self._roll = False  # the next line must begin a segment
        # Used by the appending thread, one at a time.
        self._run = NOBODY
        self._aside_until = 0.0  # 0: not suspended
        self._pause = _FIRST_PAUSE_S
        self._unsaid = 0  # lost lines not yet logged

    def __del__(self) -> None:
        files.close(self._file)

    # -- for the supervisor ----------------------------------------------------------------------------

    def open(self) -> int:
        """Find the last line's seq, or 0, before the task's first line is numbered."""
        self._do(self._find_end, PATIENCE_S if self._threads.hang else _OPEN_S)
        with self._lock:
            return self._end - 1

    def begin_run(self, pid: int, run_id: str, action: str) -> None:
        """Attribute the lines that follow to this run. Never blocks."""
        self._run = Run(0, pid, run_id, action)

    entry = staticmethod(encode)  # a batch as :meth:`append` takes it

    def append(self, seq: int, entry: Entry, late: Callable[[], None] | None = None) -> bool:
        """Write a batch whose first line is ``seq``; returns whether it has been written.

        Otherwise its lines may still appear in the log, under these numbers, once a hanging disk responds.

        Args:
            late: called instead of returning False when this thread hangs, by the one that replaces it.

        Raises:
            Replaced: ``late`` has been called.
        """
        if not self._aside_until or (
            time.monotonic() >= self._aside_until and not self._working.locked()  # by a write that hangs
        ):

            def give_up() -> None:
                self._lose(entry.line_count)
                assert late is not None
                late()

            work = partial(self._write, entry, seq, self._run)
            if self._do(work, PATIENCE_S, None if late is None else give_up):
                if self._aside_until:
                    self._well_again()
                else:
                    self._threads.trouble.wrote()
                return True
        self._lose(entry.line_count)
        return False

    def rest(self) -> None:
        """Release the file, as no lines follow for now."""
        if self._file >= 0:
            self._threads.later(self._close_unless_busy)
            self._bounds.changed(self.directory)
        if self._aside_until:
            missing, self._unsaid = self._unsaid, 0
            self._threads.trouble.ended(self.task_id, missing)

    # -- for readers and retention -----------------------------------------------------------------------

    @property
    def growing(self) -> Growing | None:
        """The segment being written, if any is known."""
        with self._lock:
            tail = self._tail
            if tail is None:
                return None
            return Growing(tail.first, Index(list(tail.blocks), list(tail.runs), self._end))

    def begin_segment(self) -> None:
        """Have the next line begin a segment."""
        self._roll = True

    def give_up(self, first: int) -> bool:
        """Let go of the last segment, which begins with that line, so that it may be sealed or removed; False
        if it is in use. Holds for the lifetime of this object."""
        if not self._working.acquire(blocking=False):
            return False
        try:
            with self._lock:
                is_tail = self._tail is not None and self._tail.first == first
                if is_tail and self._file >= 0:
                    return False
                self._given_up = first
                if is_tail:
                    self._tail = None
                return True
        finally:
            self._working.release()

    # -- inside ----------------------------------------------------------------------------------------

    def _lose(self, count: int) -> None:
        self._threads.lost += count  # a mere statistic, so a lost update is acceptable
        self._unsaid += count

    def _do(self, work: Callable[[], None], patience: float, late: Callable[[], None] | None = None) -> bool:
        """Whether ``work`` succeeded in time; ``late`` as for :meth:`append`."""
        failed: str | None = None  # why it has; "": it has not; None: it is not over
        given_up = False

        def job() -> None:
            nonlocal failed
            with self._working:
                why = ""
                try:
                    work()
                except Exception as error:
                    why = getattr(error, "strerror", None) or str(error) or type(error).__name__
                    self._end_segment()
                with self._lock:
                    failed = why
                    late = given_up
                if late:  # nothing may be written before the segment has ended
                    self._end_segment()

        def give_up() -> None:
            nonlocal given_up
            with self._lock:
                given_up = True
            self._put_aside(f"a write took longer than {patience:g} s")

        def replaced() -> None:
            give_up()
            assert late is not None
            late()

        if not self._threads.do(job, patience, None if late is None else replaced):
            give_up()
        elif failed:
            self._put_aside(failed)
        else:
            return True
        return False

    def _put_aside(self, why: str) -> None:
        if not self._aside_until:
            self._pause = _FIRST_PAUSE_S
        self._threads.trouble.suspended(self.task_id, why)
        self._aside_until = time.monotonic() + self._pause
        self._pause = min(2 * self._pause, _LONGEST_PAUSE_S)

    def _well_again(self) -> None:
        self._aside_until = 0.0
        missing, self._unsaid = self._unsaid, 0
        self._threads.trouble.recovered(self.task_id, missing)

    # -- jobs ------------------------------------------------------------------------------------------

    def _insist_on_ours(self) -> None:
        if not self._bounds.ours():
            raise OSError("data_dir was removed or replaced")

    def _find_end(self) -> None:
        while not self._found:
            try:
                segments = list_segments(self.directory)
                tail, end = self._continue(segments[-1]) if segments else (None, 1)
            except FileNotFoundError:  # it has been compressed, or has expired, meanwhile
                continue
            with self._lock:
                if tail is not None and tail.first == self._given_up:
                    tail = None
                self._tail, self._end, self._found = tail, end, True

    def _continue(self, last: Segment) -> tuple[_Tail | None, int]:
        """The last segment, if it can be continued, and the log's end; a torn last line is cut off."""
        self._insist_on_ours()
        if last.sealed:
            with Opened(self.directory, last) as opened:
                return None, opened.index.end
        tail = _Tail(last.first)
        file = os.open(f"{self.directory}/{last.name}", os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            tail.blocks, end = scan(file, last, times=True)
            if tail.blocks and tail.blocks[-1].latest == UNKNOWN:  # nobody can tell where it ends
                return None, end
            if tail.blocks:
                tail.size = tail.blocks[-1].offset + tail.blocks[-1].size
            if files.exceeds(file, tail.size):
                os.ftruncate(file, tail.size)
        finally:
            os.close(file)
        tail.runs = read_runs(self.directory, last.first)
        try:
            files.end_line(f"{self.directory}/{beside(last.first, 'runs')}")
        except OSError:  # it cannot be read, or is something else: no run could be added
            return None, end
        return tail, end

    def _write(self, entry: Entry, seq: int, run: Run) -> None:
        if not self._found:
            self._find_end()
        if seq < self._end:
            raise ValueError("it already has lines with these numbers")
        if not self._bounds.room:
            raise OSError("the disk has reached storage.min_free")
        tail = self._tail
        if tail is not None and (
            seq > self._end
            or self._roll
            or tail.size >= self._bounds.full
            or time.monotonic() - tail.began > OLD_S
            or not self._reopened(tail)
        ):
            self._end_segment()
            tail = None
        if tail is None:
            tail = self._begin(seq)
        if not tail.runs or tail.runs[-1].run_id != run.run_id:
            self._name_run(tail, run._replace(first=seq))
        size = entry.size
        if size >= _FLOOD and tail.size + size > tail.reserved:
            tail.reserved = files.reserve(self._file, tail.size)
        try:
            files.write_all(self._file, entry.pieces, size)
        except OSError:
            os.ftruncate(self._file, tail.size)
            raise
        with self._lock:
            tail.grow(seq, size, entry.ts)
            self._end = seq + entry.line_count

    def _reopened(self, tail: _Tail) -> bool:
        """Open the segment if necessary; False if it is gone, or not as it was left."""
        try:
            if self._file < 0:
                self._file = self._open(tail.first)
                return os.fstat(self._file).st_size == tail.size
            return os.fstat(self._file).st_nlink > 0
        except FileNotFoundError:
            return False

    def _begin(self, seq: int) -> _Tail:
        self._insist_on_ours()
        try:
            self._file = self._open(seq, os.O_CREAT)
        except FileNotFoundError:
            make(self.directory)
            self._file = self._open(seq, os.O_CREAT)
        keep_id(self.directory, self.task_id)
        if os.fstat(self._file).st_size:  # left by a failed attempt
            os.ftruncate(self._file, 0)  # after which ext4 writes it to the disk when it is closed
        tail = _Tail(seq)
        with self._lock:
            self._tail, self._end, self._roll = tail, seq, False
        return tail

    def _open(self, first: int, flags: int = 0) -> int:
        return os.open(f"{self.directory}/{Segment(first).name}", _FLAGS | flags, 0o600)

    def _name_run(self, tail: _Tail, run: Run) -> None:
        path = f"{self.directory}/{beside(tail.first, 'runs')}"
        files.add(path, b"%b\n" % json.dumps(run).encode(), anew=not tail.runs)
        with self._lock:
            tail.runs.append(run)
        self._threads.trouble.wrote()

    def _close_unless_busy(self) -> None:
        if self._working.acquire(blocking=False):  # otherwise lines have followed after all
            try:
                self._let_go()
            finally:
                self._working.release()

    def _let_go(self) -> None:
        """Close the file, and give back disk space that was reserved and not used."""
        with self._lock:
            file, self._file = self._file, -1
            tail = self._tail
        if file >= 0 and tail is not None and tail.reserved > tail.size:
            tail.reserved = 0
            with suppress(OSError):
                os.ftruncate(file, tail.size)
        files.close(file)

    def _end_segment(self) -> None:
        """End the segment; the next line begins another one."""
        self._let_go()
        with self._lock:
            tail, self._tail = self._tail, None
        if tail is not None:
            if tail.blocks:
                with suppress(OSError, MemoryError):  # then it is found out again
                    finish(self.directory, tail.first, Index(tail.blocks, tail.runs, self._end))
            self._bounds.changed(self.directory)
