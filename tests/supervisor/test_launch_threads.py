"""Who launches what, in which order, and on how many threads."""

from __future__ import annotations

import operator
import queue
import subprocess
import threading
from collections.abc import Callable, Iterator

import pytest

from overseer.process.finder import has_forked
from overseer.supervisor import launch_threads as module
from overseer.supervisor.launch_threads import Launcher
from overseer.util.timers import Timers
from tests.faults.support import wait_until

_PATIENCE = 30


@pytest.fixture
def launcher() -> Iterator[Launcher]:
    timers = Timers(fire=lambda due: launcher.widen())
    timers.start()
    launcher = Launcher(timers, operator.call)
    try:
        yield launcher
    finally:
        launcher.close()
        timers.close()


class Slow:
    """Launches that take until they are let go."""

    def __init__(self) -> None:
        self.begun: queue.Queue[int] = queue.Queue()
        self.go = threading.Event()

    def call(self, number: int) -> Callable[[], None]:
        def launch() -> None:
            self.begun.put(number)
            assert self.go.wait(_PATIENCE)

        return launch


def test_what_one_asks_of_a_quick_driver_is_launched_in_order(launcher: Launcher) -> None:
    done: queue.Queue[int] = queue.Queue()
    for number in range(500):
        launcher.submit("quick", "client", lambda number=number: done.put(number))  # type: ignore[misc]
    assert [done.get(timeout=_PATIENCE) for _ in range(500)] == list(range(500))


def test_nobody_waits_for_another_clients_or_another_drivers_launches(launcher: Launcher) -> None:
    slow = Slow()
    for number in range(10):
        launcher.submit("slow", "one", slow.call(number))
    slow.begun.get(timeout=_PATIENCE)
    done: queue.Queue[str] = queue.Queue()
    launcher.submit("quick", "one", lambda: done.put("of the same client"))
    assert done.get(timeout=_PATIENCE) == "of the same client"
    launcher.submit("slow", "another", lambda: done.put("of another"))
    assert done.get(timeout=_PATIENCE) == "of another"
    slow.go.set()


def test_a_driver_that_keeps_its_threads_gets_more_up_to_a_bound(
    launcher: Launcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST", 8)
    slow = Slow()
    for number in range(5000):
        launcher.submit("slow", "queue", slow.call(number))
    assert sorted(slow.begun.get(timeout=_PATIENCE) for _ in range(8)) == list(range(8))
    assert launcher._drivers["slow"].threads == launcher._threads == 8
    done = threading.Event()
    launcher.submit("quick", "client", done.set)
    assert done.wait(_PATIENCE), "another driver has threads of its own"
    slow.go.set()
    assert sorted(slow.begun.get(timeout=_PATIENCE) for _ in range(4992)) == list(range(8, 5000))
    assert launcher._threads <= 9


def test_the_turns_of_a_driver_at_its_bound_go_round(
    launcher: Launcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST", 1)
    slow = Slow()
    order: queue.Queue[str] = queue.Queue()
    launcher.submit("driver", "first", slow.call(0))
    slow.begun.get(timeout=_PATIENCE)
    for _ in range(100):
        launcher.submit("driver", "greedy", lambda: order.put("greedy"))
    launcher.submit("driver", "modest", lambda: order.put("modest"))
    slow.go.set()
    assert "modest" in [order.get(timeout=_PATIENCE) for _ in range(2)]


def test_a_launch_that_raises_is_the_end_of_nothing(
    launcher: Launcher, caplog: pytest.LogCaptureFixture
) -> None:
    done = threading.Event()
    launcher.submit("driver", "client", lambda: 1 / 0)
    launcher.submit("driver", "client", done.set)
    assert done.wait(_PATIENCE)
    assert "ZeroDivisionError" in caplog.text


def test_threads_are_used_again_and_one_stays(launcher: Launcher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LINGER_S", 0.01)
    launcher.start()
    used: queue.Queue[int] = queue.Queue()
    for _ in range(50):
        launcher.submit("driver", "client", lambda: used.put(threading.get_ident()))
        used.get(timeout=_PATIENCE)
    slow = Slow()
    for number in range(3):
        launcher.submit(f"driver {number}", "client", slow.call(number))
    assert sorted(slow.begun.get(timeout=_PATIENCE) for _ in range(3)) == [0, 1, 2]
    slow.go.set()
    wait_until(lambda: launcher._threads == 1)
    launcher.submit("driver", "client", lambda: used.put(0))
    assert used.get(timeout=_PATIENCE) == 0


def test_a_thread_stays_while_what_it_forked_lives(
    launcher: Launcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the main thread would inherit it, and each stop would find it among those that may be orphans."""
    monkeypatch.setattr(module, "_LINGER_S", 0.01)
    launcher.start()
    children: queue.Queue[subprocess.Popen[bytes]] = queue.Queue()
    both = threading.Barrier(2)

    def launch() -> None:
        both.wait(_PATIENCE)
        children.put(subprocess.Popen(["sleep", "60"]))

    for number in range(2):
        launcher.submit(f"driver {number}", "client", launch)
    started = [children.get(timeout=_PATIENCE) for _ in range(2)]
    try:
        looks = _Looks(monkeypatch)
        wait_until(lambda: looks.count > 3)
        assert launcher._threads == 2
    finally:
        for child in started:
            child.kill()
            child.wait()
    wait_until(lambda: launcher._threads == 1)


class _Looks:
    """Counts how often a thread looks for children of its own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0

        def look() -> bool:
            self.count += 1
            return has_forked()

        monkeypatch.setattr(module, "has_forked", look)


def test_without_threads_it_is_done_here(launcher: Launcher, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError):
            launcher.start()
        here: list[int] = []
        launcher.submit("driver", "client", lambda: here.append(threading.get_ident()))
        assert here == [threading.get_ident()]
    launcher.start()
    slow, done = Slow(), threading.Event()
    launcher.submit("slow", "client", slow.call(0))
    slow.begun.get(timeout=_PATIENCE)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        launcher.submit("quick", "client", done.set)
    # There are threads again, which nothing but the next look can notice.
    assert done.wait(_PATIENCE)
    slow.go.set()


def test_who_asks_for_very_much_waits_but_not_for_long(
    launcher: Launcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_AHEAD", 10)
    slow = Slow()
    for number in range(11):
        launcher.submit("slow", "client", slow.call(number))
        launcher.wait_for_room("slow", "client")
    monkeypatch.setattr(module, "_PATIENCE_S", 0.01)
    for number in range(11, 200):
        launcher.submit("slow", "client", slow.call(number))
    launcher.wait_for_room("slow", "client")  # in vain
    monkeypatch.setattr(module, "_PATIENCE_S", _PATIENCE)
    slow.go.set()
    launcher.wait_for_room("slow", "client")
    backlog = launcher._drivers["slow"].backlogs.get("client")
    assert backlog is None or len(backlog.waiting) <= 10
