"""Checks: stops."""

from __future__ import annotations

import time

import pytest

from overseer.testing import contract
from overseer.testing.checks.base import Checks, blocking, expect, together
from overseer.testing.contract import Broken
from overseer.testing.run import Run
from overseer.workers.base import OutputBatch, Worker

_LONG_S = 3600.0
_SHORT_S = 0.4


class StopChecks(Checks):
    def test_a_stop_ends_a_run(self) -> None:
        with self._server(self._running()) as server:
            run = self._started(server)
            run.stop()
            self._stopped(run)

    def test_a_stop_right_after_the_start_ends_the_run(self) -> None:
        with self._server(self._running()) as server:
            run = server.run().start()
            run.stop()
            run.finish(contract.STOPPED)

    def test_a_stop_before_start_has_returned_ends_the_run(self) -> None:
        stops: list[BaseException | None] = []

        def stop(worker: Worker) -> None:
            # As the server does with a worker whose start has failed meanwhile.
            try:
                worker.stop()
                stops.append(None)
            except BaseException as error:
                stops.append(error)

        with self._server(self._running()) as server:
            run = server.run(begun=stop)
            run.asked_to_stop = True
            run.start()
            if not stops:
                run.stop()
                run.finish(contract.STOPPED)
                pytest.skip("the worker does not say that it has begun: it was stopped right after the start")
            seen = f"before start() had returned, stop() raised {stops[0]!r}"
            expect(stops[0] is None, contract.STOP, seen)
            run.finish(contract.STOPPED)

    def test_a_stop_may_be_repeated_by_many_at_once(self) -> None:
        with self._server(self._running()) as server:
            run = self._started(server)
            for error in together([run.stop] * 20):
                raise error
            self._stopped(run)

    def test_a_stop_after_the_end_does_nothing(self) -> None:
        with self._server(self._any()) as server:
            run = server.run().start()
            run.stop()
            run.finish(contract.STOPPED)
            exits = list(run.exits)
            for grace in (None, 0.0, 5.0):
                run.stop(grace)
            run.finish()
            same = run.exits == exits and run.worker.state == "exited"
            expect(same, contract.STOP, f"a stop after the end made it {run.worker!r}")

    def test_a_stop_does_not_wait_for_a_callback(self) -> None:
        with self._server(self._talking()) as server:
            with blocking() as callback:
                run = server.run(taker=callback).start()
                run.wait_for_lines(1)
                run.stop()
            self._stopped(run)

    def test_a_callback_may_stop_its_own_run(self) -> None:
        run: Run
        stopped: list[object] = []

        def stop(batch: OutputBatch) -> None:
            if not stopped:
                run.asked_to_stop = True
                stopped.append("asked")
                run.worker.stop()
                stopped.append("returned")

        with self._server(self._talking()) as server:
            run = server.run(taker=stop)
            run.start()
            run.wait_for(lambda: bool(run.exits), contract.STOP, "stopped by on_output, it had not ended")
            expect(len(stopped) == 2, contract.STOP, f"stop(), called by on_output, had not returned; {run}")
            self._stopped(run)

    def test_a_run_that_outlasts_its_time_is_stopped(self) -> None:
        with self._server(self._running()) as server:
            run = self._started(server)
            server.clock.after(_LONG_S, run.stop)  # its action's timeout
            server.clock.advance(_LONG_S - 1)
            expect(not run.exits, contract.STOPPED, f"it ended before it was stopped; {run}")
            server.clock.advance(1)
            self._stopped(run)

    def test_a_run_that_ignores_its_stop_has_its_grace_and_no_more(self) -> None:
        with self._server(self._given(self.ignores_stop(), "ignores_stop")) as server:
            run = self._started(server, grace=_SHORT_S)
            run.wait_for_lines(1)
            since = time.monotonic()
            run.stop()
            run.finish(contract.GRACE)
            took = time.monotonic() - since
            seen = f"with {_SHORT_S} s of grace it ended after {took:.2f} s"
            expect(took > 0.75 * _SHORT_S, contract.GRACE, seen)
            self._stopped(run)

    def test_a_further_stop_shortens_the_grace(self) -> None:
        with self._server(self._given(self.ignores_stop(), "ignores_stop")) as server:
            run = self._started(server, grace=_LONG_S)
            run.wait_for_lines(1)
            run.stop()
            run.stop(0.0)
            run.stop(_LONG_S)
            run.finish(contract.GRACE)
            self._stopped(run)

    def test_a_stop_gives_up_on_a_callback_that_does_not_return(self) -> None:
        with self._server(self._talking()) as server:
            with blocking() as callback:
                run = server.run(taker=callback, grace=_SHORT_S).start()
                run.wait_for_lines(1)
                run.may_be_held_up = True
                run.stop()
                until = time.monotonic() + _SHORT_S + self.held_up + self.patience / 3
                while not run.exits and time.monotonic() < until:
                    time.sleep(0.02)
                if not run.exits:
                    seen = f"while on_output blocked, a stop had not ended it after {self.held_up:g} s"
                    raise Broken(contract.HELD_UP, seen)
            self._stopped(run)

    def test_runs_that_are_stopped_leave_nothing(self) -> None:
        with self._server(self._running()) as server:

            def once() -> None:
                run = self._started(server)
                run.stop()
                run.finish(contract.STOPPED)

            self._leaves_nothing(server, "a run that is stopped", once)

    def test_nothing_of_a_run_is_alive_when_its_end_is_told(self) -> None:
        script = self._running()
        with self._server(script) as server:
            alive: list[dict[int, str]] = []
            run = server.run(ending=lambda: alive.append(server.processes())).start()
            run.wait_for_lines(len(script.lines or ()))
            run.stop()
            run.wait_for(lambda: bool(alive), contract.STOPPED, "on_exited had not been called")
            expect(not alive[0], contract.LEAKS, f"when its end was told, these were alive: {alive[0]}")
            self._over(run, contract.STATE)

    def _stopped(self, run: Run) -> None:
        run.finish(contract.STOPPED)
        intentional = run.exits[0][2]
        seen = f"after a stop, on_exited said intentional {intentional!r}"
        expect(intentional is True, contract.CODE, seen)
