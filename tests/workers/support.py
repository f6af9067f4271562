"""What the tests of workers share."""

from __future__ import annotations

import shlex
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from overseer.process.policy import StopPolicy
from overseer.process.standalone.tree import read_process
from overseer.workers.base import OutputBatch, RunContext, Worker, WorkerCallbacks
from overseer.workers.config import WorkerConfig
from overseer.workers.starting import start_worker

__all__ = ["HEADLESS", "Recorder", "alive", "gone", "in_process", "run", "until_headless"]

# A command that says its pid, ignores SIGTERM, and whose main thread exits while another one runs on.
HEADLESS = f"{shlex.quote(sys.executable)} -SEc " + shlex.quote(
    "import ctypes, os, signal, threading;"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "threading.Thread(target=threading.Event().wait).start();"
    "print(os.getpid(), flush=True);"
    "ctypes.CDLL(None).pthread_exit(None)"
)


def until_headless(pid: int | str) -> None:
    """Wait until the main thread of such a process has exited."""
    deadline = time.monotonic() + 30
    while not Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].startswith(" Z"):
        assert time.monotonic() < deadline
        time.sleep(0.005)


class Recorder:
    """Callbacks that write down what they get, in order."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.events: list[OutputBatch | tuple[Worker, int, bool, datetime]] = []
        self.log: list[str] = []
        self.callbacks = WorkerCallbacks(self._add, self.log.append, lambda *exit: self._add(exit))

    def _add(self, event: OutputBatch | tuple[Worker, int, bool, datetime]) -> None:
        with self._changed:
            self.events.append(event)
            self._changed.notify_all()

    @property
    def batches(self) -> list[OutputBatch]:
        with self._changed:
            return [event for event in self.events if isinstance(event, OutputBatch)]

    @property
    def exits(self) -> list[tuple[Worker, int, bool, datetime]]:
        with self._changed:
            return [event for event in self.events if isinstance(event, tuple)]

    def lines(self, stream: str = "stdout") -> list[str]:
        return [line for batch in self.batches if batch.stream == stream for line in batch.lines]

    def until(self, true: Callable[[], bool], timeout: float = 30.0) -> None:
        """Wait until ``true()``, asked after each event."""
        deadline = time.monotonic() + timeout
        while True:
            with self._changed:
                seen = len(self.events)
            if true():
                return
            remaining = deadline - time.monotonic()
            assert remaining > 0, f"waited in vain; so far: {self.events} {self.log}"
            with self._changed:
                if len(self.events) == seen:
                    self._changed.wait(remaining)

    def words(self, count: int) -> list[str]:
        """The first ``count`` words on stdout, as soon as they are there."""
        self.until(lambda: len(" ".join(self.lines()).split()) >= count)
        return " ".join(self.lines()).split()[:count]


def run(
    command: str,
    *args: str,
    policy: StopPolicy | None = None,
    max_line: int = 10 << 20,
    task_id: str = "t",
    **config: object,
) -> tuple[Worker, Recorder]:
    """Start a worker, of its own run, that a recorder listens to."""
    recorder = Recorder()
    context = RunContext(task_id, stop=policy or StopPolicy(grace=5.0), max_line=max_line)
    worker = start_worker(
        WorkerConfig(task_id, command, args, **config),  # type: ignore[arg-type]
        replace(recorder.callbacks, run=context),
    )
    return worker, recorder


def alive(pid: int | str) -> bool:
    """Whether there is such a process that is not a zombie."""
    process = read_process(int(pid))
    return process is not None and not process.zombie


def gone(*pids: int | str, timeout: float = 30.0) -> bool:
    """Whether all of them are dead, or die soon."""
    deadline = time.monotonic() + timeout
    while any(alive(pid) for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)  # they are nobody's children that could be waited for
    return True


def in_process(program: str) -> str:
    """Run a program of its own; what it prints."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
