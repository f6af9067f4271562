"""What is long is shown in a pager, on a terminal."""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.ctl.test_terminal import LIMIT_S, Terminal, terminal
from tests.harness import Daemon, shell

ACTIONS = {
    "many": shell("seq 40000"),
    "both": shell("echo out; sleep 0.2; echo err >&2"),
    "silent": shell("true"),
}
MARKS = "sed s/^/paged:/"
needs_less = pytest.mark.skipif(shutil.which("less") is None, reason="less is not installed")


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    with Daemon(actions=ACTIONS, data_dir="data") as daemon:
        with daemon.connect() as client:
            client.run("many", task_id="many")
            for action in ("both", "silent"):
                client.run(action, task_id=action)
        yield daemon


def shown_by(daemon: Daemon, *arguments: str, status: int = 0, **environment: str) -> str:
    with terminal(daemon, *arguments, **{"LESS": "FRSXMK", "PAGER": "", **environment}) as shown:
        assert shown.wait() == status, shown.shown
        return shown.shown.decode().replace("\r", "")


def is_cooked(shown: Terminal) -> bool:
    return bool(termios.tcgetattr(shown.fd)[3] & termios.ICANON)


@needs_less
def test_what_fits_on_the_screen_is_just_printed(daemon: Daemon):
    said = shown_by(daemon, "logs", "both")
    assert re.search("out.*\n.*err.*\n", said)
    assert "END" not in said


@needs_less
def test_less_shows_a_screen_and_is_left_without_a_trace(daemon: Daemon):
    with terminal(daemon, "logs", "many", PAGER="") as shown:
        assert re.search(rb"\n23\b", shown.wait_for(b"lines 1-23"))
        assert not is_cooked(shown)
        shown.type(b"q")
        assert shown.wait() == 0
        assert b"overseerctl" not in shown.shown


@needs_less
def test_it_opens_at_the_end(daemon: Daemon):
    with terminal(daemon, "logs", "many", "-e", PAGER="") as shown:
        assert b"39978" in shown.wait_for(b"(END)")
        shown.type(b"g")
        assert b"39001" in shown.wait_for(b"lines 1-23")
        shown.type(b"q")
        assert shown.wait() == 0


def _status_of(shown: Terminal, *, interrupt: bool) -> int:
    """How it has ended, all of its output read.

    Args:
        interrupt: press Ctrl-C, once a second, since less misses one that comes just before it reads.
    """
    deadline = time.monotonic() + LIMIT_S
    pressed = 0.0
    while not (ended := os.waitpid(shown.pid, os.WNOHANG))[0]:
        assert time.monotonic() < deadline
        with suppress(OSError):  # it ends just now
            if interrupt and time.monotonic() > pressed + 1:
                pressed = time.monotonic()
                shown.type(b"\x03")
            if select.select([shown.fd], [], [], 0.05)[0]:
                shown.shown += os.read(shown.fd, 65536)
    shown.status = os.waitstatus_to_exitcode(ended[1])
    return shown.status


@needs_less
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_end_both_and_give_the_terminal_back(daemon: Daemon, number: signal.Signals):
    # The terminal would be reset when its last user goes.
    with terminal(daemon, "logs", "many", PAGER="") as shown:
        tty = os.open(os.readlink(f"/proc/{shown.pid}/fd/0"), os.O_RDWR | os.O_NOCTTY)  # noqa: PTH115
        try:
            shown.wait_for(b"lines 1-23")
            if number != signal.SIGINT:
                os.kill(shown.pid, number)
            assert _status_of(shown, interrupt=number == signal.SIGINT) == 128 + number
            assert is_cooked(shown)
        finally:
            os.close(tty)


@needs_less
def test_it_can_be_left_while_the_server_hangs(daemon: Daemon):
    with terminal(daemon, "logs", "many", PAGER="") as shown:
        shown.wait_for(b"lines 1-23")
        os.kill(daemon.process.pid, signal.SIGSTOP)
        try:
            shown.type(b"G")  # all that the pipe does not hold yet
            assert _status_of(shown, interrupt=True) == 130
            assert b"overseerctl" not in shown.shown
        finally:
            os.kill(daemon.process.pid, signal.SIGCONT)


@pytest.mark.parametrize("command", [("logs", "both"), ("search", "out"), ("history",)])
def test_the_pager_is_the_user_s(daemon: Daemon, command: tuple[str, ...]):
    lines = shown_by(daemon, *command, PAGER=MARKS).splitlines()
    assert lines
    assert all(line.startswith("paged:") for line in lines)
    assert shown_by(daemon, *command, PAGER="false", OVERSEER_PAGER=MARKS).startswith("paged:")
    for unpaged in (
        shown_by(daemon, *command, "--no-pager", PAGER=MARKS),
        shown_by(daemon, *command, "--json", PAGER=MARKS),
        shown_by(daemon, *command, PAGER=MARKS, OVERSEER_PAGER="cat"),
        shown_by(daemon, *command, PAGER=MARKS, TERM="dumb"),
        shown_by(daemon, *command, PAGER="/no/such/pager -x", PATH="/nowhere"),
    ):
        assert unpaged
        assert "paged:" not in unpaged


def test_what_is_followed_or_refused_needs_none(daemon: Daemon):
    assert shown_by(daemon, "logs", "both", "-f", PAGER=MARKS).startswith("out\nerr\n")
    assert shown_by(daemon, "logs", "bohth", status=1, PAGER=MARKS).startswith("overseerctl: bohth: task not")


def test_colours_and_remarks_are_shown_in_it(daemon: Daemon):
    assert "paged:\x1b[1;31mout\x1b[0m\n" in shown_by(daemon, "logs", "both", "-g", "out", PAGER=MARKS)
    said = shown_by(daemon, "search", "1", "-n", "3", PAGER=MARKS).splitlines()
    assert said[-1] == "paged:overseerctl: more lines match than the 3 shown; -n 0 shows all"


def test_stderr_that_is_no_terminal_gets_its_lines(daemon: Daemon, tmp_path):
    script = f"exec {sys.executable} -m overseer.ctl logs both 2> {tmp_path}/errors"
    with Terminal(["/bin/sh", "-c", script], daemon.url, PAGER=MARKS) as shown:
        assert shown.wait() == 0
        assert shown.shown == b"paged:out\r\n"
    assert (tmp_path / "errors").read_text() == "err\n"


def test_that_there_is_nothing_is_said(daemon: Daemon):
    assert shown_by(daemon, "logs", "silent") == "overseerctl: no lines\n"
    assert shown_by(daemon, "logs", "both", "-g", "nothing", status=1) == "overseerctl: no matches\n"
