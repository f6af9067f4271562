"""What all checks start from."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from overseer.testing import contract
from overseer.testing.contract import Broken, Clause
from overseer.testing.leaks import Snapshot
from overseer.testing.run import AT_ONCE_S, Call, Run, called
from overseer.testing.script import Behaviours, Script
from overseer.testing.server import Server

UNKNOWN = "the driver does not have this behaviour: "

TIMES = 4  # that something is done which must leave nothing: what is made once, and kept, is no leak


def expect(true: bool, clause: Clause, seen: str) -> None:
    """Raise Broken unless ``true``."""
    __tracebackhide__ = True
    if not true:
        raise Broken(clause, seen)


@contextmanager
def blocking() -> Iterator[Callable[..., None]]:
    """A callback that does not return before the end of the block."""
    go_on = threading.Event()

    def callback(*_: object) -> None:
        go_on.wait()

    try:
        yield callback
    finally:
        go_on.set()


def together(calls: Sequence[Callable[[], object]]) -> list[BaseException]:
    """Make these calls at the same time, each on a thread of its own; what they have raised."""
    ready = threading.Barrier(len(calls))

    def make(call: Callable[[], object]) -> None:
        ready.wait()
        call()

    threads = [Call(partial(make, each)) for each in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [thread.error for thread in threads if thread.error is not None]


class Checks(Behaviours):
    """Behaviours, and what makes runs of them."""

    def _server(self, script: Script | None = None) -> Server:
        script = script or Script()
        return Server(self.driver(), {**self.config(), **script.config}, script, self.patience)

    @property
    def _at_once(self) -> float:
        return min(AT_ONCE_S, self.patience)

    def _given(self, script: Script | None, behaviour: str) -> Script:
        if script is None:
            pytest.skip(UNKNOWN + behaviour)
        return script

    def _printing(self, *lines: str) -> tuple[Script, list[str]]:
        """A script, and what it prints."""
        script = self._given(self.prints(lines), "prints")
        return script, list(lines if script.lines is None else script.lines)

    def _counting(self, last: int, width: int) -> Script:
        return self._given(self.counts(last, width), "counts")

    def _running(self) -> Script:
        return self._given(self.runs_until_stopped(), "runs_until_stopped")

    def _talking(self) -> Script:
        script = self._running()
        if not script.lines:
            pytest.skip("runs_until_stopped prints no lines")
        return script

    def _any(self) -> Script:
        """A script that ends by itself, or after a stop."""
        for script in (self.prints(["a line"]), self.exits(0), self.runs_until_stopped()):
            if script is not None:
                return script
        pytest.skip(UNKNOWN + "prints, exits, runs_until_stopped")

    def _started(self, server: Server, **how: Any) -> Run:
        """A run that has printed what it prints at its beginning."""
        run = server.run(**how).start()
        run.wait_for_lines(len(server.script.lines or ()))
        return run

    def _over(self, run: Run, clause: Clause) -> None:
        """The worker must be over."""
        within = self.patience + self._at_once
        over = called(lambda: run.worker.wait(self.patience), clause, "wait()", within)
        expect(over, clause, f"wait({self.patience:g}) was false after the end; {run}")

    def _leaves_nothing(self, server: Server, what: str, once: Any) -> None:
        """Do something that must leave nothing a few times."""
        once()  # what is made once, and kept, is made now
        before, had = Snapshot.take(), len(server.processes())
        for _ in range(TIMES):
            once()
        leaks = before.leaks(self.patience, TIMES)
        left = server.processes()
        if len(left) - had >= TIMES:
            leaks += [f"process {pid}: {command}" for pid, command in left.items()]
        expect(not leaks, contract.LEAKS, f"after {TIMES} times {what}: " + "; ".join(leaks))
