"""Servers that are forked from a process with all their modules, since a start consists of imports mostly.

A forked server is a process like any other, and a child of this one. Only what the kernel shows of how it was
started differs: its /proc/PID/cmdline and environ are the forking process's.
"""

from __future__ import annotations

import array
import ctypes
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["Forker", "forker"]

_ROOT = Path(__file__).resolve().parents[2]
_SUBREAPER = 36  # of prctl
# What an interpreter and the libraries read once, at their start.
_READ_ONCE = ("PYTHON", "LANG", "LC_", "OVERSEER_CHECK_LOCKS")


def _read_once(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(_READ_ONCE)}


class Forker:
    """Forks servers; started with the first test."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._environment: dict[str, str] = {}

    def start(self, environment: Mapping[str, str]) -> None:
        """Begin, unless that was done; for servers with this environment, as far as it is read once."""
        with self._lock:
            if self._socket is not None:
                return
            self._environment = _read_once(environment)
            ours, theirs = socket.socketpair()
            with theirs:
                # It ends once our end of the socket is closed, at the latest with this process.
                self._process = subprocess.Popen(
                    [sys.executable, __file__, str(theirs.fileno())],
                    pass_fds=[theirs.fileno()],
                    env=dict(environment),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    process_group=0,
                )
            self._socket = ours

    def others(self) -> list[int]:
        """This process's children, those that are dead but not reaped included, without the forking one."""
        tasks = Path("/proc/self/task").glob("*/children")
        found = [int(pid) for children in tasks for pid in children.read_text().split()]
        return [pid for pid in found if self._socket is None or pid != self._process.pid]

    def fork(
        self, arguments: Sequence[str], environment: Mapping[str, str], cwd: Path, *, stdout: bool = False
    ) -> subprocess.Popen[bytes] | None:
        """A server as ``Popen`` would start it, in a group of its own, with pipes as stderr and perhaps as
        stdout; None: it must be started otherwise."""
        if self._socket is None or _read_once(environment) != self._environment:
            return None
        with self._lock:
            pipes = [os.pipe() for _ in range(1 + stdout)]
            try:
                said = json.dumps({"argv": list(arguments), "environ": dict(environment), "cwd": str(cwd)})
                libc = ctypes.CDLL(None)
                libc.prctl(_SUBREAPER, 1, 0, 0, 0)  # so that the orphan that it makes comes to this process
                try:
                    fds = array.array("i", [writing for _, writing in pipes])
                    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds.tobytes())]
                    self._socket.sendmsg([len(said.encode()).to_bytes(4, "big")], ancillary)
                    self._socket.sendall(said.encode())
                    pid = int.from_bytes(_read(self._socket, 4), "big")
                finally:
                    libc.prctl(_SUBREAPER, 0, 0, 0, 0)
            finally:
                for _, writing in pipes:
                    os.close(writing)
        return _as_popen(pid, [os.fdopen(reading, "rb") for reading, _ in pipes], arguments)


forker = Forker()


def _read(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = sock.recv(size - len(data))
        if not part:
            raise EOFError
        data += part
    return data


def _as_popen(pid: int, pipes: Sequence[Any], arguments: Sequence[str]) -> subprocess.Popen[bytes]:
    """What Popen would return for this child, whose stderr is the first of the pipes."""
    process: Any = subprocess.Popen.__new__(subprocess.Popen)
    process.pid, process.args, process.returncode = pid, arguments, None
    process.stdin, process.stdout, process.stderr = None, None, pipes[0]
    if pipes[1:]:
        process.stdout = pipes[1]
    process.text_mode = False
    process._waitpid_lock, process._child_created = threading.Lock(), True
    process._sigint_wait_secs, process._communication_started, process._input = 0.25, False, None
    return process  # type: ignore[no-any-return]


def _serve(sock: socket.socket) -> dict[str, Any]:
    """Fork for each request; returns, in each fork, what it is to run."""
    while True:
        size, ancillary, _, _ = sock.recvmsg(4, socket.CMSG_SPACE(2 * 4))
        if not size:
            os._exit(0)
        ((_, _, passed),) = ancillary
        fds = array.array("i", passed)
        given = json.loads(_read(sock, int.from_bytes(size, "big")))
        reading, writing = os.pipe()
        between = os.fork()
        if not between:
            child = os.fork()
            if child:
                os.write(writing, child.to_bytes(4, "big"))
                os._exit(0)
            os.setpgid(0, 0)
            for fd, number in zip(fds, (2, 1), strict=False):
                os.dup2(fd, number)
            sys.stderr = sys.__stderr__ = os.fdopen(2, "w", errors="backslashreplace", closefd=False)
            sys.stdout = sys.__stdout__ = os.fdopen(1, "w", closefd=False)
            for fd in (*fds, reading, writing):
                os.close(fd)
            sock.close()
            return given  # type: ignore[no-any-return]
        for fd in (*fds, writing):
            os.close(fd)
        os.waitpid(between, 0)
        sock.sendall(os.read(reading, 4))
        os.close(reading)


if __name__ == "__main__":
    import gc
    import runpy

    sys.path[0] = str(_ROOT)  # as for a program there

    import overseer.daemon.daemon
    import overseer.drivers.exec  # noqa: F401
    from overseer.process import registry

    gc.collect()
    gc.freeze()
    given = _serve(socket.socket(fileno=int(sys.argv[1])))
    gc.unfreeze()
    registry.__init__()  # type: ignore[misc]  # another server
    os.chdir(given["cwd"])
    os.environ.clear()
    os.environ.update(given["environ"])
    sys.argv = given["argv"][1:]
    sys.orig_argv[:] = given["argv"]
    runpy.run_path(sys.argv[0], run_name="__main__")
