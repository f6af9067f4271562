"""Ctrl-C while the programs are loading, or are about to end."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from tests.harness import ROOT
from tests.harness.interrupted import interrupted_at

CTL = [sys.executable, "-m", "overseer.ctl", "completion", "bash"]


@pytest.mark.parametrize(
    ("argv", "module"),
    [
        (CTL, "argparse"),
        (CTL, "overseer.client.core"),
        ([sys.executable, "-m", "overseer", "--version"], "overseer.supervisor.hub"),
        ([sys.executable, str(ROOT / "sticky_overseer.py"), "--version"], "overseer.drivers.api"),
        ([sys.executable, str(ROOT / "sticky_overseer.py"), "--version"], "overseer.supervisor.hub"),
    ],
)
def test_while_it_loads_a_program_just_ends(tmp_path: Path, argv: list[str], module: str):
    ended = interrupted_at(module, argv, tmp_path, PYTHONPATH=str(ROOT))
    assert ended == (-signal.SIGINT, "")


def test_later_overseerctl_ends_with_130(tmp_path: Path):
    assert interrupted_at("overseer.ctl.completion", CTL, tmp_path, PYTHONPATH=str(ROOT)) == (130, "")
