"""Stops where orphans are adopted, as in a server: a leader alone needs neither a thread nor a look."""

from __future__ import annotations

import textwrap

import pytest

from tests.workers.support import in_process

_HEAD = """
import os, sys, threading, time
from concurrent.futures import ThreadPoolExecutor
from overseer.process.finder import finder
from overseer.process.policy import StopPolicy
from overseer.process.reaper import adopt_orphans, reap_orphans
from overseer.process.standalone.tree import Scanner, read_process
from overseer.workers.base import *
from overseer.workers import stopping
from overseer.workers.starting import *

assert adopt_orphans() and finder.adopting
looks, threads = [], set()
scan = Scanner.scan
Scanner.scan = lambda *args: looks.append(1) or scan(*args)
threading.excepthook = lambda args: print(args.exc_value)

# On a thread that stays, as in the server: the children of the main thread are orphans, and leaders are none.
launcher = ThreadPoolExecutor(1)

def start(script, grace=5.0, program=("sh", "-c")):
    up, log = threading.Event(), []
    def out(batch):
        log.extend(batch.lines)
        up.set()
    def exited(worker, code, intentional, at):
        threads.update(thread.name for thread in threading.enumerate())
        log.append((code, worker.signal, intentional))
    callbacks = WorkerCallbacks(out, log.append, exited)
    def launch():
        with run_context(RunContext("t", stop=StopPolicy(grace=grace))):
            return start_worker(WorkerConfig("t", program[0], [*program[1:], script]), callbacks)
    worker = launcher.submit(launch).result()
    assert up.wait(30)
    return worker, log

def reap():
    while not over.wait(0.002):
        reap_orphans()

over = threading.Event()
reaper = threading.Thread(target=reap, daemon=True)
reaper.start()
"""


def run(program: str) -> str:
    return in_process(_HEAD + textwrap.dedent(program))


def test_a_leader_that_is_alone_is_stopped_without_a_thread_or_a_look() -> None:
    answer = run(
        """
        stopping._PROMPT_S = 60
        runs = [start("echo up; exec sleep 60") for _ in range(20)]
        for worker, _ in runs:
            worker.stop()
        for worker, log in runs:
            assert worker.wait(30)
            assert log == ["up", (-1, "SIGTERM", True)], log
        print(len(looks), [name for name in threads if name.startswith("stop-")])
        """
    )
    assert answer == "0 []\n"


def test_stops_in_a_row_share_a_look_for_orphans() -> None:
    answer = run(
        """
        stopping._PROMPT_S = stopping._FRESH_S = 60
        runs = [start("echo up; exec sleep 60") for _ in range(20)]
        adopted, reads = finder.adopted, []
        finder.adopted = lambda: reads.append(threading.current_thread()) or adopted()
        for worker, _ in runs:
            worker.stop()
        for worker, _ in runs:
            assert worker.wait(30)
        print(reads.count(threading.current_thread()))
        """
    )
    assert answer == "2\n"


@pytest.mark.parametrize("leader", ["exec sleep 60", "trap '' TERM; read x </dev/ptmx"])
def test_an_orphan_that_is_younger_than_the_look_is_ended_before_the_exit_is_told(leader: str) -> None:
    answer = run(
        f"""
        leader = {leader!r}
        stopping._FRESH_S = 60
        worker, log = start(f"(setsid sh -c 'echo $$; exec sleep 60 >/dev/null 2>&1' &); {{leader}}", 1.0)
        pid = int(log[0])
        deadline = time.monotonic() + 30
        while read_process(pid).parent != os.getpid() and time.monotonic() < deadline:
            time.sleep(0.005)  # there is no event for an adoption
        finder._none_at = time.monotonic()  # as if a look had missed it
        worker.stop()
        assert worker.wait(30)
        left = read_process(pid)
        print(left is None or left.zombie)
        """
    )
    assert answer == "True\n"


@pytest.mark.parametrize(("stops", "least", "most"), [("0.5", 0.5, 3.0), ("60, 0.0", 0.0, 3.0)])
def test_one_that_ignores_its_signal_is_killed_in_time(stops: str, least: float, most: float) -> None:
    answer = run(
        f"""
        worker, log = start("trap '' TERM; echo up; read x </dev/ptmx", 60)
        begun = time.monotonic()
        for grace in ({stops},):
            worker.stop(grace)
        assert worker.wait(30)
        assert log == ["up", (-1, "SIGKILL", True)], log
        print(time.monotonic() - begun)
        """
    )
    assert least <= float(answer) < most


def test_what_it_leaves_behind_when_it_gets_its_signal_is_ended_before_the_exit_is_told() -> None:
    answer = run(
        """
        script = '''if True:
            import os, signal, subprocess, sys
            os.dup2(os.open(os.devnull, os.O_RDWR), 2)
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
            print("up", flush=True)
            signal.sigwait({signal.SIGTERM})
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
            left = subprocess.Popen(["sleep", "60"], start_new_session=True, stdout=2, stderr=2)
            print(left.pid, flush=True)
            os._exit(3)
        '''
        worker, log = start(script, 10, (sys.executable, "-SEc"))
        worker.stop()
        assert worker.wait(30)
        pid = int(log[1])
        left = read_process(pid)
        print(log[2], left is None or left.zombie)
        """
    )
    assert answer == "(3, '', True) True\n"


def test_children_of_its_group_get_their_signal_once_and_are_waited_for() -> None:
    answer = run(
        """
        child = "(trap 'sleep 0.3; echo child; exit' TERM; echo up; while :; do sleep 0.02; done)"
        script = f"trap 'echo term; exit 4' TERM; {child} & wait"
        worker, log = start(script)
        worker.stop()
        assert worker.wait(30)
        print(sorted(set(log[:-1]) - {"Terminated"}), log[-1])
        """
    )
    assert answer == "['child', 'term', 'up'] (4, '', True)\n"
