"""Checks on a real server, with a real client."""

from __future__ import annotations

import threading
from itertools import islice

import pytest

from overseer.client import Client, ClientError, RefusedError, Task
from overseer.testing import contract
from overseer.testing.checks.base import Checks, expect
from overseer.testing.contract import Broken, Clause
from overseer.testing.real import RealServer
from overseer.testing.script import Script

_MANY, _WIDTH = 20_000, 1000  # more than all buffers on the way hold
_READS_LATER_S = 0.5
_GRACE_S = 2


class ServerChecks(Checks):
    def test_a_real_server_runs_it(self) -> None:
        scripts = {
            "prints": self.prints(["first", "", "last"]),
            "exits": self.exits(3),
            "counts": self.counts(_MANY, _WIDTH),
            "runs": self.runs_until_stopped(),
            "fails": self.fails_to_start(),
        }
        given = {name: script for name, script in scripts.items() if script is not None}
        if not given:
            pytest.skip("the driver has no behaviour that a server could show")
        kind = self.driver().type
        actions = {
            name: {"type": kind, "stop_grace": _GRACE_S, "config": {**self.config(), **script.config}}
            for name, script in given.items()
        }
        with RealServer(self, actions, self.patience) as server:
            with Client(server.url, timeout=self.patience) as client:
                for name, script in given.items():
                    try:
                        getattr(self, f"_check_{name}")(client, script)
                    except ClientError as error:
                        raise Broken(_CLAUSES[name], f"on a server, {name}: {error!r}") from None
                if "runs" in given:
                    for _ in range(2):
                        client.start("runs", dict(given["runs"].params))
            server.terminate()
            seen = f"stopped with its runs, the server had status {server.status}, and said\n{server.stderr}"
            expect(server.status == 0, contract.STOPPED, seen)
            left = f"stopped with its runs, the server left {server.left}"
            expect(not server.left, contract.LEAKS, left)
            expect("Traceback" not in server.stderr, contract.STOPPED, f"the server said\n{server.stderr}")

    def _check_prints(self, client: Client, script: Script) -> None:
        wanted = ["first", "", "last"] if script.lines is None else list(script.lines)
        tasks = [client.start("prints", dict(script.params)) for _ in range(3)]
        for task in tasks:
            lines = list(task.lines("stdout", timeout=self.patience))
            expect(lines == wanted, contract.ORDER, f"on a server, the lines were {lines!r}, not {wanted!r}")
            self._ended(task, 0 if script.code is None else script.code)

    def _check_exits(self, client: Client, script: Script) -> None:
        task = client.start("exits", dict(script.params))
        self._ended(task, 3 if script.code is None else script.code)

    def _check_counts(self, client: Client, script: Script) -> None:
        task = client.start("counts", dict(script.params), on_lag="block")
        threading.Event().wait(_READS_LATER_S)
        came = 0
        for line in task.lines("stdout", timeout=self.patience):
            came += 1
            wanted = f"{came:0{_WIDTH}d}"
            expect(line == wanted, contract.PRESSURE, f"to a client that reads slowly, line {came} was lost")
        seen = f"to a client that reads slowly came {came} of {_MANY} lines"
        expect(came == _MANY, contract.PRESSURE, seen)

    def _check_runs(self, client: Client, script: Script) -> None:
        wanted = list(script.lines or ())
        task = client.start("runs", dict(script.params))
        for again in (False, True):
            if again:
                task.restart()
            lines = list(islice(task.lines("stdout", timeout=self.patience), len(wanted)))
            seen = f"on a server, {'after a restart, ' * again}the lines were {lines!r}, not {wanted!r}"
            expect(lines == wanted, contract.RESTART if again else contract.PROMPT, seen)
        task.stop()
        end = task.wait(self.patience)
        expect(end.intentional, contract.CODE, f"on a server, a stop ended in {end!r}")

    def _check_fails(self, client: Client, script: Script) -> None:
        try:
            task = client.start("fails", dict(script.params))
        except RefusedError as error:
            seen = f"on a server, a start was refused with {error}"
            expect("the driver failed" not in str(error), contract.FAILED_START, seen)
        else:
            raise Broken(contract.FAILED_START, f"on a server, a start that fails became {task!r}")

    def _ended(self, task: Task, code: int) -> None:
        end = task.wait(self.patience)
        expect(end.exit_code == code, contract.CODE, f"on a server, it ended with {end!r}, not {code}")
        expect(not end.intentional, contract.CODE, f"on a server, without a stop, it ended with {end!r}")


_CLAUSES: dict[str, Clause] = {
    "prints": contract.ORDER,
    "exits": contract.EXIT,
    "counts": contract.PRESSURE,
    "runs": contract.STOPPED,
    "fails": contract.FAILED_START,
}
