"""The check that nothing is left behind sees each kind of thing, and waits for what is on its way out."""

from __future__ import annotations

import os
import subprocess
import threading

import pytest

from tests.harness import Snapshot

pytestmark = pytest.mark.allow_leaks("they are made on purpose, and cleaned up")


def test_nothing_new_is_no_leak():
    assert Snapshot.take().leaks(timeout=0) == []


def test_a_thread_is_seen():
    end = threading.Event()
    before = Snapshot.take()
    thread = threading.Thread(target=end.wait, name="forgotten", daemon=True)
    thread.start()
    assert "forgotten" in str(before.leaks(timeout=0))
    end.set()
    thread.join()
    assert before.leaks(timeout=0) == []


def test_a_child_is_seen_and_so_is_its_zombie():
    before = Snapshot.take()
    child = subprocess.Popen(["sleep", "60"])
    assert f"process {child.pid}" in str(before.leaks(timeout=0))
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert "state Z" in str(before.leaks(timeout=0))
    child.wait()
    assert before.leaks(timeout=0) == []


def test_an_fd_is_seen():
    before = Snapshot.take()
    ends = os.pipe()
    assert str(before.leaks(timeout=0)).count("pipe:") == 2
    for end in ends:
        os.close(end)
    assert before.leaks(timeout=0) == []


def test_what_is_on_its_way_out_is_waited_for():
    looked = threading.Event()
    before = Snapshot.take()
    thread = threading.Thread(target=lambda: looked.wait(0.2), daemon=True)
    thread.start()
    assert before.leaks(timeout=5.0) == []
