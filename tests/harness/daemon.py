"""A real server in a process of its own, for tests that talk to it from outside."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from overseer.testing.leaks import processes_with, wait_for_exit
from tests.harness.client import StdioClient, WsClient
from tests.harness.forking import Forked, run_forked

__all__ = ["ROOT", "Daemon", "marked_processes", "shell"]

ROOT = Path(__file__).resolve().parents[2]
_PROGRAM = ROOT / "sticky_overseer.py"
# In the environment of the server and so of all that it starts; who carries it at the end was left behind.
MARKER = "OVERSEER_TEST_MARKER"


def shell(script: str, *, config: Mapping[str, Any] | None = None, **action: Any) -> dict[str, Any]:
    """An exec action that runs ``script`` with /bin/sh; ``config`` adds to its config, the rest to itself."""
    return {
        "type": "exec",
        "config": {"entrypoint": "/bin/sh", "command": ["-c", script], **(config or {})},
        **action,
    }


def usual_environment() -> dict[str, str]:
    """The environment of a server, but for its marker."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("OVERSEER_")},
        "OVERSEER_CHECK_LOCKS": os.environ["OVERSEER_CHECK_LOCKS"],
        "PYTHONFAULTHANDLER": "1",  # SIGABRT then shows every thread
        "PYTHONWARNINGS": "default::ResourceWarning",
    }


class Daemon:
    """``with Daemon(actions={"echo": shell("echo hi")}) as daemon, daemon.connect() as client: ...``

    ``config`` is the whole file as text; or ``actions`` and other top-level keys are given one by one. It
    listens on a free port of 127.0.0.1 unless ``listen`` says otherwise (``stdio``, ``unix:PATH``).
    ``program`` is what runs instead of sticky_overseer.py. ``alone``: it is not forked, so its
    /proc/PID/environ and cmdline are its own; see :mod:`tests.harness.forking`. At the end it is sent SIGTERM
    and must exit 0 in half a minute, with no traceback or resource warning on stderr, and leave no process. A
    test that ends it in another way calls ``wait`` or ``kill`` itself.

    Attributes while it runs: ``address`` (``HOST:PORT`` or ``unix:PATH``), ``url``, ``pid``, ``directory``
    (its working directory, with config.yaml; removed at the end), ``process``.
    """

    def __init__(
        self,
        config: str | None = None,
        *,
        listen: str = "127.0.0.1:0",
        arguments: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        program: Path = _PROGRAM,
        alone: bool = False,
        **top_level: Any,
    ) -> None:
        # JSON is YAML, and says exactly what was meant.
        self._config = config if config is not None else json.dumps({"listen": listen, **top_level}, indent=1)
        self._stdio = listen.lower() == "stdio"
        self._arguments = arguments
        self._program = program
        self._marker = uuid.uuid4().hex
        self._environment = {**usual_environment(), **(environment or {}), MARKER: self._marker}
        # Where the test is not about how it was started.
        self._forked = program == _PROGRAM and not (self._stdio or environment or alone)
        self.address = ""
        self._stderr: list[str] = []
        self._said = threading.Condition()  # guards both _stderr...; notified at lines and at the end
        self._stderr_ended = False
        self._over = False  # everything has been given back

    @property
    def url(self) -> str:
        return self.address if self.address.startswith("unix:") else f"ws://{self.address}/ws"

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def stderr(self) -> str:
        """What it has said on stderr up to now."""
        with self._said:
            return "".join(self._stderr)

    def connect(self) -> WsClient:
        return WsClient(self.address)

    def stdio(self) -> StdioClient:
        """The one client of a server that listens on stdio."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        return StdioClient(self.process.stdin, self.process.stdout)  # type: ignore[arg-type]

    def wait_stderr(self, text: str, timeout: float = 30.0) -> str:
        """Wait for a line on stderr that contains ``text``, and return it."""

        def find() -> str | None:
            return next((line for line in self._stderr if text in line), None)

        with self._said:
            self._said.wait_for(lambda: find() is not None or self._stderr_ended, timeout)
            line = find()
            assert line is not None, f"never said {text!r}; stderr:\n{''.join(self._stderr)}"
            return line.rstrip("\n")

    def processes(self) -> dict[int, str]:
        """The live processes that this server started, and itself: pid to command line."""
        found = marked_processes(self._marker)
        if self.pid not in found and self.process.poll() is None:
            found[self.pid] = " ".join(self.process.args)  # a forked one does not show the marker
        return found

    def start(self) -> Self:
        self._directory = tempfile.TemporaryDirectory(prefix="overseer-test-")
        self.directory = Path(self._directory.name)
        (self.directory / "config.yaml").write_text(self._config)
        command = [sys.executable, str(self._program), "--config", "config.yaml", *self._arguments]
        # Our own pipes' ends are closed in __exit__; a group of its own keeps a terminal's Ctrl-C from it.
        self.process = (Forked if self._forked else subprocess.Popen)(
            command,
            stdin=subprocess.PIPE if self._stdio else subprocess.DEVNULL,
            stdout=subprocess.PIPE if self._stdio else subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd=self.directory,
            env=self._environment,
            process_group=0,
        )
        self._reader = threading.Thread(target=self._read_stderr, name="daemon stderr", daemon=True)
        self._reader.start()
        try:
            self.address = self.wait_stderr("listening on ", 60.0).partition("listening on ")[2].split()[0]
        except BaseException:
            self.kill()
            raise
        return self

    def freeze(self) -> None:
        """SIGSTOP, and wait until it has stopped: its threads go on until one of them has got the signal."""
        self.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED)

    def stop(self, timeout: float = 30.0) -> None:
        """SIGTERM, then check how it ended. Does nothing when that was done, or after ``kill``."""
        if self._over:
            return
        self.process.send_signal(signal.SIGTERM)
        self.wait(timeout)

    def wait(self, timeout: float = 30.0) -> None:
        """Wait for its end, whoever asked for it, and check how it ended."""
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)  # its threads' stacks go to stderr
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(1.0)
            self.kill()
            raise AssertionError(f"the daemon did not end in {timeout} s; stderr:\n{self.stderr}") from None
        left = {pid: command for pid, command in self.processes().items() if not wait_for_exit(pid, 5.0)}
        if left:
            self.kill()
        else:
            self._give_back()
        assert status == 0, f"the daemon ended with {status}; stderr:\n{self.stderr}"
        assert not left, f"the daemon left processes behind: {left}; stderr:\n{self.stderr}"
        for bad in ("Traceback (most recent call last)", "ResourceWarning"):
            assert bad not in self.stderr, f"on the daemon's stderr:\n{self.stderr}"

    def kill(self) -> None:
        """End it and everything it started by force, and give everything back. Idempotent."""
        if self._over:
            return
        self.process.kill()
        self.process.wait(10.0)
        for pid in self.processes():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
            wait_for_exit(pid, 5.0)
        self._give_back()

    def _give_back(self) -> None:
        """What this process has of it, once nothing of it lives."""
        self._over = True
        self._reader.join(30)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()
        self._directory.cleanup()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: object) -> None:
        if error is None:
            self.stop()
            return
        self.kill()
        error.add_note(f"the daemon's stderr:\n{self.stderr}")

    def _read_stderr(self) -> None:
        assert self.process.stderr is not None
        try:
            for line in self.process.stderr:
                with self._said:
                    self._stderr.append(line.decode("utf-8", "replace"))
                    self._said.notify_all()
        finally:
            with self._said:
                self._stderr_ended = True
                self._said.notify_all()


def marked_processes(marker: str) -> dict[int, str]:
    """The live processes with this test marker in their environment: pid to command line."""
    return processes_with(MARKER, marker)


def run_program(
    *arguments: str, cwd: Path, program: Path = ROOT / "sticky_overseer.py", **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the server where it ends by itself; no variable but these and the tests' own is meant for it."""
    command = [sys.executable, str(program), *arguments]
    if program == _PROGRAM and not environment:
        return run_forked(command, usual_environment(), cwd=cwd, timeout=60)
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name == "OVERSEER_CHECK_LOCKS" or not name.startswith("OVERSEER_")
    }
    return subprocess.run(
        command,
        cwd=cwd,
        env={**inherited, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
