"""What docs/CLIENT.md shows works."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
import yaml

from overseer import client
from overseer.ctl.command import _COMMANDS
from tests.client.conftest import ACTIONS
from tests.harness import ROOT, Daemon, shell

TEXT = (ROOT / "docs/CLIENT.md").read_text()
_GUESS = yaml.safe_load((ROOT / "config.yaml").read_text())["actions"]["guess"]
SHIPPED = {
    **ACTIONS,
    "report": ACTIONS["echo"],
    "job": ACTIONS["count"],
    # Not over before it is watched:
    "watch-load": shell("exec sleep [[.seconds]]", config={"parameters": {"seconds": {"default": "0.1"}}}),
    "checksum": ACTIONS["echo"],
    "guess": _GUESS,
}


@pytest.mark.parametrize("language", ["python", "sh"])
def test_its_blocks_run(language: str):
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    assert blocks
    with Daemon(actions={name: {**action, "retry": {}} for name, action in SHIPPED.items()}) as daemon:
        environment = {**os.environ, "OVERSEER_URL": daemon.url, "PYTHONPATH": str(ROOT)}
        for block in blocks:
            text = block.replace("ws://localhost:8080/ws", daemon.url)
            if language == "sh":
                text = f'overseerctl() {{ {sys.executable} -m overseer.ctl "$@"; }}\n{text}'
                # The tests' report exits with 3.
                text = text.replace("overseerctl run report\n", "overseerctl run report || [ $? = 3 ]\n")
            argv = [sys.executable, "-c", text] if language == "python" else ["bash", "-ec", text]
            done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=30)
            assert done.returncode == 0, done.stderr


def test_it_names_every_error_and_command():
    for name in (name for name in client.__all__ if name.endswith("Error")):
        assert f"`{name}`" in TEXT
    section = TEXT[TEXT.index("## overseerctl") :]
    for name in ("run", *_COMMANDS):
        assert re.search(rf"`{name}[ `]", section), name
