"""What all watches share: threads, timers, a resolver, and the notify sockets of runs."""

from __future__ import annotations

from overseer.config.targets import Http, Target, Tcp
from overseer.errors import SpawnError
from overseer.probes.attempt import Attempt
from overseer.probes.notify import NotifySockets
from overseer.probes.pool import Pool
from overseer.probes.resolver import Resolver
from overseer.util.timers import Timers
from overseer.workers.surroundings import Surroundings


class ProbeResources:
    """Safe from any thread; ``timers`` run jobs that must not block, the ``pool`` probes."""

    def __init__(self) -> None:
        self.timers = Timers("probe-timers")
        self.pool = Pool()
        self._resolver = Resolver()
        self.sockets = NotifySockets()

    def start(self) -> None:
        """Start the thread of the timers. Idempotent.

        Raises:
            SpawnError: the system allows no more threads.
        """
        try:
            self.timers.start()
        except RuntimeError as error:
            raise SpawnError(f"probes: {error}") from None

    def close(self) -> None:
        """End the threads. Idempotent."""
        self.timers.close()
        self.pool.close()
        self.sockets.close()

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
