"""Resource usage of whole runs, from passes over /proc that concurrent callers share.

A run's processes are those that its stop would end: the leader, those that show the run's id, descendants of
members, members of sessions opened within the run, and orphans that write to its pipes. A process is
attributed once and the result kept, so that a pass reads one small file for each; most say the same as in the
pass before, and then nothing else is done.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any, NamedTuple

from overseer.process.finder import new_scanner
from overseer.process.registry import Entry, registry
from overseer.process.standalone.tree import (
    all_pids,
    is_headless,
    other_threads,
    read_outputs,
    read_stat,
    stat_fields,
)
from overseer.util.locks import Rank, assert_none_held, lock

_TICK = 1 / os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_INEXACT = 1024  # KiB by which the system's own figures may differ
_HANDED_OVER = ("parent", "session", "cpu", "children_cpu", "start", "rss", "threads", "io")  # of a process
_IO_PASSES = 5  # after which the disk I/O of an idle process is read again


@dataclass(frozen=True, slots=True)
class Usage:
    """A run's resource usage, as of one pass.

    Attributes:
        at: when (monotonic, seconds).
        cpu: CPU seconds since the run began, ended processes included; never falls.
        percent: of one CPU, since the previous pass; None: this was the first.
        rss: resident bytes; shared pages count once for each process.
        processes, threads: their numbers.
        read_bytes, write_bytes: disk I/O since the run began; None: not readable.
    """

    at: float
    cpu: float
    percent: float | None
    rss: int
    processes: int
    threads: int
    read_bytes: int | None = None
    write_bytes: int | None = None


class Rusage(NamedTuple):
    """What is used of a process's ``struct_rusage``: CPU seconds, and KiB."""

    ru_utime: float
    ru_stime: float
    ru_maxrss: int


class _Process:
    """A process as of one pass; CPU in ticks."""

    __slots__ = (
        "children_cpu",
        "cpu",
        "headless",
        "io",
        "parent",
        "pid",
        "rss",
        "session",
        "start",
        "stat",
        "threads",
    )

    def __init__(self, pid: int, stat: bytes) -> None:
        self.pid = pid
        self.stat = stat  # what /proc/PID/stat said
        fields = stat_fields(stat)  # proc(5): beginning with field 3
        self.parent = int(fields[1])
        self.session = int(fields[3])
        self.cpu = int(fields[11]) + int(fields[12])
        self.children_cpu = int(fields[13]) + int(fields[14])  # of waited-for descendants
        self.start = int(fields[19])
        exited = fields[0] in (b"Z", b"X")  # its main thread
        self.headless = exited and is_headless(fields)
        self.threads = 0 if exited and not self.headless else int(fields[17]) - self.headless
        self.rss = _rss_of_threads(pid) if self.headless else int(fields[21]) * _PAGE  # 0 of a zombie
        self.io: tuple[int, int] | None = None  # bytes read and written, if readable

    @classmethod
    def restored(cls, pid: int, values: Sequence[Any]) -> _Process:
        process = cls.__new__(cls)
        process.pid = pid
        for name, value in zip(_HANDED_OVER, values, strict=True):
            setattr(process, name, value)
        process.io = process.io and (process.io[0], process.io[1])
        return process

    def export(self) -> list[Any]:
        return [getattr(self, name) for name in _HANDED_OVER]


class _Run:
    """The accumulated figures of one run."""

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
        """Add what a pass found, which updates :attr:`last`."""
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
        """Fill in the disk I/O of these, which go to the next :meth:`add`."""
        for pid, process in members.items():
            before = self.members.get(pid)
            # A process that used no CPU did next to no I/O, so its figures can wait for a later pass.
            if (
                before is not None
                and (before.start, before.cpu) == (process.start, process.cpu)
                and self._passes % _IO_PASSES
            ):
                process.io = before.io
            elif process.threads:
                process.io = _read_io(pid)

    def _sum_of_io(self) -> tuple[int, int] | tuple[None, None]:
        """The sum over all members, or the last one where it would fall: a process may end unwaited for."""
        known = [process.io for process in self.members.values() if process.io is not None]
        if known:
            most = self.io or (0, 0)
            self.io = max(most[0], sum(io[0] for io in known)), max(most[1], sum(io[1] for io in known))
        return self.io if self.io is not None else (None, None)

    def _gained(self, members: dict[int, _Process]) -> int:
        """Ticks of CPU used since the last pass, as far as the system has kept them.

        A process's CPU time passes to the parent that waits for it. So a parent's gain from its children is
        counted, less what was counted while they lived.
        """
        if members == self.members:  # they are the same objects, so nothing has changed
            return 0
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
        """The run's CPU seconds, given those of its leader, waited-for children included."""
        leader = self.members.get(self.leader)
        known = 0 if leader is None else leader.cpu + leader.children_cpu
        others = sum(each.cpu + each.children_cpu for each in self.members.values() if each is not leader)
        counted = self.ticks * _TICK
        return max(counted, leaders, counted + leaders - (known + others) * _TICK)

    @classmethod
    def restored(cls, data: Mapping[str, Any]) -> _Run:
        run = cls(data["leader"])
        run.ticks, run.peak, run._passes = data["ticks"], data["peak"], data["passes"]
        run.io = data["io"] and tuple(data["io"])
        run.last = Usage(*data["last"]) if data["last"] else None
        run.members = {
            int(pid): _Process.restored(int(pid), values) for pid, values in data["members"].items()
        }
        return run

    def export(self) -> dict[str, Any]:
        return {
            "leader": self.leader,
            "ticks": self.ticks,
            "peak": self.peak,
            "io": self.io,
            "passes": self._passes,
            "last": self.last and astuple(self.last),
            "members": {str(pid): process.export() for pid, process in self.members.items()},
        }


class UsageMeter:
    """Measures all runs of this process. Thread-safe; costs nothing while unused."""

    def __init__(self) -> None:
        # Guards the fields below; notified when a pass is over.
        self._lock = lock(Rank.PROCESSES, "usage")
        self._passed = threading.Condition(self._lock)
        self._passing = False
        self._runs: dict[str, _Run] = {}
        self._at = float("-inf")  # of the last pass
        # Used by the one thread in a pass, by pid: each process, and its start and run; "" for no run's.
        self._processes: dict[int, _Process] = {}
        self._owners: dict[int, tuple[int, str]] = {}
        self._scanner = new_scanner()
        self._own_peak = 0  # KiB, when it was last read

    def measure(self, max_age: float = 0.0) -> dict[str, Usage]:
        """Each run's usage, by run id, from a pass at most ``max_age`` seconds old.

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
            entries = registry.spawned_entries()
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

    def end(self, run: str, leader: Rusage) -> tuple[float, int | None]:
        """A run's CPU seconds, and its peak memory in bytes (None: unknown).

        A process's own peak starts from its parent's at the spawn, so one no greater than this process's says
        nothing.

        Args:
            leader: the rusage of its leader, from wait4.
        """
        with self._lock:
            known = self._runs.pop(run, None)
        seconds = leader.ru_utime + leader.ru_stime
        peak = leader.ru_maxrss * 1024 if self._is_its_own(leader.ru_maxrss) else 0
        if known is not None:
            seconds, peak = known.total(seconds), max(peak, known.peak)
        return seconds, peak or None

    def export(self) -> dict[str, Any]:
        """What the runs have used up to the last pass, for another program."""
        with self._passed:
            return {name: run.export() for name, run in self._runs.items()}

    def restore(self, data: Mapping[str, Any]) -> None:
        """Go on where another program's has been; once the registry is that one's."""
        self._scanner = new_scanner()
        for name, said in data.items():
            run = self._runs[name] = _Run.restored(said)
            self._owners.update((pid, (process.start, name)) for pid, process in run.members.items())

    def _is_its_own(self, peak: int) -> bool:
        """Whether a child reached a peak (KiB) by itself, as it is above this process's."""
        if peak <= self._own_peak:  # it never falls, so the last reading often suffices
            return False
        self._own_peak = _peak_of_this_process() + _INEXACT
        return peak > self._own_peak

    def _pass(self, entries: Collection[Entry]) -> dict[str, dict[int, _Process]]:
        """The members of each run, by pid."""
        me, home = os.getpid(), os.getsid(0)
        leaders = {entry.pid: entry.run for entry in entries}
        members: dict[str, dict[int, _Process]] = {entry.run: {} for entry in entries}
        self._processes = {
            pid: self._process(pid, stat) for pid in all_pids() if (stat := read_stat(pid)) is not None
        }
        # Parents before their children.
        processes = sorted(self._processes.values(), key=lambda process: process.start)
        owners: dict[int, tuple[int, str]] = {}
        sessions: dict[int, str] = {}

        def claim(process: _Process, run: str) -> None:
            owners[process.pid] = process.start, run
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
            run = sessions.get(process.session) or owners.get(process.parent, (-1, ""))[1]
            known = self._owners.get(process.pid)
            settled = True
            if not run and (known is None or known[0] != process.start):
                found = self._scanner.read(process.pid)
                if found is None:
                    continue
                run = found.run if found.run in members else ""
                settled = found.zombie or not found.blank  # it may be in the middle of an execve: recheck
            if not run and process.parent == me and process.pid not in registry.children():
                links = set(read_outputs(process.pid, process.headless))
                run = next((entry.run for entry in entries if links & entry.pipes), "")
            if run:
                claim(process, run)
            elif settled:
                owners[process.pid] = process.start, ""
        self._owners = owners
        return members

    def _process(self, pid: int, stat: bytes) -> _Process:
        """The process of this pid, the one of the last pass if nothing has changed."""
        before = self._processes.get(pid)
        # A process without its main thread has other figures in other files.
        return before if before and before.stat == stat and not before.headless else _Process(pid, stat)


def _peak_of_this_process() -> int:
    """In KiB. That of getrusage would start from the peak of this process's parent."""
    with open("/proc/self/status", "rb") as file:  # noqa: PTH123
        return next((int(line.split()[1]) for line in file if line.startswith(b"VmHWM:")), 0)


def _rss_of_threads(pid: int) -> int:
    """Resident bytes of a process whose main thread has exited, as its other threads show them."""
    for folder in other_threads(pid):
        try:
            with open(f"{folder}/statm", "rb") as file:  # noqa: PTH123
                return int(file.read().split()[1]) * _PAGE
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return 0


def _read_io(pid: int) -> tuple[int, int] | None:
    """Bytes that a process and its waited-for children read from and wrote to disk; None: not readable."""
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
