"""The running program's own copy of itself, to go back to: after an installation its files are gone."""

from __future__ import annotations

import json
import os
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import overseer
from overseer.util.handover import to_memory

_ROOT = Path(overseer.__file__).parent
_STAGE = Path(__file__).parent / "standalone" / "stage.py"
_LEVEL = 1  # quick rather than small


class Package:
    """Two files in memory.

    Attributes:
        archive: descriptor of this package and the program that has started it: each file compressed, one
            after the other, then a line of JSON with their names and sizes.
        stage: descriptor of what is executed first.
    """

    def __init__(self) -> None:
        """Raises OSError: they cannot be made."""
        self.archive = os.memfd_create("overseer-package", os.MFD_CLOEXEC)
        sizes: list[tuple[str, int]] = []
        with open(self.archive, "wb", closefd=False) as file:
            for path, name in _files():
                data = zlib.compress(path.read_bytes(), _LEVEL)
                file.write(data)
                sizes.append((name, len(data)))
            file.write(b"\n" + json.dumps(sizes).encode())
        self.stage = to_memory(_STAGE.read_bytes(), "overseer-stage")


def _files() -> Iterator[tuple[Path, str]]:
    """The files, with the names by which they are found again."""
    yield from _below(_ROOT, "overseer")
    yield from _below(_ROOT / "playground", "overseer/playground")
    program = getattr(sys.modules.get("__main__"), "__file__", None)
    if program and Path(program).is_file() and not Path(program).is_relative_to(_ROOT):
        yield Path(program), "program.py"


def _below(directory: Path, name: str) -> Iterator[tuple[Path, str]]:
    # The page is a link in a checkout, which is not followed: it comes by itself.
    for path in sorted(directory.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path, f"{name}/{path.relative_to(directory)}"
