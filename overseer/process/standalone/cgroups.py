"""Cgroups (v2): this process's own, and those of runs, beside or below it.

A cgroup may have limited children only if it holds no process itself, so the server moves into a child,
``HOME``. A run's cgroup is named after its server and the run, so that the guardian and the next server can
tell whose it is. Self-contained like ``tree``, since the guardian uses it.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

HOME = "overseer-server"
_RUN = "overseer-run-"


def run_name(server: int, since: int, run: str) -> str:
    """The name of a run's directory; ``since``: the server's start, in clock ticks since boot."""
    return f"{_RUN}{server}-{since}-{run}"


def base() -> str:
    """The directory for those of runs; "" without cgroup v2."""
    try:
        with open("/proc/self/cgroup") as file:  # noqa: PTH123
            own = next((line[3:].rstrip("\n") for line in file if line.startswith("0::")), "")
        with open("/proc/self/mountinfo") as file:  # noqa: PTH123
            mounts = [line.split() for line in file if " - cgroup2 " in line]
    except OSError:
        return ""
    for fields in mounts:
        root, point = (field.replace("\\040", " ").rstrip("/") for field in fields[3:5])
        if own == (root or "/") or own.startswith(root + "/"):
            folder = (point + own[len(root) :]).rstrip("/")
            return folder.removesuffix("/" + HOME)
    return ""


def runs(folder: str) -> Iterator[tuple[int, int, str]]:
    """Server, its start, and run of each run's cgroup in ``folder``."""
    try:
        names = os.listdir(folder)  # noqa: PTH208
    except OSError:
        return
    for name in names:
        words = name.removeprefix(_RUN).split("-", 2)
        if name.startswith(_RUN) and len(words) == 3 and words[0].isdigit() and words[1].isdigit():
            yield int(words[0]), int(words[1]), words[2]


def members(folder: str) -> Iterator[int]:
    """The pids in a cgroup and all below it; none if it is gone."""
    for path, _, _ in os.walk(folder):
        try:
            with open(path + "/cgroup.procs") as file:  # noqa: PTH123
                yield from map(int, file.read().split())
        except OSError:  # gone, or threaded
            pass


def remove(folder: str) -> bool:
    """Remove a cgroup with all below it; False while it holds processes."""
    for path, _, _ in os.walk(folder, topdown=False):
        try:
            os.rmdir(path)  # noqa: PTH106
        except FileNotFoundError:
            pass
        except OSError:
            return False
    return True
