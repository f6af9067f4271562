"""What the fault tests share: what a server holds at one moment, and clients that do not read."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.harness import Daemon
from tests.net.rawclient import RawClient

__all__ = [
    "FaultDaemon",
    "Held",
    "address_of",
    "alive",
    "deaf",
    "gone",
    "guardian_of",
    "listens",
    "wait_until",
]


@dataclass(frozen=True)
class Held:
    """What a process holds: its threads, descriptors and live descendants by count, its memory in kB."""

    threads: int
    fds: dict[str, int]  # by kind: socket, pipe, anon_inode...
    processes: int
    memory: int

    @classmethod
    def by(cls, daemon: Daemon) -> Held:
        root = Path(f"/proc/{daemon.pid}")
        fds: dict[str, int] = {}
        for path in (root / "fd").iterdir():
            try:
                kind = str(path.readlink()).partition(":[")[0]
            except FileNotFoundError:
                continue
            fds[kind] = fds.get(kind, 0) + 1
        status = (root / "status").read_text()
        memory = int(status.partition("VmRSS:")[2].split()[0])
        return cls(len(list((root / "task").iterdir())), fds, len(daemon.processes()), memory)

    def same(self, other: Held) -> bool:
        """Whether there are as many threads, descriptors and processes; memory is another matter."""
        return (self.threads, self.fds, self.processes) == (other.threads, other.fds, other.processes)


def wait_until(true: Callable[[], object], timeout: float = 30.0, what: str = "it") -> None:
    """Ask until it is true; for what there is nothing to wait on."""
    deadline = time.monotonic() + timeout
    while not true():
        assert time.monotonic() < deadline, f"{what} did not happen in {timeout} s"
        time.sleep(0.02)


def listens(path: Path) -> bool:
    """Whether somebody accepts connections on a Unix socket."""
    with socket.socket(socket.AF_UNIX) as sock:
        return sock.connect_ex(str(path)) == 0


class FaultDaemon(Daemon):
    """A daemon that knows what it holds when it has no clients and no tasks: ``idle``."""

    def start(self) -> Self:
        super().start()
        with self.connect() as client:  # what is started with the first client is there from now on
            client.request("pool_info")
        self.idle = Held.by(self)
        # The client's thread may not have ended; there is no event for that.
        quiet = 0
        while quiet < 4:
            time.sleep(0.05)
            now = Held.by(self)
            quiet = quiet + 1 if now.same(self.idle) else 0
            self.idle = now
        return self

    def must_be_idle(self, timeout: float = 30.0) -> None:
        """Fail when, a moment later, it holds anything beyond that."""
        deadline = time.monotonic() + timeout
        while not self.idle.same(now := Held.by(self)):
            assert time.monotonic() < deadline, f"idle: {self.idle}\nnow: {now}\n{self.processes()}"
            time.sleep(0.05)


def address_of(daemon: Daemon) -> tuple[str, int] | str:
    """As raw clients take it."""
    if daemon.address.startswith("unix:"):
        return daemon.address.removeprefix("unix:")
    host, _, port = daemon.address.rpartition(":")
    return host.strip("[]"), int(port)


def deaf(daemon: Daemon) -> RawClient:
    """A client for which the kernel keeps little, so that the server soon feels that it does not read."""
    return RawClient(address_of(daemon), receive_buffer=4096, timeout=30)


def alive(pid: int | str) -> bool:
    """Whether there is such a process that is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def gone(*pids: int | str, timeout: float = 30.0) -> bool:
    """Whether all of them are dead, or die soon."""
    deadline = time.monotonic() + timeout
    while any(alive(pid) for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def guardian_of(server: int, besides: int = 0) -> int:
    """Wait for the server's guardian, one that is not ``besides``, to be up; returns its pid."""
    found: list[int] = []

    def look() -> bool:
        children = "".join(path.read_text() for path in Path(f"/proc/{server}/task").glob("*/children"))
        for pid in map(int, children.split()):
            with contextlib.suppress(OSError):
                if pid != besides and Path(f"/proc/{pid}/comm").read_text() == "overseer-guard\n":
                    found.append(pid)
        return bool(found)

    wait_until(look, what="a guardian")
    return found[0]
