"""Whether one process is a run's."""

from __future__ import annotations

from overseer.process.finder import new_scanner
from overseer.process.registry import registry
from overseer.process.standalone.tree import read_process

_HIGHEST = 64  # ancestors that are looked at


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
