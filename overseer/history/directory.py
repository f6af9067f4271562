"""The data directory: private to the server's user, and used by one server at a time."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from pathlib import Path

from overseer.errors import OverseerError

_PATIENCE_S = 1.0
_LOCK = "lock"


class DirectoryInUseError(OverseerError):
    """Another server uses the directory."""


class DataDirectory:
    """Creates and locks the directory at ``path``. Not thread-safe.

    The lock is an flock on a file in it, opened close-on-exec, so that no child holds it. A process that is
    being forked when its server is killed may hold it for a moment, which is waited for.
    """

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self._lock_path = f"{path}/{_LOCK}"
        self._lock = -1

    def acquire(self) -> None:
        """Create and lock it, unless it is locked already.

        Raises:
            DirectoryInUseError: another server uses it.
            OSError: it cannot be created, or is not a directory.
        """
        if self.intact:
            return
        self.release()
        try:
            self.path.mkdir(0o700)
        except FileExistsError:
            _make_private(self.path)
        lock = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            self._wait_for(lock)
        except BaseException:
            os.close(lock)
            raise
        self._lock = lock

    @property
    def lock(self) -> int:
        """The descriptor that holds the lock; -1: none does."""
        return self._lock

    def adopt(self, lock: int) -> None:
        """Hold the lock that a program before this one has taken."""
        self._lock = lock

    def _wait_for(self, lock: int) -> None:
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise DirectoryInUseError(
                        f"{self.path} is in use by another server: each needs a data_dir of its own"
                    ) from None
                time.sleep(0.02)
            else:
                return

    @property
    def intact(self) -> bool:
        """Whether the lock held is that of the directory now at the path. Safe from any thread."""
        try:
            there = os.stat(self._lock_path, follow_symlinks=False)  # noqa: PTH116
            return os.path.samestat(there, os.fstat(self._lock))
        except OSError:  # there is none, or it is not held
            return False

    def release(self) -> None:
        """Release the lock. Idempotent."""
        if self._lock >= 0:
            lock, self._lock = self._lock, -1
            os.close(lock)


def _make_private(path: Path) -> None:
    """Make an existing directory private, as it holds parameters and output."""
    found = path.stat()
    if not stat.S_ISDIR(found.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, "is not a directory", str(path))
    if found.st_mode & 0o077:
        path.chmod(0o700)
