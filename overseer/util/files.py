"""Opening the files that a configuration names, without ever blocking.

A path may name a pipe without a writer, a device or a directory, and something else a moment later. So each
is opened once, in non-blocking mode, and examined through its descriptor.
"""

from __future__ import annotations

import errno
import os
import re
import select
import stat
import time
from dataclasses import dataclass

# Names of this process's own descriptors. Opening them would fail for sockets, so they are duplicated.
_DESCRIPTOR = re.compile(r"/(?:dev/(std(?:in|out|err)|fd/[0-9]{1,9})|proc/self/fd/([0-9]{1,9}))\Z")
_STANDARD = {"stdin": 0, "stdout": 1, "stderr": 2}
_PIECE = 64 * 1024


@dataclass(frozen=True, slots=True)
class SmallFile:
    """A file's content, up to one byte more than asked for, and its mode."""

    data: bytes
    mode: int


def read_small(path: str, most: int) -> SmallFile:
    """The first ``most`` + 1 bytes of a regular file.

    Raises:
        OSError: it cannot be read, or is not a regular file, which might block.
        ValueError: the path is invalid.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "it is not a regular file", path)
        with open(descriptor, "rb", closefd=False) as file:
            return SmallFile(file.read(most + 1), mode)
    finally:
        os.close(descriptor)


def read_once(path: str, most: int, patience: float) -> bytes:
    """As :func:`read_small`, but also of a pipe or device, which must end within ``patience`` seconds."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        if error.errno not in (errno.ENXIO, errno.ENOENT):
            raise
        own = _own(path)  # it may be a socket
        if own is None:
            raise
        descriptor = own
    try:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EISDIR, "it is a directory", path)
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        deadline = time.monotonic() + patience
        data = b""
        while len(data) <= most:
            if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
                raise OSError(errno.ETIMEDOUT, f"it did not end within {patience:g} s", path)
            try:
                piece = os.read(descriptor, min(_PIECE, most + 1 - len(data)))
            except BlockingIOError:
                continue
            if not piece:
                break
            data += piece
        return data
    finally:
        os.close(descriptor)


def open_to_append(path: str, mode: int, *, make: bool = True) -> int:
    """A descriptor that appends to a file, a device or a pipe with a reader; opening it never blocks.

    Args:
        mode: permissions of a new file.
        make: whether to create one.

    Raises:
        OSError: it cannot be opened, or is something else.
        ValueError: the path is invalid.
    """
    descriptor = _own(path)
    if descriptor is not None:
        return descriptor
    flags = os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags | (os.O_CREAT if make else 0), mode)
    except OSError as error:
        if error.errno == errno.ENXIO:
            pipe = _is_pipe(path)
            what = "it is a pipe without a reader" if pipe else "it is a socket, or a device that is gone"
            raise OSError(errno.ENXIO, what, path) from None
        if error.errno == errno.EISDIR:
            raise OSError(errno.EISDIR, "it is a directory", path) from None
        raise
    if stat.S_ISBLK(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is a disk", path)
    os.set_blocking(descriptor, True)  # it is written on a thread of its own
    return descriptor


def write_some(fd: int, data: bytes | memoryview) -> int:
    """Write; returns how many bytes were. Where the descriptor came in non-blocking mode, as /dev/stdout may,
    and takes nothing, this waits for room and returns 0. Raises OSError."""
    try:
        return os.write(fd, data)
    except BlockingIOError:
        poll = select.poll()
        poll.register(fd, select.POLLOUT)
        poll.poll()
        return 0


def _own(path: str) -> int | None:
    """A duplicate of the descriptor that ``path`` names; None: it is an ordinary path."""
    found = _DESCRIPTOR.match(path)
    if found is None:
        return None
    name = found[1] or found[2]
    number = _STANDARD[name] if name in _STANDARD else int(name.removeprefix("fd/"))
    try:
        return os.dup(number)  # not inherited by children
    except OSError as error:
        raise OSError(error.errno, "the server was started without this descriptor", path) from None


def _is_pipe(path: str) -> bool:
    try:
        return stat.S_ISFIFO(os.stat(path).st_mode)  # noqa: PTH116
    except OSError:
        return False
