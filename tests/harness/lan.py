"""Machines in network namespaces, joined by a router, and partitions between them that drop every packet."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from pathlib import Path
from typing import Self

import pytest

from tests.harness.cluster import wait_until

__all__ = ["Lan", "needs_namespaces"]

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def needs_namespaces() -> None:
    """Skip where this process may not make network namespaces."""
    if os.geteuid() != 0 or not all(map(shutil.which, ("unshare", "nsenter", "ip"))):
        pytest.skip("network namespaces take root, and iproute2 and util-linux")
    tried = subprocess.run(["unshare", "-n", "true"], capture_output=True, timeout=30, check=False)
    if tried.returncode:
        pytest.skip(f"no network namespaces here: {tried.stderr.decode().strip()}")


def _call(function: str, *args: int) -> None:
    if getattr(_libc, function)(*args):
        error = ctypes.get_errno()
        raise OSError(error, f"{function}: {os.strerror(error)}")


class Lan:
    """``with Lan("s", "w0") as lan: ...``: within it, this thread, and what it starts, is on the router.

    Attributes:
        addresses: of the machines, by name.
    """

    def __init__(self, *names: str) -> None:
        self.addresses = {name: f"10.9.{number}.2" for number, name in enumerate(names, 1)}
        self._here = {name: f"10.9.{number}.1" for number, name in enumerate(names, 1)}  # as it sees us
        self._holders: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        self._outside = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        _call("unshare", _CLONE_NEWNET)
        try:
            self._local_rule_last("")
            Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
            for number, name in enumerate(self.addresses):
                self._join(name, f"v{number}")
        except BaseException:
            self.__exit__()
            raise
        return self

    def _join(self, name: str, link: str) -> None:
        holder = self._holders[name] = subprocess.Popen(["unshare", "-n", "sleep", "10000"])
        mine = os.readlink("/proc/thread-self/ns/net")  # noqa: PTH115
        wait_until("it is in its own", lambda: os.readlink(f"/proc/{holder.pid}/ns/net") != mine)  # noqa: PTH115
        _ip("", "link", "add", link, "type", "veth", "peer", "name", "e0", "netns", str(holder.pid))
        _ip("", "addr", "add", f"{self._here[name]}/24", "dev", link)
        _ip("", "link", "set", link, "up")
        self._ip(name, "addr", "add", f"{self.addresses[name]}/24", "dev", "e0")
        self._ip(name, "link", "set", "e0", "up")
        self._ip(name, "route", "add", "default", "via", self._here[name])
        self._local_rule_last(name)

    def _local_rule_last(self, name: str) -> None:
        """Have the rules of partitions come before the one for what is addressed to the machine itself."""
        self._ip(name, "link", "set", "lo", "up")
        self._ip(name, "rule", "add", "priority", "100", "lookup", "local")
        self._ip(name, "rule", "del", "priority", "0")

    def _ip(self, name: str, *words: str) -> None:
        _ip(" ".join(self.inside(name)) if name else "", *words)

    def inside(self, name: str) -> list[str]:
        """What a command begins with that is to run on a machine."""
        return ["nsenter", "-t", str(self._holders[name].pid), "-n"]

    def cut(self, one: str, other: str = "") -> None:
        """Drop all packets between two machines; "": this one."""
        self._rules("add", one, other)

    def mend(self, one: str, other: str = "") -> None:
        self._rules("del", one, other)

    def _rules(self, verb: str, one: str, other: str) -> None:
        # Each is applied where the packet comes in, so that its sender does not hear of it.
        far, near = self.addresses[one], self.addresses[other] if other else self._here[one]
        for source, target, at in ((far, near, ""), (near, far, "" if other else one)):
            rule = ["priority", "10", "from", source, "to", target, "blackhole"]
            self._ip(at, "rule", verb, *rule)

    def __exit__(self, *_: object) -> None:
        for holder in self._holders.values():
            holder.kill()
            holder.wait(10.0)
        _call("setns", self._outside, _CLONE_NEWNET)
        os.close(self._outside)


def _ip(inside: str, *words: str) -> None:
    subprocess.run([*inside.split(), "ip", *words], check=True, capture_output=True, timeout=30)
