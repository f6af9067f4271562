"""Retention of logs, in the background: seals and compresses segments, and removes the oldest.

It is notified of each segment or run that ends (:meth:`LogRetention.changed`), and scans everything now and
then for ages and for changes made by others. A failure is logged once, and retried the next time.
"""

from __future__ import annotations

import itertools
import logging
import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
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
_CANDIDATES = 1000  # oldest segments remembered from a full scan
_PAUSES = 9  # times as long as a removal took of the processor, after it, so that nothing else is held up
_LONGEST_PAUSE_S = 0.25
_PASS_S = 0.5  # after which logs that have changed meanwhile come first


class _Old(NamedTuple):
    """A candidate for removal; sorts by age."""

    since: float
    directory: str
    segment: Segment


class LogRetention:
    """One thread, started by the first change.

    Args:
        root: the directory of all logs.
        log_of: returns the log written to a directory, which is asked to let go of its last segment.
    """

    def __init__(
        self,
        root: str,
        settings: StorageConfig,
        log_of: Callable[[str], TaskLog],
    ) -> None:
        self.settings = settings
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
        self._sizes: dict[str, int] = {}  # of each directory
        self._oldest: list[_Old] = []  # oldest last
        self._beyond = math.inf  # no segment older than this is missing there
        self._complained: set[str] = set()
        self._due: dict[str, float] = {}  # when a log is due for another check (monotonic)
        self._until = math.inf  # when a pass is late (monotonic)
        self._exceeds = False  # the total exceeds its bounds, as a pass was late
        self._paused = 0.0  # processor time that the thread had used at its last rest
        self._wall, self._monotonic = time.time(), time.monotonic()

    @property
    def total(self) -> int:
        """Bytes of all logs, as far as known."""
        return sum(list(self._sizes.values()))

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
        due = min(self._due.values(), default=float("inf")) - time.monotonic()
        return max(0.0, min(due, _EVERYTHING_S if self.room else _FULL_S))

    def _take_due(self) -> dict[str, None]:
        moment = time.monotonic()
        due = {directory: None for directory, at in self._due.items() if at <= moment}
        for directory in due:
            del self._due[directory]
        return due

    def _look(self, changed: dict[str, None] | None) -> None:
        if changed is None:
            changed = self._all()
        self._until = time.monotonic() + _PASS_S
        left = deque(changed)
        try:
            while left and not self._closed:
                directory = left.popleft()
                segments = self._keep(directory)
                self._sizes[directory] = sum(segment.size for segment in segments)
                if not segments:
                    self._sizes.pop(directory)
                    _remove_directory(directory)
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
        present = set(found)
        self._sizes = {directory: size for directory, size in self._sizes.items() if directory in present}
        self._forget_oldest()
        for directory in found:
            with self._complaining(directory):
                tidy(directory)
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
        segments = list_segments(directory)
        for segment in segments:
            if segment.packed or (segment.sealed and self.settings.compress == "none") or self._closed:
                continue
            last = segment is segments[-1]
            if self._is_due(directory, segment, OLD_S if last else SETTLED_S) and (
                not last or log.give_up(segment.first)
            ):
                with self._complaining(directory):
                    seal(directory, segment, self.settings.compress)
        kept = list_segments(directory)
        if not kept:
            return []
        size = sum(segment.size for segment in kept)
        with self._wanted:
            forgotten = self._forgotten.pop(directory, 0)
        oldest_first = _by_age(directory, kept, self._now())
        gone = 0
        for old in oldest_first:
            too_old = self._now() - old.since > self.settings.log_age
            unneeded = forgotten and _end_of(directory, kept, gone) <= forgotten + 1
            if not (too_old or unneeded or size > self.settings.task_log_bytes):
                break
            late = gone > 0 and self._is_late()
            if late or not self._remove(log, old, kept[-1]):
                if unneeded:
                    self.forget({directory: forgotten})
                elif late:
                    self.changed(directory)
                break
            size -= old.segment.size
            gone += 1
        self._remember(directory, oldest_first[gone:])
        return kept[gone:]

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
        looked = removed = False
        while not self._closed:
            self.room = self._has_room()
            if self.total <= self.settings.log_bytes and self.room:
                return False
            if removed and self._is_late():
                return True
            if not self._oldest or self._oldest[-1].since > self._beyond:
                if looked and not self._oldest:
                    return False
                looked = True
                self._forget_oldest()
                for directory in list(self._sizes):
                    self._remember(directory, _by_age(directory, list_segments(directory), self._now()))
                if not self._oldest:
                    return False
            old = self._oldest.pop()
            segments = list_segments(old.directory)
            known = next((each for each in segments if each.first == old.segment.first), None)
            if known is None or known is not segments[0]:
                continue
            if self._remove(self._log_of(old.directory), old._replace(segment=known), segments[-1]):
                removed = True
                self._sizes[old.directory] = max(0, self._sizes.get(old.directory, 0) - known.size)
                if len(segments) == 1:
                    self._sizes.pop(old.directory, None)
                    _remove_directory(old.directory)
        return False

    def _forget_oldest(self) -> None:
        self._oldest = []
        self._beyond = math.inf

    def _remember(self, directory: str, old: list[_Old]) -> None:
        """What a directory has now takes the place of what it had."""
        others = (each for each in self._oldest if each.directory != directory)
        youngest_first = sorted([*others, *old], reverse=True)
        self._oldest = youngest_first[-_CANDIDATES:]
        if len(youngest_first) > _CANDIDATES:
            self._beyond = min(self._beyond, youngest_first[-_CANDIDATES - 1].since)

    def _remove(self, log: TaskLog, old: _Old, last: Segment) -> bool:
        if old.segment.first == last.first and not log.give_up(last.first):
            log.begin_segment()
            return False
        with self._complaining(old.directory):
            remove(old.directory, old.segment)
            self._pause()
            return True
        return False

    def _has_room(self) -> bool:
        try:
            found = os.statvfs(self._root)
        except OSError:
            return True
        return bool(found.f_bavail >= found.f_blocks * self.settings.min_free / 100)

    def _now(self) -> float:
        """The start's wall clock, advanced by the monotonic one, so setting the clock removes nothing."""
        return self._wall + time.monotonic() - self._monotonic

    def _complaining(self, directory: str) -> _Complaint:
        return _Complaint(directory, self._complained)


class _Complaint:
    """Context manager that logs a directory's failures, each once, and suppresses them."""

    def __init__(self, directory: str, said: set[str]) -> None:
        self._directory = directory
        self._said = said

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> bool:
        if error is None:
            self._said.discard(self._directory)
        elif isinstance(error, OSError | ValueError | ImportError):
            if self._directory not in self._said:
                self._said.add(self._directory)
                _log.warning("the log in %s: %s", self._directory, error)
            return True
        return False


def _end_of(directory: str, segments: list[Segment], number: int) -> int:
    """A seq above those of all lines of a segment."""
    if number + 1 < len(segments):
        return segments[number + 1].first
    try:
        with Opened(directory, segments[number]) as opened:
            return opened.index.end
    except OSError:
        return segments[number].first + 2**62  # unknown


def _by_age(directory: str, segments: list[Segment], now: float) -> list[_Old]:
    """Oldest first, in the order of their lines, whatever the clock did: a segment counts as no older than
    the one before it, and one from the future as old as the one after it."""
    times: list[float] = []
    for segment in reversed(segments):
        later = times[-1] if times else now
        times.append(segment.mtime if segment.mtime <= now else later)
    since = itertools.accumulate(reversed(times), max)
    return [_Old(*each) for each in zip(since, itertools.repeat(directory), segments)]


def _remove_directory(directory: str) -> None:
    """Remove a log's directory with what a crash has left in it, unless it is being written again."""
    with suppress(OSError):
        if not list_segments(directory):
            for path in Path(directory).iterdir():
                if path.suffix in (".new", ".idx", ".runs") or path.name == "task_id":
                    path.unlink()
        os.rmdir(directory)  # noqa: PTH106
