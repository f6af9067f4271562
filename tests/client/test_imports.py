"""``import overseer`` is light, and yet everything is there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import overseer
from tests.harness import ROOT, Daemon


def test_every_public_name_is_found():
    assert sorted(overseer._HOME_OF) == sorted(set(overseer.__all__) - {"__version__"})
    for name in overseer.__all__:
        assert getattr(overseer, name) is not None
    assert set(overseer.__all__) <= set(dir(overseer))


def test_a_name_that_is_not_there_says_so():
    with pytest.raises(AttributeError, match="nothing_like_it"):
        overseer.nothing_like_it  # noqa: B018


@pytest.mark.parametrize("module", ["overseer.client", "overseer.ctl"])
def test_a_client_loads_nothing_of_the_server(module):
    heavy = [
        "overseer.supervisor.hub",
        "overseer.cel",
        "overseer.config",
        "yaml",
        "jinja2",
        "wsproto",
        "logging",
        "ssl",
    ]
    code = f"import sys, {module}; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert done.stdout == "[]\n"


def test_the_client_and_overseerctl_need_nothing_but_the_standard_library(
    daemon: Daemon, tmp_path: Path
) -> None:
    """As after ``pip install --no-deps``."""
    (tmp_path / "overseer").symlink_to(ROOT / "overseer")
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "overseerctl.yaml").write_text(f"url: {daemon.url}  # of the test\n")
    code = f"""
import importlib, pathlib, sys
sys.path.insert(0, {str(tmp_path)!r})
for room in ("client", "ctl"):
    for path in sorted(pathlib.Path({str(ROOT)!r}, "overseer", room).rglob("*.py")):
        name = ".".join(path.relative_to({str(ROOT)!r}).with_suffix("").parts)
        if not name.endswith("__main__"):
            importlib.import_module(name.removesuffix(".__init__"))
from overseer.client import Client, RetryPolicy
from overseer.ctl import main
with Client({daemon.url!r}) as client:
    client.run("count", n=3, check=True)
assert RetryPolicy(restart_delay="5s")
sys.exit(main(["list", "--status", "succeeded"]))
"""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code],
        env={"XDG_CONFIG_HOME": str(tmp_path / "home"), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "succeeded" in done.stdout


def test_a_server_loads_nothing_that_is_for_tests():
    tests = "{'pytest', 'overseer.testing'}"
    code = f"import sys, overseer.daemon.cli, overseer.daemon.daemon; print({tests} & {{*sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20)
    assert done.stdout == "set()\n"
