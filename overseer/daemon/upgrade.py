"""Replaces the running server by the program that is installed now, with the same process.

First the new program proves, in a child and on a copy of the state, that it can take over; then all threads
are brought to rest, the state is written down, and the main thread executes the new program, which goes on
with it. Until then anything that goes wrong leaves the server as it was.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from overseer.daemon.audit import Audit
from overseer.daemon.parts import Parts
from overseer.daemon.systemd import Notifier
from overseer.errors import OverseerError, RequestError
from overseer.protocol import Error, Event, Upgraded
from overseer.supervisor.clients import Client, DeferredFlush
from overseer.upgrade.package import Package
from overseer.util.jsonlog import EventLog
from overseer.util.locks import Rank, lock
from overseer.util.logs import settle_log
from overseer.util.threads import start_thread

if TYPE_CHECKING:
    from overseer.daemon.state import Given, Restored
    from overseer.upgrade.rehearsal import Rehearsed

_log = logging.getLogger(__name__)

_QUIET_S = 5.0  # for what follows from what has happened
_ENDED_S = 30.0  # for tasks that are ended, beyond their graces
_DRAINED_S = 0.5  # for requests by HTTP
_STORED_S = 2.0
_FLUSHED_S = 1.0

Answer = Callable[[Upgraded | str], None]
"""Gets the answer, or why there is none."""


class Upgrades:
    """Carries out upgrades, one at a time; requests that come meanwhile share it.

    Args:
        parts: of the server; None: it cannot be upgraded (stdio).
        files: what is written to them is written before the end.
        quiet: whether nothing is left that follows from what has happened.
    """

    def __init__(
        self,
        parts: Callable[[], Parts | None],
        manager: Notifier,
        files: Sequence[EventLog | Audit],
        *,
        quiet: Callable[[], bool],
    ) -> None:
        self._parts = parts
        self._quiet = quiet
        self._files = files
        self._manager = manager
        self._kept: Package | None = None
        self._lock = lock(Rank.LEAF, "upgrade")  # guards the rest
        self._going_on = False
        self._answers: list[tuple[Client | None, str, Answer]] = []
        self.counted = 0, 0  # those carried out since the process began, and those that failed

    def counters(self) -> Mapping[str, tuple[str, float]]:
        """For monitoring: help text and value, by name."""
        done, failed = self.counted
        return {
            "upgrades": ("How often the server has become another program since it was started", done),
            "upgrades_failed": ("Upgrades that were refused, or gone back from", failed),
        }

    def on_signal(self) -> None:
        """SIGUSR2."""
        try:
            self.request(None, "", lambda said: None, force=False, check=False)
        except RuntimeError as error:
            _log.error("the server was not upgraded: %s", error)

    def keep(self) -> None:
        """Keep a copy of this program, to go back to, before an installation replaces its files."""
        try:
            self._package()
        except OSError as error:
            _log.warning("an upgrade could not be undone: %s", error)

    def _package(self) -> Package:
        """Raises OSError."""
        if self._kept is None:
            self._kept = Package()
        return self._kept

    def request(
        self, client: Client | None, request_id: str, answer: Answer, *, force: bool, check: bool
    ) -> None:
        """Upgrade, on another thread.

        Args:
            client: is answered by the new program, under this ``request_id``.
            answer: called if the server stays what it is.
            check: only try whether the new program can take over.

        Raises:
            RequestError: one is being carried out, and this is a check.
        """
        with self._lock:
            if self._going_on and check:
                raise RequestError("an upgrade is being carried out", code="conflict")
            self._answers.append((client, request_id, answer))
            begin, self._going_on = not self._going_on, True
        if begin:
            start_thread(lambda: self._run(force, check), "upgrade")

    def done(self, given: Given, restored: Restored, version: str) -> None:
        """This is the program that follows: say so to those who asked for it."""
        passed = given.passed
        pause = round((time.monotonic() - passed.began) * 1000)
        done, failed = restored.upgrades
        self.counted = done + (not passed.failure), failed + bool(passed.failure)
        tasks, clients = restored.tasks, len(restored.connections)
        if passed.failure:
            _log.error("the server was not upgraded, and goes on as it was: %s", passed.failure)
        else:
            _log.info(
                "upgraded from %s to %s: %d running tasks and %d clients go on, after a pause of %d ms",
                *(given.version, version, tasks, clients, pause),
            )
        for client, request_id in restored.askers:
            reply: Event = Upgraded(
                request_id, False, given.version, version, tasks, clients, pause, passed.ended
            )
            if passed.failure:
                reply = Error(request_id, passed.failure, code="failed")
            with DeferredFlush() as out:
                out.send(client, reply)

    def _run(self, force: bool, check: bool) -> None:
        said: Upgraded | str
        try:
            said = self._upgrade(force, check)
        except (OverseerError, OSError) as error:
            said = str(error)
        except Exception as error:
            _log.exception("upgrading failed")
            said = f"internal error: {type(error).__name__}"
        with self._lock:
            self._going_on = False
            answers, self._answers = self._answers, []
            done, failed = self.counted
            self.counted = done, failed + (isinstance(said, str) and not check)
        if isinstance(said, str):
            _log.error("the server was not upgraded: %s", said)
        for _, _, answer in answers:
            answer(said)

    def _upgrade(self, force: bool, check: bool) -> Upgraded:
        """Become the new program, and not return; with ``check``, say that it can be done.

        Raises:
            OverseerError, OSError: why it cannot; the server goes on.
        """
        from overseer.net.handover import is_portable  # nobody needs these before
        from overseer.upgrade.rehearsal import rehearse

        parts = self._parts()
        if parts is None:
            raise OverseerError("a server that listens on stdio cannot be upgraded")
        if parts.hub._table.closing:
            raise OverseerError("the server is shutting down")
        if parts.history.returning:
            raise OverseerError("the server is still starting tasks of the one before it: try again")
        ended = self._make_ready(parts, force=force and not check, check=check)
        state, tasks, clients = self._state(parts)
        new = rehearse(state, self._package().stage)
        try:
            if check:
                return Upgraded("", True, parts.version, new.version, tasks, clients, ended=tuple(ended))
            self._manager.reloading()
            try:
                parts.server.drain(is_portable, _DRAINED_S)
                raise self._become(parts, new, ended)
            except BaseException:
                parts.server.accept_again()
                self._manager.ready("the server was not upgraded")
                parts.hub._services.update()
                raise
        finally:
            os.close(new.compiled)

    def _make_ready(self, parts: Parts, *, force: bool, check: bool) -> list[str]:
        """Refuse what cannot go over, or end it; the tasks that were ended."""
        from overseer.supervisor.handover.tasks import bound_to_this_program

        hub = parts.hub
        with hub._table.lock:
            bound = [task.id for task in hub._table if bound_to_this_program(task)]
        services = hub._services.running
        if not force and not check and (bound or services):
            named = [
                *(f"the task {name}" for name in bound),
                *(f"the service of {name}" for name in services),
            ]
            raise OverseerError(
                f"these cannot go on in another program: {', '.join(named)}; end them, or upgrade with force"
            )
        if not force:
            return bound
        for name in bound:
            try:
                hub.stop(name)
            except RequestError as error:
                _log.warning("task %s cannot be stopped: %s", name, error.message)
        hub._services.interrupt()
        deadline = time.monotonic() + hub.shutdown_budget + _ENDED_S
        with hub._table.lock:
            over = hub._table.freed.wait_for(
                lambda: not any(map(bound_to_this_program, hub._table)),
                max(0.0, deadline - time.monotonic()),
            )
        if not over:
            raise OverseerError("tasks that cannot go on in another program have not ended")
        return bound

    def _state(self, parts: Parts) -> tuple[bytes, int, int]:
        """A copy of the state, and how many runs and clients it has."""
        from overseer.daemon.state import at_rest, export

        with at_rest(parts) as connections:
            state, _ = export(parts, connections, {})
            tasks = sum(task.worker is not None and task.phase.name == "RUNNING" for task in parts.hub._table)
        return state, tasks, len(connections)

    def _wait_until_quiet(self) -> None:
        deadline = time.monotonic() + _QUIET_S
        while not self._quiet():
            if time.monotonic() >= deadline:
                raise OverseerError("too much follows from what tasks do: try again")
            time.sleep(0.002)

    def _become(self, parts: Parts, new: Rehearsed, ended: list[str]) -> OverseerError:
        """Execute the new program; returns why that is impossible. Raises OverseerError, OSError."""
        from overseer.daemon.state import at_rest, export
        from overseer.upgrade.succession import replace_by
        from overseer.util.handover import to_memory

        self._wait_until_quiet()
        began = time.monotonic()
        with at_rest(parts) as connections:
            if not self._quiet():
                raise OverseerError("too much follows from what tasks do: try again")
            with self._lock:
                askers = {client: id for client, id, _ in self._answers if client is not None}
            data, descriptors = export(parts, connections, askers)
            parts.history.settle(_STORED_S)
            for file in self._files:
                file.settle(_FLUSHED_S)
            more: Mapping[str, Any] = {"began": began, "ended": ended}
            state = to_memory(data)
            failed: list[OSError] = []
            over = threading.Event()

            def execute() -> None:
                try:
                    replace_by(
                        *(state, self._package(), new.compiled, descriptors, more),
                        self._manager.variables,
                    )
                except OSError as error:
                    failed.append(error)
                over.set()

            _log.info("upgrading: the new program, %s, takes over", new.version)
            settle_log(_FLUSHED_S)
            parts.signals.call(execute)
            over.wait()
            os.close(state)
        return OverseerError(f"the new program cannot be executed: {failed[0].strerror}")
