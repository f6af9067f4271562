"""The examples of docs/HTTP.md, run in a shell as a reader would."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.harness import ROOT, Daemon

TOP_LEVEL = {"tasks": {"nightly": {"action": "hello", "schedule": {"cron": "30 2 * * *"}}}}
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
    whole = "\n".join(said)
    assert said[0].splitlines()[0] == "1 you"
    assert '"exit_code": 3' in said[1]
    assert re.search(r"overseer-exit-code: 3", said[2], re.IGNORECASE)
    assert len(set(re.findall(r'"task_id": "(.*?)"', said[3]))) == 1
    assert '"bytes": 4' in whole
    assert '"signal": "SIGHUP"' in whole
    assert "event: watching" in whole


def test_every_operation_has_an_example() -> None:
    from overseer.api.routes import OPERATIONS

    asked = [words for words in re.findall(r"curl .*", "".join(BLOCKS)) if "/api/v1/" in words]
    without = []
    for each in OPERATIONS:
        path = re.sub(r"\{\w+\}", r"[^/\\s'\"]+", each.path)
        place = re.compile(rf"/api/v1{path}(?:[?'\"\s]|$)")
        if not any(place.search(words) and _method(words) == each.method for words in asked):
            without.append(f"{each.method} {each.path}")
    assert without == []


def _method(command: str) -> str:
    """The method of a curl command."""
    if found := re.search(r"-\w*X (\w+)", command):
        return found[1]
    return "POST" if "--json" in command else "GET"
