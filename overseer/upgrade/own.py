"""What the running program imports later is its own: where an installation has replaced files, their modules
come from the copy that it keeps of itself. Otherwise it would hand its state over by the new program's code.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import NamedTuple, NoReturn


class Kept(NamedTuple):
    """A file of the copy: where it begins there and how long it is, and what the file on disk was then."""

    offset: int
    size: int
    identity: tuple[int, ...]


def identity_of(found: os.stat_result) -> tuple[int, ...]:
    """Of a file; differs once it has been replaced or changed."""
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size


class OwnModules:
    """Finds modules of the package in the copy, where their files are others by now.

    Args:
        archive: the copy's descriptor.
        files: what is in it, by path.
    """

    def __init__(self, archive: int, files: Mapping[str, Kept]) -> None:
        self._archive = archive
        self._files = files

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        for directory in path or ():
            stem = f"{directory}/{fullname.rpartition('.')[2]}"
            for location, package in ((f"{stem}.py", None), (f"{stem}/__init__.py", [stem])):
                kept = self._files.get(location)
                if kept is None:
                    continue
                if _is_there(location, kept):
                    return None  # as usual, which is quicker
                loader = _Loader(fullname, location, os.pread(self._archive, kept.size, kept.offset))
                return spec_from_file_location(
                    fullname, location, loader=loader, submodule_search_locations=package
                )
        return None


def _is_there(path: str, kept: Kept) -> bool:
    try:
        return identity_of(Path(path).stat()) == kept.identity
    except OSError:
        return False


class _Loader(SourceFileLoader):
    """Loads a module from its text, without a file of bytecode."""

    def __init__(self, fullname: str, path: str, text: bytes) -> None:
        super().__init__(fullname, path)
        self._text = text

    def get_data(self, path: object) -> bytes:
        return self._text

    def path_stats(self, path: object) -> NoReturn:
        raise OSError("the file is another one by now")  # nor is its bytecode ours
