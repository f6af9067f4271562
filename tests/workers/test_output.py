"""What a child writes, and all of it."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC
from pathlib import Path

import pytest

from overseer.process import pipe as reader
from overseer.process.environment import SECRETS
from overseer.process.finder import finder
from overseer.process.lines import Lines, LineSplitter
from overseer.process.policy import StopPolicy
from overseer.util.hung_threads import Replaced
from overseer.workers.base import OutputBatch, WorkerCallbacks
from overseer.workers.config import WorkerConfig
from overseer.workers.starting import start_worker
from tests.harness import allowed
from tests.workers.support import Recorder, alive, gone, run

PATIENCE = 30


def test_a_short_run_is_told_from_start_to_end() -> None:
    worker, recorder = run("sh", "-c", "echo out; echo err >&2; exit 3")
    assert worker.wait(PATIENCE)
    assert recorder.lines() == ["out"]
    assert recorder.lines("stderr") == ["err"]
    [(told, code, intentional, at)] = recorder.exits
    assert (told, code, intentional) == (worker, 3, False)
    assert recorder.events[-1] == recorder.exits[0]
    assert worker.started_at <= recorder.batches[0].ts <= at == worker.exited_at
    assert at.tzinfo is UTC
    assert (worker.state, worker.exit_code, worker.signal, worker.intentional) == ("exited", 3, "", False)
    assert repr(worker) == f"<OSWorker 't' pid {worker.pid} exited 3>"


def test_lines_that_a_driver_may_have_changed_are_not_taken_for_split_ones() -> None:
    worker, recorder = run("echo", "a")
    assert worker.wait(PATIENCE)
    assert [batch.split for batch in recorder.batches] == [False]


def test_a_running_worker_says_so() -> None:
    worker, recorder = run("sh", "-c", "echo $$; exec sleep 60")
    assert recorder.words(1) == [str(worker.pid)]
    assert (worker.state, worker.exit_code, worker.exited_at, worker.signal) == ("running", None, None, "")
    assert repr(worker) == f"<OSWorker 't' pid {worker.pid} running>"
    assert not worker.wait(0)
    worker.stop()
    assert worker.wait(PATIENCE)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGPIPE, signal.SIGRTMIN + 2])
def test_death_by_a_signal_is_exit_code_minus_1_and_the_signal_s_name(number: int) -> None:
    worker, recorder = run("sh", "-c", f"kill -{number:d} $$")
    assert worker.wait(PATIENCE)
    assert recorder.exits[0][1:3] == (-1, False)
    name = signal.Signals(number).name if number < signal.SIGRTMIN else "SIGRTMIN+2"
    assert worker.signal == name


def test_echo_never_loses_its_line() -> None:
    def one(number: int) -> bool:
        worker, recorder = run("echo", str(number))
        assert worker.wait(PATIENCE)
        return recorder.lines() == [str(number)] and [exit[1] for exit in recorder.exits] == [0]

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(one, range(600)))


def test_many_lines_arrive_all_and_in_order() -> None:
    worker, recorder = run("seq", "1", "1000000")
    assert worker.wait(PATIENCE)
    assert recorder.lines() == [str(number) for number in range(1, 1_000_001)]


def test_what_is_in_the_pipe_at_the_exit_arrives_however_slow_the_listener_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reader, "DRAIN_IDLE_S", 0.01)
    recorder = Recorder()
    go = threading.Event()

    def slow(batch: OutputBatch) -> None:
        go.wait(PATIENCE)
        recorder.callbacks.on_output(batch)

    callbacks = WorkerCallbacks(slow, recorder.callbacks.log_event, recorder.callbacks.on_exited)
    # A survivor holds the pipe, so that there is no end to be seen; and 65,536 bytes fit into it.
    script = "sleep 60 & seq 10000 10999; head -c 50000 /dev/zero | tr '\\0' x; echo; echo last"
    worker = start_worker(WorkerConfig("t", "sh", ["-c", script]), callbacks)
    while alive(worker.pid):
        time.sleep(0.005)
    go.set()
    assert worker.wait(PATIENCE)
    assert recorder.lines() == [str(number) for number in range(10000, 11000)] + ["x" * 50000, "last"]


def test_a_pipe_that_the_child_made_larger_is_emptied_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "DRAIN_IDLE_S", 0.01)
    monkeypatch.setattr(reader, "DRAIN_MAX_S", 0.0)  # as if the listener had taken that long
    ours, theirs = os.pipe()
    fcntl.fcntl(theirs, fcntl.F_SETPIPE_SZ, 1 << 20)
    os.write(theirs, b"line\n" * 100_000)
    os.set_blocking(ours, False)
    child = subprocess.Popen(["true"])
    pidfd = os.pidfd_open(child.pid)
    child.wait()
    got: list[str] = []

    def take(stream: str, groups: list[Lines]) -> None:
        got.extend(*(lines for lines, _ in groups))

    pipe = reader.Pipe(ours, LineSplitter(1000), take)
    reader.PipeReader([pipe], pidfd).run()
    for fd in (theirs, pidfd):
        os.close(fd)
    assert got == ["line"] * 100_000


def test_a_reader_that_is_replaced_again_and_again_comes_to_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A survivor is read for so long in all, however often a disk hangs meanwhile."""
    monkeypatch.setattr(reader, "DRAIN_MAX_S", 0.1)
    ours, theirs = os.pipe()
    os.set_blocking(ours, False)
    child = subprocess.Popen(["true"])
    pidfd = os.pidfd_open(child.pid)
    child.wait()

    def take(stream: str, groups: list[Lines]) -> None:
        groups.clear()
        os.write(theirs, b"line\n")  # the survivor's next
        raise Replaced

    os.write(theirs, b"line\n")
    pipes = reader.PipeReader([reader.Pipe(ours, LineSplitter(10), take)], pidfd)
    begun = time.monotonic()
    while True:
        assert time.monotonic() < begun + allowed(2), "it is read for ever"
        try:
            pipes.run()
            break
        except Replaced:
            continue
    assert time.monotonic() >= begun + 0.1
    for fd in (theirs, pidfd):
        os.close(fd)


def test_a_flood_in_one_pipe_lets_the_other_s_lines_through() -> None:
    flood = os.open("/dev/zero", os.O_RDONLY)  # there is always more
    ours, theirs = os.pipe()
    pidfd = os.pidfd_open(os.getpid())
    reads = 0

    def count(data: bytes) -> None:
        nonlocal reads
        reads += 1
        assert reads < 1000, "nothing else is read"

    def take(stream: str, groups: list[Lines]) -> None:
        raise InterruptedError(groups)

    pipes = [
        reader.Pipe(flood, LineSplitter(10), lambda stream, groups: None, raw=count),
        reader.Pipe(ours, LineSplitter(10), take),
    ]
    os.write(theirs, b"line\n")
    both = reader.PipeReader(pipes, pidfd)
    with pytest.raises(InterruptedError, match="line"):
        both.run()
    assert reads > 1
    both.close()
    os.close(theirs)
    os.close(pidfd)


def test_one_pipe_ends_long_before_the_other() -> None:
    script = "echo out; exec 1>&-; for n in 1 2 3; do sleep 0.02; echo $n >&2; done; printf end >&2"
    worker, recorder = run("sh", "-c", script)
    assert worker.wait(PATIENCE)
    assert recorder.lines("stdout") == ["out"]
    assert recorder.lines("stderr") == ["1", "2", "3", "end"]
    assert [code for _, code, _, _ in recorder.exits] == [0]


def test_a_survivor_s_output_is_read_while_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "DRAIN_IDLE_S", allowed(0.5))  # many times what is between two lines
    script = "(for n in 1 2 3 4 5 6; do sleep 0.05; echo $n; done; sleep 60) & echo leader"
    worker, recorder = run("sh", "-c", script)
    assert worker.wait(PATIENCE)
    assert recorder.lines() == ["leader", "1", "2", "3", "4", "5", "6"]


def test_a_flooding_survivor_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "DRAIN_MAX_S", 0.3)
    started = time.monotonic()
    recorder = Recorder()

    def slow(batch: OutputBatch) -> None:
        time.sleep(0.002)  # so that the pipe is never seen empty
        if batch.lines[0] != "y":
            recorder.callbacks.on_output(batch)

    callbacks = WorkerCallbacks(slow, print, recorder.callbacks.on_exited)
    worker = start_worker(WorkerConfig("t", "sh", ["-c", "echo $$; yes & echo $! >&2"]), callbacks)
    assert worker.wait(30)
    assert time.monotonic() - started < allowed(5)
    assert recorder.exits[0][1] == 0
    assert gone(recorder.lines("stderr")[0])


def test_a_grandchild_that_holds_the_pipe_hardly_delays_the_exit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "DRAIN_IDLE_S", 0.2)
    started = time.monotonic()
    worker, recorder = run("sh", "-c", "setsid sleep 60 & echo $!")
    assert worker.wait(PATIENCE)
    assert time.monotonic() - started < allowed(3)
    [daemon] = recorder.words(1)
    assert alive(daemon), "it left the group on purpose, so after a natural exit it is let be"
    os.kill(int(daemon), signal.SIGKILL)


def test_closed_pipes_are_no_exit() -> None:
    worker, recorder = run("sh", "-c", "echo bye; exec >&- 2>&-; sleep 0.3; exit 7")
    recorder.until(lambda: recorder.lines() == ["bye"])
    assert not worker.wait(0.05)
    assert worker.wait(PATIENCE)
    assert recorder.exits[0][1] == 7


def test_odd_bytes() -> None:
    worker, recorder = run("printf", r"a\r\nb\377\342\202c\n\n\000\nno end")
    assert worker.wait(PATIENCE)
    assert recorder.lines() == ["a", "b\ufffd\ufffd\ufffdc", "", "\0", "no end"]


def test_a_line_of_40_mb_is_cut_and_the_child_never_blocked() -> None:
    worker, recorder = run("sh", "-c", "head -c 40000000 /dev/zero | tr '\\0' x; echo; echo next")
    assert worker.wait(PATIENCE)
    lines = [(len(batch.lines[0]), batch.truncated) for batch in recorder.batches]
    assert lines == [(10 << 20, True), (4, False)]


def test_the_limit_for_lines_is_the_run_s() -> None:
    worker, recorder = run("echo", "123456789", max_line=5)
    assert worker.wait(PATIENCE)
    assert [(batch.lines, batch.truncated) for batch in recorder.batches] == [(["12345"], True)]


@pytest.mark.parametrize(
    ("stdout", "stderr", "expected"),
    [(True, False, ["stdout"]), (False, True, ["stderr"]), (False, False, [])],
)
def test_a_stream_not_included_goes_nowhere(stdout: bool, stderr: bool, expected: list[str]) -> None:
    worker, recorder = run(
        "sh", "-c", "seq 100000; seq 100000 >&2", include_stdout=stdout, include_stderr=stderr
    )
    assert worker.wait(PATIENCE)
    assert sorted({batch.stream for batch in recorder.batches}) == expected
    assert recorder.exits[0][1] == 0


def test_the_child_finds_what_it_was_promised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FROM_SERVER", "here")
    monkeypatch.setenv("REPLACED", "old")
    monkeypatch.setenv(next(iter(SECRETS)), "secret")
    script = (
        "cat; env; echo group=$(ps -o pgid= -p $$ | tr -d ' ') cwd=$(pwd); ls /proc/self/fd | tr '\\n' ,;"
        "grep SigIgn /proc/self/status; grep SigBlk /proc/self/status"
    )
    env = {"REPLACED": "new", "ADDED": "ä"}
    worker, recorder = run("sh", "-c", script, env=env, cwd="/tmp", task_id="task 1")
    assert worker.wait(PATIENCE)
    lines = recorder.lines()
    assert {"FROM_SERVER=here", "REPLACED=new", "ADDED=ä", "OVERSEER_TASK_ID=task 1"} <= set(lines)
    assert not any("secret" in line for line in lines)
    assert f"group={worker.pid} cwd=/tmp" in lines
    # Nothing is ignored but what whoever started the tests has them ignore (timeout does so).
    ours = next(line for line in Path("/proc/self/status").read_text().splitlines() if "SigIgn" in line)
    ignored = int(ours.split()[1], 16) & ~(1 << signal.SIGPIPE - 1 | 1 << signal.SIGXFSZ - 1)
    assert f"0,1,2,3,SigIgn:\t{ignored:016x}" in lines
    assert "SigBlk:\t0000000000000000" in lines


def test_callbacks_that_raise_do_no_harm(caplog: pytest.LogCaptureFixture) -> None:
    exits = []

    def fail(*_: object) -> None:
        raise ValueError("the driver's fault")

    def fail_at_exit(*exit: object) -> None:
        exits.append(exit)
        raise SystemExit

    worker = start_worker(
        WorkerConfig("t", "sh", ["-c", "seq 1000000; echo x >&2"]), WorkerCallbacks(fail, fail, fail_at_exit)
    )
    assert worker.wait(PATIENCE)
    assert len(exits) == 1
    assert worker.exit_code == 0
    assert [record.message.split(";")[0] for record in caplog.records] == [
        "task t: on_output failed",
        "task t: on_exited failed",
    ]


def test_an_ordinary_exit_needs_no_look_at_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    def look() -> None:
        raise AssertionError("an ordinary exit needs no look at /proc")

    monkeypatch.setattr(finder, "look", look)
    worker, recorder = run("sh", "-c", "echo hi", policy=StopPolicy())
    assert worker.wait(PATIENCE)
    assert recorder.log == []
