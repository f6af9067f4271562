"""The threads of handlers that are services."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping

from overseer.drivers.api import ActionHandler, ServiceHandler, TaskSubmitter
from overseer.util.locks import Rank, lock
from overseer.util.threads import start_thread

_log = logging.getLogger(__name__)

_GRACE = 1.0  # seconds that a service has to return when it is told to stop


class Services:
    """One thread for each service handler. Thread-safe.

    Args:
        submitter: passed to services, to start tasks.
        handlers: returns the current handlers, by action.
    """

    def __init__(self, submitter: TaskSubmitter, handlers: Callable[[], Mapping[str, ActionHandler]]) -> None:
        self._submitter = submitter
        self._handlers = handlers
        # Guards the fields below; notified when an update is done.
        self._changed = threading.Condition(lock(Rank.LEAF, "services"))
        self._updating = False
        self._running: dict[str, _Service] = {}
        self._over = threading.Event()

    def update(self) -> None:
        """Tell services that are no longer configured to stop, and start those that do not run.

        Updates are serialised.
        """
        with self._changed:
            self._changed.wait_for(lambda: not self._updating)
            self._updating = True
        try:
            self._update(self._handlers())
        finally:
            with self._changed:
                self._updating = False
                self._changed.notify_all()

    def _update(self, handlers: Mapping[str, ActionHandler]) -> None:
        with self._changed:
            gone = [
                name
                for name, each in self._running.items()
                if handlers.get(name) is not each.handler or each.stop.is_set()
            ]
            services = [self._running.pop(name) for name in gone]
        _end(services)
        for name, handler in handlers.items():
            if isinstance(handler, ServiceHandler):
                self._start(name, handler)

    def _start(self, name: str, handler: ServiceHandler) -> None:
        with self._changed:
            if self._over.is_set() or name in self._running:
                return
        try:
            service = _Service(name, handler, self._submitter)
        except RuntimeError as error:  # no more threads; the next update tries again
            _log.error("action %s: its service cannot be started: %s", name, error)
            return
        with self._changed:
            self._running[name] = service
            if self._over.is_set():  # stop came too early to include this one
                service.stop.set()

    @property
    def bound(self) -> list[str]:
        """The actions whose services run, and cannot be begun again in another program unasked."""
        with self._changed:
            return [name for name, each in self._running.items() if not each.handler.restartable]

    def interrupt(self, grace: float = _GRACE) -> None:
        """Tell all services to return, and wait for so many seconds; :meth:`update` starts them again.

        Those that have not returned are still :attr:`bound`.
        """
        with self._changed:
            services = dict(self._running)
        _end(services.values(), grace)
        with self._changed:
            for name, service in services.items():
                if self._running.get(name) is service and not service.thread.is_alive():
                    del self._running[name]

    def abandon(self) -> None:
        """As :meth:`interrupt`, and forget those that have not returned."""
        self.interrupt()
        with self._changed:
            self._running.clear()

    def stop(self) -> None:
        """Tell all services to stop, and start no more. Idempotent."""
        with self._changed:
            self._over.set()
            services = list(self._running.values())
        for service in services:
            service.stop.set()

    def join(self, told: float) -> None:
        """Wait for them until a second after ``told``, when they were told to stop (monotonic)."""
        with self._changed:
            services = list(self._running.values())
        _join(services, told)


class _Service:
    """A service's thread, and the event that tells it to stop."""

    def __init__(self, name: str, handler: ServiceHandler, submitter: TaskSubmitter) -> None:
        self.handler = handler
        self.stop = threading.Event()
        # A daemon, so that a service that ignores its stop event does not keep the process alive.
        self.thread = start_thread(lambda: self._run(name, submitter), f"service-{name}")

    def _run(self, name: str, submitter: TaskSubmitter) -> None:
        try:
            self.handler.run_service(self.stop, submitter)
        except BaseException:
            _log.exception("action %s: its service failed", name)


def _end(services: Collection[_Service], grace: float = _GRACE) -> None:
    for service in services:
        service.stop.set()
    _join(services, time.monotonic(), grace)


def _join(services: Iterable[_Service], told: float, grace: float = _GRACE) -> None:
    for service in services:
        service.thread.join(max(0.0, told + grace - time.monotonic()))
