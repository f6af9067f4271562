"""The servers that are measured, each a process of its own on the loopback interface."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from bench.client import Connection

_ROOT = Path(__file__).resolve().parents[1]
_LAUNCH_S = 60.0
_END_S = 15.0

# One action runs any script; for each condition there is another one that filters with it.
_SCRIPT = {"entrypoint": "/bin/sh", "command": ["-c", "[[.script]]"], "parameters": {"script": {}}}
CEL = {
    "contains": 'output.data.contains("5") || output.data.contains("7")',
    "equal": 'output.data == "12345"',
    "matches": 'output.data.matches("^[0-9]*5$")',
    "size": 'output.stream == "stdout" && size(output.data) > 5',
    "json": 'has(output.json.x) && output.json.x == "5"',
}


@dataclass(frozen=True)
class Kind:
    """A server that can be started.

    Args:
        command: ``{config}`` and ``{address}`` are filled in.
        address: a fixed ``HOST:PORT``; "": a free port of 127.0.0.1.
        foreign: nothing is known of it but that it speaks the protocol; bytes are not foretold, since its
            timestamps may differ in length.
    """

    name: str
    command: str
    address: str = ""
    foreign: bool = False


HERE = Kind("here", shlex.join([sys.executable, str(_ROOT / "sticky_overseer.py")]) + " --config {config}")
BASELINE = Kind("baseline", shlex.join([sys.executable, str(_ROOT / "bench/baseline.py")]) + " {address}")


@dataclass
class Server:
    """``with Server(HERE) as server: ...``; what it started is gone afterwards."""

    kind: Kind
    top_level: dict[str, Any] = field(default_factory=dict)
    launch_s: float = 0.0  # from the launch until it accepts

    def __enter__(self) -> Self:
        self._directory = tempfile.TemporaryDirectory(prefix="overseer-bench-")
        host, _, port = (self.kind.address or f"127.0.0.1:{free_port()}").rpartition(":")
        self.address = (host, int(port))
        config = Path(self._directory.name) / "config.yaml"
        config.write_text(json.dumps({"listen": f"{host}:{port}", "actions": _actions(), **self.top_level}))
        command = [
            part.format(config=config, address=f"{host}:{port}") for part in shlex.split(self.kind.command)
        ]
        clean = {name: value for name, value in os.environ.items() if not name.startswith("OVERSEER_")}
        clean.pop("PYTHONDONTWRITEBYTECODE", None)  # installed programs have theirs
        with self._said.open("wb") as said:
            begun = time.monotonic()
            self.process = subprocess.Popen(
                command,
                cwd=self._directory.name,
                env=clean,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                process_group=0,
                preexec_fn=_end_with_parent,
            )
        try:
            self._wait_until_it_accepts(begun + _LAUNCH_S)
        except BaseException:
            self.__exit__()
            raise
        self.launch_s = time.monotonic() - begun
        return self

    def __exit__(self, *exc: object) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._directory.cleanup()

    @property
    def directory(self) -> Path:
        return Path(self._directory.name)

    @property
    def _said(self) -> Path:
        """What it writes to stdout and stderr."""
        return self.directory / "said"

    def connect(self) -> Connection:
        return Connection(self.address)

    def cpu_s(self) -> float:
        """CPU seconds of the process and all its threads, those that have ended too; not of its children."""
        return time.clock_gettime((~self.process.pid << 3) | 2)  # the kernel's clock id of another process

    def resident(self) -> int:
        """Bytes of memory that are resident now."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def _wait_until_it_accepts(self, deadline: float) -> None:
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(self.address, 1.0).close()
                return
            if self.process.poll() is not None or time.monotonic() > deadline:
                said = self._said.read_text(errors="replace")[-1000:]
                raise RuntimeError(f"{self.kind.name} does not accept connections; it said: {said}")
            time.sleep(0.002)  # nothing tells that a server of another kind accepts


_PR_SET_PDEATHSIG = 1  # see prctl(2)
_prctl = ctypes.CDLL(None).prctl


def _end_with_parent() -> None:
    """Have the kernel end this process when the benchmark does, however that ends: a flood that went on would
    fill the disk."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _actions() -> dict[str, Any]:
    filtered = {
        name: {"type": "exec", "config": {**_SCRIPT, "output": {"stdout": {"condition": condition}}}}
        for name, condition in CEL.items()
    }
    one_at_a_time = {"task_pool": {"limit": 1, "queue": {"enabled": True, "size": 0}}}
    nothing = {"entrypoint": "/bin/sh", "command": ["-c", "exit 0"]}
    return {
        "run": {"type": "exec", "config": _SCRIPT},
        "nothing": {"type": "exec", "config": nothing},
        "waiting": {"type": "exec", "config": _SCRIPT, **one_at_a_time},
        **filtered,
    }


def free_port() -> int:
    """A port that nobody has just now."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port
