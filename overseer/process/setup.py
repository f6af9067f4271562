"""A process's settings beyond its program: a terminal, limits, a user, a cgroup.

Python code between fork and exec is unsafe in a threaded program, so what subprocess cannot do is done by a
small program that is started with the task's pid and then executes the task's program (its own side is
``standalone.setup``). A task without such settings is started directly.
"""

from __future__ import annotations

import errno
import marshal
import os
import resource
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from overseer.errors import SpawnError
from overseer.process.identity import (
    CAP_SYS_NICE,
    CAP_SYS_RESOURCE,
    Identity,
    fault_of,
    identity_of,
    is_capable,
    refusal,
)
from overseer.process.standalone.setup import READY
from overseer.process.standalone.tree import RUN_VARIABLE, SERVER_VARIABLE

RLIMITS = tuple(
    sorted(name[7:].lower() for name in dir(resource) if name.startswith("RLIMIT_") and name[7:] != "OFILE")
)
"""The resources that can be limited, by name: ``nofile`` and so on."""

_FOLDER = str(Path(__file__).parent / "standalone")
_PROGRAM = """\
import sys
sys.path.insert(0, sys.argv[1])
import setup
setup.main(sys.argv[2:])
"""
# The small program's environment; the task's own variables might change what it does.
_VARIABLES = (RUN_VARIABLE.encode(), SERVER_VARIABLE.encode())


@dataclass(frozen=True, slots=True)
class Setup:
    """What is done in a new process before it executes the program; anything unset stays as it is.

    Attributes:
        tty: path of a terminal's slave; it becomes the controlling terminal, stdin, stdout and stderr.
        nice: niceness, from -20 to 19.
        rlimits: soft and hard limit for each of some ``RLIMITS``; -1: unlimited.
        identity: the user and groups. HOME and the like are the environment's business.
        cgroup: directory of the cgroup to enter.
    """

    tty: str = ""
    nice: int | None = None
    rlimits: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    identity: Identity = Identity()  # noqa: RUF009 (frozen)
    cgroup: str = ""

    @property
    def needed(self) -> bool:
        who = self.identity
        ids = (who.uid, who.gid)
        return bool(self.tty or self.rlimits or self.cgroup) or self.nice is not None or ids != (None, None)


def setup_faults(
    user: str, group: str, rlimits: Mapping[str, tuple[int, int]], nice: int | None
) -> Iterator[tuple[str, str]]:
    """The settings that will fail, as far as this process can tell in advance, each with the reason."""
    try:
        fault = fault_of(identity_of(user, group))
    except SpawnError as error:
        key, _, text = str(error).partition(": ")
        fault = key, text
    if fault is not None:
        yield fault
    for name, (_, hard) in rlimits.items():
        if (text := _above(name, hard)) and not is_capable(CAP_SYS_RESOURCE):
            yield f"rlimits.{name}", text
    if nice is not None and not is_capable(CAP_SYS_NICE):
        # Without the privilege, niceness may only fall to the present one or what RLIMIT_NICE allows.
        least = min(os.getpriority(os.PRIO_PROCESS, 0), 20 - resource.getrlimit(resource.RLIMIT_NICE)[0])
        if nice < least:
            yield "nice", _unkind(nice)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a program was not started: the setting's key or "program", and an errno or a text."""

    key: str
    number: int
    text: str


class Wrapper:
    """The small program for one start; must be closed.

    It is started with ``argv``, ``env`` and ``fds``, the file descriptors that it inherits.
    """

    def __init__(
        self,
        setup: Setup,
        argv: Sequence[str],
        env: Mapping[bytes, bytes],
        cwd: str | None,
        umask: int | None,
    ) -> None:
        """
        Raises:
            OSError: out of file descriptors or memory.
            ValueError, TypeError: an argument is not text.
        """
        if not sys.executable or getattr(sys, "frozen", False):
            raise ValueError("its settings need a Python interpreter, and none was found")
        self._setup = setup
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
        """Wait until it has executed the program (None) or has failed."""
        os.close(self._theirs)
        self._theirs = -1
        with open(self._ours, "rb", closefd=False) as pipe:
            report = pipe.read()
        if report == READY:
            return None
        if not report:
            return Failure("program", 0, "it was killed while its settings were being applied")
        key, number, text = marshal.loads(report.removeprefix(READY))
        return _explained(self._setup, Failure(key, number, text))

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
    who = setup.identity
    steps = {
        "tty": setup.tty or None,
        "cgroup": setup.cgroup or None,
        "nice": setup.nice,
        "rlimits": {name: tuple(pair) for name, pair in setup.rlimits.items()} or None,
        "groups": who.groups,
        "group": who.gid,
        "user": who.uid,
        "umask": umask,
        "cwd": None if cwd is None else os.fsencode(cwd),
    }
    return {
        **{key: value for key, value in steps.items() if value is not None},
        "argv": words,
        "env": dict(env),
        "programs": [os.path.join(folder, command) for folder in folders],  # noqa: PTH118
    }


def _explained(setup: Setup, failure: Failure) -> Failure:
    """The failure under its configuration key, and in clearer terms than the system's where possible."""
    key, number, text = failure.key, failure.number, failure.text
    who = setup.identity
    if key in ("user", "groups", "group") and number == errno.EPERM:
        key, text = refusal("user" if who.uid is not None else "group", who)
    elif key.startswith("rlimits."):
        name = key.removeprefix("rlimits.")
        text = _above(name, setup.rlimits[name][1]) or text if name in RLIMITS else "no such limit"
    elif key == "nice" and setup.nice is not None:
        text = _unkind(setup.nice)
    elif key == "cgroup":
        text = f"{setup.cgroup} cannot be entered: {text or os.strerror(number)}"
    elif key == "program" and number == errno.EAGAIN and "nproc" in setup.rlimits:
        key, text = "rlimits.nproc", "the user already has that many processes"
    return Failure(key, number, text)


def _above(name: str, hard: int) -> str:
    """The message for a limit above this process's own hard limit; "" if it is not."""
    own = resource.getrlimit(getattr(resource, f"RLIMIT_{name.upper()}"))[1]
    if own == resource.RLIM_INFINITY or (hard != resource.RLIM_INFINITY and hard <= own):
        return ""
    shown = "unlimited" if hard == resource.RLIM_INFINITY else hard
    return f"{shown} is above the hard limit {own}"


def _unkind(nice: int) -> str:
    return f"{nice} needs a privilege that the server lacks"
