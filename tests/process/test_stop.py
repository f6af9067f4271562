"""Stops and exits: "stopped" means that nothing of the task is left."""

from __future__ import annotations

import math
import os
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from overseer.process import pipe as reader
from overseer.process.finder import finder
from overseer.process.policy import StopPolicy
from overseer.process.registry import registry
from overseer.process.standalone.tree import Scanner
from overseer.testing.leaks import wait_for_exit
from overseer.workers.base import OutputBatch, WorkerCallbacks
from overseer.workers.config import WorkerConfig
from overseer.workers.starting import start_worker
from tests.harness import allowed
from tests.harness.forking import others
from tests.workers.support import HEADLESS, Recorder, alive, gone, in_process, run, until_headless

PATIENCE = 30
QUICK = StopPolicy(grace=0.3)


def stopped(recorder: Recorder) -> tuple[int, bool]:
    """The one exit's code, and whether it was intentional."""
    [(_, code, intentional, _)] = recorder.exits
    return code, intentional


def test_a_stop_is_sigterm() -> None:
    worker, recorder = run("sh", "-c", "trap 'echo term; exit 4' TERM; echo up; while :; do sleep 0.02; done")
    recorder.words(1)
    worker.stop()
    assert worker.intentional
    assert worker.wait(PATIENCE)
    assert stopped(recorder) == (4, True)
    assert recorder.lines() == ["up", "term"]


@pytest.mark.parametrize("how", ["", "setsid "])
def test_a_process_whose_main_thread_has_exited_is_stopped_with_the_rest(how: str) -> None:
    worker, recorder = run("sh", "-c", f"({how}{HEADLESS} &); exec sleep 60", policy=QUICK)
    [pid] = recorder.words(1)
    until_headless(pid)
    worker.stop()
    assert worker.wait(PATIENCE)
    assert wait_for_exit(int(pid), 0)


def test_the_policy_names_another_signal() -> None:
    script = "trap 'exit 5' INT; echo up; while :; do sleep 0.02; done"
    worker, recorder = run("sh", "-c", script, policy=StopPolicy(signal="SIGINT"))
    recorder.words(1)
    worker.stop()
    assert worker.wait(PATIENCE)
    assert stopped(recorder) == (5, True)


def test_what_ignores_the_signal_is_killed_after_the_grace() -> None:
    worker, recorder = run("sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.02; done", policy=QUICK)
    recorder.words(1)
    started = time.monotonic()
    worker.stop()
    assert worker.wait(PATIENCE)
    assert 0.3 <= time.monotonic() - started < allowed(1.5)
    assert stopped(recorder) == (-1, True)
    assert worker.signal == "SIGKILL"


def test_a_stopped_child_is_continued_to_take_its_signal() -> None:
    script = "trap 'echo term; exit 4' TERM; echo up; kill -STOP $$; echo cont; exit 9"
    worker, recorder = run("sh", "-c", script)
    recorder.words(1)
    while "T (stopped)" not in Path(f"/proc/{worker.pid}/status").read_text():
        time.sleep(0.005)
    worker.stop()
    assert worker.wait(PATIENCE)
    assert stopped(recorder) == (4, True)


def test_a_later_stop_hurries_an_earlier_one_and_never_slows_it() -> None:
    worker, recorder = run("sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.02; done")
    recorder.words(1)
    worker.stop(60)  # nor does it wait itself
    worker.stop(90)
    assert not worker.wait(0.3)
    worker.stop(0.1)
    worker.stop(60)
    started = time.monotonic()
    assert worker.wait(PATIENCE)
    assert time.monotonic() - started < allowed(1.5)
    worker.stop()
    assert stopped(recorder) == (-1, True)


def test_stops_from_many_threads_end_it_once() -> None:
    worker, recorder = run("sh", "-c", "echo up; exec sleep 60")
    recorder.words(1)
    barrier = threading.Barrier(8)

    def stop() -> None:
        barrier.wait()
        worker.stop()

    with ThreadPoolExecutor(8) as pool:
        for one in [pool.submit(stop) for _ in range(8)]:
            one.result()
    assert worker.wait(PATIENCE)
    assert stopped(recorder) == (-1, True)
    assert worker.signal == "SIGTERM"


def test_a_stop_before_anything_else_happens() -> None:
    for _ in range(15):
        started = time.monotonic()
        worker, recorder = run("sh", "-c", "setsid sleep 60; sleep 60")
        worker.stop()
        assert worker.wait(PATIENCE)
        assert stopped(recorder) == (-1, True)
        # What leaves the group just then must get its signal all the same, and not be left to SIGKILL.
        assert time.monotonic() - started < StopPolicy().grace


def test_stops_race_with_natural_exits() -> None:
    def one(number: int) -> bool:
        worker, recorder = run("sh", "-c", "exit 6")
        time.sleep(number % 10 * 0.0005)
        worker.stop()
        worker.stop(0)
        return worker.wait(PATIENCE) and len(recorder.exits) == 1 and recorder.exits[0][1] in (6, -1)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(one, range(40)))


# What leaves the group: by setsid, by a double fork, with an empty environment, under another group.
ESCAPES = {
    "setsid": "setsid sh -c 'echo $$; exec sleep 60' & wait",
    "double fork": "(setsid sh -c 'echo $$; exec sleep 60' &); sleep 60",
    "grandchildren": "setsid sh -c 'sleep 60 & echo $!; sleep 60 & echo $!; wait' & wait",
    "empty environment": "env -i setsid sh -c 'echo $$; exec sleep 60' & wait",
    "known by its session": (
        "(setsid sh -c '(env -i sh -c \"echo \\$\\$; exec sleep 60\" &); exec sleep 60' &); sleep 60"
    ),
    "own group": "set -m; sleep 60 & echo $!; wait",
    "ignores TERM": "setsid sh -c 'trap \"\" TERM; echo $$; while :; do sleep 0.02; done' & wait",
}


@pytest.mark.parametrize("script", ESCAPES.values(), ids=ESCAPES)
def test_a_stop_ends_what_left_the_group(script: str) -> None:
    worker, recorder = run("sh", "-c", script, policy=QUICK)
    escaped = recorder.words(2 if script == ESCAPES["grandchildren"] else 1)
    worker.stop()
    assert worker.wait(PATIENCE)
    assert stopped(recorder)[1]
    assert not any(alive(pid) for pid in escaped), "gone before the exit is told, not some time after"


def test_what_left_the_group_and_is_stopped_is_continued_to_take_its_signal() -> None:
    script = "setsid sh -c 'trap \"echo term; exit\" TERM; echo $$; kill -STOP $$; echo cont; exit' & wait"
    worker, recorder = run("sh", "-c", script)
    [pid] = recorder.words(1)
    while "T (stopped)" not in Path(f"/proc/{pid}/status").read_text():
        time.sleep(0.005)
    worker.stop()
    assert worker.wait(PATIENCE)
    assert recorder.lines() == [pid, "term"]


def test_a_process_that_hops_is_caught() -> None:
    # Each ignores TERM, starts one like it in a session of its own some milliseconds later, and ends.
    hop = "trap '' TERM; echo $$; sleep 0.02; setsid sh -c \"$SELF\" & exit"
    policy = StopPolicy(grace=0.1)
    worker, recorder = run("sh", "-c", 'sh -c "$SELF"; sleep 60', env={"SELF": hop}, policy=policy)
    recorder.words(5)
    worker.stop()
    assert worker.wait(PATIENCE)
    assert recorder.log == []
    assert not any(alive(pid) for pid in recorder.lines())


def test_a_process_that_breeds_is_caught() -> None:
    # 364 in all, if they get that far: each in its own session, deaf to TERM, with three children soon.
    breed = (
        "trap '' TERM; echo $$; [ $1 -gt 0 ] || exec sleep 60; sleep 0.1;"
        'for n in 1 2 3; do setsid sh -c "$SELF" sh $(($1 - 1)) & done; wait'
    )
    policy = StopPolicy(grace=0.05)
    worker, recorder = run("sh", "-c", breed, "sh", "5", env={"SELF": breed}, policy=policy)
    recorder.words(10)
    worker.stop()
    assert worker.wait(PATIENCE)
    assert recorder.log == []
    assert not any(alive(pid) for pid in recorder.lines())


def test_mode_group_leaves_what_left_the_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "DRAIN_IDLE_S", 0.2)
    script = "setsid sh -c 'echo $$; exec sleep 60' & sleep 0.1; sleep 60 & echo $!; echo $$; wait"
    worker, recorder = run("sh", "-c", script, policy=StopPolicy(kill_mode="group"))
    daemon, member, leader = recorder.words(3)
    worker.stop()
    assert worker.wait(PATIENCE)
    assert stopped(recorder) == (-1, True)
    assert not alive(member)
    assert not alive(leader)
    assert alive(daemon)
    os.kill(int(daemon), signal.SIGKILL)


def test_mode_group_kills_members_that_ignore_the_signal() -> None:
    script = "(trap '' TERM; while :; do sleep 0.02; done) & echo $!; wait"
    worker, recorder = run("sh", "-c", script, policy=StopPolicy("group", grace=0.3))
    [member] = recorder.words(1)
    worker.stop()
    assert worker.wait(PATIENCE)
    assert not alive(member)


@pytest.mark.parametrize("natural", [True, False])
def test_mode_leader_ends_the_leader_alone(natural: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "DRAIN_IDLE_S", 0.2)
    worker, recorder = run(
        "sh", "-c", f"sleep 60 & echo $!; {'exit 0' if natural else 'wait'}", policy=StopPolicy("leader")
    )
    [member] = recorder.words(1)
    if not natural:
        worker.stop()
    assert worker.wait(PATIENCE)
    assert stopped(recorder) == ((0, False) if natural else (-1, True))
    assert alive(member)
    os.kill(int(member), signal.SIGKILL)


def test_mode_leader_kills_a_leader_that_ignores_the_signal() -> None:
    policy = StopPolicy("leader", grace=0.2)
    worker, recorder = run("sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.02; done", policy=policy)
    recorder.words(1)
    worker.stop()
    assert worker.wait(PATIENCE)
    assert stopped(recorder) == (-1, True)


@pytest.mark.parametrize("mode", ["tree", "group"])
def test_a_natural_exit_leaves_nothing_in_the_group(mode: str) -> None:
    script = "(trap 'sleep 0.1; exit' TERM; while :; do sleep 0.02; done) >/dev/null 2>&1 & echo $!; exit 0"
    worker, recorder = run("sh", "-c", script, policy=StopPolicy(mode))
    assert worker.wait(PATIENCE)
    assert stopped(recorder) == (0, False)
    [member] = recorder.words(1)
    assert not alive(member), "a restarted leader must find its ports free"


@pytest.mark.parametrize("natural", [False, True])
def test_every_process_gets_its_signal_once(natural: bool, tmp_path: Path) -> None:
    # Many programs take a second one to mean: now, without cleaning up.
    log = tmp_path / "log"
    loop = "for n in 1 2 3 4 5 6 7 8 9 10; do sleep 0.1; done"
    listen = f"trap 'echo usr1 >>{log}' USR1; echo up; exec >&- 2>&-; {loop}"
    script = f'({listen}) & setsid sh -c "{listen}" & ({listen}); wait'
    if natural:
        script = f"({listen}) & sleep 0.1"
    worker, recorder = run("sh", "-c", script, policy=StopPolicy(signal="SIGUSR1"))
    ups = recorder.words(1 if natural else 3)
    if not natural:
        worker.stop()
    assert worker.wait(PATIENCE)
    assert len(log.read_text().split()) == len(ups)


def test_a_natural_exit_kills_members_that_ignore_the_signal() -> None:
    script = "(trap '' TERM; while :; do sleep 0.02; done) >/dev/null 2>&1 & echo $!; sleep 0.1"
    worker, recorder = run("sh", "-c", script, policy=QUICK)
    assert worker.wait(PATIENCE)
    assert stopped(recorder) == (0, False)
    [member] = recorder.words(1)
    assert not alive(member)


def test_a_stop_while_survivors_of_a_natural_exit_are_ended_hurries() -> None:
    script = "(trap '' TERM; while :; do sleep 0.02; done) >/dev/null 2>&1 & echo $!; sleep 0.1"
    worker, recorder = run("sh", "-c", script, policy=StopPolicy(grace=60))
    [member] = recorder.words(1)
    assert gone(worker.pid)
    while Path(f"/proc/{worker.pid}").exists():  # until it is reaped
        time.sleep(0.005)
    worker.stop(0)
    assert worker.wait(PATIENCE)
    assert not alive(member)
    assert recorder.exits[0][1:3] == (0, True)


@pytest.mark.parametrize("grace", [30 * 24 * 3600.0, 1e18, math.inf])
def test_a_grace_longer_than_poll_can_wait_is_a_grace(grace: float, caplog: pytest.LogCaptureFixture) -> None:
    script = "sleep 60 >/dev/null 2>&1 & echo $!; exit 0"
    ended, ends = run("sh", "-c", script, policy=StopPolicy(grace=grace))
    script = "trap '' TERM; echo up; while :; do sleep 0.02; done"
    stubborn, stops = run("sh", "-c", script, policy=StopPolicy(grace=grace))
    stops.words(1)
    stubborn.stop()
    assert ended.wait(PATIENCE)
    assert stopped(ends) == (0, False)
    assert not alive(ends.words(1)[0])
    assert not stubborn.wait(0.1)
    stubborn.stop(0)
    assert stubborn.wait(PATIENCE)
    assert stopped(stops) == (-1, True)
    assert not caplog.records
    assert registry.entries() == []


def test_the_end_is_told_although_ending_what_was_left_fails(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise MemoryError("none left")

    monkeypatch.setattr(finder, "find", fail)
    worker, recorder = run("sh", "-c", "sleep 60 >/dev/null 2>&1 & echo $!; exit 3")
    assert worker.wait(PATIENCE)
    assert stopped(recorder) == (3, False)
    assert "none left" in caplog.text
    assert registry.entries() == []
    os.kill(int(recorder.words(1)[0]), signal.SIGKILL)


def test_a_listener_that_blocks_does_not_hold_up_the_kill() -> None:
    entered, release, exits = threading.Event(), threading.Event(), []

    def block(_: OutputBatch) -> None:
        entered.set()
        release.wait(PATIENCE)

    worker = start_worker(
        WorkerConfig("t", "sh", ["-c", "setsid sleep 60 & echo $!; wait"], stop=QUICK),
        WorkerCallbacks(block, print, lambda *exit: exits.append(exit)),
    )
    assert entered.wait(PATIENCE)
    worker.stop()
    assert gone(worker.pid)
    assert not worker.wait(0.1)
    assert exits == []
    release.set()
    assert worker.wait(PATIENCE)
    assert len(exits) == 1


def test_a_stop_ends_a_leader_that_closed_its_pipes() -> None:
    worker, recorder = run("sh", "-c", "echo up; exec >&- 2>&-; exec sleep 60")
    recorder.words(1)
    worker.stop()
    assert worker.wait(PATIENCE)
    assert stopped(recorder) == (-1, True)


def test_stops_of_many_tasks_share_their_looks_at_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []
    scan = Scanner.scan
    monkeypatch.setattr(Scanner, "scan", lambda *args: looks.append(1) or scan(*args))
    runs = [run("sh", "-c", "echo up; exec sleep 60", task_id=f"t{number}") for number in range(40)]
    for _, recorder in runs:
        recorder.words(1)
    for worker, _ in runs:
        worker.stop()
    for worker, recorder in runs:
        assert worker.wait(PATIENCE)
        assert stopped(recorder) == (-1, True)
    # Each of them looks at least twice, before its signals and after.
    assert len(looks) < 80


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_80_runs_in_8_threads_leave_nothing() -> None:
    fds, threads = open_files(), threading.active_count()

    def one(number: int) -> None:
        worker, recorder = run("sh", "-c", "echo a; sleep 0.0$1; echo b >&2", "sh", str(number % 5))
        if number % 3 == 0:
            worker.stop()
        assert worker.wait(PATIENCE)
        assert len(recorder.exits) == 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(80)))
    deadline = time.monotonic() + 30
    while threading.active_count() > threads and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() == threads
    assert open_files() == fds
    assert registry.entries() == []
    assert others() == []


def test_a_reader_that_cannot_deliver_does_not_hold_up_the_end_of_a_stop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("overseer.workers.os_process._READ_OUT_S", 0.3)
    blocked, go_on = threading.Event(), threading.Event()
    recorder = Recorder()

    def take(batch: OutputBatch) -> None:
        blocked.set()
        go_on.wait(20)

    callbacks = replace(recorder.callbacks, on_output=take)
    script = "echo a; sleep 0.1; echo b; exec sleep 60"
    worker = start_worker(WorkerConfig("t", "sh", ["-c", script]), callbacks)
    assert blocked.wait(30)
    worker.stop()
    try:
        assert worker.wait(30)
    finally:
        go_on.set()
    assert recorder.log == ["the rest of its output is dropped: it was not taken in time"]
    assert len(recorder.exits) == 1
    threads = [thread for thread in threading.enumerate() if thread.name == "run-t"]
    for thread in threads:
        thread.join(30)
    assert len(recorder.exits) == 1


# Each generation lives for a moment, in a session of its own, and its parent is gone. All end with the file.
CHAINS = {
    "programs": "printf '#!/bin/sh\n[ -e $0 ] && exec setsid $0 &\n' >$0; chmod +x $0; $0; echo up; sleep 60",
    "forks": f"""touch $0; {sys.executable} -SEc '
import os, sys
os.write(1, b"up\\n")
while os.path.exists(sys.argv[1]):
    if os.fork(): os._exit(0)
    os.setsid()
' $0; sleep 60""",
}


@pytest.mark.parametrize("kind", list(CHAINS))
def test_a_stop_ends_what_forks_itself_away_again_and_again(kind: str, tmp_path: Path) -> None:
    chain = tmp_path / "chain"
    try:
        answer = in_process(
            f"""
            import threading
            from overseer.process.finder import finder, new_scanner
            from overseer.process.reaper import adopt_orphans, reap_orphans
            from overseer.workers.base import *
            from overseer.workers.starting import *

            assert adopt_orphans()
            over = threading.Event()

            def reap():
                while not over.wait(0.002):
                    reap_orphans()

            reaper = threading.Thread(target=reap)
            reaper.start()
            for _ in range(5):
                up = threading.Event()
                callbacks = WorkerCallbacks(lambda batch: up.set(), print, lambda *_: None)
                config = WorkerConfig("t", "sh", ["-c", {CHAINS[kind]!r}, {str(chain)!r}])
                with run_context(RunContext("t", stop=StopPolicy(grace=1.0))) as _:
                    worker = start_worker(config, callbacks)
                assert up.wait(30)
                run = worker._entry.run
                worker.stop()
                assert worker.wait(30)
                scanner = new_scanner()
                alive = [p for _ in range(3) for p in scanner.scan().runs.get(run, ()) if not p.zombie]
                print(alive + finder._chase(run, set()))
            over.set()
            reaper.join()
            """
        )
    finally:
        chain.unlink()
    assert answer == "[]\n" * 5
