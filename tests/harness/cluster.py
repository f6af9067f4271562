"""A real Dask cluster in processes of its own: a scheduler, nannies and workers, on loopback."""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pytest

from tests.harness.daemon import ROOT

if TYPE_CHECKING:
    from tests.harness.lan import Lan

__all__ = ["Cluster", "needs_distributed", "wait_until"]

_SCHEDULER = "distributed.cli.dask_scheduler"
_WORKER = "distributed.cli.dask_worker"


def needs_distributed() -> None:
    """Skip where the extra is not installed."""
    if importlib.util.find_spec("distributed") is None:
        pytest.skip("distributed is not installed: pip install 'sticky-overseer[dask]'")


def wait_until(what: str, true: Callable[[], object], timeout: float = 60.0) -> None:
    """Look until something is so. There is no event for what another machine's processes do."""
    deadline = time.monotonic() + timeout
    while not true():
        assert time.monotonic() < deadline, f"not in {timeout} s: {what}"
        time.sleep(0.02)


class _Program:
    """One process of a cluster, and what it says on stderr."""

    def __init__(
        self, name: str, arguments: Sequence[str], directory: Path, before: Sequence[str] = ()
    ) -> None:
        self.name = name
        self.process = subprocess.Popen(
            [*before, sys.executable, "-m", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd=directory,
            env={**os.environ, "PYTHONPATH": str(ROOT), "DASK_TEMPORARY_DIRECTORY": str(directory)},
            process_group=0,
            text=True,
        )
        self._said: list[str] = []
        self._came = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._read, name=f"{name} stderr", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._came:
                self._said.append(line)
                self._came.notify_all()
        with self._came:
            self._ended = True
            self._came.notify_all()

    @property
    def stderr(self) -> str:
        with self._came:
            return "".join(self._said)

    def wait_stderr(self, pattern: str, timeout: float = 60.0) -> re.Match[str]:
        with self._came:
            self._came.wait_for(lambda: self._ended or re.search(pattern, "".join(self._said)), timeout)
            found = re.search(pattern, "".join(self._said))
        assert found, f"{self.name} never said {pattern!r}:\n{self.stderr}"
        return found

    def end(self, number: int = signal.SIGTERM) -> None:
        """Send it a signal, and kill it if that does not end it. What it started ends by itself."""
        if self.process.poll() is None:
            self.process.send_signal(number)
            try:
                self.process.wait(10.0)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10.0)
        self._reader.join(10.0)
        if not self._reader.is_alive():
            assert self.process.stderr is not None
            self.process.stderr.close()


class Cluster:
    """``with Cluster(workers=2, threads=8) as cluster: ...``. Its workers are ``w0``, ``w1``...

    Attributes:
        address: of its scheduler.
        security: arguments for its programs, and the ``tls`` of an action's ``cluster``.
    """

    def __init__(
        self,
        workers: int = 1,
        threads: int = 8,
        *,
        nannies: bool = True,
        security: Sequence[str] = (),
        scheme: str = "tcp",
        lan: Lan | None = None,
    ) -> None:
        self._lan = lan  # where its machines are: ``s`` with the scheduler, and one for each worker
        self._count = workers
        self._threads = threads
        self._security = list(security)
        self._scheme = scheme
        self._nannies = nannies
        self.workers: dict[str, _Program] = {}

    def __enter__(self) -> Self:
        self._directory = tempfile.TemporaryDirectory(prefix="overseer-cluster-")
        self.directory = Path(self._directory.name)
        try:
            self.start_scheduler(0)
            for number in range(self._count):
                self.add_worker(f"w{number}", ready=False)
            for worker in self.workers.values():
                worker.wait_stderr("Registered to")
        except BaseException:
            self.__exit__()
            raise
        return self

    def start_scheduler(self, port: int) -> None:
        host, before = self._machine("s")
        where = ["--host", f"{self._scheme}://{host}", "--port", str(port), "--no-dashboard"]
        arguments = [_SCHEDULER, *where, *self._security]
        self.scheduler = _Program("scheduler", arguments, self.directory, before)
        self.address = self.scheduler.wait_stderr(r"Scheduler at:\s+(\S+)")[1]

    def _machine(self, name: str) -> tuple[str, list[str]]:
        """A machine's address, and what a command that is to run there begins with."""
        if self._lan is None:
            return "127.0.0.1", []
        return self._lan.addresses[name], self._lan.inside(name)

    def add_worker(
        self, name: str, *more: str, ready: bool = True, scheduler: str = "", threads: int = 0
    ) -> _Program:
        host, before = self._machine(name)
        where = [scheduler or self.address, "--no-dashboard", "--name", name]
        if "--contact-address" not in more:
            where += ["--host", host]
        size = ["--nthreads", str(threads or self._threads), "--memory-limit", "0"]
        more = (*more, *([] if self._nannies else ["--no-nanny"]))
        worker = _Program(name, [_WORKER, *where, *size, *self._security, *more], self.directory, before)
        self.workers[name] = worker
        if ready:
            worker.wait_stderr("Registered to")
        return worker

    def worker_pid(self, name: str) -> int:
        """The pid of a worker, which may be its nanny's."""
        nanny = self.workers[name].process.pid
        if not self._nannies:
            return nanny
        found: list[int] = []

        def look() -> bool:
            found[:] = [
                pid for pid in _children(nanny) if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
            ]
            return bool(found)

        wait_until("the nanny has a worker", look)
        return found[0]

    def __exit__(self, *_: object) -> None:
        for program in self.workers.values():
            program.process.send_signal(signal.SIGCONT)
        ending = [threading.Thread(target=program.end) for program in self.workers.values()]
        for thread in ending:
            thread.start()
        for thread in ending:
            thread.join()
        if hasattr(self, "scheduler"):
            self.scheduler.end()
        self._directory.cleanup()


def _children(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for each in listed for child in each.read_text().split()]
