"""What a process is given besides a program: a terminal, limits, a user, a cgroup.

Python code between fork and exec is unsafe where there are threads, so what subprocess cannot do itself is
done by a small program that is started in the task's place, with the task's pid, and then becomes the task's
program (its own side is ``standalone.setup``). A task without such settings is started directly.
"""

from __future__ import annotations

import marshal
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from overseer.process.standalone.setup import READY
from overseer.process.standalone.tree import RUN_VARIABLE, SERVER_VARIABLE

_FOLDER = str(Path(__file__).parent / "standalone")
_PROGRAM = """\
import sys
sys.path.insert(0, sys.argv[1])
import setup
setup.main(sys.argv[2:])
"""
# What the small program finds in its environment; the task's own variables might change what it does.
_VARIABLES = (RUN_VARIABLE.encode(), SERVER_VARIABLE.encode())


@dataclass(frozen=True, slots=True)
class Setup:
    """What is done in a new process before it becomes the program; what is not given is left as it is.

    Attributes:
        tty: path of a terminal's slave; it becomes the controlling terminal, stdin, stdout and stderr.
        nice: its niceness, from -20 to 19.
        rlimits: of each resource, named as in RLIMIT_*, the soft and the hard limit; -1 is none.
    """

    tty: str = ""
    nice: int | None = None
    rlimits: Mapping[str, tuple[int, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a program was not started: the setting's key, or "program", and an errno or a text."""

    key: str
    number: int
    text: str


class Wrapper:
    """The small program on its way to becoming one task's; to be closed.

    ``argv``, ``env`` and ``fds``, the file descriptors it inherits, are what it is started with.
    """

    def __init__(
        self,
        setup: Setup,
        argv: Sequence[str],
        env: Mapping[bytes, bytes],
        cwd: str | None,
        umask: int | None,
    ) -> None:
        """Raises OSError, and ValueError for what is no text."""
        if not sys.executable or getattr(sys, "frozen", False):
            raise ValueError("there is no Python interpreter, which its settings need")
        self._job = self._ours = self._theirs = -1
        job = marshal.dumps(_job(setup, argv, env, cwd, umask))
        try:
            self._job = os.memfd_create("overseer-setup", os.MFD_CLOEXEC)
            with open(self._job, "wb", closefd=False) as file:
                file.write(job)
            os.lseek(self._job, 0, os.SEEK_SET)
            self._ours, self._theirs = os.pipe2(os.O_CLOEXEC)
        except BaseException:
            self.close()
            raise
        self.fds = (self._job, self._theirs)
        self.argv = [sys.executable, "-I", "-S", "-E", "-c", _PROGRAM, _FOLDER, *map(str, self.fds)]
        self.env = {name: env[name] for name in _VARIABLES if name in env}
        if path := os.environb.get(b"LD_LIBRARY_PATH"):
            self.env[b"LD_LIBRARY_PATH"] = path

    def failure(self) -> Failure | None:
        """Wait until it has become the program, None, or has failed, and ends."""
        os.close(self._theirs)
        self._theirs = -1
        with open(self._ours, "rb", closefd=False) as pipe:
            report = pipe.read()
        if report == READY:
            return None
        if not report:
            return Failure("program", 0, "what sets it up was ended before it could begin")
        return Failure(*marshal.loads(report.removeprefix(READY)))

    def close(self) -> None:
        for fd in (self._job, self._ours, self._theirs):
            if fd >= 0:
                os.close(fd)
        self._job = self._ours = self._theirs = -1


def _job(
    setup: Setup,
    argv: Sequence[str],
    env: Mapping[bytes, bytes],
    cwd: str | None,
    umask: int | None,
) -> dict[str, Any]:
    words = [os.fsencode(word) for word in argv]
    command = words[0]
    folders = [b""] if b"/" in command else env.get(b"PATH", os.fsencode(os.defpath)).split(b":")
    steps = {
        "tty": setup.tty or None,
        "nice": setup.nice,
        "rlimits": {name: tuple(pair) for name, pair in setup.rlimits.items()} or None,
        "umask": umask,
        "cwd": None if cwd is None else os.fsencode(cwd),
    }
    return {
        **{key: value for key, value in steps.items() if value is not None},
        "argv": words,
        "env": dict(env),
        "programs": [os.path.join(folder, command) for folder in folders],  # noqa: PTH118
    }
