"""The one-file program, built from a copy of the sources."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness import ROOT

LIMIT_S = 50
WHEELS = ROOT / ".venv/wheels"


def checkout(target: Path) -> Path:
    """A copy of the sources, as a clone would have them."""
    target.mkdir()
    for name in ("overseer", "playground", "onefile", "docs", "packaging"):
        shutil.copytree(
            ROOT / name, target / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__")
        )
    for name in (
        *("setup.cfg", "pyproject.toml", "README.md", "LICENSE", "requirements.lock"),
        *("CHANGELOG.md", "config.yaml"),
    ):
        shutil.copy(ROOT / name, target)
    return target


def build(directory: Path) -> Path:
    """The program, with overseerctl beside it, as `make install` puts them."""
    if not WHEELS.exists():
        pytest.skip("make has not fetched the wheels yet")
    source = checkout(directory / "source")
    subprocess.run(
        [source / "onefile/build.sh", sys.executable, WHEELS, "dist/sticky-overseer"],
        cwd=source,
        check=True,
        stdout=subprocess.DEVNULL,
        timeout=LIMIT_S,
    )
    shutil.copy(source / "onefile/overseerctl", source / "dist/overseerctl")
    return source / "dist/sticky-overseer"


def bare_environment(home: Path) -> dict[str, str]:
    """Nothing but a home and a Python that knows none of our packages."""
    (home / "bin").mkdir(exist_ok=True)
    base = Path(sys.base_prefix) / "bin" / f"python{sys.version_info[0]}.{sys.version_info[1]}"
    link = home / "bin/python3"
    if not link.exists():
        link.symlink_to(base)
    return {"HOME": str(home), "PATH": f"{home}/bin:/usr/bin:/bin", "OVERSEER_LISTEN": "127.0.0.1:0"}
