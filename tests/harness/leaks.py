"""What a test must give back: its threads, child processes and file descriptors."""

from __future__ import annotations

import gc
import os
import select
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Snapshot", "wait_for_exit"]


@dataclass(frozen=True)
class Snapshot:
    """The threads, children and fds of this process at one moment."""

    threads: frozenset[threading.Thread]
    children: frozenset[int]
    fds: frozenset[tuple[int, str]]

    @classmethod
    def take(cls) -> Snapshot:
        return cls(frozenset(threading.enumerate()), frozenset(_children()), frozenset(_fds()))

    def leaks(self, timeout: float) -> list[str]:
        """What there is now and was not then, in words; waits up to ``timeout`` seconds for it to go.

        There is no event for "some other thread has reaped it" or "has closed it", so this looks repeatedly.
        """
        deadline = time.monotonic() + timeout
        found = self._new()
        if found:
            gc.collect()  # what a dead cycle holds is no leak
        while found and time.monotonic() < deadline:
            time.sleep(0.01)
            found = self._new()
        return found

    def _new(self) -> list[str]:
        found = [f"thread {thread!r}" for thread in threading.enumerate() if thread not in self.threads]
        found += [f"process {pid}: {_describe(pid)}" for pid in sorted(_children() - self.children)]
        found += [f"fd {number}: {target}" for number, target in sorted(_fds() - self.fds)]
        return found


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


def _children() -> set[int]:
    """Direct children, zombies too: who started them has to reap them."""
    pids: set[int] = set()
    for path in Path("/proc/self/task").glob("*/children"):
        pids.update(int(pid) for pid in _read(path.read_text).split())
    return pids


def _describe(pid: int) -> str:
    state = _read((Path("/proc") / str(pid) / "stat").read_text).rpartition(")")[2][1:2]
    command = _read((Path("/proc") / str(pid) / "cmdline").read_text).replace("\0", " ").strip()
    return command or f"(state {state or 'gone'})"


def _fds() -> set[tuple[int, str]]:
    found = set()
    for path in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            found.add((int(path.name), str(path.readlink())))
    # The directory was open while it was read.
    return {(number, target) for number, target in found if not target.startswith("/proc/")}


def _read(get: Callable[[], str]) -> str:
    """``get()``, or "" for what vanished meanwhile."""
    try:
        return get()
    except (FileNotFoundError, ProcessLookupError):
        return ""
