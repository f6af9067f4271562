"""What must be given back: threads, child processes, file descriptors, memory."""

from __future__ import annotations

import gc
import os
import select
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Snapshot:
    """The threads, children and fds of this process at one moment."""

    threads: frozenset[threading.Thread]
    children: frozenset[int]
    fds: frozenset[tuple[int, str]]

    @classmethod
    def take(cls) -> Snapshot:
        return cls(frozenset(threading.enumerate()), frozenset(_children()), frozenset(_fds()))

    def leaks(self, timeout: float, least: int = 1) -> list[str]:
        """What there is now and was not then, in words; waits up to ``timeout`` seconds for it to go.

        There is no event for "some other thread has reaped it" or "has closed it", so this looks repeatedly.

        Args:
            least: fewer more than then, of one kind, are no leak.
        """
        deadline = time.monotonic() + timeout
        found = self._new(least)
        if found:
            gc.collect()  # what a dead cycle holds is no leak
        while found and time.monotonic() < deadline:
            time.sleep(0.01)
            found = self._new(least)
        return found

    def _new(self, least: int) -> list[str]:
        now = Snapshot.take()
        found = []
        if _grown(self.threads, now.threads, least):
            found += [f"thread {thread!r}" for thread in now.threads - self.threads]
        if _grown(self.children, now.children, least):
            found += [f"process {pid}: {_describe(pid)}" for pid in sorted(now.children - self.children)]
        if _grown(self.fds, now.fds, least):
            found += [f"fd {number}: {target}" for number, target in sorted(now.fds - self.fds)]
        return found


def _grown(before: frozenset[object], now: frozenset[object], least: int) -> bool:
    """Whether there are more: any new one counts, unless only a number of them does."""
    return bool(now - before) if least == 1 else len(now) - len(before) >= least


def wait_for_exit(pid: int, timeout: float) -> bool:
    """Wait until no live process has this pid (a zombie counts as gone); False when time runs out."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([fd], [], [], timeout)[0])
    finally:
        os.close(fd)


def processes_with(variable: str, value: str) -> dict[int, str]:
    """The live processes with this variable in their environment: pid to command line.

    A process whose main thread has exited shows its environment in its other threads only.
    """
    wanted = f"{variable}={value}".encode()
    found = {}
    for process in os.scandir("/proc"):  # a Path for each file would double what this costs
        if not process.name.isdecimal():
            continue
        for thread in _threads_of(process):
            try:
                environment = _content(f"{thread}/environ")
                if wanted in environment.split(b"\0"):
                    command = _content(f"{thread}/cmdline").replace(b"\0", b" ").strip()
                    found[int(process.name)] = command.decode("utf-8", "replace")
            except OSError:
                continue  # gone meanwhile, or a zombie, or not ours
            if environment:
                break  # all threads share it
    return found


def _threads_of(process: os.DirEntry[str]) -> Iterator[str]:
    """The directories of a process in /proc: its own, and those of its other threads."""
    yield process.path
    with suppress(OSError), os.scandir(f"{process.path}/task") as threads:  # gone meanwhile
        for thread in threads:
            if thread.name != process.name:
                yield thread.path


def _content(path: str) -> bytes:
    fd = os.open(path, os.O_RDONLY)
    try:
        return b"".join(iter(lambda: os.read(fd, 1 << 16), b""))
    finally:
        os.close(fd)


def memory(*pids: int) -> int:
    """Bytes of resident memory that this process, and these, have together."""
    pages = 0
    for pid in ("self", *pids):
        with suppress(OSError):  # gone meanwhile
            pages += int((Path("/proc") / str(pid) / "statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _children() -> set[int]:
    """Direct children, zombies too: who started them has to reap them."""
    pids: set[int] = set()
    for thread in os.scandir("/proc/self/task"):
        with suppress(OSError):  # gone meanwhile
            pids.update(map(int, _content(f"{thread.path}/children").split()))
    return pids


def _describe(pid: int) -> str:
    state = _read((Path("/proc") / str(pid) / "stat").read_text).rpartition(")")[2][1:2]
    command = _read((Path("/proc") / str(pid) / "cmdline").read_text).replace("\0", " ").strip()
    return command or f"(state {state or 'gone'})"


def _fds() -> set[tuple[int, str]]:
    found = set()
    for entry in os.scandir("/proc/self/fd"):
        with suppress(OSError):
            found.add((int(entry.name), os.readlink(entry.path)))  # noqa: PTH115 - at each test, for each file
    # The directory was open while it was read.
    return {(number, target) for number, target in found if not target.startswith("/proc/")}


def _read(get: Callable[[], str]) -> str:
    """``get()``, or "" for what vanished meanwhile."""
    try:
        return get()
    except (FileNotFoundError, ProcessLookupError):
        return ""
