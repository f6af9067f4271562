"""Checks: input, terminals and signals."""

from __future__ import annotations

import signal
from collections.abc import Callable
from functools import partial

from overseer.errors import OverseerError
from overseer.testing import contract
from overseer.testing.checks.base import Checks, blocking, expect
from overseer.testing.contract import Broken
from overseer.testing.run import Run, called

_PIECE = b"a line of input\n" * 8192
_PIECES = 128  # 16 MiB, which nobody keeps for a run that does not read
_REFUSED = "refused"


class AskingChecks(Checks):
    def test_what_a_run_does_not_take_is_refused(self) -> None:
        with self._server(self._running()) as server:
            run = self._started(server)
            takes = run.worker.stdin
            self._ask(run, "give_input", lambda: run.worker.give_input(b"x\n"), takes == "none")
            self._ask(run, "resize", lambda: run.worker.resize(24, 80), takes != "pty")
            self._ask(run, "send_signal", lambda: run.worker.send_signal(signal.SIGCONT))
            run.stop()
            run.finish()
            self._ask(run, "give_input", lambda: run.worker.give_input(b"x\n"), True)
            told = self._ask(run, "send_signal", lambda: run.worker.send_signal(signal.SIGCONT))
            seen = f"after the end, send_signal returned {told!r}"
            expect(told in (False, _REFUSED), contract.INPUT, seen)

    def test_input_arrives_in_order_until_its_end(self) -> None:
        wanted = [f"line {number}" for number in range(1000)]
        with self._server(self._given(self.echoes(), "echoes")) as server:
            run = server.run().start()
            for line in wanted:
                self._ask(run, "give_input", partial(run.worker.give_input, f"{line}\n".encode()))
            self._ask(run, "give_input", lambda: run.worker.give_input(b"", eof=True))
            run.finish()
            came = run.lines["stdout"]
            pairs = enumerate(zip(came, wanted, strict=False))
            at = next((n for n, (line, other) in pairs if line != other), len(came))
            seen = f"of {len(wanted)} lines of input came {len(came)}; after {at}: {came[at : at + 3]!r}"
            expect(came == wanted, contract.INPUT, seen)

    def test_input_that_is_not_read_keeps_nobody_waiting(self) -> None:
        with self._server(self._given(self.echoes(), "echoes")) as server:
            with blocking() as callback:
                run = server.run(taker=callback, keep=False).start()
                for _ in range(_PIECES):
                    told = self._ask(run, "give_input", lambda: run.worker.give_input(_PIECE))
                    if told == _REFUSED:
                        break
                else:
                    seen = f"{_PIECES * len(_PIECE) >> 20} MiB of input were taken that nobody read"
                    raise Broken(contract.INPUT, seen)
                run.stop()
            run.finish(contract.STOPPED)

    def _ask(self, run: Run, name: str, ask: Callable[[], object], refuse: bool = False) -> object:
        """What the worker answers, or that it refuses, which it must if ``refuse``."""
        try:
            answer = called(ask, contract.INPUT, f"{name}()", self._at_once)
        except OverseerError:
            return _REFUSED
        except Exception as error:
            raise Broken(contract.INPUT, f"{name}() raised {error!r}; {run}") from None
        if refuse:
            raise Broken(contract.INPUT, f"{name}() raised nothing, though it can have no effect; {run}")
        return answer
