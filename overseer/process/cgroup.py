"""A run's own cgroup: created before the start, asked about OOM kills, removed with the last process.

The server needs a cgroup that is delegated to it, and moves itself out of it as soon as a task wants limits
(see ``standalone.cgroups``). Without one, tasks run unlimited unless they require a cgroup.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from overseer.errors import SpawnError
from overseer.process.registry import registry
from overseer.process.standalone import cgroups
from overseer.process.standalone.tree import read_process

_PERIOD = 100_000  # microseconds, the kernel's default
_ROUNDS = 10  # of moving processes, which may fork meanwhile


@dataclass(frozen=True, slots=True)
class Cgroup:
    """Limits on all of a run's processes together; None: unlimited.

    Attributes:
        memory_max: bytes.
        cpu_max: CPUs, possibly a fraction of one.
        pids_max: processes and threads.
        require: a start fails if the cgroup cannot be set up; otherwise the task runs without one.
    """

    memory_max: int | None = None
    cpu_max: float | None = None
    pids_max: int | None = None
    require: bool = False

    def faults(self) -> Iterator[tuple[str, str]]:
        """The keys that cannot take effect on this machine, each with the reason."""
        base = _base()
        if base is None:
            yield "cgroup", "this machine has no cgroup v2"
            return
        needed = [base, base / "cgroup.procs", *([base / "cgroup.subtree_control"] if self._limits() else [])]
        if not all(os.access(path, os.W_OK) for path in needed):
            yield "cgroup", f"{base} is not delegated to the server, which may not write to it"
            return
        known, enabled = _words(base / "cgroup.controllers"), _words(base / "cgroup.subtree_control")
        for key in self._limits():
            controller = key.partition("_")[0]
            if controller not in known:
                yield f"cgroup.{key}", f"{base} has no {controller} controller"
            elif controller not in enabled and (stranger := _stranger(base)):
                yield f"cgroup.{key}", f"the server shares {base} with another process, {stranger}"

    def _limits(self) -> dict[str, str]:
        """The contents of the control files, by key."""
        limits = {
            "memory_max": None if self.memory_max is None else str(self.memory_max),
            "cpu_max": None if self.cpu_max is None else f"{round(self.cpu_max * _PERIOD)} {_PERIOD}",
            "pids_max": None if self.pids_max is None else str(self.pids_max),
        }
        return {key: text for key, text in limits.items() if text is not None}

    def make(self, run: str) -> str:
        """Create a run's cgroup and return its directory, or "" if that fails and it is not required.

        Raises:
            SpawnError: it is required and cannot be created; the text begins with the key.
        """
        faults = dict(self.faults())
        for key, text in faults.items() if self.require else ():
            raise SpawnError(f"{key}: {text}")
        base = _base()
        if base is None or "cgroup" in faults:
            return ""
        limits = {key: text for key, text in self._limits().items() if f"cgroup.{key}" not in faults}
        key, made = "cgroup", base / cgroups.run_name(os.getpid(), registry.since, run)
        try:
            _tidy_up(base)
            _enable(base, {key.partition("_")[0] for key in limits})
            made.mkdir()
            for key, text in limits.items():
                (made / key.replace("_", ".")).write_text(text)
        except OSError as error:
            cgroups.remove(str(made))
            key = key if key == "cgroup" else f"cgroup.{key}"
            raise SpawnError(f"{key}: {error.filename or made}: {error.strerror}") from error
        return str(made)


def ran_out_of_memory(folder: str) -> bool:
    """Whether the OOM killer has struck in this cgroup."""
    with suppress(OSError):
        for line in (Path(folder) / "memory.events").read_text().splitlines():
            name, _, count = line.partition(" ")
            if name == "oom_kill":
                return int(count) > 0
    return False


_tidied: set[Path] = set()
_left: set[str] = set()  # of runs that are over but have live processes; changed by atomic operations only


def remove(folder: str) -> None:
    """Remove an ended run's cgroup, at once or when its last process is gone."""
    if not cgroups.remove(folder):
        _left.add(folder)


def remove_left() -> None:
    """Remove the cgroups that have become empty since their runs ended."""
    for folder in tuple(_left):
        if cgroups.remove(folder):
            _left.discard(folder)


def _tidy_up(base: Path) -> None:
    """Remove the cgroups that ended runs left and, the first time, those of servers that were killed."""
    remove_left()
    if base in _tidied:
        return
    _tidied.add(base)
    for server, since, run in cgroups.runs(str(base)):
        process = read_process(server)
        if process is None or process.zombie or process.start != since:
            cgroups.remove(str(base / cgroups.run_name(server, since, run)))


def _enable(base: Path, controllers: set[str]) -> None:
    """Enable these controllers for the children of the base."""
    missing = controllers - _words(base / "cgroup.subtree_control")
    if not missing:
        return
    if not _is_root(base):
        home = base / cgroups.HOME
        home.mkdir(exist_ok=True)
        for _ in range(_ROUNDS):
            pids = _pids(base)
            for pid in pids:
                with suppress(ProcessLookupError):
                    (home / "cgroup.procs").write_text(str(pid))
            if not pids:
                break
    (base / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in sorted(missing)))


def _base() -> Path | None:
    folder = cgroups.base()
    return Path(folder) if folder else None


def _is_root(base: Path) -> bool:
    """Whether it is the machine's root cgroup, which may hold both processes and limited children."""
    return not (base / "cgroup.type").exists()


def _stranger(base: Path) -> int:
    """A process in the base that is neither this one nor its descendant, so is not ours to move; or 0."""
    if _is_root(base):
        return 0
    for pid in _pids(base):
        at = pid
        while at not in (0, os.getpid()):
            process = read_process(at)
            at = process.parent if process is not None else os.getpid()
        if at == 0:
            return pid
    return 0


def _pids(folder: Path) -> list[int]:
    return [int(word) for word in (folder / "cgroup.procs").read_text().split()]


def _words(path: Path) -> set[str]:
    try:
        return set(path.read_text().split())
    except OSError:
        return set()
