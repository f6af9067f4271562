"""What this server runs: its own children, and looks at /proc that concurrent stops share.

Every leader is entered here before it is spawned and leaves when nothing of its run is left to end, so that
orphans can be told from leaders and a new guardian can be given the whole list.
"""

from __future__ import annotations

import hashlib
import logging
import os
import threading
import time
from collections.abc import Container, Iterator
from dataclasses import dataclass, replace

from overseer.process.policy import StopPolicy
from overseer.process.standalone import cgroups
from overseer.process.standalone.tree import (
    Process,
    Scanner,
    Snapshot,
    Tree,
    children,
    read_outputs,
    read_process,
    thread_children,
)
from overseer.util.ids import new_id
from overseer.util.locks import Rank, assert_none_held, lock

_log = logging.getLogger(__name__)

_CHASE_S = 0.02
_ORPHAN_LOOKS = 4


@dataclass(slots=True)
class Entry:
    """One run that is being spawned or lives; what a guardian must know of it."""

    run: str
    policy: StopPolicy
    pid: int = 0  # 0 until it is spawned
    pipes: frozenset[str] = frozenset()  # where it writes, as in /proc/PID/fd
    cgroup: str = ""  # directory of its own one
    tty: str = ""  # path of its own terminal, which is where it writes, too

    @property
    def kill_mode(self) -> str:
        """What a stop ends: a shell with a terminal has a group for each of its jobs."""
        mode = self.policy.kill_mode
        return "session" if self.tty and mode == "group" else mode


class Registry:
    """All runs of this process."""

    def __init__(self) -> None:
        self.server_id = new_id()
        me = read_process(os.getpid())
        self.since = me.start if me is not None else 0  # clock ticks since boot
        self._key = os.urandom(16)
        self._scanner = Scanner(self.server_id, self.since)  # used by the one that looks
        # Guards all below; notified when a look at /proc is over.
        self._looked = threading.Condition(lock(Rank.PROCESSES, "processes"))
        self._entries: dict[str, Entry] = {}
        self._spawning = 0  # entries without a pid
        self._children: set[int] = set()  # pids that somebody here waits for: leaders and the guardian
        self.adopting = False  # orphans are handed to this process, so all that a run leaves descends from it
        self._looking = False
        self._looks_begun = 0
        self._look_done = 0  # number of the look that _last came from
        self._last = Snapshot(())

    def new_run_id(self) -> str:
        """A run's id that :meth:`issued` recognises without a list of them."""
        head = new_id()[:16]
        return head + self._tag(head)

    def issued(self, run: str) -> bool:
        """Whether this is the id of a run of this process; a process may show another that it was given."""
        return run[16:] == self._tag(run[:16])

    def _tag(self, head: str) -> str:
        return hashlib.blake2b(head.encode(), key=self._key, digest_size=8).hexdigest()

    def enter(self, entry: Entry) -> None:
        """Before the spawn."""
        with self._looked:
            self._entries[entry.run] = entry
            self._spawning += 1

    def spawned(self, entry: Entry, pid: int, pipes: frozenset[str]) -> None:
        """The leader is there."""
        with self._looked:
            entry.pid = pid
            entry.pipes = pipes
            self._children.add(pid)
            self._spawning -= 1

    def leave(self, entry: Entry) -> None:
        """Nothing of the run is left to end, and its leader is reaped; or the spawn failed."""
        with self._looked:
            self._entries.pop(entry.run, None)
            if not entry.pid:
                self._spawning -= 1
            self._children.discard(entry.pid)

    def entries(self) -> list[Entry]:
        """All runs, as they are now."""
        with self._looked:
            return [replace(entry) for entry in self._entries.values()]

    def spawning(self) -> bool:
        """Whether there is a run whose leader is not known yet."""
        with self._looked:
            return self._spawning > 0

    def add_child(self, pid: int) -> None:
        """A child of another kind (the guardian), to be left alone."""
        with self._looked:
            self._children.add(pid)

    def discard_child(self, pid: int) -> None:
        """It was reaped."""
        with self._looked:
            self._children.discard(pid)

    def has_child(self, pid: int) -> bool:
        """Whether somebody here waits for this process."""
        with self._looked:
            return pid in self._children

    def children(self) -> set[int]:
        """The pids that somebody here waits for."""
        with self._looked:
            return set(self._children)

    def look(self) -> Snapshot:
        """All processes that can be a run's, from a pass over /proc that began after this call.

        Callers that come together share one pass.

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

    def is_alone(self, leader: int, tree: Tree, *, dead: bool = False) -> bool:
        """Whether the run surely has no process but its leader: that has no child, and nobody is orphaned.

        ``dead``: the leader is, so its children are orphans. Does not wait, unlike :meth:`look`. Raises
        OSError for lack of file descriptors or memory.
        """
        # Its children first: whoever they leave meanwhile is among the orphans by then.
        childless = self.adopting and (dead or tree.group_over or not children(leader))
        return childless and not self._orphans()

    def _orphans(self) -> set[int]:
        """Those handed to this process, and other children that no run has.

        The kernel may leave one out of the list when another is reaped while it is read, so it takes two
        lists in a row without any to say that there is none. A leader may have been reaped since it was
        listed.
        """
        orphans: set[int] = set()
        empty = 0
        for _ in range(_ORPHAN_LOOKS):
            listed = set(adopted_children())
            with self._looked:
                orphans = listed - self._children
            empty = 0 if orphans else empty + 1
            if empty == 2:
                break
        return orphans

    def find(self, tree: Tree, leader: int, pipes: Container[str], cgroup: str = "") -> list[Process]:
        """The live processes of a run but its leader; ``pipes`` and ``cgroup`` are as in its Entry.

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
            # An orphan in a session of its own that shows no run; what it writes still comes to us.
            for process in snapshot.children.get(os.getpid(), ()):
                known = process.run in runs or process.zombie or process.pid in spared
                if not known and any(link in pipes for link in read_outputs(process.pid)):
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
        """One that lives of a run whose processes come and go faster than a look at all of them.

        Whoever's parent does not live longer has been handed to this process, whose children are few.
        """
        scanner = Scanner(self.server_id, self.since)
        others: set[int] = set()
        end = time.monotonic() + _CHASE_S
        while time.monotonic() < end:
            for pid in adopted_children():
                if pid in others or pid in spared:
                    continue
                process = scanner.read(pid)
                if process is not None and process.run == run:
                    return [process]
                if process is not None and not process.blank:
                    others.add(pid)
        return []


def _lives(process: Process) -> bool:
    current = read_process(process.pid)
    return current is not None and current.start == process.start and not current.zombie


def adopted_children() -> list[int]:
    """The children among which the adopted ones are: they are handed to the main thread.

    Raises:
        OSError: the kernel does not tell.
    """
    return thread_children(os.getpid(), os.getpid())


registry = Registry()
