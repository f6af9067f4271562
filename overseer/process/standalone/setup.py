"""What a process does to itself before it becomes a task's program: see :mod:`overseer.process.setup`.

It runs in an interpreter of its own that has nothing but this directory and the standard library on its path,
and imports as little as it can, since every start that needs it waits for it. It looks up no names of users:
that may ask a directory service, and is the server's to do.

Its job comes marshalled in a file in memory. What goes wrong goes back through a pipe, marshalled too: the
key of the setting, an errno, and a text where there is none. ``READY`` alone, with the pipe closed by exec,
says that the program runs; nothing at all, that this process was killed before it came so far.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # the public one spends longer on enums than all the rest
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
    """Make it the controlling terminal of this session, which has none, and all three streams."""
    for number in (_signal.SIGTTIN, _signal.SIGTTOU):  # which the server may ignore, for want of one
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
        os.fchown(0, uid, -1)  # whoever opens its terminal by name again has to be let in
    if os.geteuid() != 0:
        _drop_ambient_capabilities()  # which only root's would lose with its user
    os.setresuid(uid, uid, uid)


def _drop_ambient_capabilities() -> None:
    import ctypes

    ctypes.CDLL(None).prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)


def _execute(programs: Sequence[bytes], argv: list[bytes], env: dict[bytes, bytes]) -> None:
    """Become the first of the programs that there is; what is there but cannot be run tells why."""
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


# In this order. What only a privileged process may do comes before it becomes somebody else, and as somebody
# else it looks for the directory.
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
