"""The old program comes back where memory for files is full."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.harness import shell
from tests.upgrade.support import Installed, assert_in_order

_WAIT = 90.0
_ACTIONS = {"lone": shell("i=0; while :; do i=$((i+1)); echo $i; sleep 0.02; done")}
_FULL = "mount -t tmpfs -o size=256k none /dev/shm"
_LAUNCHER = """
import os, sys
script = '{full} && exec "$0" "$@"'
os.execvp("unshare", ["unshare", "--mount", "sh", "-c", script, sys.executable, {program!r}, *sys.argv[1:]])
"""
_TAKES_OVER = "    standstill.close()\n    stderr.start()\n"


def test_from_the_disk(tmp_path: Path):
    if os.geteuid() or not shutil.which("unshare"):
        pytest.skip("mounting a file system takes root, and util-linux")
    tried = subprocess.run(["unshare", "--mount", "sh", "-c", _FULL], capture_output=True, text=True)
    if tried.returncode:
        pytest.skip(f"no file system can be mounted: {tried.stderr.strip()}")
    installed = Installed(tmp_path / "program")
    launcher = tmp_path / "launcher.py"
    launcher.write_text(_LAUNCHER.format(full=_FULL, program=str(installed.program)))
    installed.program = launcher
    with installed.daemon(actions=_ACTIONS) as daemon, daemon.connect() as client:
        client.request("start", _WAIT, action="lone", task_id="lone")
        failing = _TAKES_OVER + "    raise ValueError('too bad')\n"
        installed.change("overseer/daemon/takeover.py", _TAKES_OVER, failing)
        answer = client.request("upgrade", _WAIT)
        assert answer["message"].startswith("the new program has failed: ValueError: too bad"), answer
        client.send("stop", task_id="lone")
        client.expect("exited", _WAIT, task_id="lone")
        assert assert_in_order(client.messages, "lone") > 0
