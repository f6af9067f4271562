"""Private files of a run, in memory where possible, in a directory that no other user can read: its secrets,
and what it hands on.

Each run has a directory of its own, removed with the run. Its descriptor is kept open and locked: an unlocked
directory was left by a server that was killed together with its guardian, and is removed when another server
creates its first one.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import stat
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from overseer.errors import SpawnError
from overseer.process.registry import registry
from overseer.process.standalone.private import PREFIX, directory_of, remove
from overseer.util.handover_format import Incoming, Outgoing

_log = logging.getLogger(__name__)


def bases() -> list[str]:
    """Where the directories may be, best place first; the first two are in memory."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    return ["/dev/shm", *([runtime] if runtime.startswith("/") else []), tempfile.gettempdir()]


class PrivateFiles:
    """The files of one run, by name; of mode 0400, in a directory of mode 0700.

    Args:
        files: the contents, by name.
        owner: the run's uid and gid, if not this process's; -1 leaves one unchanged.
        output: the name of one more, which is empty, and which the run may write to.

    Raises:
        SpawnError: they cannot be created; none is left then.
    """

    def __init__(
        self, run: str, files: Mapping[str, bytes], owner: tuple[int, int] | None = None, output: str = ""
    ) -> None:
        self._directory, self._lock = _make_directory(run)
        self._owner = os.geteuid() if owner is None else owner[0]
        self.paths = {name: f"{self._directory}/{name}" for name in (*files, *filter(None, [output]))}
        try:
            for name, content in files.items():
                _write(self.paths[name], content, owner)
            if output:
                _write(self.paths[output], b"", owner, 0o600)
            if owner is not None:
                os.chown(self._directory, *owner)
        except OSError as error:
            self.remove()
            raise SpawnError(f"cannot make the run's own files: {error.strerror}") from error

    @classmethod
    def restored(cls, data: Mapping[str, Any], given: Incoming) -> PrivateFiles:
        """Those that another program has exported."""
        files = cls.__new__(cls)
        files._directory, files._owner = data["directory"], data["owner"]
        files._lock = given.fd(data["lock"])
        files.paths = dict(data["paths"])
        return files

    def export(self, out: Outgoing) -> dict[str, Any]:
        """What another program has to know of them."""
        return {
            "directory": self._directory,
            "lock": out.fd(self._lock),
            "owner": self._owner,
            "paths": dict(self.paths),
        }

    def tail(self, name: str, most: int) -> bytes:
        """The last bytes that the run has written to one of them, ``most`` at most. Whatever it has put in
        that one's place, it is not led to what is not its own.

        Raises:
            OSError: it cannot be read, or is not a file of the run's.
        """
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(name, flags, dir_fd=self._lock)
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1 or found.st_uid != self._owner:
                raise OSError(errno.EPERM, "not a file of the run's own")
            return os.pread(descriptor, most, max(0, found.st_size - most))
        finally:
            os.close(descriptor)

    def remove(self) -> None:
        try:
            remove(self._directory)
        except OSError as error:
            _log.warning("cannot remove %s: %s", self._directory, error.strerror)
        finally:
            os.close(self._lock)


def _make_directory(run: str) -> tuple[str, int]:
    """Create a directory; returns its path and locked descriptor."""
    _sweep()
    reason = ""
    for base in bases():
        directory = directory_of(base, registry.server_id, run)
        new = f"{base}/.{run}"  # a name that no sweep takes
        try:
            os.mkdir(new, 0o700)  # noqa: PTH102
            os.chmod(new, 0o700)  # noqa: PTH101 (whatever the umask takes away)
        except OSError as error:
            reason = reason or f"{base}: {error.strerror}"
            continue
        try:
            descriptor = os.open(new, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:  # no descriptor left
            os.rmdir(new)  # noqa: PTH106
            raise SpawnError(f"cannot make the run's own files: {error.strerror}") from error
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.rename(new, directory)  # noqa: PTH104
        return directory, descriptor
    raise SpawnError(f"cannot make the run's own files: {reason}")


def _write(path: str, content: bytes, owner: tuple[int, int] | None, mode: int = 0o400) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        os.fchmod(descriptor, mode)  # whatever the umask takes away
        if owner is not None:
            os.fchown(descriptor, *owner)
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
    finally:
        os.close(descriptor)


@cache
def _sweep() -> None:
    """Remove what servers that are gone have left."""
    for base in bases():
        with suppress(OSError):
            for directory in Path(base).glob(f"{PREFIX}*"):
                with suppress(OSError):
                    _remove_unless_owned(str(directory))


def _remove_unless_owned(directory: str) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if stat.S_IMODE(os.fstat(descriptor).st_mode) != 0o700:
            return
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        remove(directory)
    finally:
        os.close(descriptor)
