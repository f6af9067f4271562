"""A server in a process of its own, with a driver that is being tested."""

from __future__ import annotations

import inspect
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import pytest

from overseer.testing.leaks import processes_with, wait_for_exit
from overseer.testing.script import Behaviours
from overseer.testing.server import MARKER

_READY = "listening on "


class RealServer:
    """A context manager; it listens on a free port of 127.0.0.1, and is sent SIGTERM at the end.

    Attributes:
        url: for clients.
        stderr: what it has said.
        status: its exit status; None while it runs.
        left: processes that it left behind: pid to command line; known once it has ended.

    Args:
        contract: the class of this makes the driver once more, in the server.
        actions: by name; their ``config`` and settings.
        patience: seconds for its start and its end.
    """

    url = ""
    status: int | None = None

    def __init__(self, contract: Behaviours, actions: Mapping[str, Any], patience: float) -> None:
        self._config = {"listen": "127.0.0.1:0", "actions": dict(actions)}
        kind = type(contract)
        self._place = {
            "path": [os.path.abspath(each) for each in sys.path],  # noqa: PTH100 ("" is this directory)
            "module": kind.__module__,
            "file": inspect.getfile(kind),
            "kind": kind.__qualname__,
        }
        self._patience = patience
        self._marker = uuid.uuid4().hex
        self._lines: list[str] = []
        self._said = threading.Condition()  # guards the lines, and whether that was all
        self._silent = False
        self.left: dict[int, str] = {}

    @property
    def stderr(self) -> str:
        with self._said:
            return "".join(self._lines)

    def __enter__(self) -> Self:
        self._directory = tempfile.TemporaryDirectory(prefix="driver-contract-")
        file = Path(self._directory.name) / "config.yaml"
        file.write_text(json.dumps(self._config))
        place = json.dumps(self._place)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "overseer.testing.program", place, "--config", str(file)],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=self._environment(),
            process_group=0,  # a terminal's Ctrl-C is for the tests
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        with self._said:
            self._said.wait_for(lambda: self._silent or self._address(), self._patience)
            address = self._address()
        if not address:
            self._end()
            pytest.fail(f"the server with the driver did not start:\n{self.stderr}", pytrace=False)
        self.url = f"ws://{address}/ws"
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._end()

    def terminate(self) -> None:
        """SIGTERM, and wait for its end; ``status`` and ``left`` tell of it."""
        self._process.terminate()
        try:
            self.status = self._process.wait(self._patience)
        except subprocess.TimeoutExpired:
            return
        self.left = {
            pid: command
            for pid, command in processes_with(MARKER, self._marker).items()
            if not wait_for_exit(pid, 1.0)
        }

    def _end(self) -> None:
        try:
            self._process.wait(self._patience)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for pid in processes_with(MARKER, self._marker):
            if pid != os.getpid():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                wait_for_exit(pid, self._patience)
        self._reader.join(self._patience)
        assert self._process.stderr is not None
        self._process.stderr.close()
        self._directory.cleanup()

    def _environment(self) -> dict[str, str]:
        """Ours, without what is meant for another server."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if name == "OVERSEER_CHECK_LOCKS" or not name.startswith("OVERSEER_")
        }
        return {**kept, MARKER: self._marker, "PYTHONPATH": os.pathsep.join(self._place["path"])}

    def _address(self) -> str:
        """Where it listens; the lock is held."""
        return next((line.split(_READY)[1].split()[0] for line in self._lines if _READY in line), "")

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            with self._said:
                self._lines.append(line)
                self._said.notify_all()
        with self._said:
            self._silent = True
            self._said.notify_all()
