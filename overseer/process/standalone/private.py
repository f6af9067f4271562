"""Directories of private files: their names, and removing them. For the server and the guardian alike."""

from __future__ import annotations

import errno
import os

PREFIX = "overseer-files-"

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_DEEPEST = 50  # directories in each other; a run has no reason to make any


def directory_of(base: str, server_id: str, run: str) -> str:
    """The directory of a run's files."""
    return f"{base}/{PREFIX}{server_id}-{run}"


def remove(directory: str) -> None:
    """Remove it with all that is in it; OSError when that cannot be done.

    Whom it belongs to may put a link in the place of anything in it, and of itself, at any moment; so nothing
    is reached by a path.
    """
    base, name = os.path.split(directory)
    parent = os.open(base, _DIRECTORY)
    try:
        _remove_in(parent, name, _DEEPEST)
    finally:
        os.close(parent)


def _remove_in(parent: int, name: str, depth: int) -> None:
    if not depth:
        raise OSError(errno.ELOOP, "directories too deep")
    directory = os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
    try:
        for each in os.listdir(directory):  # noqa: PTH208
            try:
                os.unlink(each, dir_fd=directory)
            except IsADirectoryError:
                _remove_in(directory, each, depth - 1)
    finally:
        os.close(directory)
    os.rmdir(name, dir_fd=parent)


def remove_all(base: str, server_id: str) -> None:
    """Remove those of a server that is no more, as far as that can be done."""
    try:
        names = os.listdir(base)  # noqa: PTH208
    except OSError:
        return
    for name in names:
        if name.startswith(f"{PREFIX}{server_id}-"):
            try:  # noqa: SIM105 (contextlib costs the guardian memory)
                remove(f"{base}/{name}")
            except OSError:
                pass
