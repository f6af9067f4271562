"""What overseerctl says, in the same words everywhere."""

from __future__ import annotations

import os
import signal
import sys

import pytest

from overseer.ctl.tail import Printer
from overseer.ctl.terminal import OutputError, Style, counted
from overseer.protocol import Gap, Output
from overseer.util.timestamps import now
from tests.ctl.conftest import Ctl
from tests.ctl.test_run import finish, first_line, started
from tests.harness import Daemon


@pytest.mark.parametrize(
    "command",
    ["stop nosuch", "stop --wait nosuch", "reset nosuch", "wait nosuch", "tail nosuch", "tail -f nosuch",
     "replay nosuch", "events nosuch"],
)  # fmt: skip
def test_a_task_that_is_not_there_is_named(ctl: Ctl, command: str):
    done = ctl(*command.split())
    assert (done.status, done.err) == (1, "overseerctl: nosuch: task not found\n")


def test_a_wait_says_how_long_it_was_asked_to_wait(ctl: Ctl):
    ctl("start", "sleep", "--id", "lasting")
    done = ctl("wait", "lasting", "--timeout", "0.05")
    assert (done.status, done.err) == (124, "overseerctl: lasting has not ended within 0.05 s\n")
    ctl("stop", "--wait", "lasting")
    assert " SIGTERM " in next(line for line in ctl("list").out.splitlines() if "lasting" in line)


def test_numbers_have_their_grammar():
    assert [counted(number, "client") for number in (0, 1, 2)] == ["0 clients", "1 client", "2 clients"]


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (signal.SIGINT, "stopping the task (Ctrl-C leaves without waiting for it)\n"),
        (signal.SIGTERM, "stopping the task\n"),
    ],
)
def test_ctrl_c_is_spoken_of_to_those_who_have_pressed_it(daemon: Daemon, number: signal.Signals, words: str):
    with started("run", "sleep", url=daemon.url) as process:
        first_line(process)
        os.kill(process.pid, number)
        status, _, err = finish(process)
    assert status == 143
    assert err.startswith(f"overseerctl: {words}overseerctl: ended by SIGTERM after ")


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("", "lines 3 to 9 are no longer stored"),
        ("expired", "lines 3 to 9 are no longer stored"),
        ("not_logged", "lines 3 to 9 were not logged, as the disk was full, slow or failed"),
        ("unreadable", "lines 3 to 9 cannot be read in the log"),
    ],
)
def test_a_gap_says_why_it_is_there(capsys: pytest.CaptureFixture[str], reason: str, said: str) -> None:
    printer = Printer(["t"], Style("never", None), as_json=False, timestamps=False)
    printer.write([Gap("t", 3, 9, now(), reason)])
    assert f"t: {said}" in capsys.readouterr().err


def test_a_failed_write_is_told_each_time_by_an_error_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    printer = Printer(["t"], Style("never", None), as_json=False, timestamps=False)
    monkeypatch.setattr(sys, "stdout", None)
    raised = []
    for _ in range(3):
        with pytest.raises(OutputError, match="cannot write to stdout: it is closed") as caught:
            printer.write([Output("t", 1, "stdout", "text", now(), 1)])
        raised.append(caught.value)
    assert len(set(map(id, raised))) == 3
