"""The examples of docs/HTTP.md, run in a shell as a reader would."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.harness import ROOT, Daemon

BLOCKS = re.findall(r"```sh\n(.*?)```", (ROOT / "docs/HTTP.md").read_text(), re.DOTALL)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_every_example_does_what_it_says(daemon: Daemon, tmp_path: Path) -> None:
    said = []
    for block in BLOCKS:
        script = block.replace("localhost:8080", daemon.address).replace(
            "curl ", "curl --fail-with-body -m 20 "
        )
        done = subprocess.run(
            ["bash", "-ec", script], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
        said.append(done.stdout)
    assert said[0].splitlines()[0] == "1 you"
    assert '"exit_code": 3' in said[1]
    assert re.search(r"overseer-exit-code: 3", said[2], re.IGNORECASE)
    assert len(set(re.findall(r'"task_id": "(.*?)"', said[3]))) == 1
    assert "event: watching" in said[7]


def test_every_operation_is_mentioned() -> None:
    from overseer.api.operations import OPERATIONS

    text = (ROOT / "docs/HTTP.md").read_text()
    words = {each.path.strip("/").split("/")[0] for each in OPERATIONS}
    words |= {each.path.rpartition("/")[2] for each in OPERATIONS if not each.path.endswith("}")}
    assert [word for word in sorted(words) if word not in text] == []
