"""``top`` in a real terminal, whatever becomes of it and of the server."""

from __future__ import annotations

import os
import re
import select
import signal
import sys
import termios
import time
from pathlib import Path

import pytest

from overseer.ctl.screen import Screen
from tests.ctl.conftest import ACTIONS as USUAL
from tests.ctl.test_terminal import LIMIT_S, Terminal, terminal
from tests.harness import Daemon, allowed, shell

ACTIONS = {
    **USUAL,
    "echoes": shell("echo what do you say?; read -r it; echo you say $it", config={"stdin": "pipe"}),
}
LEFT = b"\x1b[?25h\x1b[?1049l"


def is_cooked(shown: Terminal) -> bool:
    return bool(termios.tcgetattr(shown.fd)[3] & termios.ICANON)


@pytest.mark.parametrize(
    ("number", "status"), [("SIGTERM", 143), ("SIGHUP", 129), ("SIGINT", 130), ("SIGQUIT", 131)]
)
def test_top_leaves_the_terminal_as_it_was_when_it_is_ended(daemon: Daemon, number: str, status: int):
    with terminal(daemon, "top") as shown:
        # The terminal would be reset when its last user goes.
        tty = os.open(Path(f"/proc/{shown.pid}/fd/0").readlink(), os.O_RDWR | os.O_NOCTTY)
        try:
            shown.wait_for(b"\x1b[J")
            assert not is_cooked(shown)
            os.kill(shown.pid, signal.Signals[number])
            shown.wait_for(LEFT)
            shown.status = os.waitstatus_to_exitcode(os.waitpid(shown.pid, 0)[1])
            assert shown.status == status
            assert is_cooked(shown)
        finally:
            os.close(tty)


def test_top_says_that_the_server_hangs_and_can_be_left(daemon: Daemon):
    with terminal(daemon, "top", "--interval", "0.1") as shown:
        shown.wait_for(b" running")
        os.kill(daemon.process.pid, signal.SIGSTOP)
        try:
            shown.wait_for(b"the server has not answered for 1 s")
            began = time.monotonic()
            shown.type(b"q")
            assert shown.wait() == 0
            assert time.monotonic() - began < allowed(2.0)
        finally:
            os.kill(daemon.process.pid, signal.SIGCONT)
        assert shown.shown.endswith(LEFT)


def test_top_shows_what_becomes_of_tasks_that_others_start(daemon: Daemon):
    with terminal(daemon, "top", "--interval", "0.1") as shown, daemon.connect() as other:
        shown.wait_for(b" running")
        other.request("start", action="sleep", task_id="somebody-elses")
        shown.wait_for(b"somebody-elses")
        other.send("stop", task_id="somebody-elses")
        shown.wait_for(b"0 running")
        shown.type(b"q")
        assert shown.wait() == 0


def test_once_it_is_printed_and_over(daemon: Daemon):
    with terminal(daemon, "top", "--once") as shown:
        assert shown.wait() == 0
        assert b" running" in shown.shown
        assert b"\x1b[?1049h" not in shown.shown


def test_keys_choose_a_task_and_stop_it(daemon: Daemon):
    with terminal(daemon, "top", "--interval", "0.1") as shown, daemon.connect() as other:
        for task_id in ("another", "keyed"):
            other.request("start", action="sleep", task_id=task_id)
        shown.wait_for(b"keyed")
        shown.type(b"s")
        shown.wait_for(b"choose a task with the arrow keys first")
        shown.type(b"/keyed\r")
        shown.wait_for(b"/keyed  ")
        shown.type(b"s")  # the only one that is shown
        shown.wait_for(b"Stop keyed? [y/N]")
        shown.type(b"n")
        shown.wait_for(b"/keyed  ")
        shown.type(b"\x1b[A")
        shown.wait_for(b"\x1b[7mkeyed")
        shown.type(b"s")
        shown.wait_for(b"Stop keyed? [y/N]")
        shown.type(b"y")
        assert other.expect("exited", LIMIT_S)["intentional"]
        shown.wait_for(b"stopped")
        shown.type(b"\x1bq")
        assert shown.wait() == 0


def test_keys_show_a_log_and_attach(daemon: Daemon):
    top = terminal(daemon, "top", "--interval", "0.1", "--action", "echoes")
    with top as shown, daemon.connect() as other:
        other.request("start", action="echoes", task_id="talks")
        other.expect("output", LIMIT_S)
        shown.wait_for(b"talks")
        shown.type(b"jl")
        shown.wait_for(b"what do you say?")
        shown.type(b"\x03")  # ends the log alone
        shown.wait_for(b"\x1b[7mtalks")
        shown.type(b"a")
        shown.wait_for(b"what do you say?")
        shown.type(b"hello\n")
        assert b"you say hello" in shown.wait_for(b"Enter goes back to top")  # which may come at once
        shown.type(b"\n")
        shown.wait_for(b"succeeded")
        shown.type(b"q")
        assert shown.wait() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_who_is_asked_for_enter_can_be_interrupted(daemon: Daemon, number: signal.Signals):
    with daemon.connect() as other:
        other.run("named", task_id="over")
    with terminal(daemon, "top", "--interval", "0.1", "--action", "named") as shown:
        shown.wait_for(b"over")
        shown.type(b"l")
        shown.wait_for(b"Enter goes back to top")
        os.kill(shown.pid, number)
        if number == signal.SIGINT:
            shown.wait_for(b"known")
            shown.type(b"q")
        assert shown.wait() == (0 if number == signal.SIGINT else 128 + number)


def test_the_order_and_what_is_shown_can_be_chosen(daemon: Daemon):
    with daemon.connect() as other:
        for action, task_id in (("sleep", "sorted-1"), ("echoes", "sorted-2")):
            other.request("start", action=action, task_id=task_id)
        with terminal(daemon, "top", "--status", "running", "--sort", "memory") as shown:
            first = shown.wait_for(b"\x1b[J")
            assert b"sorted-1" in first
            assert b"succeeded" not in first
            for key in (b"c", b"t", b"m"):
                shown.type(key)
                assert b"sorted-2" in shown.wait_for(b"\x1b[J")
            shown.type(b"q")
            assert shown.wait() == 0
        for task_id in ("sorted-1", "sorted-2"):
            other.send("stop", task_id=task_id)


def test_a_terminal_that_does_not_know_its_size_is_taken_for_a_usual_one(daemon: Daemon):
    with terminal(daemon, "top", size=(0, 0)) as shown:
        first = shown.wait_for(b"\x1b[J")
        assert re.search(rb"\d\d:\d\d:\d\d  \d+ running, \d+ queued, \d+ known", first)
        shown.type(b"q")
        assert shown.wait() == 0


def test_keys_typed_before_the_terminal_is_taken_count(monkeypatch: pytest.MonkeyPatch):
    """Right after fg a key may come before its modes are set again."""
    ours, theirs = os.openpty()
    with (
        os.fdopen(ours, "r+b", buffering=0) as typing,
        os.fdopen(theirs, "r") as keys,
        Path(os.ttyname(theirs)).open("w") as shown,
    ):
        monkeypatch.setattr(sys, "stdin", keys)
        monkeypatch.setattr(sys, "stdout", shown)
        taken = Screen()
        typing.write(b"q")
        taken.enter()
        assert select.select(taken.keys, [], [], LIMIT_S)[0] == taken.keys
        assert os.read(taken.keys[0], 1) == b"q"
        taken.leave()
