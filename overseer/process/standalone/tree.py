"""Which processes belong to a run, read from /proc.

A process belongs to a run when it

- carries the server's and the run's id in its environment, or
- is in the group of the run's leader, or
- was found before and is still alive, or
- descends from one that belongs, or shares a session that was opened within the run.

Each criterion misses something that the others find: an emptied environment, a setsid, a double fork.
Self-contained: the guardian loads this file without the package, so nothing here may import from it.
"""

from __future__ import annotations

import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator

SERVER_VARIABLE = "OVERSEER_SERVER_ID"
RUN_VARIABLE = "OVERSEER_RUN_ID"

_SERVER = b"\0" + SERVER_VARIABLE.encode() + b"="
_RUN = b"\0" + RUN_VARIABLE.encode() + b"="

_PF_FORKNOEXEC = 0x40
WHOLE = 4000  # bytes: a shorter answer of /proc, which gives a page at a time, is all there is
_LISTINGS = 20
_BLANK_LOOKS = 3


class Process:
    """A process as it was when it was read; ``pid`` and ``start`` together identify it for good."""

    __slots__ = ("blank", "forked", "group", "headless", "parent", "pid", "run", "session", "start", "zombie")

    def __init__(
        self,
        pid: int,
        parent: int,
        group: int,
        session: int,
        start: int,
        zombie: bool,
        run: str = "",
        forked: bool = False,
        headless: bool = False,
    ) -> None:
        self.pid = pid
        self.parent = parent
        self.group = group
        self.session = session
        self.start = start  # clock ticks since boot
        self.zombie = zombie  # no thread of it is left
        self.headless = headless  # its main thread has exited, others run
        self.run = run  # the run id in its environment, "" if it has none of this server's
        self.blank = False  # its environment is empty
        self.forked = forked  # it has not executed a program since its fork

    def __repr__(self) -> str:
        return f"<Process {self.pid} of {self.parent}, group {self.group}, session {self.session}>"


class Snapshot:
    """Every process that can be a run's, from one scan of /proc."""

    def __init__(self, processes: Iterable[Process], settled: bool = True) -> None:
        self.settled = settled  # False: new ones still appeared when the scan gave up
        self.processes: dict[int, Process] = {}
        self.children: dict[int, list[Process]] = {}
        self.groups: dict[int, list[Process]] = {}
        self.sessions: dict[int, list[Process]] = {}
        self.runs: dict[str, list[Process]] = {}
        for process in processes:
            self.processes[process.pid] = process
            self.children.setdefault(process.parent, []).append(process)
            self.groups.setdefault(process.group, []).append(process)
            self.sessions.setdefault(process.session, []).append(process)
            if process.run:
                self.runs.setdefault(process.run, []).append(process)


class Tree:
    """The criteria for one run's processes."""

    def __init__(self, run: str, group: int, mode: str, home: int) -> None:
        """``group``: the leader's pid, 0 if not known yet; ``mode``: tree, session (the leader's), group or
        leader; ``home``: the server's own session, which may hold unrelated processes."""
        self.run = run
        self.group = group
        self.mode = mode
        self.home = home
        self.group_over = False  # the leader was reaped, so its number may be reused
        self.known: dict[int, int] = {}  # pid to start of those found before

    def find(
        self,
        snapshot: Snapshot,
        spared: Container[int] = (),
        adopted: Iterable[Process] = (),
    ) -> list[Process]:
        """The live members, without the leader's zombie; ``spared`` pids are never included.

        ``adopted``: further processes known to be the run's; read in mode "tree" only.
        """
        if not self.group:
            marked = snapshot.runs.get(self.run, ())
            self.group = next((process.pid for process in marked if process.pid == process.group), 0)
        seeds: list[Process] = []
        # Until the leader is reaped its number is its own. Later it can be reused once the group is empty.
        if self.group and not (self.group_over and self.group in snapshot.processes):
            seeds += snapshot.groups.get(self.group, ())
            if self.mode == "session":  # its number is also the leader's
                seeds += [each for each in snapshot.sessions.get(self.group, ()) if each.group != self.group]
        if self.mode == "leader":
            seeds = [process for process in seeds if process.pid == self.group]
        elif self.mode == "tree":
            seeds += snapshot.runs.get(self.run, ())
            seeds += adopted
            for pid, start in self.known.items():
                process = snapshot.processes.get(pid)
                if process is not None and process.start == start:
                    seeds.append(process)
            seeds = self._spread(snapshot, seeds, spared)
            self.known = {process.pid: process.start for process in seeds}
        return [process for process in seeds if not process.zombie and process.pid not in spared]

    def _spread(self, snapshot: Snapshot, seeds: list[Process], spared: Container[int]) -> list[Process]:
        """The seeds, their descendants, and all of every session opened among them."""
        found: dict[int, Process] = {}
        sessions = {0, self.home}
        todo = seeds
        while todo:
            process = todo.pop()
            if process.pid in found or process.pid in spared:
                continue
            found[process.pid] = process
            todo += snapshot.children.get(process.pid, ())
            if process.session not in sessions:
                sessions.add(process.session)
                todo += snapshot.sessions.get(process.session, ())
        return list(found.values())


class Scanner:
    """Scans /proc; one scan at a time.

    A scan must not miss a chain of processes each of which starts the next and exits: /proc is listed until
    nothing new appears. And a process in the middle of an execve has no environment for a moment, so one
    without any is read again.
    """

    def __init__(self, server: str, since: int) -> None:
        """``since``: the server's own start in clock ticks since boot; what is older is no run's."""
        self._marker = _SERVER + server.encode() + b"\0"
        self._since = since
        self._buffer = bytearray()  # allocated on first use
        self._bare: set[tuple[int, int]] = set()  # pid and start of those that really have no environment

    def scan(self) -> Snapshot:
        """Every process that can be a run's.

        Raises:
            OSError: /proc cannot be read, for lack of file descriptors most likely.
        """
        seen: set[int] = set()
        found: dict[int, Process] = {}
        blank: list[Process] = []
        looks = 0  # at those with an empty environment
        settled = False
        for _ in range(_LISTINGS):
            fresh = all_pids() - seen
            if not fresh:
                settled = True
                break
            seen |= fresh
            blank = []
            for pid in fresh:
                process = self.read(pid)
                if process is None:
                    continue
                found[process.pid] = process
                # Kernel threads, which have no group, come and go, too.
                if process.blank and process.group and (process.pid, process.start) not in self._bare:
                    blank.append(process)
            if blank and looks < _BLANK_LOOKS:
                # Most likely in the middle of an execve. It is read again after another listing, which will
                # have what it may fork meanwhile.
                looks += 1
                time.sleep(0.001)
                seen -= {process.pid for process in blank}
        self._bare &= {(process.pid, process.start) for process in found.values() if process.blank}
        self._bare |= {(process.pid, process.start) for process in blank}
        return Snapshot(found.values(), settled)

    def read(self, pid: int) -> Process | None:
        """The process with its run; None if it is gone, or older than the server.

        Raises:
            OSError: out of file descriptors or memory.
        """
        process = read_process(pid)
        if process is None or process.start < self._since:
            return None
        if not process.zombie:
            process.blank = not self._read_run(process)
        return process

    def _read_run(self, process: Process) -> bool:
        """Fill in its run; False if its environment is empty."""
        for folder in _folders(process.pid, process.headless):
            try:
                return self._read_environ(process, f"{folder}/environ")
            except (FileNotFoundError, ProcessLookupError):
                continue  # gone, or that thread is
            except PermissionError:
                break
        return True

    def _read_environ(self, process: Process, path: str) -> bool:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        if not self._buffer:
            self._buffer = bytearray(1 << 17)
        try:
            # The first byte stays NUL, so that a NUL precedes every variable.
            environ: bytes | bytearray = self._buffer
            size = 1 + os.readv(fd, [memoryview(self._buffer)[1:]])
            if size == 1:
                return False
            if size == len(self._buffer):
                environ = bytes(self._buffer)
                while more := os.read(fd, 1 << 17):
                    environ += more
                size = len(environ)
        finally:
            os.close(fd)
        at = environ.find(_RUN, 0, size)
        if at >= 0 and environ.find(self._marker, 0, size) >= 0:
            at += len(_RUN)
            process.run = environ[at : environ.find(b"\0", at, size)].decode("ascii", "replace")
        return True


def read_stat(pid: int) -> bytes | None:
    """The text of /proc/PID/stat; None if the process is gone.

    Raises:
        OSError: out of file descriptors or memory.
    """
    try:
        fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    try:
        return os.read(fd, 4096)
    except ProcessLookupError:
        return None
    finally:
        os.close(fd)


def stat_fields(stat: bytes) -> list[bytes]:
    """The fields that follow the name, up to the resident size at least."""
    # The name in parentheses may hold anything, parentheses and spaces too.
    return stat[stat.rindex(b")") + 2 :].split(None, 22)


def read_process(pid: int) -> Process | None:
    """The process with this pid, without its run; None if there is none.

    Raises:
        OSError: out of file descriptors or memory.
    """
    stat = read_stat(pid)
    if stat is None:
        return None
    fields = stat_fields(stat)
    parent, group, session, flags, start = (int(fields[n]) for n in (1, 2, 3, 6, 19))
    exited = fields[0] in (b"Z", b"X")  # its main thread
    headless = exited and is_headless(fields)
    forked = bool(flags & _PF_FORKNOEXEC)
    return Process(pid, parent, group, session, start, exited and not headless, "", forked, headless)


def is_headless(stat: list[bytes]) -> bool:
    """Whether a process whose main thread has exited has others left, which run on.

    ``stat``: the fields of /proc/PID/stat that follow the name.
    """
    return int(stat[17]) > 1


def _folders(pid: int, headless: bool) -> Iterator[str]:
    """Where /proc tells about a process: in the folder of a main thread that has exited most files are empty
    or missing, in those of the other threads they are not."""
    if not headless:
        yield f"/proc/{pid}"
    yield from other_threads(pid)


def other_threads(pid: int) -> list[str]:
    """The folders in /proc of all threads but the main one; none if the process is gone."""
    tasks = f"/proc/{pid}/task"
    try:
        return [f"{tasks}/{thread}" for thread in os.listdir(tasks) if thread != str(pid)]  # noqa: PTH208
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return []


def all_pids() -> set[int]:
    """Every process there is. Raises OSError."""
    return {int(name) for name in os.listdir("/proc") if name.isdecimal()}  # noqa: PTH208


def children(pid: int) -> list[int]:
    """The children of all threads of a process; none if it is gone.

    Raises:
        OSError: out of file descriptors or memory, or the kernel does not list children.
    """
    try:
        if os.stat(f"/proc/{pid}/task").st_nlink == 3:  # noqa: PTH116 (".", ".." and its only thread)
            return thread_children(pid, pid)
        threads = os.listdir(f"/proc/{pid}/task")  # noqa: PTH208
    except (FileNotFoundError, ProcessLookupError):
        return []
    found: list[int] = []
    for thread in threads:
        found += thread_children(pid, thread)
    return found


def thread_children(pid: int, thread: int | str) -> list[int]:
    """The children that one thread of a process forked or adopted; none if it is gone.

    Raises:
        OSError: out of file descriptors or memory, or the kernel does not list children.
    """
    try:
        fd = os.open(f"/proc/{pid}/task/{thread}/children", os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, ProcessLookupError):
        return []
    text = b""
    try:
        while more := os.read(fd, 1 << 16):
            text += more
            if len(more) < WHOLE:
                break
    except ProcessLookupError:
        pass
    finally:
        os.close(fd)
    return list(map(int, text.split()))


def can_look() -> bool:
    """Whether /proc is readable enough to find a run's processes."""
    me = str(os.getpid())
    try:
        return me in os.listdir("/proc") and read_process(os.getpid()) is not None  # noqa: PTH208
    except OSError:
        return False


def read_outputs(pid: int, headless: bool) -> list[str]:
    """Where its stdout and stderr go, as in /proc/PID/fd ("pipe:[123]"), as far as readable."""
    links: list[str] = []
    for folder in other_threads(pid) if headless else (f"/proc/{pid}",):
        for number in (1, 2):
            try:  # noqa: SIM105 (contextlib costs the guardian memory)
                links.append(os.readlink(f"{folder}/fd/{number}"))  # noqa: PTH115
            except OSError:
                pass
        if links:
            break
    return links
