"""The guardian: when the server is killed outright, nothing of its tasks outlives it for long."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from overseer.process.guardian import Guardian
from overseer.process.policy import StopPolicy
from overseer.process.registry import Entry
from overseer.process.standalone.guardian import SLOT
from overseer.process.standalone.tree import read_process
from overseer.testing.leaks import wait_for_exit
from tests.harness import allowed
from tests.workers.support import HEADLESS, alive, gone, run, until_headless


class Server:
    """tests.workers.server in a process of its own."""

    def __init__(self, mode: str, *scripts: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.workers.server", mode, *scripts],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONWARNINGS": "error"},
        )
        self.guardian: int = self.hear()["guardian"]
        comm = Path(f"/proc/{self.guardian}/comm")
        while comm.read_text() != "overseer-guard\n":  # else some tests would be of its start-up only
            time.sleep(0.005)

    def hear(self) -> Any:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def tell(self, text: str) -> Any:
        assert self.process.stdin is not None
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()
        return self.hear()

    def words(self, count: int) -> list[str]:
        words: list[str] = []
        while len(words) < count:
            words += " ".join(self.hear()["lines"]).split()
        return words

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def servers() -> Iterator[list[Server]]:
    made: list[Server] = []
    yield made
    for server in made:
        for pipe in (server.process.stdin, server.process.stdout):
            assert pipe is not None
            pipe.close()
        server.kill()
        assert gone(server.guardian, timeout=allowed(15))


# A leader and a member of its group; and a process that left it, by two ways.
TREE = (
    "(setsid sh -c 'echo $$; exec sleep 60' &);"
    "env -i setsid sh -c 'echo $$; exec sleep 60' &"
    "sleep 60 & sleep 0.2; echo $! $$; exec sleep 60"
)
# Orphaned, with an empty environment and a session of its own: only where it writes tells whose it is.
DETACHED = "(env -i setsid sh -c 'echo $$; exec sleep 60' &); sleep 0.2; echo $$; exec sleep 60"


def test_a_killed_server_s_tasks_are_ended(servers: list[Server]) -> None:
    server = Server("tree", TREE, TREE)
    servers.append(server)
    pids = server.words(8)
    server.kill()
    assert gone(*pids, timeout=allowed(3))
    assert gone(server.guardian, timeout=allowed(3))


def test_what_holds_a_run_s_pipe_is_ended_even_if_nothing_else_tells_whose_it_is(
    servers: list[Server],
) -> None:
    server = Server("tree", DETACHED, DETACHED)
    servers.append(server)
    pids = server.words(4)
    server.kill()
    assert gone(*pids, timeout=allowed(3))


def test_a_guardian_that_comes_later_knows_the_pipes_too(servers: list[Server]) -> None:
    server = Server("tree", DETACHED)
    servers.append(server)
    pids = server.words(2)
    os.kill(server.guardian, signal.SIGKILL)
    server.guardian = server.tell("guardian 1")["guardian"]
    server.kill()
    assert gone(*pids, timeout=allowed(3))


def test_what_ignores_the_signal_is_killed(servers: list[Server]) -> None:
    server = Server("tree", "trap '' TERM; echo $$; while :; do sleep 0.05; done")
    servers.append(server)
    pids = server.words(1)
    server.kill()
    assert gone(*pids, timeout=allowed(10))


# Its run, or where it writes, tells whose it is.
@pytest.mark.parametrize("how", ["", "setsid ", "env -i setsid "])
def test_what_runs_on_without_its_main_thread_is_killed_too(servers: list[Server], how: str) -> None:
    server = Server("tree", f"({how}{HEADLESS} &); exec sleep 60")
    servers.append(server)
    [pid] = server.words(1)
    until_headless(pid)
    server.kill()
    assert wait_for_exit(int(pid), allowed(10))


@pytest.mark.parametrize(("mode", "left"), [("group", 2), ("leader", 3)])
def test_the_mode_holds_for_the_guardian_too(servers: list[Server], mode: str, left: int) -> None:
    server = Server(mode, TREE)
    servers.append(server)
    pids = server.words(4)
    server.kill()
    assert gone(server.guardian, timeout=allowed(5))
    living = [pid for pid in pids if alive(pid)]
    for pid in living:
        os.kill(int(pid), signal.SIGKILL)
    assert len(living) == left


def test_a_forked_copy_of_the_server_does_not_deceive_it(servers: list[Server]) -> None:
    server = Server("tree", "echo $$; exec sleep 60")
    servers.append(server)
    pids = server.words(1)
    copy = server.tell("fork")["forked"]
    server.kill()
    assert gone(*pids, timeout=allowed(3))
    os.kill(copy, signal.SIGKILL)


def test_it_has_a_session_of_its_own_and_ignores_what_ends_others(servers: list[Server]) -> None:
    server = Server("tree", "echo $$; exec sleep 60")
    servers.append(server)
    pids = server.words(1)
    assert os.getsid(server.guardian) == server.guardian
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        os.kill(server.guardian, number)
    assert {path.name for path in Path(f"/proc/{server.guardian}/fd").iterdir()} <= {"0", "1", "2", "3"}
    server.kill()
    assert gone(*pids, timeout=allowed(3))


def test_a_killed_guardian_is_replaced_by_one_that_knows_the_tasks(servers: list[Server]) -> None:
    server = Server("tree", TREE)
    servers.append(server)
    pids = server.words(4)
    os.kill(server.guardian, signal.SIGKILL)
    answer = server.tell("guardian 1")
    assert answer["restarts"] == 1
    assert answer["guardian"] != server.guardian
    assert all(alive(pid) for pid in pids)
    server.guardian = answer["guardian"]
    server.kill()
    assert gone(*pids, timeout=allowed(3))


def test_descriptors_of_any_number_will_do(servers: list[Server]) -> None:
    server = Server("tree")
    servers.append(server)
    server.tell("stop guardian")
    server.guardian = server.tell("start guardian high")["guardian"]
    for restarts in (1, 2):  # before the second one there is a pause
        os.kill(server.guardian, signal.SIGKILL)
        server.guardian = server.tell(f"guardian {restarts}")["guardian"]
    assert server.tell("stop guardian") == {"guardian": 0}
    assert not alive(server.guardian)


def test_one_that_comes_later_knows_any_number_of_runs(servers: list[Server]) -> None:
    server = Server("tree", "echo $$; exec sleep 60")
    servers.append(server)
    [pid] = server.words(1)
    assert server.tell("remember 20000") == {"runs": 20001}
    os.kill(server.guardian, signal.SIGKILL)
    server.guardian = server.tell("guardian 1")["guardian"]
    server.kill()
    assert gone(pid, server.guardian, timeout=allowed(10))


def test_a_frozen_one_misses_nothing(servers: list[Server]) -> None:
    server = Server("tree")
    servers.append(server)
    os.kill(server.guardian, signal.SIGSTOP)
    # More than a pipe would have taken.
    assert server.tell("remember 2000") == {"runs": 2000}
    pids = server.tell("start 40")["pids"]
    assert server.tell("remember 2000") == {"runs": 2040}
    server.kill()
    assert gone(*pids, server.guardian, timeout=allowed(10))  # nobody continues it


def test_one_that_is_killed_again_and_again_is_replaced_soon_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("overseer.process.guardian._FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr("overseer.process.guardian._LONGEST_PAUSE_S", 0.2)
    guardian = Guardian()
    assert guardian.start()
    for restarts in range(1, 8):
        os.kill(guardian.pid, signal.SIGKILL)
        deadline = time.monotonic() + 30
        while guardian.restarts < restarts or not guardian.pid:
            assert time.monotonic() < deadline
            time.sleep(0.005)  # there is no event for it
    guardian.stop()
    said = [record.getMessage() for record in caplog.records]
    whens = ("now", *(f"in {pause} s" for pause in ("0.01", "0.02", "0.04", "0.08", "0.16", "0.2")))
    assert said == [f"the guardian died (SIGKILL); starting another {when}" for when in whens]


@pytest.mark.parametrize("frozen", [False, True])
def test_what_is_killed_between_fork_and_exec_leaves_nothing(servers: list[Server], frozen: bool) -> None:
    server = Server("tree")
    servers.append(server)
    assert server.process.stdin is not None
    server.process.stdin.write("slow\n" * 20)  # who looks may have to wait longer for the CPU than one takes
    server.process.stdin.flush()
    child = fork_of(server.process.pid)
    if frozen:
        server.process.send_signal(signal.SIGSTOP)
        server.process.send_signal(signal.SIGCONT)
    server.kill()
    assert gone(child, server.guardian, timeout=allowed(20))


def fork_of(pid: int) -> int:
    """Wait for a child of the process that has not executed a program yet."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            for child in map(int, children.read_text().split()):
                process = read_process(child)
                if process is not None and process.forked and process.session == child:
                    return child
    raise AssertionError("no fork seen")


def test_without_a_thread_to_watch_it_there_is_none(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    guardian = Guardian()
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        assert not guardian.start()
    assert guardian.pid == 0
    assert "so tasks will outlive a killed server" in caplog.text
    guardian.stop()
    assert guardian.start()  # now there is one to be had
    assert alive(guardian.pid)
    guardian.stop()


def test_when_its_thread_fails_it_ends_without_ending_tasks(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    worker, recorder = run("sh", "-c", "echo up; exec sleep 60")
    recorder.words(1)
    failed = threading.Event()

    def fail() -> bool:
        failed.set()
        raise MemoryError

    guardian = Guardian()
    monkeypatch.setattr(guardian, "_watch", fail)
    assert guardian.start()
    assert failed.wait(30)
    guardian.stop()
    assert guardian.pid == 0
    assert "the guardian's thread failed; tasks would outlive a killed server" in caplog.text
    assert worker.state == "running"
    worker.stop()
    assert worker.wait(30)
    assert worker.signal == "SIGTERM"


def test_told_to_exit_it_leaves_everything_alone(servers: list[Server]) -> None:
    server = Server("tree", "echo $$; exec sleep 60")
    servers.append(server)
    [pid] = server.words(1)
    assert server.tell("stop guardian") == {"guardian": 0}
    assert not alive(server.guardian)
    server.kill()
    assert alive(pid)
    os.kill(int(pid), signal.SIGKILL)


def test_a_server_killed_before_the_guardian_is_up_is_noticed_all_the_same() -> None:
    command = [sys.executable, "-m", "tests.workers.server", "tree", "echo $$; exec sleep 60"]
    # At the end of its stdin it would exit.
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process:
        guardian = json.loads(process.stdout.readline())["guardian"]
        [pid] = json.loads(process.stdout.readline())["lines"]
        process.kill()
        assert gone(pid, guardian, timeout=allowed(5))


def test_what_was_stopped_before_is_none_of_its_business(servers: list[Server]) -> None:
    script = "setsid sh -c 'echo $$; exec sleep 60 >/dev/null 2>&1' & sleep 0.1; echo $$; exec sleep 60"
    server = Server("group", script)
    servers.append(server)
    daemon, _ = server.words(2)
    assert server.tell("stop") == {"stopped": True}
    server.kill()
    assert gone(server.guardian, timeout=allowed(3))
    assert alive(daemon)
    os.kill(int(daemon), signal.SIGKILL)


def test_it_is_small(servers: list[Server]) -> None:
    server = Server("tree", "echo $$; exec sleep 60")
    servers.append(server)
    server.words(1)
    status = Path(f"/proc/{server.guardian}/status").read_text()
    assert int(status.partition("VmRSS:")[2].split()[0]) < 11_000, "kB"


def test_its_file_grows_with_the_runs_and_forgets_those_that_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["overseer.process.guardian"], "_SLOTS", 2)
    guardian = Guardian()
    assert guardian.start()
    try:
        entries = [Entry(f"run{number}", StopPolicy()) for number in range(9)]
        for entry in entries:
            guardian.tell(entry)
        for entry in entries[::2]:
            guardian.forget(entry.run)
        guardian.tell(Entry("another", StopPolicy()))
        file = Path(f"/proc/{guardian.pid}/fd/0").read_bytes()
        slots = [file[at : at + SLOT] for at in range(0, len(file), SLOT)]
        assert sorted(slot.split()[0] for slot in slots if slot[0]) == sorted(
            [b"another", *(entry.run.encode() for entry in entries[1::2])]
        )
    finally:
        guardian.stop()
