"""The running program's own copy of itself, to go back to: after an installation its files are gone."""

from __future__ import annotations

import os
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import overseer
from overseer.util.handover import to_memory

_ROOT = Path(overseer.__file__).parent
_STAGE = Path(__file__).parent / "standalone" / "stage.py"


class Package:
    """Two files in memory.

    Attributes:
        archive: descriptor of a zip with this package and the program that has started it.
        stage: descriptor of what is executed first.
    """

    def __init__(self) -> None:
        """Raises OSError: they cannot be made."""
        self.archive = os.memfd_create("overseer-package", os.MFD_CLOEXEC)
        with (
            open(self.archive, "w+b", closefd=False) as file,
            zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        ):
            for path, name in _files():
                archive.writestr(name, path.read_bytes())
        self.stage = to_memory(_STAGE.read_bytes(), "overseer-stage")

    def close(self) -> None:
        os.close(self.stage)
        os.close(self.archive)


def _files() -> Iterator[tuple[Path, str]]:
    for path in sorted(_ROOT.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path, f"overseer/{path.relative_to(_ROOT)}"
    page = _ROOT / "playground"  # a link, in a checkout
    if page.is_symlink():
        for path in sorted(page.resolve().rglob("*")):
            if path.is_file():
                yield path, f"overseer/playground/{path.relative_to(page.resolve())}"
    program = getattr(sys.modules.get("__main__"), "__file__", None)
    if program and Path(program).is_file() and not Path(program).is_relative_to(_ROOT):
        yield Path(program), "program.py"
