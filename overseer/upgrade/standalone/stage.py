"""The first stage of an upgrade: runs the new program, and goes back to the old one if that fails.

It is the old program's, which keeps its text in memory, and uses the standard library alone: so it does not
matter what an installation has made of the files. Until the new program says that it has taken over
(:meth:`Stage.commit`), whatever it does is undone: should it fail, end or hang, the descriptors are put back,
and the old program is executed from the copy that it has kept of itself.

    python [options] /proc/self/fd/N PROGRAM [arguments]        with OVERSEER_HANDOVER in the environment
"""

from __future__ import annotations

import fcntl
import gc
import json
import os
import runpy
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

VARIABLE = "OVERSEER_HANDOVER"
NAME = "overseer_first_stage"
"""As which the new program finds this module."""

_KEPT_ABOVE = 64  # copies of descriptors get greater numbers


class Stage:
    """One execution of this file.

    Args:
        said: what the old program says: see :func:`overseer.upgrade.succession.replace_by`.
    """

    def __init__(self, said: dict[str, Any]) -> None:
        self._said = said
        self._over = False
        self._copies: dict[int, int] = {}  # of the descriptors handed over, by number

    def run(self) -> None:
        """Run the new program, or the old one again."""
        if self._said.get("rehearsal"):  # in a child, which nobody goes back from
            self._run_new()
            return
        if self._said.get("failure"):
            self._run_old()
            return
        for number in self._said["descriptors"]:
            self._copies[number] = fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, _KEPT_ABOVE)
        signal.signal(signal.SIGALRM, self._late)
        signal.setitimer(signal.ITIMER_REAL, self._said["deadline"])
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})
        gc.disable()  # loading makes no garbage, and everybody waits for it
        try:
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
        """The new program has taken over."""
        self._over = True
        gc.enable()
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        for fd in (*self._copies.values(), self._said["archive"], self._said["stage"]):
            os.close(fd)
        self._copies.clear()

    def _late(self, number: int, frame: Any) -> None:
        where = "".join(traceback.format_stack(frame)[-1:]).strip()
        self._go_back(f"it has not taken over within {self._said['deadline']:g} s: {where}")

    def _go_back(self, why: str) -> None:
        """Execute the old program."""
        if self._over:
            return
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        for number, copy in self._copies.items():
            os.dup2(copy, number, inheritable=True)
        for number in (self._said["state"], self._said["archive"], self._said["stage"]):
            os.set_inheritable(number, True)
        said = json.dumps({**self._said, "failure": f"the new program has failed: {why}"})
        script = f"/proc/self/fd/{self._said['stage']}"
        command = [sys.executable, *self._said["options"], script, *self._said["rest"]]
        os.execve(sys.executable, command, {**os.environb, VARIABLE.encode(): said.encode()})

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
        import tempfile

        memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        place = tempfile.mkdtemp(prefix="overseer-program-", dir=memory)
        _extract(self._said["archive"], Path(place))
        self._prepare(place)
        if self._said["kind"] == "script":  # modules beside the program
            sys.path.insert(1, str(Path(self._said["target"]).absolute().parent))
        sys.argv[0] = self._said["target"]
        self._over = True
        for fd in (self._said["archive"], self._said["stage"]):
            os.close(fd)
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
        elif self._said.get("failure"):
            sys.path.insert(0, first)


def _extract(archive: int, place: Path) -> None:
    """Restore the files of an archive; see :class:`overseer.upgrade.package.Package`."""
    data = os.pread(archive, os.fstat(archive).st_size, 0)
    at = 0
    for name, size in json.loads(data[data.rindex(b"\n") :]):
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data[at : at + size])
        at += size


if __name__ == "__main__":
    STAGE = Stage(json.loads(os.environ[VARIABLE]))
    sys.modules[NAME] = sys.modules["__main__"]
    STAGE.run()
