"""Starts OS processes: pipes, environment, plain error messages."""

from __future__ import annotations

import errno
import logging
import os
import signal
import subprocess
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from overseer.errors import SpawnError
from overseer.process.environment import inherited
from overseer.process.forking import forking
from overseer.process.setup import Failure, Setup, Wrapper
from overseer.util.locks import assert_none_held

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Child:
    """A process just started, leader of its session. Its owner must reap it and close the descriptors."""

    pid: int
    pidfd: int
    pipes: Mapping[str, int]  # stream to our end of its pipe, non-blocking

    def links(self) -> frozenset[str]:
        """What /proc/PID/fd shows in a process that has the other ends."""
        return frozenset(f"pipe:[{os.fstat(fd).st_ino}]" for fd in self.pipes.values())


def spawn(
    command: str,
    args: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: str | None,
    streams: Sequence[str],
    merge: bool = False,
    inherit: str | Collection[str] = "all",
    umask: int | None = None,
    setup: Setup | None = None,
    stdin: int = subprocess.DEVNULL,
) -> Child:
    """Start ``command``, found through PATH unless it has a slash.

    Args:
        env: added to the inherited variables; replaces those of the same name.
        streams: which of "stdout" and "stderr" get a pipe; the others go to /dev/null.
        merge: stderr goes where stdout goes.
        inherit: which of this process's own variables it gets; see :func:`inherited`.
        umask: None: this process's own.
        setup: further settings; what is set is applied by a small program on the way to ``command``. With a
            ``tty``, ``streams`` and ``stdin`` have no effect.
        stdin: a descriptor to read from; not closed here.

    Raises:
        SpawnError: it cannot be started; the message is one sentence.
    """
    assert_none_held("spawn")
    environment = _environment(inherit, env)
    start = partial(_spawn, streams=streams, merge=merge, stdin=stdin)
    try:
        if setup is not None and setup.needed:
            return _spawn_wrapped(Wrapper(setup, [command, *args], environment, cwd, umask), cwd, start)
        with forking:
            return start([command, *args], environment, cwd=cwd, umask=umask)
    except (OSError, ValueError, TypeError) as error:
        raise SpawnError(f"cannot start {command!r}: {_reason(error, command, args, cwd)}") from error


def _spawn_wrapped(wrapper: Wrapper, cwd: str | None, start: Callable[..., Child]) -> Child:
    try:
        with forking:
            child = start(wrapper.argv, wrapper.env, fds=wrapper.fds)
        try:
            failure = wrapper.failure()
            if failure is not None:
                raise _error(failure, cwd)
        except BaseException:
            _give_up(child)
            raise
    finally:
        wrapper.close()
    return child


def _give_up(child: Child) -> None:
    """End a child that failed to execute its program."""
    with suppress(PermissionError):  # it already runs as another user, and ends by itself
        os.killpg(child.pid, signal.SIGKILL)
    os.waitpid(child.pid, 0)
    os.close(child.pidfd)
    _close(child.pipes)


def _error(failure: Failure, cwd: str | None) -> Exception:
    """The exception that a direct start would have raised, or a SpawnError that names the setting."""
    if failure.key == "program":
        return OSError(failure.number, "") if failure.number else ValueError(failure.text)
    if failure.key == "cwd" and failure.number:
        return OSError(failure.number, "", cwd)
    return SpawnError(f"{failure.key}: {failure.text or os.strerror(failure.number)}")


def _spawn(
    argv: Sequence[str],
    environment: Mapping[bytes, bytes],
    *,
    cwd: str | None = None,
    umask: int | None = None,
    fds: Collection[int] = (),
    streams: Sequence[str],
    merge: bool,
    stdin: int,
) -> Child:
    ours: dict[str, int] = {}
    theirs: dict[str, int] = {}
    try:
        for stream in streams:
            ours[stream], theirs[stream] = os.pipe2(os.O_CLOEXEC)
            os.set_blocking(ours[stream], False)
        popen = subprocess.Popen(
            argv,
            stdin=stdin,
            stdout=theirs.get("stdout", subprocess.DEVNULL),
            stderr=subprocess.STDOUT if merge else theirs.get("stderr", subprocess.DEVNULL),
            env=environment,
            cwd=cwd,
            umask=-1 if umask is None else umask,
            # A session without the server's terminal, or reading from that would stop the task.
            start_new_session=True,
            restore_signals=True,
            close_fds=True,
            pass_fds=fds,
        )
    except BaseException:
        _close(ours)
        raise
    finally:
        _close(theirs)
    # From here on the worker reaps. A Popen with a returncode never does so behind its back, neither when it
    # is dropped nor when the next one is created.
    popen.returncode = 0
    try:
        pidfd = os.pidfd_open(popen.pid)
    except OSError:
        _close(ours)
        try:
            os.killpg(popen.pid, signal.SIGKILL)
        except PermissionError:
            # It runs as another user by now. Waiting could take forever; reap_orphans will reap it.
            _log.warning("process %d failed to start properly and cannot be killed", popen.pid)
        else:
            os.waitpid(popen.pid, 0)
        raise
    return Child(popen.pid, pidfd, ours)


def _close(fds: Mapping[str, int]) -> None:
    for fd in fds.values():
        os.close(fd)


def _environment(inherit: str | Collection[str], extra: Mapping[str, str]) -> dict[bytes, bytes]:
    environment = inherited(inherit)
    for key, text in extra.items():
        try:
            environment[os.fsencode(key)] = value = os.fsencode(text)
        except (TypeError, UnicodeError):
            raise SpawnError(f"cannot start a task: the variable {key!r} is not text") from None
        if b"\0" in value:
            raise SpawnError(f"cannot start a task: the variable {key!r} contains a NUL character")
    return environment


_REASONS = {
    errno.EACCES: "permission denied; is it executable?",
    errno.EPERM: "the system does not permit it",
    errno.ENOEXEC: "it is neither a program for this machine nor a script with a #! line",
    errno.E2BIG: "its arguments and environment are too long",
    errno.EMFILE: "the server has too many open files",
    errno.ENFILE: "the system has too many open files",
    errno.EAGAIN: "the system allows no more processes",
    errno.ENOMEM: "out of memory",
    errno.ETXTBSY: "its file is being written to",
    errno.ELOOP: "too many symbolic links",
    errno.ENAMETOOLONG: "its name is too long",
}


def _reason(error: Exception, command: str, args: Sequence[str], cwd: str | None) -> str:
    """The part of the message after "cannot start 'program': "."""
    if not isinstance(error, OSError):
        if not isinstance(args, Iterable) or not all(isinstance(text, str) for text in (command, *args)):
            return "its arguments must be strings"
        if any("\0" in text for text in (command, *args)):
            return "an argument contains a NUL character"
        if "\0" in str(cwd):
            return "cwd: it contains a NUL character"
        if isinstance(error, UnicodeError):
            return "an argument contains a character that is not text"
        return str(error)
    command = os.fsdecode(command)  # a driver may have given Paths
    if cwd is not None and error.filename == cwd and error.errno in (errno.ENOENT, errno.ENOTDIR):
        return f"cwd: no such directory: {str(cwd)!r}"
    if cwd is not None and error.filename == cwd and error.errno == errno.EACCES:
        return f"cwd: permission denied: {str(cwd)!r}"
    if not command:
        return "its name is empty"
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        if "/" not in command:
            return "no such program in PATH"
        return "its interpreter is missing" if os.path.exists(command) else "no such file"  # noqa: PTH110
    return _REASONS.get(error.errno or 0) or os.strerror(error.errno or 0)
