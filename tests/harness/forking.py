"""Servers and overseerctls that are forked from processes with all their modules, since a start consists of
imports mostly.

A forked program is a process like any other, and a child of this one. Only what the kernel shows of how it
was started differs: its /proc/PID/cmdline and environ are the forking process's.
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
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["CTL", "Forked", "Forker", "ctls", "others", "run_forked", "servers"]

_ROOT = Path(__file__).resolve().parents[2]
_SUBREAPER = 36  # of prctl
# What an interpreter and the libraries read once, at their start.
_READ_ONCE = ("PYTHON", "LANG", "LC_", "OVERSEER_CHECK_LOCKS")
CTL = (sys.executable, "-m", "overseer.ctl")


def _read_once(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(_READ_ONCE)}


class Forker:
    """Forks programs of one kind, each as often as it is asked to; started before the first test of them."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._environment: dict[str, str] = {}

    def start(self, environment: Mapping[str, str]) -> None:
        """Begin, unless that was done; for programs with this environment, as far as it is read once."""
        with self._lock:
            if self._socket is not None:
                return
            self._environment = _read_once(environment)
            ours, theirs = socket.socketpair()
            with theirs:
                # It ends once our end of the socket is closed, at the latest with this process.
                self._process = subprocess.Popen(
                    [sys.executable, __file__, self._kind, str(theirs.fileno())],
                    pass_fds=[theirs.fileno()],
                    env=dict(environment),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    process_group=0,
                )
            self._socket = ours

    @property
    def pid(self) -> int:
        return self._process.pid if self._socket is not None else 0

    def fits(self, environment: Mapping[str, str]) -> bool:
        return self._socket is not None and _read_once(environment) == self._environment

    def fork(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        cwd: Path,
        streams: Sequence[int],
        *,
        session: bool,
    ) -> int:
        """The pid of a program with these descriptors as stdin, stdout and stderr.

        Args:
            session: it gets a session of its own, with the terminal that is its stdin; else only a group.
        """
        assert self._socket is not None
        said = json.dumps(
            {"argv": arguments, "environ": dict(environment), "cwd": str(cwd), "session": session}
        ).encode()
        fds = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", streams).tobytes())]
        libc = ctypes.CDLL(None)
        with self._lock:
            libc.prctl(_SUBREAPER, 1, 0, 0, 0)  # so that the orphan that it makes comes to this process
            try:
                self._socket.sendmsg([len(said).to_bytes(4, "big")], fds)
                self._socket.sendall(said)
                return int.from_bytes(_read(self._socket, 4), "big")
            finally:
                libc.prctl(_SUBREAPER, 0, 0, 0, 0)


servers = Forker("server")
ctls = Forker("ctl")


def others() -> list[int]:
    """This process's children, those that are dead but not reaped included, without the forking ones."""
    tasks = Path("/proc/self/task").glob("*/children")
    found = [int(pid) for children in tasks for pid in children.read_text().split()]
    return [pid for pid in found if pid not in (servers.pid, ctls.pid)]


class Forked(subprocess.Popen[Any]):
    """``Popen`` for a server or an overseerctl (``CTL``), which is forked where its forking process is of
    the same environment; it is in a process group of its own, or in a session."""

    def _execute_child(self, args: Any, executable: Any, *more: Any) -> None:
        # As subprocess has it: a private method, which all Pythons from 3.11 on call alike.
        preexec_fn, _, pass_fds, cwd, environment, _, _, shell = more[:8]
        pipes = more[8:14]  # the child's and our ends of stdin, then ours and the child's of the other two
        session = more[-2]
        forker = ctls if tuple(args[:3]) == CTL else servers
        if preexec_fn or pass_fds or shell or environment is None or not forker.fits(environment):
            super()._execute_child(args, executable, *more)  # type: ignore[misc]
            return
        streams = [number if fd == -1 else fd for number, fd in enumerate((pipes[0], pipes[3], pipes[5]))]
        directory = Path(cwd or os.curdir).absolute()
        arguments = [str(each) for each in args]
        self.pid = forker.fork(arguments, environment, directory, streams, session=session)
        self._child_created = True
        self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]


def run_forked(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    *,
    timeout: float,
    stdout: int = subprocess.PIPE,
    cwd: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """``subprocess.run`` with ``Forked``, texts, and nothing on stdin."""
    with Forked(
        arguments,
        env=environment,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            out, err = process.communicate(timeout=timeout)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(arguments, process.returncode, out, err)


def _read(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = sock.recv(size - len(data))
        if not part:
            raise EOFError
        data += part
    return data


def _serve(sock: socket.socket) -> dict[str, Any]:
    """Fork for each request; returns, in each fork, what it is to run."""
    while True:
        size, ancillary, _, _ = sock.recvmsg(4, socket.CMSG_SPACE(3 * 4))
        if not size:
            os._exit(0)
        ((_, _, passed),) = ancillary
        fds = array.array("i", passed)
        given = json.loads(_read(sock, int.from_bytes(size, "big")))
        reading, writing = os.pipe()
        between = os.fork()
        if not between:
            if os.fork():
                os._exit(0)
            sock.close()
            _become(fds, session=given["session"])
            for fd in (*fds, reading):
                os.close(fd)
            os.write(writing, os.getpid().to_bytes(4, "big"))
            os.close(writing)
            return given  # type: ignore[no-any-return]
        for fd in (*fds, writing):
            os.close(fd)
        os.waitpid(between, 0)
        sock.sendall(os.read(reading, 4))
        os.close(reading)


def _become(fds: Sequence[int], *, session: bool) -> None:
    """Have these as stdin, stdout and stderr, and a group or a session with the terminal."""
    for number, fd in enumerate(fds):
        os.dup2(fd, number)
    if session:
        os.setsid()
        if os.isatty(0):
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    else:
        os.setpgid(0, 0)
    sys.stdin = sys.__stdin__ = _anew(sys.stdin, -1)
    sys.stdout = sys.__stdout__ = _anew(sys.stdout, 1 if os.isatty(1) else -1)
    sys.stderr = sys.__stderr__ = _anew(sys.stderr, 1)


def _anew(stream: Any, buffering: int) -> Any:
    """A standard stream as the interpreter makes it."""
    return open(
        stream.fileno(),
        stream.mode[0],
        buffering,
        encoding=stream.encoding,
        errors=stream.errors,
        closefd=False,
    )


def _load(kind: str) -> Callable[[], None]:
    """Import what programs of this kind import when they start, or soon; returns what each does first."""
    if kind == "server":
        import overseer.daemon.cli
        import overseer.daemon.daemon
        import overseer.drivers.exec
        from overseer.process.registry import registry

        return registry.__init__  # type: ignore[misc,no-any-return]  # another server
    import overseer.client
    import overseer.ctl

    for package in (overseer.client, overseer.ctl):
        for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    return lambda: None


if __name__ == "__main__":
    import fcntl
    import gc
    import importlib
    import pkgutil
    import runpy
    import termios

    sys.path[0] = str(_ROOT)  # as for a program there
    begin = _load(sys.argv[1])
    gc.collect()
    gc.freeze()
    given = _serve(socket.socket(fileno=int(sys.argv[2])))
    gc.unfreeze()
    begin()
    os.chdir(given["cwd"])
    os.environ.clear()
    os.environ.update(given["environ"])
    sys.orig_argv[:] = given["argv"]
    if given["argv"][1] == "-m":
        sys.argv = given["argv"][2:]
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv = given["argv"][1:]
        runpy.run_path(sys.argv[0], run_name="__main__")
