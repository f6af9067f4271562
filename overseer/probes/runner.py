"""What all watches share: threads, timers, a resolver, and the notify sockets of runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from overseer.config.targets import Http, Target, Tcp
from overseer.errors import SpawnError
from overseer.probes.attempt import Attempt
from overseer.probes.notify import NotifySocket, NotifySockets
from overseer.probes.pool import Pool
from overseer.probes.resolver import Resolver
from overseer.util.handover import Incoming
from overseer.util.timers import Timer, Timers
from overseer.workers.program import Surroundings


class ProbeRunner:
    """Safe from any thread."""

    def __init__(self) -> None:
        self._timers = Timers("probe-timers")
        self._pool = Pool()
        self._resolver = Resolver()
        self._sockets = NotifySockets()

    def start(self) -> None:
        """Start the thread of the timers. Idempotent.

        Raises:
            SpawnError: the system allows no more threads.
        """
        try:
            self._timers.start()
        except RuntimeError as error:
            raise SpawnError(f"probes: {error}") from None

    def close(self) -> None:
        """End the threads. Idempotent."""
        self._timers.close()
        self._pool.close()
        self._sockets.close()

    def schedule(self, seconds: float, job: Callable[[], object]) -> Timer:
        """Run a job, which must not block, after so many seconds."""
        return self._timers.schedule(seconds, job)

    def submit(self, task_id: str, probe: Callable[[], object]) -> None:
        """Run a probe as soon as a thread is free and no other probe of the task runs."""
        self._pool.submit(task_id, probe)

    def notify_socket(self, run_id: str, ready: Callable[[], None]) -> NotifySocket:
        """Open the notify socket of a run; ``ready`` is called when it says that it is.

        Raises:
            SpawnError: there is none to be had.
        """
        return self._sockets.open(run_id, ready)

    def restore_socket(
        self, run_id: str, ready: Callable[[], None], data: Mapping[str, Any], given: Incoming
    ) -> NotifySocket:
        """The notify socket of a run that another program has exported. Raises SpawnError, OSError."""
        return self._sockets.restore(run_id, ready, data, given)

    def discard(self, socket: NotifySocket) -> None:
        """Close the notify socket of a run. Idempotent."""
        self._sockets.discard(socket)

    def probe(self, target: Target, task_id: str, attempt: Attempt, surroundings: Surroundings) -> None:
        """Probe once; returns if the probe passes.

        Raises:
            ProbeFailedError, NotProbedError, CancelledError: it does not.
        """
        if isinstance(target, Tcp | Http):
            from overseer.probes.connections import probe_target  # with what TLS takes, which few need

            probe_target(target, attempt, self._resolver)
        else:
            from overseer.probes.programs import probe_by_program

            probe_by_program(target, task_id, attempt, surroundings)
