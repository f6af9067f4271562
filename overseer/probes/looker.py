"""What all watches share: threads, timers, name look-ups, and sockets through which runs report readiness."""

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
    """The resources shared by all watches. Thread-safe."""

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
        """Run a non-blocking job in so many seconds."""
        return self._timers.schedule(seconds, job)

    def submit(self, task_id: str, look: Callable[[], object]) -> None:
        """Run a probe as soon as a thread is free and no other probe of the task is running."""
        self._pool.submit(task_id, look)

    def notify_socket(self, run_id: str, ready: Callable[[], None]) -> NotifySocket:
        """A socket through which a run can report that it is ready; ``ready`` is called when it does.

        Raises:
            SpawnError: it cannot be created.
        """
        return self._sockets.open(run_id, ready)

    def discard(self, socket: NotifySocket) -> None:
        """Close a socket. Idempotent."""
        self._sockets.discard(socket)

    def look(self, target: Target, task_id: str, attempt: Attempt, surroundings: Surroundings) -> None:
        """Probe once; returns if the target is well.

        Raises:
            FailedError, NotLookedError, CalledOffError: it is not, or that is unknown.
        """
        if isinstance(target, Tcp | Http):
            from overseer.probes.connections import look_at  # with what TLS takes, which few need

            look_at(target, attempt, self._resolver)
        else:
            from overseer.probes.programs import look_by_program

            look_by_program(target, task_id, attempt, surroundings)
