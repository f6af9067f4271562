"""Reading the small files that a configuration names, without waiting for any of them."""

from __future__ import annotations

import errno
import os
import stat

__all__ = ["read_small"]


def read_small(path: str, most: int) -> bytes:
    """The first ``most`` + 1 bytes of a regular file.

    Raises:
        OSError: it cannot be read, or is something else: a pipe may have its reader wait for ever.
        ValueError: the path is none.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is no regular file", path)
        with open(descriptor, "rb", closefd=False) as file:
            return file.read(most + 1)
    finally:
        os.close(descriptor)
