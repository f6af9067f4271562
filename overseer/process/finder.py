"""Finds the processes of runs: in scans of /proc that concurrent stops share, and among this one's children.

What a run leaves behind is handed to this process's main thread, if it is a subreaper.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Container, Iterator

from overseer.process.registry import registry
from overseer.process.standalone import cgroups
from overseer.process.standalone.tree import (
    WHOLE,
    Process,
    Scanner,
    Snapshot,
    Tree,
    children,
    read_outputs,
    read_process,
    thread_children,
)
from overseer.util.locks import Rank, assert_none_held, lock

_CHASE_S = 0.02
_ORPHAN_LOOKS = 4
_HIGHEST = 64  # ancestors that are looked at


class Finder:
    """See the module."""

    def __init__(self) -> None:
        self.adopting = False  # this process is a subreaper, so whatever a run leaves descends from it
        # The list of the main thread's children, kept open, as each stop looks at it; and whose list it is.
        self._adopted_fd = -1
        self._adopted_by = 0
        # When the last look for orphans began that found none at all (monotonic). Replaced as a whole.
        self._none_at = float("-inf")
        # Guards the fields below; notified when a scan of /proc is over.
        self._looked = threading.Condition(lock(Rank.PROCESSES, "scans"))
        self._looking = False
        self._looks_begun = 0
        self._look_done = 0  # number of the scan that _last came from
        self._last = Snapshot(())
        self._scanner: Scanner | None = None  # used by the one thread that scans

    def adopt(self) -> None:
        """This process has become a subreaper."""
        self._adopted_by = pid = os.getpid()
        try:
            self._adopted_fd = os.open(f"/proc/{pid}/task/{pid}/children", os.O_RDONLY | os.O_CLOEXEC)
            self.adopting = True
        except OSError:  # not every kernel lists children
            self.adopting = False

    def adopted(self) -> list[int]:
        """The main thread's children, which include all adopted ones.

        Raises:
            OSError: the kernel does not list them.
        """
        pid = os.getpid()
        if self._adopted_fd >= 0 and pid == self._adopted_by:
            text = os.pread(self._adopted_fd, 1 << 16, 0)
            if len(text) < WHOLE:
                return list(map(int, text.split()))
        return thread_children(pid, pid)

    def look(self) -> Snapshot:
        """All processes that can be a run's, from a scan of /proc that began after this call.

        Concurrent callers share one scan.

        Raises:
            OSError: /proc cannot be read, for lack of file descriptors most likely.
        """
        assert_none_held("a look at /proc")
        with self._looked:
            wanted = self._looks_begun + 1
            while self._look_done < wanted:
                if not self._looking:
                    self._looking = True
                    self._looks_begun += 1
                    number = self._looks_begun
                    break
                self._looked.wait()
            else:
                return self._last
        snapshot = None
        try:
            if self._scanner is None:
                self._scanner = new_scanner()
            snapshot = self._scanner.scan()
        finally:
            with self._looked:
                self._looking = False
                if snapshot is not None:
                    self._last, self._look_done = snapshot, number
                self._looked.notify_all()
        return snapshot

    def is_alone(self, leader: int, tree: Tree, since: float, *, dead: bool = False) -> bool:
        """Whether the leader is certainly the run's only process: no children, and no orphans.

        ``since``: a look for orphans that began after that (monotonic) will do, so that many stops at once
        share one. ``dead``: the leader is dead, so its children are orphans. Does not wait, unlike
        :meth:`look`. Raises OSError for lack of file descriptors or memory.
        """
        # Its children first: what they leave meanwhile is among the orphans by then.
        childless = self.adopting and (dead or tree.group_over or not children(leader))
        return childless and (self._none_at > since or not self._orphans(leader))

    def _orphans(self, leader: int) -> set[int]:
        """Adopted orphans, and other children that are neither leaders nor the guardian. What is older than
        the leader is not among them, since it was there before the run.

        The kernel may skip a child when another is reaped while the list is read, so only two empty lists in
        a row mean that there is none. A leader may be reaped, or spawned, while they are read.
        """
        begun = time.monotonic()
        orphans: set[int] = set()
        none = True
        empty = 0
        for _ in range(_ORPHAN_LOOKS):
            orphans = self._strangers()
            if orphans:
                none = False
                began = _start_of(leader) or 0
                orphans = {
                    pid
                    for pid in orphans - registry.children()
                    if (start := _start_of(pid)) is not None and start >= began
                }
            empty = 0 if orphans else empty + 1
            if empty == 2:
                break
        if none:
            self._none_at = begun
        return orphans

    def _strangers(self) -> set[int]:
        """Adopted children that this program does not wait for, nor did a moment ago."""
        found = self.adopted()
        if registry.has_children(found):
            return set()
        before = registry.children()
        return set(self.adopted()) - before

    def find(self, tree: Tree, leader: int, pipes: Container[str], cgroup: str = "") -> list[Process]:
        """The live processes of a run except its leader; ``pipes`` and ``cgroup`` are as in its Entry.

        Raises:
            OSError: as :meth:`look`.
        """
        snapshot = self.look()
        spared = registry.children()
        spared.discard(leader)
        spared.add(os.getpid())
        runs = registry.runs()

        def adopted() -> Iterator[Process]:
            # An orphan in a session of its own that shows no run id but writes to the run's pipes.
            for process in snapshot.children.get(os.getpid(), ()):
                known = process.run in runs or process.zombie or process.pid in spared
                if not known and any(link in pipes for link in read_outputs(process.pid, process.headless)):
                    yield process
            for pid in cgroups.members(cgroup) if cgroup else ():
                if pid in snapshot.processes:
                    yield snapshot.processes[pid]

        found = [process for process in tree.find(snapshot, spared, adopted()) if process.pid != leader]
        settled = any(map(_lives, found)) if found else snapshot.settled
        if tree.mode != "tree" or settled:
            return found
        return self._chase(tree.run, spared | {leader}) or found

    def _chase(self, run: str, spared: Container[int]) -> list[Process]:
        """A live process of a run whose processes come and go faster than a full scan.

        One whose parent is dead has been adopted by this process, whose children are few and quickly read.
        """
        scanner = new_scanner()
        others: set[int] = set()
        end = time.monotonic() + _CHASE_S
        while time.monotonic() < end:
            for pid in self.adopted():
                if pid in others or pid in spared:
                    continue
                process = scanner.read(pid)
                if process is not None and process.run == run:
                    return [process]
                if process is not None and not process.blank:
                    others.add(pid)
        return []


def new_scanner() -> Scanner:
    """A scanner for this server's runs."""
    return Scanner(registry.server_id, registry.since)


def _start_of(pid: int) -> int | None:
    """In clock ticks since boot; None if there is no such process."""
    process = read_process(pid)
    return None if process is None else process.start


def _lives(process: Process) -> bool:
    current = read_process(process.pid)
    return current is not None and current.start == process.start and not current.zombie


def belongs(pid: int, run: str) -> bool | None:
    """Whether a process belongs to a run of this server; None: it is gone, or /proc does not tell.

    It is in the session or group of the run's leader, or descends from it, or carries the run's id.
    """
    leader = next((entry.pid for entry in registry.entries() if entry.run == run), 0)
    try:
        process = read_process(pid)
        if process is None:
            return None
        found = new_scanner().read(pid)
        if found is not None and found.run:
            return found.run == run
        for _ in range(_HIGHEST):
            if leader and leader in (process.pid, process.session, process.group):
                return True
            parent = read_process(process.parent) if process.parent > 1 else None
            if parent is None:
                return False
            process = parent
    except OSError:  # no file descriptor left
        return None
    return False


def has_forked() -> bool:
    """Whether the calling thread has children. When it ends the main thread gets them, and then each stop
    finds them there when it looks for orphans."""
    try:
        return bool(thread_children(os.getpid(), threading.get_native_id()))
    except OSError:
        return False


finder = Finder()
