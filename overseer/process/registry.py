"""The runs of this server, its other children, and scans of /proc that concurrent stops share.

Every run is entered here before its leader is spawned, and leaves when nothing of it is left to end, so that
orphans can be told from leaders and a new guardian can be given the whole list.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, replace

from overseer.process.policy import StopPolicy
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
from overseer.util.hashes import blake2b
from overseer.util.ids import new_id
from overseer.util.locks import Rank, assert_none_held, lock

_CHASE_S = 0.02
_ORPHAN_LOOKS = 4


@dataclass(slots=True)
class Entry:
    """What a guardian must know of a run that is being spawned or lives."""

    run: str
    policy: StopPolicy
    pid: int = 0  # 0 until it is spawned
    pipes: frozenset[str] = frozenset()  # where it writes, as in /proc/PID/fd
    cgroup: str = ""  # the directory of its own one
    tty: str = ""  # the path of its own terminal, which it also writes to

    @property
    def kill_mode(self) -> str:
        """What a stop ends; with a terminal, the whole session, as a shell puts each job in its own group."""
        mode = self.policy.kill_mode
        return "session" if self.tty and mode == "group" else mode


class Registry:
    """All runs of this process."""

    def __init__(self) -> None:
        self.server_id = new_id()
        me = read_process(os.getpid())
        self.since = me.start if me is not None else 0  # clock ticks since boot
        self._key = os.urandom(16)
        self._adopted = _MainChildren()
        self._scanner = Scanner(self.server_id, self.since)  # used by the one thread that scans
        # Guards the fields below; notified when a scan of /proc is over.
        self._looked = threading.Condition(lock(Rank.PROCESSES, "processes"))
        self._entries: dict[str, Entry] = {}
        self._spawning = 0  # entries without a pid
        self._children: set[int] = set()  # pids that this program waits for: leaders and the guardian
        self.adopting = False  # this process is a subreaper, so whatever a run leaves descends from it
        self._looking = False
        self._looks_begun = 0
        self._look_done = 0  # number of the scan that _last came from
        self._last = Snapshot(())
        # When the last look for orphans began that found none at all (monotonic). Replaced as a whole.
        self._none_at = float("-inf")

    def export(self) -> dict[str, str]:
        """By what this server's runs are known."""
        return {"server_id": self.server_id, "key": self._key.hex()}

    def restore(self, data: Mapping[str, str]) -> None:
        """Be the server that has exported this; before there is any run."""
        self.server_id = data["server_id"]
        self._key = bytes.fromhex(data["key"])
        self._scanner = Scanner(self.server_id, self.since)

    def new_run_id(self) -> str:
        """A run id that :meth:`issued` recognises without a list."""
        head = new_id()[:16]
        return head + self._tag(head)

    def issued(self, run: str) -> bool:
        """Whether this process issued the run id: anything may stand in a process's environment."""
        return run[16:] == self._tag(run[:16])

    def _tag(self, head: str) -> str:
        return blake2b(head.encode(), key=self._key, digest_size=8).hexdigest()

    def enter(self, entry: Entry) -> None:
        """Enter a run, before it is spawned."""
        with self._looked:
            self._entries[entry.run] = entry
            self._spawning += 1

    def spawned(self, entry: Entry, pid: int, pipes: frozenset[str]) -> None:
        """Note the run's leader."""
        with self._looked:
            entry.pid = pid
            entry.pipes = pipes
            self._children.add(pid)
            self._spawning -= 1

    def leave(self, entry: Entry) -> None:
        """Remove a run that is over, its leader reaped, or whose spawn failed."""
        with self._looked:
            self._entries.pop(entry.run, None)
            if not entry.pid:
                self._spawning -= 1
            self._children.discard(entry.pid)

    def entries(self) -> list[Entry]:
        """Copies of all entries."""
        with self._looked:
            return [replace(entry) for entry in self._entries.values()]

    def spawning(self) -> bool:
        """Whether there is a run whose leader is not known yet."""
        with self._looked:
            return self._spawning > 0

    def add_child(self, pid: int) -> None:
        """Register a child that is not a leader: the guardian."""
        with self._looked:
            self._children.add(pid)

    def discard_child(self, pid: int) -> None:
        """Forget a child that has been reaped."""
        with self._looked:
            self._children.discard(pid)

    def has_child(self, pid: int) -> bool:
        """Whether this program waits for the process."""
        with self._looked:
            return pid in self._children

    def children(self) -> set[int]:
        """The pids that this program waits for."""
        with self._looked:
            return set(self._children)

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
                    for pid in orphans - self.children()
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
        with self._looked:
            if self._children.issuperset(found):
                return set()
        before = self.children()
        return set(self.adopted()) - before

    def adopt(self) -> None:
        """This process has become a subreaper."""
        self.adopting = self._adopted.open()  # not every kernel lists children

    def adopted(self) -> list[int]:
        """The main thread's children, which include all adopted ones.

        Raises:
            OSError: the kernel does not list them.
        """
        return self._adopted.read()

    def find(self, tree: Tree, leader: int, pipes: Container[str], cgroup: str = "") -> list[Process]:
        """The live processes of a run except its leader; ``pipes`` and ``cgroup`` are as in its Entry.

        Raises:
            OSError: as :meth:`look`.
        """
        snapshot = self.look()
        spared = self.children()
        spared.discard(leader)
        spared.add(os.getpid())
        with self._looked:
            runs = set(self._entries)

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
        scanner = Scanner(self.server_id, self.since)
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


def _start_of(pid: int) -> int | None:
    """In clock ticks since boot; None if there is no such process."""
    process = read_process(pid)
    return None if process is None else process.start


def _lives(process: Process) -> bool:
    current = read_process(process.pid)
    return current is not None and current.start == process.start and not current.zombie


class _MainChildren:
    """The list of this process's main thread's children, kept open: each stop looks at it."""

    def __init__(self) -> None:
        self._pid = 0
        self._file = -1

    def open(self) -> bool:
        """Returns whether the kernel has such lists."""
        self._pid = os.getpid()
        try:
            self._file = os.open(f"/proc/{self._pid}/task/{self._pid}/children", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return False
        return True

    def read(self) -> list[int]:
        """Raises OSError: the kernel does not list them."""
        pid = os.getpid()
        if self._file >= 0 and pid == self._pid:
            text = os.pread(self._file, 1 << 16, 0)
            if len(text) < WHOLE:
                return list(map(int, text.split()))
        return thread_children(pid, pid)


def has_forked() -> bool:
    """Whether the calling thread has children. When it ends the main thread gets them, and then each stop
    finds them there when it looks for orphans."""
    try:
        return bool(thread_children(os.getpid(), threading.get_native_id()))
    except OSError:
        return False


registry = Registry()
