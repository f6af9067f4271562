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
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import InitVar, dataclass, field, replace
from typing import TYPE_CHECKING, Any, NoReturn

from overseer.daemon.audit import Audit
from overseer.daemon.systemd import Notifier
from overseer.daemon.upgrade_parts import Parts
from overseer.errors import OverseerError, RequestError
from overseer.process.guardian import guardian
from overseer.process.registry import registry
from overseer.protocol import Error, LastUpgrade, Upgrade, Upgraded
from overseer.supervisor.clients import Client, DeferredFlush
from overseer.upgrade.package import Package
from overseer.util.jsonlog import EventLog
from overseer.util.locks import Rank, lock
from overseer.util.logs import settle_log
from overseer.util.threads import start_thread
from overseer.util.timestamps import now

if TYPE_CHECKING:
    from overseer.daemon.handover import Given, Restored
    from overseer.net.connection import Connection
    from overseer.upgrade.rehearsal import Rehearsed

_log = logging.getLogger(__name__)

_QUIET_S = 30.0  # for what follows from what has happened
_DRAINED_S = 0.5  # for requests by HTTP
_STORED_S = 2.0
_FLUSHED_S = 1.0

Answer = Callable[[Upgraded | RequestError], None]
"""Gets the answer, or why there is none."""


@dataclass(slots=True)
class Asked:
    """What is asked for; a request that comes while one is carried out can only add to that.

    Attributes:
        check: only try whether the new program can take over.
        force: end what cannot go over.
        wait_ms: for how long to wait for it to end by itself.
        since: when it was asked for (monotonic).
    """

    check: bool = False
    force: bool = False
    wait_ms: InitVar[int] = 0
    since: float = field(default_factory=time.monotonic)
    wait_until: float = field(init=False)  # monotonic; 0: not at all

    def __post_init__(self, wait_ms: int) -> None:
        self.wait_until = self.since + wait_ms / 1000 if wait_ms else 0.0


class Upgrades:
    """Carries out upgrades, one at a time; requests that come meanwhile share it.

    Args:
        parts: of the server; None: it cannot be upgraded (stdio).
        log, audit: what is written to them is written before the end.
        version: this program's.
    """

    def __init__(
        self, parts: Callable[[], Parts | None], manager: Notifier, log: EventLog, audit: Audit, version: str
    ) -> None:
        self._parts = parts
        self._log = log
        self._audit = audit
        self._manager = manager
        self._version = version
        self._kept: Package | None = None
        self._tried_to_keep = threading.Event()
        self._lock = lock(Rank.LEAF, "upgrade")  # guards the rest
        self._under_way: Asked | None = None
        self._answers: list[tuple[Client | None, str, Answer]] = []
        self.counted = 0, 0  # those carried out since the process began, and those that failed
        self.last: LastUpgrade | None = None

    def counters(self) -> Mapping[str, tuple[str, float]]:
        """For monitoring: help text and value, by name."""
        done, failed = self.counted
        return {
            "upgrades": ("How often the server has become another program since it was started", done),
            "upgrades_failed": ("Upgrades that were refused, or gone back from", failed),
        }

    def gauges(self) -> Mapping[str, tuple[str, float]]:
        """As :meth:`counters`, of the last upgrade; empty before the first."""
        last = self.last
        if last is None:
            return {}
        return {
            "upgrade_last_successful": ("Whether the last upgrade succeeded", float(not last.error)),
            "upgrade_last_timestamp_seconds": (
                "When the last upgrade was over, in seconds since 1970",
                last.at.timestamp(),
            ),
            "upgrade_last_duration_seconds": (
                "How long the last upgrade took, from the request to its end",
                last.duration_ms / 1000,
            ),
            "upgrade_last_pause_seconds": (
                "For how long nothing was read or sent in the last upgrade",
                last.pause_ms / 1000,
            ),
        }

    def on_signal(self) -> None:
        """SIGUSR2."""
        self._record()
        try:
            self.request(None, "", self._record, Asked())
        except RequestError as error:
            self._record(error)
            _log.error("the server was not upgraded: %s", error)

    def _record(self, said: Upgraded | RequestError | None = None) -> None:
        """Have an upgrade by signal in the audit, and why it was refused."""
        error = said.message if isinstance(said, RequestError) else ""
        self._audit.record_own("signal", Upgrade(""), error=error)

    def keep(self) -> None:
        """Keep a copy of this program, to go back to, before an installation replaces its files."""
        try:
            self._kept = Package()
        except OSError as error:
            _log.warning("the server cannot be upgraded: no copy of its program could be kept: %s", error)
        finally:
            self._tried_to_keep.set()

    def _package(self) -> Package:
        """Raises OverseerError: there is none, and the files may be another program's by now."""
        self._tried_to_keep.wait()
        if self._kept is None:
            raise OverseerError("no copy of this program could be kept when it began: restart the server")
        return self._kept

    def request(self, client: Client | None, request_id: str, answer: Answer, asked: Asked) -> None:
        """Upgrade, on another thread.

        Args:
            client: is answered by the new program, under this ``request_id``.
            answer: called if the server stays what it is.

        Raises:
            RequestError: one is being carried out, and this is a check, or the other way round; or there is
                no thread to be had.
        """
        with self._lock:
            before = self._under_way
            if before is not None and asked.check is not before.check:
                what = "tried" if before.check else "carried out"
                raise RequestError(f"an upgrade is being {what}", code="conflict")
            if before is None:
                try:
                    start_thread(lambda: self._run(asked), "upgrade")
                except RuntimeError as error:
                    raise RequestError(str(error), code="failed") from None
                self._under_way = asked
            else:
                before.force = before.force or asked.force
                before.wait_until = max(before.wait_until, asked.wait_until)
            self._answers.append((client, request_id, answer))

    def done(self, given: Given, restored: Restored, version: str) -> None:
        """This is the program that follows: say so to those who asked for it."""
        passed, moment = given.passed, time.monotonic()
        pause, took = round((moment - passed.began) * 1000), round((moment - passed.asked) * 1000)
        done, failed = restored.upgrades
        self.counted = done + (not passed.failure), failed + bool(passed.failure)
        tasks, clients = restored.tasks, len(restored.connections)
        went = version, pause, took, tasks, clients, passed.ended
        self.last = LastUpgrade(now(), given.version, *went, passed.failure)
        if passed.failure:
            _log.error("the server was not upgraded, and goes on as it was: %s", passed.failure)
        else:
            _log.info(
                "upgraded from %s to %s: %d running tasks and %d clients go on, after a pause of %d ms",
                given.version,
                version,
                tasks,
                clients,
                pause,
            )
        for client, request_id in restored.askers:
            if passed.failure:
                reply: Upgraded | Error = Error(request_id, passed.failure, code="failed")
            else:
                ended = passed.ended
                reply = Upgraded(request_id, False, given.version, version, tasks, clients, pause, ended)
            with DeferredFlush() as out:
                out.send(client, reply)

    def _run(self, asked: Asked) -> None:
        said: Upgraded | RequestError
        try:
            said = self._upgrade(asked)
        except RequestError as error:
            said = error
        except (OverseerError, OSError) as error:
            said = RequestError(str(error), code="failed")
        except Exception as error:
            _log.exception("upgrading failed")
            said = RequestError(f"internal error: {type(error).__name__}", code="failed")
        with self._lock:
            self._under_way = None
            answers, self._answers = self._answers, []
            if isinstance(said, RequestError) and not asked.check:
                done, failed = self.counted
                self.counted = done, failed + 1
                took = round((time.monotonic() - asked.since) * 1000)
                self.last = LastUpgrade(now(), self._version, duration_ms=took, error=said.message)
        if isinstance(said, RequestError):
            _log.error("the server %s upgraded: %s", "cannot be" if asked.check else "was not", said.message)
        for _, _, answer in answers:
            answer(said)

    def _is_wanted(self) -> bool:
        """Whether any of those who asked for it is still there."""
        with self._lock:
            return any(client is None or not client.outbox.closed for client, _, _ in self._answers)

    def _upgrade(self, asked: Asked) -> Upgraded:
        """Become the new program, and not return; with ``check``, say that it can be done.

        Raises:
            OverseerError, OSError: why it cannot; the server goes on.
        """
        from overseer.supervisor.handover import obstacles  # nobody needs these before
        from overseer.upgrade.rehearsal import rehearse

        parts = self._parts()
        if parts is None:
            raise OverseerError("a server that listens on stdio cannot be upgraded")
        hub = parts.hub
        left = obstacles.look(hub)
        if parts.history.returning:
            raise OverseerError("the server has not restarted all tasks of the last server yet: try again")
        if any(left) and not (asked.check or asked.force or asked.wait_until):
            raise obstacles.LeftError(left)
        state, tasks, clients = self._state(parts)
        new = rehearse(state, self._package().stage())
        if asked.check:
            os.close(new.compiled)
            checked = Upgraded("", True, parts.version, new.version, tasks, clients)
            return replace(checked, ended=left.tasks, services=left.services, last=self.last)
        try:
            self._replace(parts, asked, new)
        except BaseException:
            parts.server.accept_again()
            self._manager.ready("the server was not upgraded")
            hub.services.update()
            raise

    def _replace(self, parts: Parts, asked: Asked, new: Rehearsed) -> NoReturn:
        """As :meth:`_become`, once nothing is left that cannot go over."""
        from overseer.supervisor.handover import obstacles
        from overseer.upgrade.rehearsal import rehearse

        hub, ended = parts.hub, list[str]()
        try:
            while True:
                if any(left := obstacles.look(hub)) and not asked.force and asked.wait_until:
                    _log.info("the upgrade waits for what cannot survive it: %s", left)
                    obstacles.wait(hub, lambda: asked.wait_until, lambda: asked.force, self._is_wanted)
                    again = rehearse(self._state(parts)[0], self._package().stage())  # perhaps another now
                    os.close(new.compiled)
                    new = again
                if asked.force:
                    ended += obstacles.end(hub)
                hub.services.interrupt()
                self._manager.reloading()
                parts.server.drain(_DRAINED_S)
                try:
                    self._become(parts, new, ended, asked.since)
                except obstacles.LeftError:  # it has begun meanwhile
                    if not asked.force and time.monotonic() >= asked.wait_until:
                        raise
                parts.server.accept_again()
                hub.services.update()
        finally:
            os.close(new.compiled)

    def _state(self, parts: Parts) -> tuple[bytes, int, int]:
        """A copy of the state, and how many runs and clients it has.

        Raises:
            OverseerError: it cannot be had, or not be handed over.
        """
        from overseer.daemon.handover import at_rest, export
        from overseer.supervisor.handover import obstacles
        from overseer.upgrade.reexec import check_descriptors

        with at_rest(parts) as connections:
            state, out = export(parts, connections, ())
        check_descriptors(out)
        return state, obstacles.running(parts.hub), len(connections)

    @contextmanager
    def _at_rest(self, parts: Parts) -> Iterator[tuple[list[Connection], float]]:
        """As :func:`at_rest`, when nothing is left that follows from what has happened; gives since when it
        rests, too."""
        from overseer.daemon.handover import at_rest
        from overseer.supervisor.handover.obstacles import is_settled

        def is_quiet() -> bool:
            return is_settled(parts.hub) and not parts.busy

        deadline = time.monotonic() + _QUIET_S
        while True:
            if is_quiet():
                began = time.monotonic()
                with at_rest(parts) as connections:
                    if is_quiet():  # still
                        yield connections, began
                        return
            if time.monotonic() >= deadline:
                raise OverseerError("chains or notices follow one another without a pause: try again")
            time.sleep(0.002)

    def _become(self, parts: Parts, new: Rehearsed, ended: Sequence[str], asked: float) -> NoReturn:
        """Execute the new program.

        Raises:
            LeftError: something cannot go over.
            OverseerError, OSError: it cannot be executed.
        """
        from overseer.daemon.handover import export
        from overseer.supervisor.handover.obstacles import LeftError, look_locked
        from overseer.upgrade.reexec import replace_by
        from overseer.util.handover_format import to_memory

        package = self._package()
        with self._at_rest(parts) as (connections, began):
            if any(left := look_locked(parts.hub)):
                raise LeftError(left)
            with self._lock:
                askers = [(client, id) for client, id, _ in self._answers if client is not None]
            data, out = export(parts, connections, askers)
            parts.history.settle(_STORED_S)
            self._log.settle(_FLUSHED_S)
            self._audit.settle(_FLUSHED_S)
            leaders = [guardian.pid, *(each.pid for each in registry.entries())]
            more: dict[str, Any] = {"began": began, "asked": asked, "ended": ended, "leaders": leaders}
            if self._manager.watchdog is not None:  # half of the manager's timeout: it must not come first
                self._manager.alive()
                more["deadline"] = min(60.0, 1.5 * self._manager.watchdog)
            state = to_memory(data)
            variables = self._manager.variables
            _log.info("upgrading: the new program, %s, takes over", new.version)
            settle_log(_FLUSHED_S)
            try:
                parts.signals.call(lambda: replace_by(state, package, new.compiled, out, more, variables))
            except OSError as error:
                raise OverseerError(f"the new program cannot be executed: {error.strerror}") from None
            finally:
                os.close(state)
        raise AssertionError("it has been executed")
