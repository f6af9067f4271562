"""What runs use, measured on real trees of processes; each in a process of its own, which adopts orphans."""

from __future__ import annotations

import textwrap

from tests.workers.support import HEADLESS, in_process

_HEAD = """
import os, sys, textwrap, threading, time
from overseer.process.reaper import adopt_orphans, reap_orphans
from overseer.process.usage import usage_meter
from overseer.workers.base import *
from overseer.workers.starting import *

assert adopt_orphans()

def reap():
    while not over.wait(0.002):
        reap_orphans()

over = threading.Event()
threading.Thread(target=reap, daemon=True).start()

def shell(script, *more):
    return ["sh", "-c", script, "sh", *more]

def python(program, *more):
    return [sys.executable, "-SEc", textwrap.dedent(program), *more]

def start(argv):
    "Start a run and wait for its first line."
    up = threading.Event()
    context = RunContext("t")
    with run_context(context):
        callbacks = WorkerCallbacks(lambda batch: up.set(), print, lambda *_: None)
        worker = start_worker(WorkerConfig("t", argv[0], argv[1:]), callbacks)
    assert up.wait(30)
    return worker, context.run_id

def measure(run):
    return usage_meter.measure()[run]

def until(check):
    end = time.monotonic() + 60
    while not check():
        assert time.monotonic() < end
        time.sleep(0.01)

def end(worker):
    worker.stop(0)
    assert worker.wait(30)

BURN = '''
import time
while time.process_time() < 0.4: pass
'''
"""


def run(program: str) -> str:
    return in_process(_HEAD + textwrap.dedent(program))


def test_all_of_a_tree_counts_wherever_it_went() -> None:
    answer = run(
        """
        left = "(setsid sh -c 'sleep 60 & wait' &); (env -i setsid sleep 60 &); "
        worker, run = start(shell("sleep 60 & " + left + "echo up; wait; sleep 60"))
        until(lambda: measure(run).processes == 5)
        print(measure(run).threads, measure(run).rss > 5 * 100_000)
        end(worker)
        print(run in usage_meter.measure())
        """
    )
    assert answer == "5 True\nFalse\n"


def test_a_process_whose_main_thread_has_exited_still_counts() -> None:
    answer = run(
        f"""
        worker, run = start(["sh", "-c", {"exec " + HEADLESS!r}])
        until(lambda: measure(run).processes == measure(run).threads == 1)
        print(measure(run).rss > 1_000_000)
        end(worker)
        """
    )
    assert answer == "True\n"


def test_threads_count_and_the_first_look_has_no_percentage() -> None:
    answer = run(
        """
        worker, run = start(python('''
            import threading
            forever = threading.Event()
            for _ in range(4):
                threading.Thread(target=forever.wait).start()
            print(flush=True)
        '''))
        first = measure(run)
        print(first.processes, first.threads, first.percent, measure(run).percent is not None)
        end(worker)
        """
    )
    assert answer == "1 5 None True\n"


def test_the_cpu_of_processes_that_ended_stays_and_counts_once() -> None:
    """Children that are seen at work, and then waited for, which hands what they used to their parent.

    Each uses 0.4 s, of which /proc may show two ticks less, as it rounds down.
    """
    answer = run(
        """
        worker, run = start(python('''
            import subprocess, sys, time
            print(flush=True)
            for _ in range(3):
                subprocess.run([sys.executable, "-SEc", sys.argv[1]])
            time.sleep(60)
        ''', BURN))
        seen = []
        def enough():
            seen.append(measure(run).cpu)
            return seen[-1] >= 1.1 and measure(run).processes == 1
        until(enough)
        print(seen == sorted(seen), 1.1 <= seen[-1] < 1.8)
        end(worker)
        print(1.1 <= worker.cpu < 1.8)
        """
    )
    assert answer == "True True\nTrue\n"


def test_the_cpu_of_an_orphan_that_nobody_waited_for_stays() -> None:
    answer = run(
        """
        script = f'(setsid {sys.executable} -SEc "$1" &); echo up; exec sleep 60'
        worker, run = start(shell(script, BURN))
        seen = []
        def enough():
            seen.append(measure(run))
            return max(each.processes for each in seen) > seen[-1].processes == 1
        until(enough)
        print(seen[-1].cpu >= 0.3, [each.cpu for each in seen] == sorted(each.cpu for each in seen))
        end(worker)
        print(worker.cpu >= 0.3)
        """
    )
    assert answer == "True True\nTrue\n"


def test_the_peak_is_not_the_one_that_the_child_was_born_with() -> None:
    """What is spawned inherits the peak of this process, which is above all that a sleep needs."""
    answer = run(
        """
        held = bytearray(b"x") * (200 << 20)
        worker, run = start(shell("echo up; exec sleep 60"))
        end(worker)
        print(worker.max_rss)
        worker, run = start(shell("echo up; exec sleep 60"))
        seen = measure(run).rss
        end(worker)
        print(0 < seen < 20 << 20, worker.max_rss == seen)
        worker, run = start(python("x = bytearray(b'x') * (400 << 20); del x; print(flush=True)"))
        assert worker.wait(30)
        print(400 << 20 <= worker.max_rss < 450 << 20)
        """
    )
    assert answer == "None\nTrue True\nTrue\n"


def test_those_who_ask_together_share_a_pass_and_an_old_one_is_taken_if_it_may_be() -> None:
    answer = run(
        """
        from overseer.process import usage
        worker, run = start(shell("echo up; exec sleep 60"))
        passes, look = [], usage.all_pids
        usage.all_pids = lambda: passes.append(1) or look()
        first = measure(run)
        print(usage_meter.measure(60)[run] is first, len(passes))
        print(measure(run) is first, len(passes))
        end(worker)
        """
    )
    assert answer == "True 1\nFalse 2\n"
