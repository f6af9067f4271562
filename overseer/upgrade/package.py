"""The running program's own copy of itself, to go back to: after an installation its files are gone."""

from __future__ import annotations

import json
import marshal
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import overseer
from overseer.upgrade.own import Kept, OwnModules, identity_of
from overseer.util.handover_format import FIRST_STAGE, to_memory
from overseer.util.once import Once

_ROOT = Path(overseer.__file__).parent
_STAGE = tuple(str(_ROOT / "upgrade/standalone" / name) for name in ("compiled.py", "stage.py"))


class Package:
    """A file in memory, and what is made of it.

    Attributes:
        archive: descriptor of this package and the program that has started it: the files one after the
            other, then a line of JSON with their names and sizes. Compressing them would take ten times as
            long, at every start of a server.
        stage: makes a file of what is executed first, when it is first called, and returns its descriptor:
            few servers need it, and compiling takes a megabyte. Raises OSError.
        place: where this program was run from, if that is a copy of itself; ``""``: it is not.
    """

    def __init__(self) -> None:
        """Raises OSError: they cannot be made."""
        self.archive = os.memfd_create("overseer-package", os.MFD_CLOEXEC)
        sizes: list[tuple[str, int]] = []
        kept: dict[str, Kept] = {}
        offset = 0
        with open(self.archive, "wb", closefd=False) as file:
            for path, name in _files():
                # Without a Path for each of hundreds, at every start.
                with open(path, "rb", buffering=0) as source:  # noqa: PTH123
                    identity = identity_of(os.fstat(source.fileno()))
                    data = source.read()
                file.write(data)
                sizes.append((name, len(data)))
                kept[path] = Kept(offset, len(data), identity)
                offset += len(data)
            file.write(b"\n" + json.dumps(sizes).encode())
        if missing := [path for path in _STAGE if path not in kept]:
            raise FileNotFoundError(f"{missing[0]} is not there")
        stage = [kept[path] for path in _STAGE]
        self.stage = Once(lambda: to_memory(_first_stage(*map(self._text, stage)), "overseer-stage"))
        sys.meta_path.insert(0, OwnModules(self.archive, kept))
        first = sys.modules.get(FIRST_STAGE)
        self.place: str = getattr(getattr(first, "STAGE", None), "place", "")

    def _text(self, kept: Kept) -> str:
        return os.pread(self.archive, kept.size, kept.offset).decode()


def _first_stage(first: str, second: str) -> bytes:
    """Its two files as a program that needs no other, compiled for this Python: everybody waits for it."""
    left_out = "from __future__ ", "from overseer."
    rest = (line for line in second.splitlines(keepends=True) if not line.startswith(left_out))
    text = "".join([first, *rest])
    code = marshal.dumps(compile(text, "<first stage>", "exec"))
    chosen = f"marshal.loads({code!r}) if sys.version == {sys.version!r} else {text!r}"
    return f"import marshal, sys\nexec({chosen})\n".encode()


def _files() -> Iterator[tuple[str, str]]:
    """The files, with the names by which they are found again."""
    yield from _below(_ROOT, "overseer")
    program = getattr(sys.modules.get("__main__"), "__file__", None)
    if program and Path(program).is_file() and not Path(program).is_relative_to(_ROOT):
        yield program, "program.py"


def _below(directory: str | Path, name: str) -> Iterator[tuple[str, str]]:
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.name == "__pycache__":
                continue
            if entry.is_dir():  # the page's is a link in a checkout
                yield from _below(entry.path, f"{name}/{entry.name}")
            elif entry.is_file():
                yield entry.path, f"{name}/{entry.name}"
