"""Ctrl-Z, fg, bg and their like, in a real shell on a real terminal."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from overseer.client import Client
from tests.ctl.test_terminal import LIMIT_S, Terminal
from tests.harness import Daemon
from tests.harness import shell as command

ENTER = b"\x1b[?1049h\x1b[?25l"
LEFT = b"\x1b[?25h\x1b[?1049l"
CTL = f"{sys.executable} -m overseer.ctl".encode()
PROMPT = b"ready> "


class Shell(Terminal):
    """An interactive bash, whose jobs these are."""

    def wait_for(self, text: bytes, count: int = 1) -> bytes:
        """The same, but what comes after it is kept."""
        *before, rest = super().wait_for(text, count).split(text, count)
        self.shown = rest + self.shown
        return text.join(before) + text

    def run(self, line: bytes) -> None:
        self.type(line + b"\n")

    def wait_stopped(self) -> None:
        """Until the shell knows that its job is stopped, without which fg would not have it go on."""
        deadline = time.monotonic() + LIMIT_S
        self.run(b"jobs")
        while b"Stopped" not in self.wait_for(PROMPT):
            assert time.monotonic() < deadline
            self.run(b"jobs")

    def job(self) -> int:
        """The pid of its only job."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        return wait_for(lambda: next(map(int, children.read_text().split()), 0))


def wait_for(found) -> int:
    deadline = time.monotonic() + LIMIT_S
    while not (value := found()):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return value


def state(pid: int) -> str:
    """As ps shows it; "" when there is no such process any more."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


@contextmanager
def shell(daemon: Daemon, tmp_path: Path) -> Iterator[Shell]:
    bash = shutil.which("bash") or "bash"
    with Shell(
        [bash, "--norc", "--noediting", "-i"],
        daemon.url,
        PS1=PROMPT.decode(),
        HOME=str(tmp_path),
        NO_COLOR="1",
    ) as shown:
        shown.wait_for(PROMPT)
        yield shown
        if shown.status is None:
            os.kill(shown.pid, signal.SIGHUP)  # which ends its jobs too


def modes(shown: Terminal) -> tuple[bool, bool]:
    """Whether the terminal gives whole lines, and echoes them."""
    flags = termios.tcgetattr(shown.fd)[3]
    return bool(flags & termios.ICANON), bool(flags & termios.ECHO)


def test_top_can_be_stopped_and_taken_up_again(daemon: Daemon, tmp_path: Path):
    with shell(daemon, tmp_path) as shown:
        shown.run(CTL + b" top --interval 60")
        shown.wait_for(ENTER)
        shown.wait_for(b"\x1b[J")
        assert modes(shown) == (False, False)
        for _ in range(2):
            shown.type(b"\x1a")
            shown.wait_for(LEFT)
            shown.wait_for(b"Stopped")
            shown.wait_for(PROMPT)
            assert modes(shown) == (True, True)
            shown.resize(5, 12)  # while it does not look
            shown.run(b"fg")
            shown.wait_for(ENTER)
            drawn = shown.wait_for(b"\x1b[J").decode().partition("\x1b[H")[2].removesuffix("\x1b[J")
            lines = [line.strip("\r\n") for line in drawn.split("\x1b[K")]
            assert max(map(len, lines)) <= 12
            assert len(lines) <= 6
        shown.type(b"q")
        shown.wait_for(LEFT)
        shown.wait_for(PROMPT)
        shown.run(b"echo status $?")
        shown.wait_for(b"status 0\r\n")
        assert modes(shown) == (True, True)


def test_top_in_the_background_waits_to_be_brought_to_the_foreground(daemon: Daemon, tmp_path: Path):
    with shell(daemon, tmp_path) as shown:
        shown.run(CTL + b" top &")
        shown.wait_for(PROMPT)
        shown.wait_stopped()
        assert ENTER not in shown.shown
        shown.run(b"fg")
        shown.wait_for(ENTER)
        shown.wait_for(b"\x1b[J")
        shown.type(b"\x1a")
        shown.wait_for(LEFT)
        shown.wait_for(PROMPT)
        shown.run(b"bg")
        assert ENTER not in shown.wait_for(PROMPT)
        shown.wait_stopped()
        assert modes(shown) == (True, True)
        shown.run(b"fg")
        shown.wait_for(ENTER)
        shown.wait_for(b"\x1b[J")
        shown.type(b"q")
        shown.wait_for(LEFT)


def test_top_draws_anew_after_a_stop_that_it_did_not_hear_of(daemon: Daemon, tmp_path: Path):
    with shell(daemon, tmp_path) as shown:
        shown.run(CTL + b" top --interval 60")
        shown.wait_for(b"\x1b[J")
        pid = shown.job()
        os.kill(pid, signal.SIGSTOP)
        shown.wait_for(PROMPT)
        shown.run(b"fg")
        shown.wait_for(ENTER)
        shown.wait_for(b"\x1b[J")
        shown.type(b"q")
        shown.wait_for(LEFT)
        shown.wait_for(PROMPT)
        assert modes(shown) == (True, True)


def test_a_stopped_top_can_be_ended(daemon: Daemon, tmp_path: Path):
    with shell(daemon, tmp_path) as shown:
        shown.run(CTL + b" top")
        shown.wait_for(b"\x1b[J")
        shown.type(b"\x1a")
        shown.wait_for(LEFT)
        shown.wait_for(PROMPT)
        pid = shown.job()
        shown.run(b"kill %1")
        wait_for(lambda: not state(pid))
        shown.run(b"")
        shown.wait_for(b"Exit 143")


def test_top_ends_with_its_terminal_stopped_or_not(daemon: Daemon, tmp_path: Path):
    for stop in (False, True):
        with shell(daemon, tmp_path) as shown:
            shown.run(CTL + b" top")
            shown.wait_for(b"\x1b[J")
            pid = shown.job()
            if stop:
                shown.type(b"\x1a")
                shown.wait_for(LEFT)
                shown.wait_for(PROMPT)
            nowhere = os.open(os.devnull, os.O_RDWR)
            os.dup2(nowhere, shown.fd)  # the terminal's window is closed
            os.close(nowhere)
            wait_for(lambda pid=pid: not state(pid))
            shown.status = os.waitstatus_to_exitcode(os.waitpid(shown.pid, 0)[1])


def test_top_without_a_shell_goes_on_when_it_is_stopped(daemon: Daemon):
    """Nobody could bring it back; the system does not stop it."""
    with Shell([sys.executable, "-m", "overseer.ctl", "top"], daemon.url) as shown:
        shown.wait_for(b"\x1b[J")
        shown.type(b"\x1a")
        shown.wait_for(LEFT)
        shown.wait_for(ENTER)
        shown.wait_for(b"\x1b[J")
        shown.type(b"q")
        assert shown.wait() == 0


def test_a_run_that_was_stopped_loses_no_line_and_ends_as_the_task_does(daemon: Daemon, tmp_path: Path):
    with shell(daemon, tmp_path) as shown:
        shown.run(CTL + b" run ticks --id stopped-run")
        shown.wait_for(b"\n5\r\n")
        shown.type(b"\x1a")
        before = shown.wait_for(b"Stopped")
        shown.wait_for(PROMPT)
        with daemon.connect() as client:  # the task goes on meanwhile
            while client.request("list", task_id="")["tasks"] and any(
                task["task_id"] == "stopped-run" and task.get("worker_state") == "running"
                for task in client.request("list")["tasks"]
            ):
                pass
        shown.run(b"fg; echo status $?")
        after = shown.wait_for(b"status 4\r\n")
        lines = [int(line) for line in (b"5\r\n" + before + after).split() if line.isdigit()]
        assert [number for number in lines if number < 31 and number > 5] == list(range(6, 31))


def test_what_comes_and_goes_is_not_drawn_over_a_shell_that_has_the_terminal(daemon: Daemon, tmp_path: Path):
    with daemon.connect() as client, shell(daemon, tmp_path) as shown:
        client.request("start", action="one", task_id="first")
        shown.run(CTL + b" run one --id second")
        shown.wait_for(b"waiting in the queue (")
        shown.type(b"\x1a")
        shown.wait_for(b"Stopped")
        shown.wait_for(PROMPT)
        shown.run(b"bg")
        shown.wait_for(PROMPT)
        client.send("stop", task_id="first")
        assert b"\x1b[K" not in shown.wait_for(b"ready")  # the output itself is shown, as any program's
        client.send("stop", task_id="second")
        shown.run(b"fg")
        shown.wait_for(PROMPT)


def test_a_run_that_the_server_gave_up_on_while_it_was_stopped_takes_up_again(tmp_path: Path):
    actions = {"flood": command("i=0; while [ $i -lt 400 ]; do i=$((i+1)); seq 1000; done; exit 5")}
    with (
        Daemon(actions=actions, clients={"buffer": "64KiB", "stall_timeout": "100ms"}) as daemon,
        Client(daemon.url) as client,
        shell(daemon, tmp_path) as shown,
    ):
        shown.run(CTL + f" run flood --id flood > {tmp_path}/out".encode())
        wait_for(lambda: any(task.worker_state == "running" for task in client.tasks()))
        shown.type(b"\x1a")
        shown.wait_for(b"Stopped")
        client.subscribe("flood", on_lag="drop").wait(LIMIT_S)  # it does not wait for who is stopped
        shown.run(b"fg; echo status $?")
        shown.wait_for(b"trying to connect again")
        shown.wait_for(b"are missing here: they came faster than they could be shown, or while there was")
        shown.wait_for(b"status 5")
        assert (tmp_path / "out").read_text().endswith("\n1000\n")
