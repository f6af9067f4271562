"""What a process does to itself before it becomes a task's program: see :mod:`overseer.process.setup`.

It runs in an interpreter of its own with only this directory and the standard library on its path, and
imports as little as it can, since every start that needs it waits for it. User names are looked up by the
server, as that may query a directory service.

Its job comes marshalled in a memfd. A failure goes back through a pipe, marshalled too: the setting's key, an
errno, and a text if there is no errno. ``READY`` alone, followed by the end of the pipe at exec, means that
the program runs; nothing at all, that this process was killed first.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # the public one takes longer to build enums than all the rest
import errno
import marshal
import os
import resource
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

READY = b"."
_FAILED = 127
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4


def main(arguments: list[str]) -> None:
    """``arguments``: the file descriptors of the job and of the pipe."""
    job_fd, report = int(arguments[0]), int(arguments[1])
    os.set_inheritable(report, False)
    with open(job_fd, "rb") as file:
        job: dict[str, Any] = marshal.load(file)
    key = ""
    try:
        for key, step in _STEPS.items():
            if key in job:
                step(job[key])
        os.write(report, READY)
        key = "program"
        _execute(job["programs"], job["argv"], job["env"])
    except _LimitError as error:
        _report(report, f"rlimits.{error.name}", error.reason)
    except BaseException as error:
        _report(report, key, error)
    os._exit(_FAILED)


def _report(report: int, key: str, error: BaseException) -> None:
    number = error.errno if isinstance(error, OSError) and error.errno else 0
    os.write(report, marshal.dumps((key, number, "" if number else str(error))))


class _LimitError(Exception):
    def __init__(self, name: str, reason: Exception) -> None:
        self.name = name
        self.reason = reason


def _open_terminal(path: str) -> None:
    """Make it this session's controlling terminal and all three standard streams."""
    for number in (_signal.SIGTTIN, _signal.SIGTTOU):  # a server without a terminal may ignore them
        _signal.signal(number, _signal.SIG_DFL)
    fd = os.open(path, os.O_RDWR)
    for number in range(3):
        os.dup2(fd, number)
    if fd > 2:
        os.close(fd)


def _enter_cgroup(path: str) -> None:
    fd = os.open(path + "/cgroup.procs", os.O_WRONLY)
    os.write(fd, b"0")
    os.close(fd)


def _set_niceness(value: int) -> None:
    os.setpriority(os.PRIO_PROCESS, 0, value)


def _limit(limits: dict[str, tuple[int, int]]) -> None:
    for name, pair in limits.items():
        try:
            resource.setrlimit(getattr(resource, "RLIMIT_" + name.upper()), pair)
        except Exception as error:
            raise _LimitError(name, error) from None


def _set_group(gid: int) -> None:
    os.setresgid(gid, gid, gid)


def _set_user(uid: int) -> None:
    if os.isatty(0):
        os.fchown(0, uid, -1)  # so that the user can open the terminal by name
    if os.geteuid() != 0:
        _drop_ambient_capabilities()  # only root loses them with its uid
    os.setresuid(uid, uid, uid)


def _drop_ambient_capabilities() -> None:
    import ctypes

    ctypes.CDLL(None).prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)


def _execute(programs: Sequence[bytes], argv: list[bytes], env: dict[bytes, bytes]) -> None:
    """Execute the first of the programs that exists; one that cannot be executed gives the error."""
    for number in (_signal.SIGPIPE, _signal.SIGXFSZ):  # the interpreter ignores them
        _signal.signal(number, _signal.SIG_DFL)
    reason: OSError | None = None
    for program in programs:
        try:
            os.execve(program, argv, env)
        except OSError as error:
            if reason is None or error.errno not in (errno.ENOENT, errno.ENOTDIR):
                reason = error
    assert reason is not None
    raise reason


# In this order: what needs privileges comes before the change of user, the change of directory after it.
_STEPS: dict[str, Callable[[Any], object]] = {
    "tty": _open_terminal,
    "cgroup": _enter_cgroup,
    "nice": _set_niceness,
    "rlimits": _limit,
    "groups": os.setgroups,
    "group": _set_group,
    "user": _set_user,
    "umask": os.umask,
    "cwd": os.chdir,
}


if __name__ == "__main__":
    main(sys.argv[1:])
