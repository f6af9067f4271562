"""The runs of this server, and its other children.

Every run is entered here before its leader is spawned, and leaves when nothing of it is left to end, so that
orphans can be told from leaders and a new guardian can be given the whole list.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from overseer.process.policy import StopPolicy
from overseer.process.standalone.tree import read_process
from overseer.util.dataclass_json import from_plain, to_plain
from overseer.util.hashes import blake2b
from overseer.util.ids import new_id
from overseer.util.locks import Rank, lock


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

    @classmethod
    def restored(cls, data: Mapping[str, Any]) -> Entry:
        """That of a run that lives, as another program has exported it; it must be entered."""
        return from_plain(cls, data)

    def export(self) -> dict[str, Any]:
        """What another program has to know of the run."""
        said: dict[str, Any] = to_plain(self)
        return {**said, "pipes": sorted(self.pipes)}


class Registry:
    """All runs of this process."""

    def __init__(self) -> None:
        self.server_id = new_id()
        me = read_process(os.getpid())
        self.since = me.start if me is not None else 0  # clock ticks since boot
        self._key = os.urandom(16)
        self._lock = lock(Rank.PROCESSES, "processes")  # guards the fields below
        self._entries: dict[str, Entry] = {}
        self._spawning = 0  # entries without a pid
        self._children: set[int] = set()  # pids that this program waits for: leaders and the guardian

    def export(self) -> dict[str, str]:
        """By what this server's runs are known."""
        return {"server_id": self.server_id, "key": self._key.hex()}

    def restore(self, data: Mapping[str, str]) -> None:
        """Be the server that has exported this; before there is any run."""
        self.server_id = data["server_id"]
        self._key = bytes.fromhex(data["key"])

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
        with self._lock:
            self._entries[entry.run] = entry
            self._spawning += 1

    def spawned(self, entry: Entry, pid: int, pipes: frozenset[str]) -> None:
        """Note the run's leader."""
        with self._lock:
            entry.pid = pid
            entry.pipes = pipes
            self._children.add(pid)
            self._spawning -= 1

    def leave(self, entry: Entry) -> None:
        """Remove a run that is over, its leader reaped, or whose spawn failed."""
        with self._lock:
            self._entries.pop(entry.run, None)
            if not entry.pid:
                self._spawning -= 1
            self._children.discard(entry.pid)

    def entries(self) -> list[Entry]:
        """Copies of all entries."""
        with self._lock:
            return [replace(entry) for entry in self._entries.values()]

    def spawned_entries(self) -> list[Entry]:
        """The entries of runs whose leader is known; these change no more."""
        with self._lock:
            return [entry for entry in self._entries.values() if entry.pid]

    def runs(self) -> set[str]:
        """The ids of all runs."""
        with self._lock:
            return set(self._entries)

    def spawning(self) -> bool:
        """Whether there is a run whose leader is not known yet."""
        with self._lock:
            return self._spawning > 0

    def add_child(self, pid: int) -> None:
        """Register a child that is not a leader: the guardian."""
        with self._lock:
            self._children.add(pid)

    def discard_child(self, pid: int) -> None:
        """Forget a child that has been reaped."""
        with self._lock:
            self._children.discard(pid)

    def has_child(self, pid: int) -> bool:
        """Whether this program waits for the process."""
        with self._lock:
            return pid in self._children

    def has_children(self, pids: Iterable[int]) -> bool:
        """Whether this program waits for all of these processes."""
        with self._lock:
            return self._children.issuperset(pids)

    def children(self) -> set[int]:
        """The pids that this program waits for."""
        with self._lock:
            return set(self._children)

registry = Registry()
