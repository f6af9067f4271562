"""The composition root: a server's parts, and the order in which they start and end."""

from __future__ import annotations

import gc
import logging
import signal
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from overseer.auth.peer import Peer
from overseer.config import Config, Digest, parse_config, parse_listen
from overseer.daemon.access_rules import Access
from overseer.daemon.audit import Audit
from overseer.daemon.chains import TaskChains
from overseer.daemon.dispatch import Dispatcher
from overseer.daemon.documents import Documents
from overseer.daemon.gate import Gate
from overseer.daemon.lazy_api import API_PATH, WebApi, connection_limits
from overseer.daemon.logs import TaskLogs
from overseer.daemon.notices import TaskNotices
from overseer.daemon.probing import make_probes
from overseer.daemon.prometheus import Exposition
from overseer.daemon.reload import Reloader
from overseer.daemon.runs import RunHistory
from overseer.daemon.schedules import TaskSchedules
from overseer.daemon.settings import Settings
from overseer.daemon.signals import SignalLoop, has_terminal
from overseer.daemon.systemd import Notifier, passed_sockets
from overseer.daemon.totals import Samples, Totals, counters_of, gauges_of
from overseer.daemon.upgrade import Upgrades
from overseer.daemon.upgrade_parts import Parts
from overseer.daemon.webhooks import TaskWebhooks
from overseer.drivers.api import ActionHandler
from overseer.net.endpoint import Endpoint
from overseer.net.http import HEALTH, Response, Route
from overseer.net.listeners import adopt_listener, open_listener, written
from overseer.net.outbox import Outbox
from overseer.net.readable_outbox import ReadableOutbox
from overseer.net.server import Server
from overseer.net.static import static_routes
from overseer.process import cgroup
from overseer.process.forking import raise_file_limit
from overseer.process.guardian import guardian
from overseer.process.reaper import adopt_orphans, end_orphans, reap_orphans
from overseer.protocol import Start
from overseer.secrets.vault import Vault
from overseer.supervisor.hub import Hub
from overseer.util.jsonlog import EventLog
from overseer.util.threads import VitalThread, run_on_thread, start_thread
from overseer.util.timers import Timers

if TYPE_CHECKING:
    from overseer.daemon.handover import Given, Restored
    from overseer.net.stdio import StdioServer

_log = logging.getLogger(__name__)

_GARBAGE = 5_000  # new objects between garbage collections; a start leaves about a hundred
_END_MARGIN = 5.0  # seconds that a shutdown may take beyond its budget


class Daemon:
    """One server, from start to end.

    Start: event log, listener, guardian, services. End, on a signal or when a stdio client is gone and its
    tasks are over: tasks, clients, timers, event log, guardian. The main thread waits for signals.

    Args:
        variables: digests of the tokens that were in the environment, by variable.
        vault: holds the secrets that were there.
        given: what the program before this one has handed over, with the same configuration.
    """

    def __init__(
        self,
        path: str,
        config: Config,
        handlers: Mapping[str, ActionHandler],
        access: Access,
        variables: Mapping[str, Digest],
        vault: Vault,
        version: str,
        given: Given | None = None,
    ) -> None:
        started = config
        if given is not None and given.started != given.config:
            started = parse_config(path, given.started)
        self._given = given
        self._vault = vault
        self._version = version
        opened = replace(config, data_dir=started.data_dir)
        self._log = EventLog(started.log_file)
        self._logs = TaskLogs(opened, lambda: self._history.has_directory())
        self._history = RunHistory(opened, self._logs.forget, lambda task_id: self._hub.listing.has(task_id))
        hub = self._hub = Hub(
            config, handlers, self._log, vault=vault, recorder=self._history.recorder, logs=self._logs.logs
        )
        self._audit = Audit(started.audit_file, lambda *start: hub.definitions.hidden(*start))
        hub.standing.record = lambda by, task_id, error: self._audit.record_own(
            by, Start("", task_id=task_id), error=error
        )
        self._schedules = TaskSchedules(self._hub, self._history, self._audit)
        self._chains = TaskChains(self._hub, self._audit, self._history)
        self._notices = TaskNotices(self._hub, self._history, vault)
        self._hub.probing.make = make_probes
        self._started_at = time.time() if given is None else given.values["started_at"]
        self._timers = Timers("net-timers")  # the hub's may have to wait for a driver
        self._page = static_routes(Path(__file__).parents[1] / "playground")
        self._gate = Gate(access, open_paths={*self._page, HEALTH, "/session"}, timers=self._timers)
        followers = {
            "limits": self._limit,
            "history": self._history.apply,
            "logs": self._logs.apply,
            "schedules": self._schedules.apply,
            "chains": self._chains.apply,
            "notices": self._notices.apply,
        }
        settings = Settings(config, started, variables, vault, self._gate, followers, self._enforce)
        self._settings = settings
        self._reloader = Reloader(path, self._hub, settings.prepare, started)
        self._webhooks = TaskWebhooks(
            self._hub, lambda: settings.config, vault, self._gate.refused, self._audit
        )
        self._manager = Notifier()
        self._over = threading.Event()
        self._failed = False  # a vital thread has failed
        # nohup means that the server outlives its terminal.
        self._terminal = has_terminal() and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN
        self._documents = Documents(self._hub, version, lambda: self._encrypted)
        self._api = WebApi(lambda: settings.config.limits, self._documents.api)
        self._totals = Totals(self._counters, {} if given is None else given.values.get("counters", {}))
        self._upgrades = Upgrades(self._parts, self._manager, self._log, self._audit, version)
        self._server = self._listen()
        self._signals = SignalLoop(
            end=self._end,
            end_now=self._hub.skip_graces,
            reopen=self._reopen,
            reload=self._hang_up,
            upgrade=self._upgrades.on_signal,
            reap=reap_orphans,
            pipe=None if given is None else given.pipe,
        )
        self._restored: Restored | None = None
        if given is not None and (parts := self._parts()) is not None:
            from overseer.daemon.handover import Definer, Restored  # by then it is loaded

            self._restored = Restored(given, parts, Definer(given, path, config, handlers))

    def run(self) -> int:
        """Serve until told to stop; returns the exit status."""
        before, threading.excepthook = threading.excepthook, self._thread_failed
        try:
            self._serve()
        finally:
            threading.excepthook = before
        return int(self._failed)

    def _serve(self) -> None:
        given = {} if self._given is None else self._given.values
        raise_file_limit(given.get("file_limit"))
        # What start-up made is permanent; without it, a full collection takes 1 ms instead of 30.
        gc.freeze()
        gc.set_threshold(_GARBAGE)
        self._log.start()
        self._audit.start()
        self._history.start()
        if self._logs.logs is not None:
            self._logs.logs.start()
        # Before there are clients, whose tasks they are to hear of.
        config = self._settings.config
        self._chains.apply(config)
        self._notices.apply(config, given.get("notices"))
        self._schedules.load(config, given.get("schedules"))
        with self._signals:
            adopt_orphans()
            listening = f"listening on {written(self._server.address)}"
            if self._restored is not None:
                self._go_on(self._restored)
            else:
                if isinstance(self._server, Server):
                    self._upgrades.keep()
                self._server.start()
                guardian.start()
                if self._server.everywhere:
                    listening += " (every interface)"
                _log.info("%s", listening)
                _log.info("%s", self._summary())
                self._hub.start_services()
                resumed = self._history.resume(self._hub, self._audit, self._over)
                self._hub.standing.start_at_boot(resumed, self._history.returning)
                self._chains.make_up()
            self._schedules.start()
            self._manager.ready(listening)
            # Taking the hub's lock: no report follows a deadlock.
            self._manager.feed_watchdog(lambda: self._hub.wait_until_idle(0.0), self._over)
            self._signals.run()

    def _go_on(self, restored: Restored) -> None:
        """Go on with what the program before this one has handed over."""
        assert self._given is not None
        self._given.passed.commit()
        restored.begin_guarding()
        self._server.start()
        self._hub.start_services()
        restored.go_on()
        self._upgrades.done(self._given, restored, self._version)
        self._enforce()  # a reload may not have come so far
        self._given = self._restored = None  # it is large
        self._upgrades.keep()
        if self._reloader.differs():
            start_thread(partial(self._reloader.on_signal, self._manager), "reload")

    def _parts(self) -> Parts | None:
        if not isinstance(self._server, Server):
            return None
        return Parts(
            hub=self._hub,
            server=self._server,
            gate=self._gate,
            history=self._history,
            schedules=self._schedules,
            chains=self._chains,
            notices=self._notices,
            api=self._api,
            webhooks=self._webhooks,
            signals=self._signals,
            totals=self._totals,
            upgrades=self._upgrades.counted,
            version=self._version,
            started_at=self._started_at,
            started=self._settings.started,
            variables=self._settings.variables,
            secrets=self._vault.variables,
        )

    def _summary(self) -> str:
        config = self._settings.config
        count, file = len(config.actions), config.file
        summary = f"{count} action{'' if count == 1 else 's'}" + (f" from {file}" if file else "")
        if isinstance(self._server.address, str):
            return summary
        scheme = "https" if self._gate.access.encrypted else "http"
        return f"{summary}; the page: {scheme}://{written(self._server.address)}/"

    def _thread_failed(self, args: threading.ExceptHookArgs) -> None:
        """A thread has ended by an exception; without a vital one the server shuts down."""
        vital = isinstance(args.thread, VitalThread)
        if args.exc_type is SystemExit and not vital:  # an ordinary way to end one's thread
            return
        _log.critical(
            "the thread %s failed%s",
            args.thread.name if args.thread else "of somebody",
            ": the server cannot go on without it" if vital else "",
            exc_info=(args.exc_type, args.exc_value or args.exc_type(), args.exc_traceback),
        )
        if vital:
            self._failed = True
            self._signals.request_end()

    def _end(self) -> None:
        """The shutdown, on its own thread so that the main thread can act on a second signal."""
        _log.info("shutting down")
        self._manager.stopping(self._hub.shutdown_budget + _END_MARGIN)
        self._logs.stop_searching()
        _close(self._schedules.scheduler, self._chains.chains)
        over = self._hub.shutdown()
        self._server.shutdown()
        self._hub.close()
        _close(self._notices.notices)
        self._over.set()
        self._timers.close()
        _close(self._logs.logs, self._history.history)
        self._log.close()
        self._audit.close()
        end_orphans()
        cgroup.remove_left()
        if over:
            guardian.stop()
        else:
            # The guardian stays, and ends what is left once this process is gone.
            _log.warning("some tasks have not ended: %r", self._hub)

    def _hang_up(self) -> None:
        """SIGHUP: reload, or end if the terminal that the server was started in is gone."""
        if self._terminal and not has_terminal():
            self._signals.request_end()
            return
        try:
            # The main thread must be free for the next signal.
            start_thread(partial(self._reloader.on_signal, self._manager), "reload")
        except RuntimeError as error:
            _log.error("the configuration was not reloaded: %s", error)

    def _limit(self, config: Config) -> None:
        if isinstance(self._server, Server):
            self._server.endpoint.limits = connection_limits(config)

    def _enforce(self) -> None:
        """Close the clients that are no longer admitted."""
        self._gate.end_revoked_sign_ins()
        if isinstance(self._server, Server) and (closed := self._server.close_revoked()):
            _log.info("closed %d of the clients: their access has changed", closed)

    def _reopen(self) -> None:
        self._log.reopen()
        self._audit.reopen()

    def _listen(self) -> Server | StdioServer:
        config = self._settings.started
        listen = parse_listen(config.listen)
        passed = passed_sockets()
        limits = connection_limits(self._settings.config)
        if listen.kind == "stdio" and not passed:
            from overseer.net.stdio import StdioServer, take_over_stdio

            return StdioServer(
                *take_over_stdio(),
                self._open_handler,
                timers=self._timers,
                ended=self._client_gone,
                limits=limits,
            )
        metrics = Exposition(
            self._hub,
            self._version,
            self._started_at,
            self._gauges,
            lambda: counters_of(self._totals, self._upgrades),
        )
        routes: dict[str, Route] = {HEALTH: lambda _: Response(200, b"ok\n"), "/metrics": metrics.answer}
        endpoint = Endpoint(
            self._open_handler,
            {**self._page, **self._gate.routes(), **self._documents.routes(), **routes},
            services={API_PATH: self._api},
            hooks=self._webhooks,
            policy=self._gate,
            limits=limits,
            timers=self._timers,
        )
        if self._given is not None:
            listener = self._given.listener()
        elif passed:
            listener = adopt_listener(passed)
        else:
            listener = open_listener(replace(listen, mode=config.socket_mode, group=config.socket_group))
        return Server(listener, endpoint)

    def _open_handler(self, outbox: Outbox, peer: Peer) -> Dispatcher:
        config = self._settings.config
        by_http = isinstance(outbox, ReadableOutbox)  # where a request is several messages, and counted there
        return Dispatcher(
            self._hub,
            outbox,
            peer,
            limits=config.limits.message_limits(),
            requests_per_second=0 if by_http else config.limits.requests_per_second,
            on_lag=config.clients.on_lag,
            manifest=self._documents.manifest,
            audit=self._audit,
            reloader=self._reloader,
            history=self._history,
            logs=self._logs,
            notices=self._notices,
            schedules=self._schedules,
            upgrades=self._upgrades,
        )

    def _client_gone(self) -> None:
        """The stdio client is gone: end when its tasks are over."""

        def wait() -> None:
            self._hub.wait_until_idle()
            self._signals.request_end()

        run_on_thread(wait, "stdio-end")

    @property
    def _encrypted(self) -> bool:
        """Whether clients reach it by TLS, which a Unix socket has no use for."""
        return self._gate.access.encrypted and isinstance(self._server.address, tuple)

    def _gauges(self) -> Samples:
        history, logs, scheduler = self._history.history, self._logs.logs, self._schedules.scheduler
        return gauges_of(self._reloader, self._upgrades, history, logs, scheduler, self._notices.notices)

    def _counters(self) -> Samples:
        history, logs, chains = self._history.history, self._logs.logs, self._chains.chains
        return counters_of(history, logs, chains, self._notices.notices, self._webhooks, self._api)


class _Part(Protocol):
    def close(self) -> None: ...


def _close(*parts: _Part | None) -> None:
    """Close those parts that there are."""
    for part in filter(None, parts):
        part.close()
