"""A cgroup that is delegated to an ordinary user, for a server of its own; and a tree that looks like one."""

from __future__ import annotations

import os
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.harness.daemon import ROOT

USER = 54321


@contextmanager
def delegated(controller: str = "") -> Iterator[Path]:
    """One whose directory and files are USER's; with a ``controller``, its children may have that."""
    root = _root()
    path = root / f"overseer-test-{uuid.uuid4().hex[:8]}"
    switch = root / "cgroup.subtree_control"
    enabled = not controller or controller in switch.read_text().split()
    if not enabled:
        switch.write_text(f"+{controller}")
    path.mkdir()
    try:
        for name in (".", "cgroup.procs", "cgroup.subtree_control", "cgroup.threads"):
            os.chown(path / name, USER, USER)
        yield path
    finally:
        (path / "cgroup.kill").write_text("1")  # what a test that failed has left in it
        while "populated 1" in (path / "cgroup.events").read_text():
            time.sleep(0.01)
        for folder, _, _ in os.walk(path, topdown=False):
            Path(folder).rmdir()
        if not enabled:
            switch.write_text(f"-{controller}")


def controllers() -> list[str]:
    """What children of the root could have."""
    return (_root() / "cgroup.controllers").read_text().split()


# May read what root may, for Python itself may be root's.
AS_USER = [
    *("setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"),
    *("--inh-caps=-all,+dac_read_search", "--ambient-caps=+dac_read_search"),
]


def become_user_in(path: Path) -> str:
    """Python for ``started_as``: enter it, and be USER."""
    command = [*AS_USER, sys.executable, str(ROOT / "sticky_overseer.py")]
    return (
        f"Path({str(path / 'cgroup.procs')!r}).write_text('0')\n"
        f"os.execvpe({command[0]!r}, [*{command!r}, *arguments], environment)"
    )


def _root() -> Path:
    """Of the machine's tree of version 2."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    found = [Path(point) for _, point, kind, *_ in mounts if kind == "cgroup2" and os.access(point, os.W_OK)]
    if os.getuid() != 0 or not found:
        pytest.skip("takes root and cgroups of version 2")
    return found[0]
