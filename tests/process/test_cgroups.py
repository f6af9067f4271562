"""How a server makes room for limited cgroups in its own, held against the kernel."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import ROOT
from tests.harness.cgroups import AS_USER, controllers, delegated

# The controller is whichever there is: what can have it is the same for all.
_PROGRAM = """\
import subprocess, sys
from pathlib import Path
from overseer.process import cgroup
from overseer.process.cgroup import Cgroup
from overseer.process.standalone import cgroups

base, controller, stranger = Path(sys.argv[1]), *sys.argv[2:]
assert cgroups.base() == str(base)
assert cgroup._stranger(base) == int(stranger)
if stranger == "0":
    with subprocess.Popen(["sleep", "60"]) as child:
        cgroup._enable(base, {controller})
        assert cgroup._pids(base) == []
        assert str(child.pid) in (base / cgroups.HOME / "cgroup.procs").read_text().split()
        assert cgroups.base() == str(base), "it is the same from within"
        made = Path(Cgroup(require=True).make("run"))
        assert controller in (made / "cgroup.controllers").read_text().split()
        (made / "below").mkdir()
        assert cgroups.remove(str(made)) and not made.exists()
        child.kill()
"""


@pytest.fixture
def controller() -> str:
    found = controllers()
    if not found:
        pytest.skip("no controller of version 2")
    return found[0]


@pytest.fixture
def base(controller: str) -> Iterator[Path]:
    with delegated(controller) as path:
        yield path


def _run(base: Path, *arguments: str) -> None:
    enter = ["sh", "-c", f'echo 0 > {base}/cgroup.procs; exec "$@"', "sh"]
    program = [*AS_USER, sys.executable, "-c", _PROGRAM, str(base), *arguments]
    subprocess.run([*enter, *program], cwd=ROOT, check=True)


def test_an_ordinary_server_moves_out_of_the_way_of_limits(base: Path, controller: str) -> None:
    _run(base, controller, "0")


def test_a_process_of_somebody_else_is_seen(base: Path, controller: str) -> None:
    with subprocess.Popen(["sleep", "60"]) as stranger:
        (base / "cgroup.procs").write_text(str(stranger.pid))
        _run(base, controller, str(stranger.pid))
        stranger.kill()
