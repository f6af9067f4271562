"""Directories of private files: naming and removing them, for the server and the guardian alike."""

from __future__ import annotations

import errno
import os

PREFIX = "overseer-files-"

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_DEEPEST = 50  # nested directories; a run has no reason to create any


def directory_of(base: str, server_id: str, run: str) -> str:
    return f"{base}/{PREFIX}{server_id}-{run}"


def remove(directory: str) -> None:
    """Remove it with all its contents. Raises OSError.

    Its owner may replace anything in it, or itself, by a link at any moment, so everything is reached through
    descriptors.
    """
    base, name = os.path.split(directory)
    parent = os.open(base, _DIRECTORY)
    try:
        _remove_in(parent, name, _DEEPEST)
    finally:
        os.close(parent)


def _remove_in(parent: int, name: str, depth: int) -> None:
    if not depth:
        raise OSError(errno.ELOOP, "directories nested too deeply")
    directory = os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
    try:
        directories = []
        for each in os.listdir(directory):  # noqa: PTH208
            try:
                os.unlink(each, dir_fd=directory)
            except IsADirectoryError:
                directories.append(each)
        for each in directories:  # last: whatever they hold keeps no file here
            _remove_in(directory, each, depth - 1)
    finally:
        os.close(directory)
    os.rmdir(name, dir_fd=parent)


def remove_all(base: str, server_id: str) -> None:
    """Remove those of a server that is gone, as far as possible."""
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
