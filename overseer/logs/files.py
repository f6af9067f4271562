"""Calls for the files of a log."""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress

_AHEAD = 4 * 2**20  # bytes of disk space reserved at a time
_PIECES = 1024  # buffers in one writev
_KEEP_SIZE = 1  # of fallocate
_SLACK = 2**20  # bytes of disk space that a file may have beyond its size, for the file system's own reasons

_libc = ctypes.CDLL(None)
_fallocate = getattr(_libc, "fallocate64", None) or getattr(_libc, "fallocate", None)
if _fallocate is not None:
    _fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]


def close(file: int) -> None:
    """Close it, if it is open. It is closed even if that reports the failure of a write, as NFS does."""
    if file >= 0:
        with suppress(OSError):
            os.close(file)


def reserve(file: int, end: int) -> int:
    """Reserve disk space behind ``end``, which makes appending a third cheaper where the file system finds
    space block by block; returns up to where it need not be called again, whether there was any or not."""
    if _fallocate is not None:
        _fallocate(file, _KEEP_SIZE, end, _AHEAD)
    return end + _AHEAD


def exceeds(file: int, size: int) -> bool:
    """Whether it holds more bytes than that, or more disk space, reserved by a program that was killed."""
    status = os.fstat(file)
    return status.st_size > size or status.st_blocks * 512 > size + _SLACK


def write_all(file: int, pieces: list[bytes], size: int) -> None:
    """Append all, ``size`` bytes. Raises OSError, when some may have been appended."""
    written = os.writev(file, pieces[:_PIECES])
    while written < size:  # a partial write; if the disk is full, the next call raises
        left = memoryview(b"".join(pieces))[written:]
        written += os.write(file, left)


def add(path: str, data: bytes, *, anew: bool) -> None:
    """Append all of it to a file, created if missing; ``anew``: in place of what it holds. Raises OSError."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    file = os.open(path, flags | (os.O_TRUNC if anew else 0), 0o600)
    try:
        write_all(file, [data], len(data))
    finally:
        os.close(file)


def end_line(path: str) -> None:
    """Complete a torn last line, so that what is appended begins a line. Raises OSError."""
    try:
        file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return
    try:
        size = os.lseek(file, 0, os.SEEK_END)
        if size and os.pread(file, 1, size - 1) != b"\n":
            os.write(file, b"\n")
    finally:
        os.close(file)
