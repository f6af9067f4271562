"""The guardian process: see :mod:`overseer.processes.guardian`.

It runs in an interpreter of its own that has nothing but this directory and the standard library on its path,
and imports as little as it can, to stay small. Lines on stdin::

    + RUN MODE SIGNAL GRACE   a run is about to be spawned
    = RUN PID PIPE...         its leader, and its group's number; where it writes, as in /proc/PID/fd
    - RUN                     nothing of it is left
    exit                      the server shuts down in an orderly way: exit too
"""

from __future__ import annotations

import os
import select
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from overseer.processes.tree import Process

if __package__:
    from overseer.processes.ending import Ending
    from overseer.processes.tree import Scanner, Tree, read_outputs
else:
    from ending import Ending  # type: ignore[import-not-found,no-redef]
    from tree import Scanner, Tree, read_outputs  # type: ignore[import-not-found,no-redef]

__all__ = ["main"]

_LONGEST_GRACE_S = 10.0  # whoever starts the server again should not have to wait longer for its ports


def main(arguments: list[str]) -> None:
    """``arguments``: the server's pid, id, session and start (clock ticks since boot)."""
    server, home, since = int(arguments[0]), int(arguments[2]), int(arguments[3])
    try:
        with open("/proc/self/comm", "w") as comm:  # noqa: PTH123
            comm.write("overseer-guard")
    except OSError:
        pass
    runs = _listen(server)
    if runs:
        _end(runs, arguments[1], home, since)


def _listen(server: int) -> dict[str, list[str]]:
    """Read until the server is gone. Of each run that lives then: mode, signal, grace, pid ("0": unknown),
    pipes."""
    os.set_blocking(0, False)
    poll = select.poll()
    poll.register(0, select.POLLIN)
    # A process that the server forked may hold the pipe open, so the pipe's end alone is not enough.
    pidfd = -1
    try:
        pidfd = os.pidfd_open(server)
        poll.register(pidfd, select.POLLIN)
    except ProcessLookupError:
        pass
    runs: dict[str, list[str]] = {}
    rest = b""
    gone = os.getppid() != server
    while True:
        gone = gone or pidfd in [fd for fd, _ in poll.poll()]
        while True:
            try:
                data = os.read(0, 65536)
            except BlockingIOError:
                break
            if not data:
                return runs
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                what, *words = line.decode().split()
                if what == "exit":
                    return {}
                if what == "+":
                    runs[words[0]] = [*words[1:], "0"]
                elif what == "-":
                    runs.pop(words[0], None)
                elif words[0] in runs:
                    runs[words[0]][3:] = words[1:]
        if gone:
            return runs


def _end(runs: dict[str, list[str]], server_id: str, home: int, since: int) -> None:
    """End all of them, each by its own mode and signal."""
    trees = [(Tree(run, int(words[3]), words[0], home), int(words[1])) for run, words in runs.items()]
    run_of = {link: run for run, words in runs.items() for link in words[4:]}
    starts: dict[str, int] = {}  # of the leaders that were there at the first look
    spared = {os.getpid()}
    scanner = Scanner(server_id, since)

    def find() -> list[tuple[Process, int]]:
        snapshot = scanner.scan()
        found: dict[int, tuple[Process, int]] = {}
        # Of an orphan with an empty environment and a session of its own, all that tells is where it writes.
        writers: dict[str, list[Process]] = {}
        for process in snapshot.processes.values():
            if not process.run and not process.zombie:
                for link in read_outputs(process.pid):
                    if link in run_of:
                        writers.setdefault(run_of[link], []).append(process)
        for tree, number in trees:
            leader = snapshot.processes.get(tree.group)
            if leader is None or starts.setdefault(tree.run, leader.start) != leader.start:
                tree.group_over = True  # it is nobody's child here, so its number may be given away any time
            for process in tree.find(snapshot, spared, writers.get(tree.run, ())):
                found.setdefault(process.pid, (process, number))
        return list(found.values())

    deadline = time.monotonic() + min(_LONGEST_GRACE_S, max(float(words[2]) for words in runs.values()))
    Ending(find, deadline=lambda: deadline).run(look_first=True)


if __name__ == "__main__":
    main(sys.argv[1:])
