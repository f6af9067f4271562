"""A stdout that is full, closed, or that nobody reads any more."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from overseer.ctl import main
from tests.ctl.conftest import Ctl
from tests.harness import ROOT, Daemon

LIMIT_S = 30
COMMANDS = {
    "list": (), "actions": (), "pool": (), "metrics": (), "check": (), "top": (), "stop": ("over", "--json"),
    "replay": ("over",), "tail": ("over",), "wait": ("over", "--json"), "completion": ("bash",),
    "reload": ("--json",), "purge": ("--all", "--yes"), "--help": (), "run": ("--help",),
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def over(daemon: Daemon) -> None:
    with daemon.connect() as client:
        client.run("count", task_id="over")


def full() -> object:
    return Path("/dev/full").open("w")


def gone() -> object:
    read, write = os.pipe()
    os.close(read)
    return os.fdopen(write, "w")


@pytest.mark.parametrize(
    ("stream", "status", "words"),
    [
        (full, 1, "overseerctl: cannot write to stdout: No space left on device\n"),
        (lambda: None, 1, "overseerctl: cannot write to stdout: it is closed\n"),
        (gone, 0, ""),
    ],
    ids=["full", "closed", "gone"],
)
def test_a_stdout_that_takes_nothing_is_one_line(
    ctl: Ctl, daemon: Daemon, monkeypatch, capfd, stream: Callable[[], object], status: int, words: str
):
    for command, arguments in COMMANDS.items():
        with monkeypatch.context() as patched:
            patched.setattr(sys, "stdout", opened := stream())
            capfd.readouterr()
            try:
                ended = main([command, *arguments])
            except SystemExit as end:
                ended = end.code
            if opened is not None:
                opened.close()
        err = re.sub(r"overseerctl: over: exited with 0 after [\d.]+m?s\n", "", capfd.readouterr().err)
        assert (command, ended, err) == (command, status, words)


def test_a_start_says_all_the_same_which_task_it_is(daemon: Daemon):
    for redirected, why in ((">/dev/full", "No space left on device"), (">&-", "it is closed")):
        done = subprocess.run(
            ["sh", "-c", f"exec {sys.executable} -m overseer.ctl start count --id full {redirected}"],
            env={**os.environ, "OVERSEER_URL": daemon.url, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
        )
        assert done.returncode == 1
        assert done.stderr.splitlines() == [
            "overseerctl: the task was started anyway: full",
            f"overseerctl: cannot write to stdout: {why}",
        ]


def test_any_id_can_be_written_whatever_stdouts_encoding(daemon: Daemon):
    with daemon.connect() as client:
        client.run("count", task_id="höhe-構築")
    for command in ("list", "tail"):
        done = subprocess.run(
            [sys.executable, "-m", "overseer.ctl", command, *(["höhe-構築"] if command == "tail" else [])],
            env={
                **os.environ,
                "OVERSEER_URL": daemon.url,
                "PYTHONPATH": str(ROOT),
                "PYTHONIOENCODING": "latin-1",
            },
            capture_output=True,
            timeout=LIMIT_S,
        )
        assert done.returncode == 0, done.stderr
        assert b"Traceback" not in done.stderr
