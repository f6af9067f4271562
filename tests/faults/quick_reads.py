"""The daemon, but for logs of which a read may take half a second, and no more.

Reads hang where a directory has a FIFO called ``hang``.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import overseer
from overseer.logs import store
from overseer.logs.standalone.segments import Opened

_open = Opened.__init__


def _hang(self: Opened, directory: str, *args: Any, **more: Any) -> None:
    fifo = Path(directory, "hang")
    if fifo.exists():
        os.open(fifo, os.O_RDONLY)  # which nobody writes to
    _open(self, directory, *args, **more)


if __name__ == "__main__":
    store._READ_S = 0.5
    Opened.__init__ = _hang  # type: ignore[method-assign]
    sys.exit(overseer.run_cli(overseer.__version__, ""))
