"""Checks: how ends are told."""

from __future__ import annotations

from overseer.testing import contract
from overseer.testing.checks.base import Checks, blocking, expect


class EndChecks(Checks):
    def test_a_run_that_succeeds_ends_with_zero(self) -> None:
        self._check_code(0)

    def test_a_run_that_fails_ends_with_its_code(self) -> None:
        self._check_code(3)

    def test_the_largest_code_is_told(self) -> None:
        self._check_code(255)

    def _check_code(self, code: int) -> None:
        script = self._given(self.exits(code), "exits")
        wanted = code if script.code is None else script.code
        with self._server(script) as server:
            run = server.run().start().finish()
            _, told, intentional, _ = run.exits[0]
            expect(told == wanted, contract.CODE, f"the exit code was {told}, not {wanted}; {run}")
            expect(not intentional, contract.CODE, f"nobody had asked for its end; {run}")

    def test_a_death_by_signal_is_told(self) -> None:
        script = self._given(self.dies(), "dies")
        with self._server(script) as server:
            run = server.run().start().finish()
            _, code, intentional, _ = run.exits[0]
            wanted = -1 if script.code is None else script.code
            seen = f"killed by SIGKILL, it ended with code {code} and the signal {run.worker.signal!r}"
            expect(code == wanted and not intentional, contract.CODE, seen)
            expect(code != -1 or run.worker.signal == "SIGKILL", contract.CODE, seen)

    def test_an_end_that_cannot_be_taken_is_told_to_the_run(self) -> None:

        def refuse() -> None:
            raise RuntimeError("an end that is refused on purpose")

        with self._server(self._any()) as server:
            run = server.run(ending=refuse).start()
            run.stop()
            run.wait_for(lambda: bool(run.exits), contract.EXIT, "on_exited had not been called")
            run.wait_for(
                lambda: run.exit_by_run is not None, contract.EXITED_RAISES, "run.exited had not been called"
            )
            told, first = run.exit_by_run, run.exits[0]
            same = told is not None and tuple(told[1:3]) == tuple(first[1:3])
            expect(same, contract.EXITED_RAISES, f"run.exited got {told!r}, on_exited {first!r}")
            self._over(run, contract.EXITED_RAISES)

    def test_an_end_that_is_taken_slowly_is_told_once(self) -> None:
        with self._server(self._any()) as server:
            with blocking() as callback:
                run = server.run(ending=callback).start()
                run.stop()
                run.wait_for(lambda: bool(run.exits), contract.EXIT, "on_exited had not been called")
                run.stop()
            run.finish()

    def test_runs_that_end_leave_nothing(self) -> None:
        script = next((each for each in (self.prints(["a line"]), self.exits(0)) if each is not None), None)
        script = self._given(script, "prints, exits")
        with self._server(script) as server:
            self._leaves_nothing(server, "a run", lambda: server.run().start().finish())
