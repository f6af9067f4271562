"""The guardian process: see :mod:`overseer.process.guardian`.

It runs in an interpreter of its own with only this directory and the standard library on its path, and
imports as little as it can, to stay small. Its stdin is a memfd in which the server keeps a slot of ``SLOT``
bytes for each run; an empty one starts with a NUL::

    RUN MODE SIGNAL GRACE PID PIPE...

PID is the leader's and its group's, "0" while it is being spawned; PIPE is where it writes, as in
/proc/PID/fd. A server that shuts down in order kills its guardian.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from overseer.process.standalone.tree import Process, Snapshot

if __package__:
    from overseer.process.standalone import cgroups, private
    from overseer.process.standalone.terminate import Termination
    from overseer.process.standalone.tree import Scanner, Tree, read_outputs
else:
    import cgroups  # type: ignore[import-not-found,no-redef]
    import private  # type: ignore[import-not-found,no-redef]
    from terminate import Termination  # type: ignore[import-not-found,no-redef]
    from tree import Scanner, Tree, read_outputs  # type: ignore[import-not-found,no-redef]

SLOT = 256  # bytes; divides a page, so that no kill of the server leaves a slot half written
_PR_SET_PDEATHSIG = 1
_UNSETTLED_LOOKS = 5
_SESSION_S = 2.0  # by then a fork for a run has opened its session
_LONGEST_GRACE_S = 10.0  # bounds how long a restarted server may find its tasks' ports taken


def main(arguments: list[str]) -> None:
    """``arguments``: the server's pid, id, session and start (clock ticks since boot), and the directories
    where its runs may have private files."""
    server, home, since = int(arguments[0]), int(arguments[2]), int(arguments[3])
    # If this process has been stopped by then, the server's death continues it.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGCONT, 0, 0, 0)
    try:
        with open("/proc/self/comm", "w") as comm:  # noqa: PTH123
            comm.write("overseer-guard")
    except OSError:
        pass
    command = _command(server)
    _wait_for_death(server)
    runs = _read_runs()
    try:
        if runs:
            base = cgroups.base()
            ids = [each for each in cgroups.runs(base) if each[:2] == (server, since)]
            folders = {each[2]: f"{base}/{cgroups.run_name(*each)}" for each in ids}
            _end(runs, arguments[1], home, since, command, folders)
            for folder in folders.values():
                cgroups.remove(folder)
    finally:
        for place in arguments[4:]:
            private.remove_all(place, arguments[1])


def _command(pid: int) -> bytes:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:  # noqa: PTH123
            return file.read()
    except OSError:
        return b""


def _wait_for_death(server: int) -> None:
    try:
        pidfd = os.pidfd_open(server)
    except ProcessLookupError:
        return
    if os.getppid() == server:  # otherwise it is dead, and its pid may be reused
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        poll.poll()
    os.close(pidfd)


def _read_runs() -> dict[str, list[str]]:
    """Mode, signal, grace, pid and pipes of each live run, by run id."""
    runs: dict[str, list[str]] = {}
    at = 0
    while slots := os.pread(0, SLOT * 256, at):
        at += len(slots)
        for start in range(0, len(slots), SLOT):
            if slots[start]:
                words = slots[start : start + SLOT].rstrip(b"\0").decode().split()
                runs[words[0]] = words[1:]
    return runs


def _end(
    runs: dict[str, list[str]],
    server_id: str,
    home: int,
    since: int,
    command: bytes,
    folders: dict[str, str],
) -> None:
    """End all runs, each by its own mode and signal; ``folders``: the cgroups of those that have one."""
    trees = [(Tree(run, int(words[3]), words[0], home), int(words[1])) for run, words in runs.items()]
    run_of = {link: run for run, words in runs.items() for link in words[4:]}
    starts: dict[str, int] = {}  # of the leaders that the first scan found
    spared = {os.getpid()}
    scanner = Scanner(server_id, since)

    def find() -> list[tuple[Process, int]]:
        # An empty scan proves nothing while processes still appear.
        for _ in range(_UNSETTLED_LOOKS):
            snapshot = scanner.scan()
            if (found := find_in(snapshot)) or snapshot.settled:
                break
        return found

    def find_in(snapshot: Snapshot) -> list[tuple[Process, int]]:
        found: dict[int, tuple[Process, int]] = {}
        # An orphan with an empty environment and its own session is recognised only by where it writes.
        writers: dict[str, list[Process]] = {}
        for process in snapshot.processes.values():
            if process.run not in runs and not process.zombie:
                for link in read_outputs(process.pid, process.headless):
                    if link in run_of:
                        writers.setdefault(run_of[link], []).append(process)
        for run, folder in folders.items():
            pids = snapshot.processes.keys() & set(cgroups.members(folder))
            writers.setdefault(run, []).extend(snapshot.processes[pid] for pid in pids)
        for tree, number in trees:
            leader = snapshot.processes.get(tree.group)
            if leader is None or starts.setdefault(tree.run, leader.start) != leader.start:
                tree.group_over = True  # this process does not reap it, so its number may be reused any time
            for process in tree.find(snapshot, spared, writers.get(tree.run, ())):
                found.setdefault(process.pid, (process, number))
        return list(found.values())

    def being_spawned() -> bool:
        """Whether the server has forks that have not executed their program yet.

        They are siblings of this process, and still show the server's command line; forks of other kinds, as
        multiprocessing makes them, have not opened a session.
        """
        snapshot = scanner.scan()
        return any(
            process.forked
            and (process.session == process.pid or time.monotonic() < first + _SESSION_S)
            and _command(process.pid) == command
            for process in snapshot.children.get(os.getppid(), ())
            if process.pid not in spared
        )

    grace = min(_LONGEST_GRACE_S, max(float(words[2]) for words in runs.values()))
    unborn = any(words[3] == "0" for words in runs.values())
    first, pause = time.monotonic(), 0.01
    while True:
        # Before the scan: a fork that executes its program meanwhile carries its run's id by then.
        again = unborn and being_spawned()
        deadline = time.monotonic() + grace
        Termination(find, deadline=lambda end=deadline: end).run(look_first=True)  # type: ignore[misc]
        if not again:
            return
        time.sleep(pause)
        pause = min(1.0, pause * 2)


if __name__ == "__main__":
    main(sys.argv[1:])
