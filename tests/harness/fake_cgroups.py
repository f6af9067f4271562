"""The server on a machine where the directory FAKE_CGROUP is its cgroup; none, if that is empty.

Files stand for what the kernel shows: a new directory gets the ones that are there from the beginning.
"""

import os
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from overseer.daemon.cli import main
from overseer.process.cgroup import Cgroup
from overseer.process.standalone import cgroups

_base = os.environ["FAKE_CGROUP"]
_make = Cgroup.make


def _make_with_files(limits: Cgroup, run: str) -> str:
    folder = _make(limits, run)
    Path(folder, "cgroup.procs").touch()
    return folder


def _remove(folder: str) -> bool:
    shutil.rmtree(folder)
    return True


cgroups.base = lambda: _base
cgroups.members = lambda folder: iter(())
cgroups.remove = _remove
Cgroup.make = _make_with_files  # type: ignore[method-assign]

if __name__ == "__main__":
    sys.exit(main())
