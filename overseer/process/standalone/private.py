"""Directories of private files: their names, and removing them. For the server and the guardian alike."""

from __future__ import annotations

import os

PREFIX = "overseer-files-"


def directory_of(base: str, server_id: str, run: str) -> str:
    """The directory of a run's files."""
    return f"{base}/{PREFIX}{server_id}-{run}"


def remove(directory: str) -> None:
    """Remove it with all that is in it; OSError when that cannot be done."""
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                remove(entry.path)
            else:
                os.unlink(entry.path)  # noqa: PTH108
    os.rmdir(directory)  # noqa: PTH106


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
