"""Retention of logs, in the background: seals and compresses segments, and removes the oldest.

It is notified of each segment or run that ends (:meth:`LogRetention.changed`), and scans everything now and
then for ages and for changes made by others. A failure is logged once, and retried the next time.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import math
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from overseer.config.storage import StorageConfig
from overseer.logs.sealing import remove, seal, tidy
from overseer.logs.standalone.segments import Opened, Segment, list_segments
from overseer.logs.tasklog import OLD_S, TaskLog
from overseer.util.locks import Rank, lock
from overseer.util.threads import start_thread

_log = logging.getLogger(__name__)

_EVERYTHING_S = 3600.0
SETTLED_S = 60.0
"""How long a full segment is left unsealed: most of a flood is removed before that."""
_FULL_S = 5.0  # while the disk is full
_SOON_S = 0.25  # after a change, so that changes are handled in groups
_PAUSES = 9  # times as long as a removal took of the processor, after it, so that nothing else is held up
_LONGEST_PAUSE_S = 0.25
_PASS_S = 0.5  # after which logs that have changed meanwhile come first


class _Known(NamedTuple):
    """A log's size in bytes, and the time of its oldest segment; infinity: that cannot be removed for now."""

    size: int
    since: float


class LogRetention:
    """One thread, started by the first change.

    Args:
        root: the directory of all logs.
        log_of: returns the log written to a directory, which is asked to let go of its last segment.
        ours: whether what is at ``root`` is this server's.
    """

    def __init__(
        self,
        root: str,
        settings: StorageConfig,
        log_of: Callable[[str], TaskLog],
        ours: Callable[[], bool],
    ) -> None:
        self.settings = settings
        self.ours = ours
        self.room = True  # at the last check, the disk had more than ``min_free``
        self._root = root
        self._log_of = log_of
        # Guards the fields below; notified when there is something to do.
        self._wanted = threading.Condition(lock(Rank.LEAF, "logs' retention"))
        self._changed: dict[str, None] = {}  # directories, in the order in which they are looked at
        self._forgotten: dict[str, int] = {}  # by directory: the seq up to which its lines may go
        self._everything = True
        self._closed = False
        self._thread: threading.Thread | None = None
        # Used by the thread alone.
        self._known: dict[str, _Known] = {}  # by directory
        self._complained: set[str] = set()
        self._due: dict[str, float] = {}  # when a log is due for another check (monotonic)
        self._until = math.inf  # when a pass is late (monotonic)
        self._exceeds = False  # the total exceeds its bounds, as a pass was late
        self._paused = 0.0  # processor time that the thread had used at its last rest
        self._wall, self._monotonic = time.time(), time.monotonic()

    @property
    def total(self) -> int:
        """Bytes of all logs, as far as known."""
        return sum(known.size for known in list(self._known.values()))

    @property
    def full(self) -> int:
        """The size in bytes at which a segment is full."""
        return self.settings.segment

    def start(self) -> None:
        self._thread = start_thread(self._run, "log-retention")

    def changed(self, directory: str) -> None:
        """Note that a segment or run has ended there. Never blocks."""
        with self._wanted:
            self._changed[directory] = None
            self._wanted.notify()

    def forget(self, last_seqs: Mapping[str, int]) -> None:
        """Allow lines to be removed: each directory's up to that seq. Never blocks."""
        with self._wanted:
            for directory, last_seq in last_seqs.items():
                self._forgotten[directory] = max(last_seq, self._forgotten.get(directory, 0))
                self._changed[directory] = None
            self._wanted.notify()

    def look_at_everything(self) -> None:
        """Scan everything, as the bounds have changed. Never blocks."""
        with self._wanted:
            self._everything = True
            self._wanted.notify()

    def close(self, timeout: float = 1.0) -> None:
        """End the thread; unfinished work is done at the next start."""
        with self._wanted:
            self._closed = True
            self._wanted.notify()
        if self._thread is not None:
            self._thread.join(timeout)

    def _run(self) -> None:
        while True:
            with self._wanted:
                self._wanted.wait_for(
                    lambda: self._changed or self._everything or self._closed, self._patience()
                )
                if not self._closed and not self._everything:
                    self._wanted.wait_for(lambda: self._closed, _SOON_S)
                changed, self._changed = self._changed, {}
                changed |= self._take_due()
                everything = self._everything or not (changed or self._exceeds)
                self._everything = False
            try:
                self._look(None if everything else changed)
            except Exception:
                _log.exception("keeping the logs within their bounds failed")
            if self._closed:
                return

    def _patience(self) -> float:
        """Seconds until there is something to do, unless something changes."""
        if self._exceeds:
            return 0.0
        due = min(self._due.values(), default=math.inf) - time.monotonic()
        return max(0.0, min(due, _EVERYTHING_S if self.room else _FULL_S))

    def _take_due(self) -> dict[str, None]:
        moment = time.monotonic()
        due = {directory: None for directory, at in self._due.items() if at <= moment}
        for directory in due:
            del self._due[directory]
        return due

    def _look(self, changed: dict[str, None] | None) -> None:
        self._exceeds = False
        if not self.ours():
            return
        if changed is None:
            changed = self._all()
        self._until = time.monotonic() + _PASS_S
        left = deque(changed)
        try:
            while left and not self._closed:
                directory = left.popleft()
                if not self._keep(directory):
                    self._pause()
                if self._is_late():
                    break
        finally:
            with self._wanted:
                for directory in left:
                    self._changed.setdefault(directory)
        self._exceeds = self._bound_all()

    def _is_late(self) -> bool:
        """Whether this pass has taken so long that another should begin."""
        return time.monotonic() > self._until

    def _all(self) -> dict[str, None]:
        """The directories of all logs, tidied up."""
        try:
            with os.scandir(self._root) as entries:
                found = sorted(entry.path for entry in entries if entry.is_dir(follow_symlinks=False))
        except FileNotFoundError:
            found = []
        self._known = {directory: self._known[directory] for directory in found if directory in self._known}
        for directory in found:
            self._done(tidy, directory)
        return dict.fromkeys(found)

    def _pause(self) -> None:
        """Rest after some work, in proportion to the processor time used since the last rest."""
        pause = min(_LONGEST_PAUSE_S, _PAUSES * (time.thread_time() - self._paused))
        with self._wanted:
            self._wanted.wait_for(lambda: self._closed, pause if self.room else 0.0)
        self._paused = time.thread_time()

    def _keep(self, directory: str) -> list[Segment]:
        """Seal what is due in one log, and remove what exceeds its bounds; returns the segments left."""
        log = self._log_of(directory)  # kept alive meanwhile, so that a segment given up stays so
        for segment in list_segments(directory):
            if segment.packed or (segment.sealed and self.settings.compress == "none") or self._closed:
                continue
            if self._is_due(directory, segment, OLD_S if segment.last else SETTLED_S) and (
                not segment.last or log.give_up(segment.first)
            ):
                self._done(seal, directory, segment, self.settings.compress)
        kept = list_segments(directory)
        size = sum(segment.size for segment in kept)
        with self._wanted:
            forgotten = self._forgotten.pop(directory, 0) if kept else 0
        gone = 0
        for segment, since in zip(kept, _ages(kept, self._now()), strict=True):
            too_old = self._now() - since > self.settings.log_age
            unneeded = forgotten and _end_of(directory, segment) <= forgotten + 1
            if not (too_old or unneeded or size > self.settings.task_log_bytes):
                break
            late = gone > 0 and self._is_late()
            if late or not self._remove(log, segment):
                if unneeded:
                    self.forget({directory: forgotten})
                elif late:
                    self.changed(directory)
                break
            size -= segment.size
            gone += 1
        self._left(directory, kept[gone:])
        return kept[gone:]

    def _left(self, directory: str, segments: list[Segment]) -> None:
        """Note what a log has now."""
        if segments:
            since = next(_ages(segments, self._now()))
            self._known[directory] = _Known(sum(segment.size for segment in segments), since)
        else:
            self._known.pop(directory, None)
            _remove_directory(directory)

    def _is_due(self, directory: str, segment: Segment, age: float) -> bool:
        """Whether a segment was last written that long ago; otherwise schedules a recheck for that time."""
        wait = min(segment.mtime - self._now() + age, age)
        if wait > 0:
            due = time.monotonic() + wait
            self._due[directory] = min(due, self._due.get(directory, due))
        return wait <= 0

    def _bound_all(self) -> bool:
        """Remove the oldest segments of all logs until their total is within bounds; returns whether there is
        more to remove."""
        if self._is_within():
            return False
        oldest_first = [(known.since, directory) for directory, known in self._known.items()]
        heapq.heapify(oldest_first)
        removed = False
        while oldest_first and not self._closed and not self._is_within():
            if removed and self._is_late():
                return True
            since, directory = heapq.heappop(oldest_first)
            if since == math.inf:
                return False
            segments = list_segments(directory)
            if segments and not self._remove(self._log_of(directory), segments[0]):
                self._known[directory] = self._known[directory]._replace(since=math.inf)
                continue
            removed = True
            self._left(directory, segments[1:])
            if left := self._known.get(directory):
                heapq.heappush(oldest_first, (left.since, directory))
        return False

    def _is_within(self) -> bool:
        """Whether all logs together are within their bounds."""
        self.room = self._has_room()
        return self.room and self.total <= self.settings.log_bytes

    def _remove(self, log: TaskLog, segment: Segment) -> bool:
        """Remove the oldest segment of a log, unless it is in use, or that fails."""
        if segment.last and not log.give_up(segment.first):
            log.begin_segment()
            return False
        if not self._done(remove, log.directory, segment):
            return False
        self._pause()
        return True

    def _has_room(self) -> bool:
        try:
            found = os.statvfs(self._root)
        except OSError:
            return True
        return bool(found.f_bavail >= found.f_blocks * self.settings.min_free / 100)

    def _now(self) -> float:
        """The start's wall clock, advanced by the monotonic one, so setting the clock removes nothing."""
        return self._wall + time.monotonic() - self._monotonic

    def _done(self, work: Callable[..., object], directory: str, *args: object) -> bool:
        """Whether some work on a directory succeeded; what fails there is logged once."""
        try:
            work(directory, *args)
        except (OSError, ValueError, ImportError) as error:
            if directory not in self._complained:
                self._complained.add(directory)
                _log.warning("the log in %s: %s", directory, error)
            return False
        self._complained.discard(directory)
        return True


def _end_of(directory: str, segment: Segment) -> int:
    """A seq above those of all lines of a segment."""
    if not segment.last:
        return segment.below
    try:
        with Opened(directory, segment) as opened:
            return opened.index.end
    except OSError:
        return sys.maxsize  # unknown


def _ages(segments: list[Segment], now: float) -> Iterator[float]:
    """The time of each segment, in the order of their lines, whatever the clock did: one counts as no older
    than the one before it, and one from the future as old as the one after it."""
    times: list[float] = []
    for segment in reversed(segments):
        later = times[-1] if times else now
        times.append(segment.mtime if segment.mtime <= now else later)
    return itertools.accumulate(reversed(times), max)


def _remove_directory(directory: str) -> None:
    """Remove a log's directory with what a crash has left in it, unless it is being written again."""
    with suppress(OSError):
        if not list_segments(directory):
            for path in Path(directory).iterdir():
                if path.suffix in (".new", ".idx", ".runs") or path.name == "task_id":
                    path.unlink()
        os.rmdir(directory)  # noqa: PTH106
