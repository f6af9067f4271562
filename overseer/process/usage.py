"""What runs use of the machine, their whole trees, from passes over /proc that all who ask share.

A run's processes are those that its stop would end: the leader, what shows the run's id, what descends from a
member, what shares a session that was opened within the run, and orphans that write to its pipes. Whose a
process is is found once and kept, so that a pass reads one small file for each.
"""

from __future__ import annotations

import os
import resource
import threading
import time
from collections.abc import Collection
from dataclasses import dataclass

from overseer.process.registry import Entry, registry
from overseer.process.standalone.tree import Scanner, read_outputs
from overseer.util.locks import Rank, assert_none_held, lock

_TICK = 1 / os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_STAT = 4096  # bytes; more than any has
_INEXACT = 1024  # KiB by which the system's figures may differ
_IO_PASSES = 5  # after how many the disk's figures of an idle process are read again


@dataclass(frozen=True, slots=True)
class Usage:
    """What a run used, as of one pass.

    Attributes:
        at: when (monotonic, seconds).
        cpu: seconds of CPU since the run began, ended processes included; never falls.
        percent: of one CPU, since the pass before; None: there was none.
        rss: bytes resident, now; pages that processes share count for each.
        processes, threads: now.
        read_bytes, write_bytes: from and to disks since the run began; None: the system does not let us know.
    """

    at: float
    cpu: float
    percent: float | None
    rss: int
    processes: int
    threads: int
    read_bytes: int | None = None
    write_bytes: int | None = None


class _Process:
    """One process as a pass found it; CPU in ticks."""

    __slots__ = ("children_cpu", "cpu", "io", "parent", "pid", "rss", "run", "session", "start", "threads")

    def __init__(self, pid: int, fields: list[bytes]) -> None:
        # proc(5), /proc/PID/stat: what follows the name begins with field 3.
        self.pid = pid
        self.parent = int(fields[1])
        self.session = int(fields[3])
        self.cpu = int(fields[11]) + int(fields[12])
        self.children_cpu = int(fields[13]) + int(fields[14])  # of those that it waited for, and theirs
        self.start = int(fields[19])
        zombie = fields[0] in (b"Z", b"X")
        self.threads = 0 if zombie else int(fields[17])
        self.rss = 0 if zombie else int(fields[21]) * _PAGE
        self.run = ""
        self.io: tuple[int, int] | None = None  # bytes read and written, if we may know


class _Run:
    """What is known of one run."""

    __slots__ = ("_passes", "io", "last", "leader", "members", "peak", "ticks")

    def __init__(self, leader: int) -> None:
        self.leader = leader
        self.members: dict[int, _Process] = {}  # as of the last pass
        self.ticks = 0  # of CPU, over all passes
        self.peak = 0  # the largest sum of rss, in bytes
        self.io: tuple[int, int] | None = None
        self.last: Usage | None = None
        self._passes = 0

    def add(self, members: dict[int, _Process], at: float) -> None:
        """Take over what a pass found; what it gives is :attr:`last`."""
        self.ticks += self._gained(members)
        self._passes += 1
        self.members = members
        rss = sum(process.rss for process in members.values())
        self.peak = max(self.peak, rss)
        before, cpu = self.last, self.ticks * _TICK
        percent = None
        if before is not None and at > before.at:
            percent = 100 * (cpu - before.cpu) / (at - before.at)
        alive = [process.threads for process in members.values() if process.threads]
        read, written = self._sum_of_io()
        self.last = Usage(at, cpu, percent, rss, len(alive), sum(alive), read, written)

    def read_io(self, members: dict[int, _Process]) -> None:
        """Fill in what these, whom the next :meth:`add` will take over, have read and written."""
        for pid, process in members.items():
            before = self.members.get(pid)
            # What used no CPU has read and written next to nothing: that is told a little later.
            if (
                before is not None
                and (before.start, before.cpu) == (process.start, process.cpu)
                and self._passes % _IO_PASSES
            ):
                process.io = before.io
            elif process.threads:
                process.io = _read_io(pid)

    def _sum_of_io(self) -> tuple[int, int] | tuple[None, None]:
        """What all have read and written. A sum falls when one ends that nobody waits for: then it stays."""
        known = [process.io for process in self.members.values() if process.io is not None]
        if known:
            most = self.io or (0, 0)
            self.io = max(most[0], sum(io[0] for io in known)), max(most[1], sum(io[1] for io in known))
        return self.io if self.io is not None else (None, None)

    def _gained(self, members: dict[int, _Process]) -> int:
        """Ticks of CPU that were used since the last pass, as far as the system has kept them.

        What a process used passes to the parent that waits for it. So what a parent gains by its children is
        counted, but for what had been counted while they lived.
        """
        gained = 0
        by_children: dict[int, int] = {}
        for pid, process in members.items():
            before = self.members.get(pid)
            if before is not None and before.start != process.start:
                before = None
            gained += process.cpu - (before.cpu if before is not None else 0)
            by_children[pid] = process.children_cpu - (before.children_cpu if before is not None else 0)
        for pid, ended in self.members.items():
            if pid in members and members[pid].start == ended.start:
                continue
            heir = ended.parent
            while heir not in members and heir in self.members:
                heir = self.members[heir].parent
            if heir in by_children:
                by_children[heir] -= ended.cpu + ended.children_cpu
        return gained + sum(max(0, ticks) for ticks in by_children.values())

    def total(self, leaders: float) -> float:
        """Seconds of CPU when its leader has used so many, those it waited for included."""
        leader = self.members.get(self.leader)
        known = 0 if leader is None else leader.cpu + leader.children_cpu
        others = sum(each.cpu + each.children_cpu for each in self.members.values() if each is not leader)
        counted = self.ticks * _TICK
        return max(counted, leaders, counted + leaders - (known + others) * _TICK)


class UsageMeter:
    """Measures all runs of this process. Safe from any thread; costs nothing while nobody asks."""

    def __init__(self) -> None:
        # Guards what is below; notified when a pass is over.
        self._passed = threading.Condition(lock(Rank.PROCESSES, "usage"))
        self._passing = False
        self._runs: dict[str, _Run] = {}
        self._at = float("-inf")  # of the last pass
        # Of the one that passes: whose processes are, by pid, with their starts; "" for nobody's.
        self._owners: dict[int, tuple[int, str]] = {}
        self._scanner = Scanner(registry.server_id, registry.since)
        self._own_peak = 0  # KiB, when it was last read

    def measure(self, max_age: float = 0.0) -> dict[str, Usage]:
        """What each run uses, by its id, from a pass no more than ``max_age`` seconds old.

        Raises:
            OSError: /proc cannot be read, for lack of file descriptors most likely.
        """
        assert_none_held("a look at /proc")
        with self._passed:
            asked = time.monotonic()
            while self._passing:
                self._passed.wait()
            if asked - self._at <= max_age:
                return {run: each.last for run, each in self._runs.items() if each.last is not None}
            self._passing = True
        try:
            entries = [entry for entry in registry.entries() if entry.pid]
            at = time.monotonic()
            members = self._pass(entries)
            runs = {entry.run: self._runs.get(entry.run) or _Run(entry.pid) for entry in entries}
            for name, run in runs.items():
                run.read_io(members[name])
            with self._passed:
                self._runs = runs
                for name, run in runs.items():
                    run.add(members[name], at)
                self._at = at
                return {run: each.last for run, each in self._runs.items() if each.last is not None}
        finally:
            with self._passed:
                self._passing = False
                self._passed.notify_all()

    def end(self, run: str, leader: resource.struct_rusage) -> tuple[float, int | None]:
        """Seconds of CPU that a run used, and the most memory in bytes (None: it cannot be told).

        The system's figure for a process begins with what its parent had when it was spawned, so one that is
        no greater than this process's own says nothing.

        Args:
            leader: what the system says of its leader, which was waited for.
        """
        with self._passed:
            known = self._runs.pop(run, None)
        seconds = leader.ru_utime + leader.ru_stime
        peak = leader.ru_maxrss * 1024 if self._is_its_own(leader.ru_maxrss) else 0
        if known is not None:
            seconds, peak = known.total(seconds), max(peak, known.peak)
        return seconds, peak or None

    def _is_its_own(self, peak: int) -> bool:
        """Whether a child has come to a peak (KiB) by itself, since it is above that of this process."""
        if peak <= self._own_peak:  # which never falls, so there is mostly no need to read it
            return False
        self._own_peak = _peak_of_this_process() + _INEXACT
        return peak > self._own_peak

    def _pass(self, entries: Collection[Entry]) -> dict[str, dict[int, _Process]]:
        """The members of each run, by pid."""
        me, home = os.getpid(), os.getsid(0)
        leaders = {entry.pid: entry.run for entry in entries}
        members: dict[str, dict[int, _Process]] = {entry.run: {} for entry in entries}
        processes = _all_processes()
        processes.sort(key=lambda process: process.start)  # parents before their children
        owners: dict[int, tuple[int, str]] = {}
        sessions: dict[int, str] = {}
        by_pid = {process.pid: process for process in processes}

        def claim(process: _Process, run: str) -> None:
            process.run = run
            members[run][process.pid] = process
            if process.session not in (0, home):
                sessions[process.session] = run

        unknown: list[_Process] = []
        for process in processes:
            start, run = self._owners.get(process.pid, (-1, ""))
            run = leaders.get(process.pid) or (run if start == process.start else "")
            if run in members:
                claim(process, run)
            elif process.start >= registry.since and process.pid != me:
                unknown.append(process)
        for process in unknown:
            parent = by_pid.get(process.parent)
            run = sessions.get(process.session) or (parent.run if parent is not None else "")
            known = self._owners.get(process.pid)
            settled = True
            if not run and (known is None or known[0] != process.start):
                found = self._scanner.read(process.pid)
                if found is None:
                    continue
                run = found.run if found.run in members else ""
                settled = found.zombie or not found.blank  # else it may be between two programs: ask again
            if not run and process.parent == me and process.pid not in registry.children():
                links = set(read_outputs(process.pid))
                run = next((entry.run for entry in entries if links & entry.pipes), "")
            if run:
                claim(process, run)
            elif settled:
                owners[process.pid] = process.start, ""
        for run, found_members in members.items():
            owners.update((pid, (process.start, run)) for pid, process in found_members.items())
        self._owners = owners
        return members


def _peak_of_this_process() -> int:
    """In KiB. The peak of getrusage would begin with that of who started this process."""
    with open("/proc/self/status", "rb") as file:  # noqa: PTH123
        return next((int(line.split()[1]) for line in file if line.startswith(b"VmHWM:")), 0)


def _all_processes() -> list[_Process]:
    found = []
    folder = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name in os.listdir(folder):  # noqa: PTH208
            if not name.isdecimal():
                continue
            try:
                fd = os.open(f"{name}/stat", os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder)
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
            try:
                text = os.read(fd, _STAT)
            except ProcessLookupError:
                continue
            finally:
                os.close(fd)
            # The name in parentheses may hold anything, parentheses and spaces too.
            found.append(_Process(int(name), text[text.rindex(b")") + 2 :].split(None, 22)))
    finally:
        os.close(folder)
    return found


def _read_io(pid: int) -> tuple[int, int] | None:
    """Bytes that a process and those it waited for read from and wrote to disks; None: we may not know."""
    try:
        fd = os.open(f"/proc/{pid}/io", os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    try:
        # proc(5): rchar, wchar, syscr, syscw, read_bytes, write_bytes, cancelled_write_bytes.
        values = os.read(fd, 1024).split()[1::2]
    except (ProcessLookupError, PermissionError):
        return None
    finally:
        os.close(fd)
    return int(values[4]), int(values[5])


usage_meter = UsageMeter()
