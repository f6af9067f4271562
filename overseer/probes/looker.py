"""What all watches share: threads, timers, look-ups of names, and sockets by which runs speak themselves."""

from __future__ import annotations

from collections.abc import Callable

from overseer.config.targets import Http, Target, Tcp
from overseer.errors import SpawnError
from overseer.probes.attempt import Attempt
from overseer.probes.notify import NotifySocket, NotifySockets
from overseer.probes.pool import Pool
from overseer.probes.resolver import Resolver
from overseer.util.timers import Timer, Timers
from overseer.workers.program import Surroundings


class Looker:
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
        """Have a job that does not wait run in so many seconds."""
        return self._timers.schedule(seconds, job)

    def submit(self, task_id: str, look: Callable[[], object]) -> None:
        """Have a look run as soon as a thread is free and none at the same task goes on."""
        self._pool.submit(task_id, look)

    def notify_socket(self, run_id: str, ready: Callable[[], None]) -> NotifySocket:
        """A socket to which a run can say that it is ready; ``ready`` is called when it does.

        Raises:
            SpawnError: there is none to be had.
        """
        return self._sockets.open(run_id, ready)

    def discard(self, socket: NotifySocket) -> None:
        """Nobody listens to it any more. Idempotent."""
        self._sockets.discard(socket)

    def look(self, target: Target, task_id: str, attempt: Attempt, surroundings: Surroundings) -> None:
        """Look once; returns if the target is well.

        Raises:
            FailedError, NotLookedError, CalledOffError: it is not, or that cannot be told.
        """
        if isinstance(target, Tcp | Http):
            from overseer.probes.connections import look_at  # with what TLS takes, which few need

            look_at(target, attempt, self._resolver)
        else:
            from overseer.probes.programs import look_by_program

            look_by_program(target, task_id, attempt, surroundings)
