"""The first stage of an upgrade: runs the new program, and goes back to the old one if that fails.

It is the old program's, which keeps its text in memory, and uses the standard library alone: so it does not
matter what an installation has made of the files. Until the new program says that it has taken over
(:meth:`Stage.commit`), whatever it does is undone: should it fail, end or hang, the descriptors are put back,
and the old program is executed from the copy that it has kept of itself.

Should that fail too, because what it needs is gone, then it holds: it keeps what tasks write, so that none of
them has to wait for long, and tries again from time to time, and when it is sent SIGUSR2.

    python [options] /proc/self/fd/N PROGRAM [arguments]

with the descriptor of a file that says the rest, in OVERSEER_HANDOVER in the environment.

Before that, the new program is tried out in a child, by the same file.
"""

from __future__ import annotations

import fcntl
import gc
import json
import os
import runpy
import select
import signal
import socket
import sys
import time
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from overseer.upgrade.standalone.compiled import Compiled  # in memory, that is above

VARIABLE = "OVERSEER_HANDOVER"
NAME = "overseer_first_stage"
"""As which the new program finds this module."""

MESSAGE = "overseer-message"
"""The name of the file in memory that says what to run, and how. Its descriptor is in the environment, which
has no room for thousands of tasks."""
COPIES_ABOVE = 64
"""Copies of descriptors get greater numbers."""

_AGAIN_S = 30.0  # between tries, while neither program can be run
_LOOK_S = 0.5
_MOST = 64 * 2**20  # bytes that are kept meanwhile, of all pipes
_READ = 64 * 1024


class Stage:
    """One execution of this file.

    Args:
        said: what the old program says, see :func:`overseer.upgrade.reexec.replace_by`, and what earlier
            executions add: whose ``turn`` it is (``new``, ``old``, or ``held``: nobody's), why the new
            program has failed, and the files that what was ``kept`` of pipes is in, by descriptor.
    """

    def __init__(self, said: dict[str, Any]) -> None:
        self._said = said
        self._turn: str = said.get("turn", "new")
        self._over = False
        self._copies: dict[int, int] = {}  # of the descriptors handed over, by number
        self._kept = {int(pipe): file for pipe, file in said.get("kept", {}).items()}
        self._compiled = Compiled()
        self._environment = dict(os.environb)  # a program removes from it what is not meant for children

    def run(self) -> None:
        """Run the program whose turn it is."""
        if self._said.get("rehearsal"):  # in a child, which nobody goes back from
            self._try_new()
        for file in self._kept.values():
            os.set_inheritable(file, False)
        if self._turn == "held":
            self._hold()
        signal.signal(signal.SIGALRM, self._late)
        signal.setitimer(signal.ITIMER_REAL, self._said["deadline"])
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})
        gc.disable()  # loading makes no garbage, and everybody waits for it
        try:
            for number in self._said["descriptors"]:
                self._copies[number] = fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, COPIES_ABOVE)
            if self._turn == "old":
                self._run_old()
            else:
                self._compiled = Compiled.read(self._said.pop("compiled", -1))
                self._compiled.use()
                self._run_new()
        except BaseException as error:
            if self._over:
                raise
            told = "".join(traceback.format_exception_only(error)).strip()
            if isinstance(error, SystemExit):
                told = error.code if isinstance(error.code, str) else f"it ended with status {error.code}"
            self._go_back(told)
        if not self._over:
            self._go_back("it ended")

    def commit(self) -> None:
        """The program has taken over."""
        self._over = True
        gc.enable()
        self._compiled.drop()
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        files = self._said["archive"], self._said["stage"]
        for fd in (*self._copies.values(), *self._kept.values(), *files):
            os.close(fd)
        self._copies.clear()
        if self._turn == "new" and self._said.get("place"):  # the program before ran from there
            _remove(self._said["place"])

    @property
    def findings(self) -> dict[Any, Any]:
        """What the program's trial has found out; in the trial, where to say so."""
        return self._compiled.findings

    @property
    def place(self) -> str:
        """The directory that the old program is run from; ``""``: it is not."""
        return self._said.get("place", "") if self._turn == "old" else ""

    def _late(self, number: int, frame: Any) -> None:
        where = "".join(traceback.format_stack(frame)[-1:]).strip()
        self._go_back(f"it has not taken over within {self._said['deadline']:g} s: {where}")

    def _go_back(self, why: str) -> None:
        """Fall back to the old program or, if that has failed too, hold."""
        if self._over:
            return
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        for number, copy in self._copies.items():
            os.dup2(copy, number, inheritable=True)
        if self._turn == "new":
            self._execute("old", f"the new program has failed: {why}")
        else:
            self._execute("held", f"{self._said['failure']}; and the old one cannot come back: {why}")

    def _execute(self, turn: str, failure: str) -> NoReturn:
        """Execute this file again."""
        kept = {str(pipe): file for pipe, file in self._kept.items()}
        for file in (self._said["state"], self._said["archive"], self._said["stage"], *kept.values()):
            os.set_inheritable(file, True)
        said = json.dumps({**self._said, "turn": turn, "failure": failure, "kept": kept}).encode()
        file = os.memfd_create(MESSAGE, 0)  # inherited
        os.write(file, said)
        where = json.dumps({"pid": os.getpid(), "file": file}).encode()
        script = f"/proc/self/fd/{self._said['stage']}"
        command = [sys.executable, *self._said["options"], script, *self._said["rest"]]
        environment = {**self._environment, VARIABLE.encode(): where}
        with suppress(OSError):
            os.execve(sys.executable, command, environment)
        os.execve("/proc/self/exe", command, environment)  # the file that was executed is gone

    def _hold(self) -> NoReturn:
        """Neither program can be run: keep what tasks write, until it is time to try again."""
        asked: list[int] = []
        answered = {signal.SIGUSR2, signal.SIGTERM, signal.SIGINT}
        for number in answered:
            signal.signal(number, lambda number, frame: asked.append(number))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, answered)
        failure = self._said["failure"]
        if failure != self._said.get("told"):
            self._said["told"] = failure
            text = f"error: {failure}; tasks go on: install a program that can be run, and send SIGUSR2\n"
            with suppress(OSError):
                os.write(2, text.encode(errors="replace"))
        self._notify("STATUS=neither the new program nor the old one can be run")
        pipes, again_at = set(self._said["pipes"]), time.monotonic() + _AGAIN_S
        while not asked and time.monotonic() < again_at:
            self._keep(pipes)
            self._reap()
            self._notify("WATCHDOG=1")
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        if set(asked) - {signal.SIGUSR2}:
            os._exit(1)  # the guardian ends the tasks
        self._execute("new", "")

    def _keep(self, pipes: set[int]) -> None:
        """Read what comes within a moment, as long as there is room for it."""
        room = _MOST - sum(os.fstat(file).st_size for file in self._kept.values())
        poll = select.poll()
        for pipe in pipes if room > 0 else ():
            poll.register(pipe, select.POLLIN)
        for pipe, _ in poll.poll(_LOOK_S * 1000):
            try:
                data = os.read(pipe, min(room, _READ))
            except BlockingIOError:
                continue
            except OSError:  # the end of a terminal
                data = b""
            if not data:
                pipes.discard(pipe)
                continue
            if pipe not in self._kept:
                self._kept[pipe] = os.memfd_create("overseer-kept")
            os.write(self._kept[pipe], data)
            room = max(1, room - len(data))

    def _reap(self) -> None:
        """Reap orphans; how a task has ended is for a program to find."""
        with suppress(OSError, ChildProcessError):
            for text in Path("/proc/thread-self/children").read_text().split():
                if int(text) not in self._said["leaders"]:
                    os.waitpid(int(text), os.WNOHANG)

    def _notify(self, text: str) -> None:
        """Tell the service manager."""
        address = os.environ.get("NOTIFY_SOCKET", "")
        if address:
            with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
                sock.sendto(text.encode(), "\0" + address[1:] if address.startswith("@") else address)

    def _try_new(self) -> NoReturn:
        """In the child: run the new program, and keep what it has compiled."""
        self._compiled.record()
        try:
            self._run_new()
        except SystemExit as end:
            if end.code:
                raise
        with suppress(Exception):  # without it, all is compiled again
            self._compiled.write(self._said["compiled"])
        os._exit(0)  # whatever threads it has

    def _run_new(self) -> None:
        kind, target = self._said["kind"], self._said["target"]
        self._prepare(str(Path(target).absolute().parent if kind == "script" else Path.cwd()))
        if kind == "script":
            sys.argv[0] = target
            runpy.run_path(target, run_name="__main__")
        elif kind == "module":
            runpy.run_module(target, run_name="__main__", alter_sys=True)
        else:
            sys.argv[0] = "-c"
            exec(compile(target, "<string>", "exec"), {"__name__": "__main__"})

    def _run_old(self) -> None:
        import atexit

        _remove(self._said.get("place", ""))  # of an earlier time
        place = self._said["place"] = _restore(self._said["archive"])
        atexit.register(_remove, place)
        self._prepare(place)
        if self._said["kind"] == "script":  # modules beside the program
            sys.path.insert(1, str(Path(self._said["target"]).absolute().parent))
        found = (each for each in self._said.get("path", ()) if each not in sys.path and Path(each).exists())
        sys.path.extend(found)  # a one-file build finds its dependencies by itself
        sys.argv[0] = self._said["target"]
        if Path(place, "program.py").exists():
            runpy.run_path(f"{place}/program.py", run_name="__main__")
        else:
            runpy.run_module("overseer", run_name="__main__", alter_sys=True)

    def _prepare(self, first: str) -> None:
        """Have the interpreter be as if the program had been started by itself; ``first``: where modules are
        looked for first."""
        sys.orig_argv[:] = [sys.orig_argv[0], *self._said["options"], *self._said["rest"]]
        sys.argv[:] = ["", *self._said["arguments"]]
        if not sys.flags.safe_path:
            sys.path[0] = first
        elif self._turn == "old":
            sys.path.insert(0, first)


def _remove(place: str) -> None:
    """Remove a directory that the old program was run from."""
    import shutil

    if place:
        shutil.rmtree(place, ignore_errors=True)


def _restore(archive: int) -> str:
    """Restore the files of an archive to a new directory: in memory or, where that is full, on disk."""
    import tempfile

    for parent in ("/dev/shm", None):
        place = ""
        try:
            place = tempfile.mkdtemp(prefix="overseer-program-", dir=parent)
            _extract(archive, Path(place))
            return place
        except OSError:
            _remove(place)
            if parent is None:
                raise
    raise AssertionError("the last one raises")


def _extract(archive: int, place: Path) -> None:
    """Restore the files of an archive; see :class:`overseer.upgrade.package.Package`."""
    data = os.pread(archive, os.fstat(archive).st_size, 0)
    at = 0
    for name, size in json.loads(data[data.rindex(b"\n") :]):
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data[at : at + size])
        at += size


def _message() -> dict[str, Any]:
    """What this is told. The program itself reads it, too."""
    file = json.loads(os.environ[VARIABLE])["file"]
    os.set_inheritable(file, False)
    said: dict[str, Any] = json.loads(os.pread(file, os.fstat(file).st_size, 0))
    return said


if __name__ == "__main__":
    STAGE = Stage(_message())
    sys.modules[NAME] = sys.modules["__main__"]
    STAGE.run()
