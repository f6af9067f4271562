"""The main thread's loop, with real signals, each time in a process of its own."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

BEFORE = """
import os, signal, threading, overseer.daemon.signals

overseer.daemon.signals._RETRY_S = 0.01
hurried = threading.Event()

def send(*names):
    for name in names:
        os.kill(os.getpid(), getattr(signal, "SIG" + name))

def say(word):
    print(word, flush=True)

def fail(word):
    say(word)
    raise OSError("no luck")

def end_now():
    say("end_now")
    hurried.set()

actions = dict(
    end=lambda: say("end"),
    end_now=end_now,
    reopen=lambda: say("reopen"),
    reload=lambda: say("reload"),
    upgrade=lambda: say("upgrade"),
    reap=lambda: None,
)

def run(*names, before=lambda loop: None, **changed):
    loop = overseer.daemon.signals.SignalLoop(**{**actions, **changed})
    with loop:
        send(*names)
        before(loop)
        loop.run()
"""


def outcome(script: str) -> tuple[list[str], str]:
    """What a process said that ran it, line by line, and what it logged."""
    done = subprocess.run(
        [sys.executable, "-c", BEFORE + script], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split(), done.stderr


@pytest.mark.parametrize("last", ["INT", "TERM"])
def test_each_signal_has_its_action(last: str) -> None:
    said, logged = outcome(f"run('HUP', 'USR1', 'USR2', '{last}')")
    assert (sorted(said), logged) == (["end", "reload", "reopen", "upgrade"], "")


def test_the_second_one_hurries_the_end() -> None:
    said, _ = outcome("run('TERM', end=lambda: (send('INT'), hurried.wait(10), say('end')))")
    assert said == ["end_now", "end"]


def test_any_thread_may_ask_for_the_end() -> None:
    said, _ = outcome("run(before=lambda loop: threading.Timer(0.05, loop.request_end).start())")
    assert said == ["end"]


@pytest.mark.parametrize("failing", ["reload", "reopen"])
def test_an_action_that_fails_loses_none_of_the_others(failing: str) -> None:
    said, logged = outcome(f"run('HUP', 'USR1', 'TERM', {failing}=lambda: fail('{failing}'))")
    assert sorted(said) == ["end", "reload", "reopen"]
    assert "OSError: no luck" in logged


def test_an_end_that_fails_is_the_end_nevertheless() -> None:
    said, logged = outcome("run('TERM', end=lambda: fail('end'))")
    assert said == ["end"]
    assert "the shutdown failed" in logged


def test_reaping_that_fails_is_tried_again_and_comes_back_when_it_asks_to() -> None:
    script = """
calls = []

def reap():
    say("reap")
    calls.append(1)
    if len(calls) == 1:
        raise OSError("no luck")
    if len(calls) == 2:
        return 0.01
    loop.request_end()

loop = overseer.daemon.signals.SignalLoop(**{**actions, "reap": reap})
with loop:
    send("CHLD")
    loop.run()
"""
    said, logged = outcome(script)
    assert said == ["reap", "reap", "reap", "end"]
    assert "OSError: no luck" in logged


def test_without_a_thread_to_be_had_the_end_comes_once() -> None:
    script = """
def no_more(thread):
    raise RuntimeError("can't start new thread")

threading.Thread.start = no_more
run("TERM", "INT")
"""
    assert outcome(script) == (["end"], "")


def test_a_job_leaves_the_signals_that_have_not_been_acted_on_in_the_pipe() -> None:
    said, log = outcome("""
import select

def job():
    say("job")
    for number in os.read(loops[0].pipe[0], 100):
        say(signal.Signals(number).name)
    send("INT")

loops = []

def before(loop):
    loops.append(loop)
    threading.Thread(target=loop.call, args=[job], daemon=True).start()
    select.select([loop._wake], [], [])

run("HUP", before=before)
""")
    assert (said, log) == (["job", "SIGHUP", "end"], "")


def test_a_job_that_fails_fails_for_whoever_asked_for_it_and_none_is_done_once_the_end_has_begun() -> None:
    said, log = outcome("""
import threading
over = threading.Event()

def ask(loop):
    try:
        loop.call(lambda: 1 / 0)
    except ZeroDivisionError as error:
        say("failed")
    send("TERM")
    ending.wait()
    try:
        loop.call(lambda: say("done"))
    except Exception as error:
        say(error.code)
    over.set()

ending = threading.Event()

def end():
    ending.set()
    over.wait()
    say("end")

run(before=lambda loop: threading.Thread(target=ask, args=[loop], daemon=True).start(), end=end)
""")
    assert (said, log) == (["failed", "unavailable", "end"], "")


def test_what_was_ignored_still_does_nothing_but_is_not_ignored_by_children() -> None:
    script = """
import subprocess
for name in ("INT", "QUIT", "HUP", "ALRM", "TTOU"):
    signal.signal(getattr(signal, "SIG" + name), signal.SIG_IGN)

def ask(loop):
    say(subprocess.check_output(["grep", "SigIgn", "/proc/self/status"], text=True).split()[1])

run("QUIT", "ALRM", "TERM", before=ask)
say(signal.getsignal(signal.SIGQUIT) is signal.SIG_IGN)
"""
    said, logged = outcome(script)
    ignored = int(said[0], 16) & ((1 << 31) - 1)  # those above are the C library's own
    assert (ignored, said[1:], logged) == (1 << signal.SIGTTOU - 1, ["end", "True"], "")


def test_former_handlers_come_back_but_nothing_can_interrupt_the_last_moments() -> None:
    script = """
signal.signal(signal.SIGUSR1, signal.SIG_IGN)
run("TERM")
send("TERM", "INT", "USR1")
say("ended")
"""
    assert outcome(script)[0] == ["end", "ended"]


def test_an_end_that_is_asked_for_too_late_writes_into_no_stranger_s_file() -> None:
    said, logged = outcome(
        """
loop = overseer.daemon.signals.SignalLoop(**actions)
with loop:
    send("TERM")
    loop.run()
read, write = os.pipe2(os.O_NONBLOCK)  # they get the numbers that the loop's had
loop.request_end()
try:
    os.read(read, 1)
except BlockingIOError:
    say("nothing")
"""
    )
    assert (said, logged) == (["end", "nothing"], "")
