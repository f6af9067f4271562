"""Processes that are set up before they become the program."""

from __future__ import annotations

import os
import pty
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from overseer.errors import SpawnError
from overseer.process.setup import Setup
from overseer.process.spawn import Child, spawn
from overseer.process.standalone.tree import children
from tests.faults.support import wait_until
from tests.harness.forking import others

_MARKS = {"OVERSEER_RUN_ID": "run", "OVERSEER_SERVER_ID": "server"}


@contextmanager
def _spawned(command: str, args: Sequence[str], setup: Setup | None, **more: Any) -> Iterator[Child]:
    more = {"env": _MARKS, "cwd": None, "streams": ["stdout"]} | more
    child = spawn(command, args, setup=setup, **more)
    try:
        yield child
    finally:
        signal.pidfd_send_signal(child.pidfd, signal.SIGKILL)
        os.waitpid(child.pid, 0)
        for fd in (child.pidfd, *child.pipes.values()):
            os.close(fd)


def _output(script: str, setup: Setup | None, **more: Any) -> list[str]:
    """What a shell's script prints; setting up is on its way to it."""
    with _spawned("sh", ["-c", script], setup, **more) as child:
        os.set_blocking(child.pipes["stdout"], True)
        with open(child.pipes["stdout"], closefd=False) as pipe:
            return pipe.read().splitlines()


def test_the_pid_is_the_programs_and_nothing_of_the_way_to_it_is_left() -> None:
    for script in _STATES:
        assert _output(script, Setup(nice=0)) == _output(script, None)


# Descriptors; signals; environment.
_STATES = [
    "ls /proc/$$/fd",
    "exec grep -E '^Sig(Ign|Cgt|Blk)' /proc/self/status",
    "env | sort | grep -v '^_='",
]


def test_the_task_s_variables_are_the_program_s_alone() -> None:
    """What the loader is told by them, it is told once: by the program."""
    env = {**_MARKS, "LD_PRELOAD": "/no/such.so"}
    lines = _output("exec true", Setup(nice=0), env=env, merge=True)
    assert lines == _output("exec true", None, env=env, merge=True)


def test_the_program_has_its_niceness_and_its_limits() -> None:
    setup = Setup(nice=7, rlimits={"nofile": (100, 200), "core": (0, 0)})
    assert _output("nice; ulimit -Sn; ulimit -Hn; ulimit -c", setup) == ["7", "100", "200", "0"]


def test_the_terminal_is_the_controlling_one() -> None:
    master, slave = pty.openpty()
    try:
        setup = Setup(tty=os.ttyname(slave))
        with _spawned("sh", ["-c", "tty; echo hello > /dev/tty; read x"], setup, streams=()) as child:
            with os.fdopen(os.dup(master), "rb") as screen:
                assert screen.readline().strip().decode() == os.ttyname(slave)
                assert screen.readline() == b"hello\r\n"
            os.write(master, b"\x03")  # the terminal makes a signal of it
            status = os.waitid(os.P_PIDFD, child.pidfd, os.WEXITED | os.WNOWAIT)
            assert status is not None
            assert (status.si_code, status.si_status) == (os.CLD_KILLED, signal.SIGINT)
    finally:
        os.close(master)
        os.close(slave)


_NO_CGROUP = "cgroup: /no/such cannot be entered: No such file or directory"
_ABOVE = "rlimits.core: current limit exceeds maximum limit"
_NO_TEXT = "cannot start 'true': an argument contains a character that is not text"


@pytest.mark.parametrize(
    ("command", "more", "reason"),
    [
        ("no-such-program", {}, "cannot start 'no-such-program': no such program in PATH"),
        ("/no/such", {}, "cannot start '/no/such': no such file"),
        ("/etc/passwd", {}, "cannot start '/etc/passwd': permission denied; is it executable?"),
        ("true", {"cwd": "/no/such"}, "cannot start 'true': cwd: no such directory: '/no/such'"),
        ("true", {"args": ["\0"]}, "cannot start 'true': an argument contains a NUL character"),
        ("true", {"args": ["\ud800"]}, _NO_TEXT),
        ("true", {"args": [1]}, "cannot start 'true': its arguments must be strings"),
        ("true", {"setup": Setup(tty="/dev/no-such")}, "tty: No such file or directory"),
        ("true", {"setup": Setup(cgroup="/no/such")}, _NO_CGROUP),
        ("true", {"setup": Setup(rlimits={"nil": (1, 1)})}, "rlimits.nil: no such limit"),
        ("true", {"setup": Setup(rlimits={"core": (1, 0)})}, _ABOVE),
    ],
    ids=ascii,
)  # fmt: skip
def test_what_cannot_be_had_is_an_error_as_of_any_start(
    command: str, more: dict[str, Any], reason: str
) -> None:
    open_before = os.listdir("/proc/self/fd")  # noqa: PTH208
    arguments = {"args": [], "env": _MARKS, "cwd": None, "streams": ["stdout"], "setup": Setup(nice=0)} | more
    with pytest.raises(SpawnError) as caught:
        spawn(command, **arguments)
    assert str(caught.value) == reason
    assert os.listdir("/proc/self/fd") == open_before  # noqa: PTH208
    assert others() == []


def test_what_is_killed_on_its_way_is_a_start_that_failed(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "cgroup.procs")  # opening it takes for ever
    refusals: list[str] = []

    def start() -> None:
        with pytest.raises(SpawnError) as caught:
            spawn("true", [], env=_MARKS, cwd=None, streams=[], setup=Setup(cgroup=str(tmp_path)))
        refusals.append(str(caught.value))

    starting = threading.Thread(target=start)
    starting.start()
    found: list[int] = []
    wait_until(lambda: found.extend(filter(_sets_up, children(os.getpid()))) or found)
    os.kill(found[0], signal.SIGKILL)
    starting.join(30)
    assert refusals == ["cannot start 'true': it was killed while its settings were being applied"]


def _sets_up(pid: int) -> bool:
    return b"setup.main" in Path(f"/proc/{pid}/cmdline").read_bytes()
