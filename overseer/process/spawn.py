"""Starting an OS process: pipes, environment, errors in plain words."""

from __future__ import annotations

import errno
import logging
import os
import signal
import subprocess
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from overseer.errors import SpawnError
from overseer.process.environment import inherited
from overseer.process.forking import forking
from overseer.process.setup import Failure, Setup, Wrapper
from overseer.process.standalone.tree import read_process
from overseer.util.locks import assert_none_held

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Child:
    """A process just started, leader of a session. Whoever has it must reap it and close the fds."""

    pid: int
    start: int  # clock ticks since boot, which with the pid names it for good; 0: could not be read
    pidfd: int
    pipes: Mapping[str, int]  # stream to our end of its pipe, non-blocking

    def links(self) -> frozenset[str]:
        """What /proc/PID/fd shows of whoever has the other ends."""
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
) -> Child:
    """Start ``command``, found through PATH unless it has a slash.

    Args:
        env: added to what is inherited, or replacing it.
        streams: which of "stdout" and "stderr" get a pipe; the others go to /dev/null. So does stdin.
        merge: stderr goes where stdout goes.
        inherit: which of this process's own variables it gets; see :func:`inherited`.
        umask: None: this process's own.
        setup: further settings, which take a small program on the way to ``command``. With a ``tty`` there
            is no use for ``streams``.

    Raises:
        SpawnError: it cannot be started, with one sentence that says why.
    """
    assert_none_held("spawn")
    environment = _environment(inherit, env)
    try:
        if setup is not None:
            return _spawn_wrapped(setup, [command, *args], environment, cwd, streams, merge, umask)
        with forking:
            return _spawn([command, *args], environment, cwd, streams, merge, umask)
    except (OSError, ValueError, TypeError) as error:
        raise SpawnError(f"cannot start {command!r}: {_reason(error, command, args, cwd)}") from error


def _spawn_wrapped(
    setup: Setup,
    argv: Sequence[str],
    environment: Mapping[bytes, bytes],
    cwd: str | None,
    streams: Sequence[str],
    merge: bool,
    umask: int | None,
) -> Child:
    wrapper = Wrapper(setup, argv, environment, cwd, umask)
    try:
        with forking:
            child = _spawn(wrapper.argv, wrapper.env, None, streams, merge, None, wrapper.fds)
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
    """It never became the program."""
    with suppress(PermissionError):  # it is somebody else already, and ends by itself
        os.killpg(child.pid, signal.SIGKILL)
    os.waitpid(child.pid, 0)
    os.close(child.pidfd)
    _close(child.pipes)


def _error(failure: Failure, cwd: str | None) -> Exception:
    """As the system would have raised it for a direct start; or the sentence itself."""
    if failure.key == "program":
        return OSError(failure.number, "") if failure.number else ValueError(failure.text)
    if failure.key == "cwd" and failure.number:
        return OSError(failure.number, "", cwd)
    return SpawnError(f"{failure.key}: {failure.text or os.strerror(failure.number)}")


def _spawn(
    argv: Sequence[str],
    environment: Mapping[bytes, bytes],
    cwd: str | None,
    streams: Sequence[str],
    merge: bool,
    umask: int | None,
    fds: Collection[int] = (),
) -> Child:
    ours: dict[str, int] = {}
    theirs: dict[str, int] = {}
    try:
        for stream in streams:
            ours[stream], theirs[stream] = os.pipe2(os.O_CLOEXEC)
            os.set_blocking(ours[stream], False)
        popen = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=theirs.get("stdout", subprocess.DEVNULL),
            stderr=subprocess.STDOUT if merge else theirs.get("stderr", subprocess.DEVNULL),
            env=environment,
            cwd=cwd,
            # Its own, so that no terminal of the server's controls it: it could be stopped for reading there.
            umask=-1 if umask is None else umask,
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
    # From here on reaping is the worker's. A Popen that believes it is over never reaps behind its back,
    # neither when it is dropped nor when the next one is made.
    popen.returncode = 0
    try:
        pidfd = os.pidfd_open(popen.pid)
    except OSError:
        _close(ours)
        try:
            os.killpg(popen.pid, signal.SIGKILL)
        except PermissionError:
            # It runs as somebody else by now. Waiting for it could take forever; reap_orphans buries it.
            _log.warning("process %d was started in vain and cannot be killed", popen.pid)
        else:
            os.waitpid(popen.pid, 0)
        raise
    return Child(popen.pid, _start_of(popen.pid), pidfd, ours)


def _start_of(pid: int) -> int:
    try:
        process = read_process(pid)
    except OSError:  # out of file descriptors
        return 0
    return process.start if process is not None else 0


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
            raise SpawnError(f"cannot start a task: the variable {key!r} has a NUL character in it")
    return environment


_REASONS = {
    errno.EACCES: "permission denied; is it executable?",
    errno.EPERM: "the system does not permit it",
    errno.ENOEXEC: "it is neither a program for this machine nor a script with a #! line",
    errno.E2BIG: "its arguments and environment are too long",
    errno.EMFILE: "the server has too many open files",
    errno.ENFILE: "the system has too many open files",
    errno.EAGAIN: "the system allows no further process",
    errno.ENOMEM: "out of memory",
    errno.ETXTBSY: "its file is being written to",
    errno.ELOOP: "too many symbolic links",
    errno.ENAMETOOLONG: "its name is too long",
}


def _reason(error: Exception, command: str, args: Sequence[str], cwd: str | None) -> str:
    """What went wrong, to follow "cannot start 'program': "."""
    if not isinstance(error, OSError):
        if not isinstance(args, Iterable) or not all(isinstance(text, str) for text in (command, *args)):
            return "its arguments must be strings"
        if any("\0" in text for text in (command, *args)):
            return "an argument has a NUL character in it"
        if "\0" in str(cwd):
            return "its directory has a NUL character in it"
        if isinstance(error, UnicodeError):
            return "an argument has a character in it that is not text"
        return str(error)
    command = os.fsdecode(command)  # a driver may have given Paths
    if cwd is not None and error.filename == cwd and error.errno in (errno.ENOENT, errno.ENOTDIR):
        return f"no such directory to run it in: {str(cwd)!r}"
    if cwd is not None and error.filename == cwd and error.errno == errno.EACCES:
        return f"permission denied to run it in {str(cwd)!r}"
    if not command:
        return "its name is empty"
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        if "/" not in command:
            return "no such program in PATH"
        return "its interpreter is missing" if os.path.exists(command) else "no such file"  # noqa: PTH110
    return _REASONS.get(error.errno or 0) or os.strerror(error.errno or 0)
