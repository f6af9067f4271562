"""Checks: handlers, parameters, starts."""

from __future__ import annotations

import resource
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from unittest import mock

import pytest

from overseer.drivers.api import ServiceHandler
from overseer.errors import ConfigError, OverseerError, ValidationError
from overseer.protocol import ActionInfo, ParamSpec
from overseer.schema.location import ConfigErrors
from overseer.testing import contract
from overseer.testing.checks.base import TIMES, UNKNOWN, Checks, blocking, expect, together
from overseer.testing.contract import Broken
from overseer.testing.leaks import Snapshot
from overseer.testing.run import Run, called
from overseer.testing.server import Server, handler_of

_STEPS = 30  # of a start, at most, at which something is refused it
_AT_A_TIME = 8


class StartChecks(Checks):
    def test_creating_a_handler_starts_nothing(self) -> None:
        handler_of(self.driver(), self.config())  # what is loaded with the first one
        before = Snapshot.take()
        handler_of(self.driver(), self.config())
        leaks = before.leaks(0.0)
        expect(not leaks, contract.CREATE, "after create(): " + "; ".join(leaks))

    def test_settings_that_cannot_be_used_are_configuration_errors(self) -> None:
        wrong = self.unusable()
        if not wrong:
            pytest.skip(UNKNOWN + "unusable")
        for config, path in wrong:
            try:
                handler = handler_of(self.driver(), {**self.config(), **config})
            except ConfigError as error:
                errors = error.errors if isinstance(error, ConfigErrors) else [error]
                paths = [each.path for each in errors]
                seen = f"{config!r} was wrong at {paths!r}, not at {path!r}"
                expect(path in paths, contract.SETTINGS, seen)
                texts = [each.message for each in errors if "the driver" in each.message]
                expect(not texts, contract.SETTINGS, f"{config!r} made create() fail: {texts}")
            else:
                raise Broken(contract.SETTINGS, f"create() made {handler!r} of {config!r}")

    def test_a_handler_describes_itself(self) -> None:
        with self._server() as server:
            info = server.handler.describe()
            expect(isinstance(info, ActionInfo), contract.DESCRIBE, f"describe() returned {info!r}")
            for name, spec in info.params.items():
                expect(
                    spec is None or isinstance(spec, ParamSpec),
                    contract.DESCRIBE,
                    f"describe() says {spec!r} of the parameter {name!r}",
                )
            again = server.handler.describe()
            expect(info == again, contract.DESCRIBE, f"describe() returned {info!r}, then {again!r}")

    def test_parameters_that_do_not_fit_are_refused(self) -> None:
        with self._server() as server:
            params = server.handler.describe().params
            required = [name for name, spec in params.items() if spec is None or spec.default is None]
            wrong = [*([{}] if required else []), *self.refused()]
            if not wrong:
                pytest.skip(UNKNOWN + "refused")
            before = Snapshot.take()
            for each in wrong:
                try:
                    server.handler.validate(dict(each))
                except ValidationError:
                    continue
                except Exception as error:
                    raise Broken(contract.VALIDATE, f"validate({each!r}) raised {error!r}") from None
                raise Broken(contract.VALIDATE, f"validate({each!r}) raised nothing")
            leaks = before.leaks(0.0)
            expect(not leaks, contract.VALIDATE, "after validate(): " + "; ".join(leaks))

    def test_parameters_that_fit_are_accepted(self) -> None:
        script = self._any()
        with self._server(script) as server:
            try:
                server.handler.validate(dict(script.params))
            except Exception as error:
                seen = f"validate({dict(script.params)!r}) raised {error!r}"
                raise Broken(contract.VALIDATE, seen) from None

    def test_start_returns_a_worker_and_waits_for_no_callback(self) -> None:
        with self._server(self._any()) as server:
            run = server.run().start()  # its callbacks are held until start() has returned
            run.stop()
            run.finish()

    def test_a_start_that_fails_says_why_and_leaves_nothing(self) -> None:
        with self._server(self._given(self.fails_to_start(), "fails_to_start")) as server:

            def once() -> None:
                run = server.run()
                run.launch()
                if run.error is None:
                    raise Broken(contract.FAILED_START, f"start() raised nothing; {run}")
                said = str(run.error)
                if not isinstance(run.error, OverseerError) or not said or "\n" in said:
                    raise Broken(contract.FAILED_START, f"start() raised {run.error!r}")

            self._fails(server, once)

    def test_a_start_that_gets_no_thread_leaves_nothing(self) -> None:
        self._check_steps(_no_thread, "threads")

    def test_a_start_that_gets_no_descriptor_leaves_nothing(self) -> None:
        self._check_steps(_no_descriptor, "descriptors")

    def _check_steps(
        self, refuse: Callable[[int, list[int]], AbstractContextManager[None]], what: str
    ) -> None:
        """Refuse each start all that it wants after the first, the second... of what it gets."""
        with self._server(self._any()) as server:
            self._end(server.run().start())  # what is made once, and kept, is made now
            for number in range(_STEPS):
                wanted: list[int] = []

                def once(number: int = number, wanted: list[int] = wanted) -> None:
                    run = server.run(within=lambda: refuse(number, wanted))
                    run.launch()
                    if isinstance(run.error, Broken):
                        raise run.error
                    if run.error is None:
                        self._end(run)

                self._fails(server, once, f"with {number} {what}")
                if not wanted:
                    break

    def _end(self, run: Run) -> None:
        run.stop()
        run.finish()

    def _fails(self, server: Server, once: Callable[[], None], how: str = "") -> None:
        try:
            self._leaves_nothing(server, f"a start {how}", once)
        except Broken as broken:
            if broken.clause is contract.LEAKS:
                raise Broken(contract.FAILED_START, broken.seen) from None
            raise

    def test_each_restart_is_a_run_of_its_own(self) -> None:
        script, lines = self._printing("first", "second")
        with self._server(script) as server:
            runs: list[Run] = []

            def start() -> None:
                runs.append(server.run("again").start())

            start()
            for _ in range(2):
                runs[-1].finish()
                server.clock.after(3600.0, start)  # the delay of its retry policy
                server.clock.advance(3600.0)
            runs[-1].finish()
            for run in runs:
                run.finish()  # nothing more came of it meanwhile
                seen = f"the lines were {run.lines['stdout']!r}, not {lines!r}; {run}"
                expect(run.lines["stdout"] == lines, contract.RESTART, seen)
            different = len({id(run.worker) for run in runs}) == len(runs)
            expect(different, contract.RESTART, f"the workers were {[run.worker for run in runs]!r}")

    def test_many_runs_start_and_go_on_at_once(self) -> None:
        script, lines = self._printing("first", "second")
        with self._server(script) as server:
            runs = [server.run() for _ in range(_AT_A_TIME)]
            if errors := together([run.start for run in runs]):
                raise Broken(contract.AT_ONCE, f"{len(errors)} of {len(runs)} starts failed: {errors[0]}")
            for run in runs:
                run.finish(contract.AT_ONCE)
                seen = f"the lines of one of them were {run.lines['stdout']!r}, not {lines!r}"
                expect(run.lines["stdout"] == lines, contract.AT_ONCE, seen)

    def test_a_callback_that_blocks_holds_up_no_other_call(self) -> None:
        script, lines = self._printing("first", "second")
        if not lines:
            pytest.skip("nothing is printed")
        with self._server(script) as server:
            with blocking() as callback:
                run = server.run(taker=callback).start()
                run.wait_for_lines(1)
                handler = server.handler
                calls: dict[str, Callable[[], Any]] = {
                    "describe()": handler.describe,
                    "validate()": lambda: handler.validate(dict(script.params)),
                    "the worker's state": lambda: run.worker.state,
                    "wait(0)": lambda: run.worker.wait(0),
                }
                for name, call in calls.items():
                    called(call, contract.AT_ONCE, f"while an on_output blocked, {name}", self._at_once)
                server.run().start(contract.AT_ONCE).finish(contract.AT_ONCE)
            run.finish()

    def test_a_service_ends_when_it_is_told_to(self) -> None:
        if not isinstance(handler_of(self.driver(), self.config()), ServiceHandler):
            pytest.skip("the driver has no service")
        with self._server():
            pass
        before = Snapshot.take()
        for _ in range(TIMES):
            with self._server():
                pass
        leaks = before.leaks(self.patience, TIMES)
        expect(not leaks, contract.SERVICE, f"after {TIMES} services: " + "; ".join(leaks))


@contextmanager
def _no_thread(number: int, wanted: list[int]) -> Iterator[None]:
    """Within it, this thread can start ``number`` threads; ``wanted`` has an item for each further one."""
    me, start, had = threading.current_thread(), threading.Thread.start, [0]

    def counted(thread: threading.Thread) -> None:
        if threading.current_thread() is me:
            had[0] += 1
            if had[0] > number:
                wanted.append(had[0])
                raise RuntimeError("can't start new thread")
        start(thread)

    with mock.patch.object(threading.Thread, "start", counted):
        yield


@contextmanager
def _no_descriptor(number: int, wanted: list[int]) -> Iterator[None]:
    """Within it, this process can open ``number`` descriptors; ``wanted`` has an item if that may not do."""
    used = {fd for fd, _ in Snapshot.take().fds}
    free = [fd for fd in range(max(used) + number + 2) if fd not in used]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free[number], hard))
    try:
        yield
    except BaseException:
        wanted.append(number)
        raise
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
