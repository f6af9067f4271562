"""The commands a newcomer types, as they type them; what needs a network is left to a fresh clone."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.harness import ROOT

LIMIT_S = 60
installed = pytest.mark.skipif(not (ROOT / ".venv/.run").exists(), reason="make has installed nothing yet")


def make(*arguments: str, path: str = "") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": path + os.environ["PATH"], "MAKEFLAGS": ""}
    return subprocess.run(
        ["make", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=LIMIT_S
    )


def test_make_alone_says_what_there_is():
    done = make()
    assert done.returncode == 0
    for target in ("run", "test", "lint", "build", "install", "clean"):
        assert f"make {target} " in done.stdout


def a_python(directory: Path, script: str) -> str:
    program = directory / "python3"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return f"{directory}:"


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (
            'case "$*" in --version) echo Python 3.9 ;; *) exit 1 ;; esac',
            "3.11 or later; python3 is Python 3.9",
        ),
        ('case "$*" in *ensurepip*) exit 1 ;; esac', "apt install python3-venv"),
        ("echo no such program >&2; exit 127", "needs Python 3.11 or later"),
    ],
)
def test_a_python_that_will_not_do_is_named(tmp_path: Path, script, words):
    done = make(f"VENV={tmp_path}/venv", "run", path=a_python(tmp_path, script))
    assert done.returncode != 0
    assert words in done.stderr
    assert not (tmp_path / "venv").exists()


@installed
@pytest.mark.parametrize("how", ["Ctrl-C", "SIGTERM"])
def test_make_run_serves_until_told_to_stop_and_make_has_nothing_to_say(how):
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(ROOT)
        os.execvpe("make", ["make", "run"], {**os.environ, "OVERSEER_LISTEN": "127.0.0.1:0", "MAKEFLAGS": ""})
    shown = b""
    deadline = time.monotonic() + LIMIT_S
    try:
        asked = False
        while True:
            assert select.select([terminal], [], [], max(0, deadline - time.monotonic()))[0], shown
            try:
                shown += os.read(terminal, 4096)
            except OSError:  # how a terminal says that nobody has it open any more
                break
            if b"listening on" in shown and not asked:
                asked = True
                if how == "Ctrl-C":
                    os.write(terminal, b"\x03")
                else:
                    os.kill(pid, signal.SIGTERM)
        os.waitpid(pid, 0)
        pid = 0
    finally:
        os.close(terminal)
        if pid:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    assert b"Error" not in shown, shown
    assert b"Traceback" not in shown, shown


@installed
def test_the_commands_are_installed():
    for name in ("sticky-overseer", "overseerctl"):
        done = subprocess.run(
            [ROOT / ".venv/bin" / name, "--help"], capture_output=True, text=True, timeout=LIMIT_S
        )
        assert done.returncode == 0
        assert f"usage: {name}" in done.stdout
