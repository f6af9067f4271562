"""The handle of a task on a server, for the program that started or joined it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from datetime import datetime
from typing import Literal

from overseer.client.arguments import Seconds, seconds_of
from overseer.client.buffer import DATA, STREAM, Item, batches, take, to_output
from overseer.client.errors import LinesMissedError, ReplyTimeoutError, TaskNotRunError
from overseer.client.follower import Follower
from overseer.client.requests import Requests
from overseer.client.words import Status, Stream
from overseer.errors import fresh
from overseer.protocol import Event, Exited, Gap, Reset, Restart, RunInfo, failed


class Task:
    """Made by :meth:`Client.start` and :meth:`Client.subscribe`; usable from several threads.

    Two iterations over one handle share its events; subscribe again for a second copy. When the handle is
    dropped, its events are no longer sent; the task goes on.
    """

    def __init__(self, client: Requests, follower: Follower) -> None:
        self._client = client
        self._follower = follower

    def __repr__(self) -> str:
        return f"<Task {self.id} {self.state}>"

    @property
    def id(self) -> str:
        return self._follower.task_id

    @property
    def warnings(self) -> tuple[str, ...]:
        """Probable mistakes in its start: parameters that its action does not have, and are ignored."""
        return self._follower.warnings

    @property
    def state(self) -> str:
        """starting, queued, running, restarting; over: ended (by itself), stopped, errored, or gone."""
        return self._follower.state

    @property
    def status(self) -> Status:
        """What it is, in the word that ``TaskInfo.status``, overseerctl and the page have for it."""
        follower = self._follower
        match follower.state:
            case "starting" | "running":
                return "ready" if follower.ready else "running"
            case "queued":
                return "waiting" if follower.waiting else "queued"
            case "ended":
                return "failed" if self.failed else "succeeded"
            case "restarting" | "stopped" | "errored" as same:
                return same
        return "lost"

    @property
    def over(self) -> bool:
        """Whether nothing more happens, unless it is :meth:`reset` or restarted."""
        return self._follower.over

    @property
    def exit(self) -> Exited | None:
        """How its latest finished run ended."""
        return self._follower.exit

    @property
    def failed(self) -> bool:
        """Whether its latest finished run failed: by a timeout, a signal, or a code other than a success."""
        end = self._follower.exit
        return end is not None and failed(end.reason, end.exit_code, self._follower.success_codes)

    @property
    def dequeued(self) -> str:
        """Why it left its queue without being started, else ``""``."""
        return self._follower.dequeued

    @property
    def created_at(self) -> datetime | None:
        """When the server accepted it; with its id, this identifies the task."""
        return self._follower.created_at

    @property
    def last_seq(self) -> int:
        """The seq of the latest line received, read or not."""
        return self._follower.last_seq

    @property
    def ready(self) -> bool:
        """Whether its run is ready, by what its action requires; False if it requires nothing."""
        return self._follower.ready

    @property
    def health(self) -> str:
        """``healthy``, ``unhealthy``, or another word of the server's for its run; ``""``: none so far."""
        return self._follower.health

    @property
    def stdin(self) -> str:
        """How it took input when it was joined: ``pipe``, ``pty`` (a terminal), or ``""``."""
        return self._follower.stdin

    def events(self, timeout: Seconds | None = None) -> Iterator[Event]:
        """Everything that happens to the task, in order, until it is over; restarts included.

        A ``Gap`` stands for lost lines. Another iteration continues where one was left.

        Args:
            timeout: the most seconds to wait for each event; None: no limit.

        Raises:
            ReplyTimeoutError: nothing came for so long.
            TaskGoneError: how the task ended can no longer be found out.
            ConnectionLostError: the connection is lost for good.
        """
        for item in self._items(seconds_of(timeout)):
            yield to_output(item) if isinstance(item, tuple) else item

    def batches(self, timeout: Seconds | None = None) -> Iterator[list[Event]]:
        """As :meth:`events`, in batches of what is available: for programs that flush after each."""
        yield from batches(self._taken(seconds_of(timeout)))

    def lines(self, stream: Stream | Literal[""] = "", timeout: Seconds | None = None) -> Iterator[str]:
        """The lines of its output without their ends, until the task is over.

        Args:
            stream: only ``stdout`` or ``stderr``.
            timeout: as for :meth:`events`, but between lines.

        Raises:
            LinesMissedError: some are lost (not raised with ``on_lag="drop"``); and as :meth:`events`.
        """
        if stream not in ("", "stdout", "stderr"):
            raise ValueError(f"stream must be stdout or stderr, not {stream!r}")
        return self._lines(stream, seconds_of(timeout))

    def _lines(self, stream: str, timeout: float | None) -> Iterator[str]:
        for item in self._items(timeout):
            if isinstance(item, tuple):
                if not stream or item[STREAM] == stream:
                    yield item[DATA]
            elif isinstance(item, Gap) and not self._follower.may_drop:
                raise LinesMissedError(self.id, item.from_seq, item.to_seq)

    def wait(self, timeout: Seconds | None = None) -> Exited:
        """Wait until the task is over, restarts included; returns how its last run ended.

        Raises:
            ReplyTimeoutError: it is not over yet.
            TaskNotRunError: it never ran: it was removed from its queue, or could not be started again.
            TaskGoneError, ConnectionLostError: as :meth:`events`.
        """
        follower, seconds = self._follower, seconds_of(timeout)
        with self._client._core.lock:
            follower.waiters += 1
            follower.buffer.room.notify_all()  # the task must not wait for a thread that awaits its end
            try:
                in_time = follower.changed.wait_for(lambda: follower.over, seconds)
            finally:
                follower.waiters -= 1
            if not in_time:
                raise ReplyTimeoutError(f"task {self.id} is not over after {seconds:g} s")
            if follower.failure is not None:
                raise fresh(follower.failure)
            if follower.exit is None:
                reason = follower.dequeued or follower.state
                raise TaskNotRunError(f"task {self.id} never ran: {reason}", reason)
            return follower.exit

    def wait_until_ready(self, timeout: Seconds | None = None) -> None:
        """Wait until its run is ready, or that of a restart.

        Raises:
            ReplyTimeoutError: it is not ready yet.
            TaskNotRunError: it is over, so it never will be.
            TaskGoneError, ConnectionLostError: as :meth:`events`.
        """
        follower, seconds = self._follower, seconds_of(timeout)
        with self._client._core.lock:
            if not follower.changed.wait_for(lambda: follower.ready or follower.over, seconds):
                raise ReplyTimeoutError(f"task {self.id} is not ready after {seconds:g} s")
            if follower.failure is not None:
                raise fresh(follower.failure)
            if not follower.ready:
                raise TaskNotRunError(f"task {self.id} is over: {follower.state}", follower.state)

    def stop(self, timeout: Seconds | None = None) -> None:
        """Stop it; :meth:`wait` waits for its end. Does nothing when it is over already.

        Raises:
            RefusedError, ReplyTimeoutError, ConnectionLostError: as for any request of :class:`Client`.
        """
        self._client.stop(self.id, timeout=timeout)

    def signal(self, signal: str | int, timeout: Seconds | None = None) -> None:
        """Send a signal, by name or number, to its process group while it runs.

        Raises:
            RefusedError: it is not running; and as :meth:`stop`.
        """
        self._client.signal(self.id, signal, timeout=timeout)

    def input(self, data: str | bytes = "", *, eof: bool = False, timeout: Seconds | None = None) -> None:
        """Send it input while it runs, all or nothing; see :meth:`Client.input`.

        Raises:
            RefusedError: it takes no input, is not running, has too much unread input, or its input has been
                closed; and as :meth:`stop`.
        """
        self._client.input(self.id, data, eof=eof, timeout=timeout)

    def resize(self, rows: int, cols: int, timeout: Seconds | None = None) -> None:
        """Change the size of its terminal while it runs.

        Raises:
            RefusedError: it has none, or is not running; and as :meth:`stop`.
        """
        self._client.resize(self.id, rows, cols, timeout=timeout)

    def runs(self, *, limit: int = 100, timeout: Seconds | None = None) -> tuple[RunInfo, ...]:
        """Its runs from the server's history, the newest first; see :meth:`Client.runs`."""
        return self._client.runs(self.id, limit=limit, timeout=timeout)

    def reset(self, timeout: Seconds | None = None) -> None:
        """Start it again once it is errored. This handle follows the new run: unread earlier events are
        dropped, :attr:`exit` is None, and :meth:`wait` waits for the new run's end.

        Raises:
            RefusedError: it is not errored; and as :meth:`stop`.
        """
        self._client._start_over(Reset, self._follower, timeout)

    def restart(self, timeout: Seconds | None = None) -> None:
        """Stop it, wait for its end and start it again; returns once it is running or queued. The handle then
        follows the new run, as after :meth:`reset`.

        Raises:
            RefusedError: it is queued, being started or being stopped, it was stopped meanwhile, or it cannot
                be started; and as :meth:`stop`.
        """
        self._client._start_over(Restart, self._follower, timeout)

    def _items(self, timeout: float | None) -> Iterator[Item]:
        for items in self._taken(timeout):
            while items:
                # Those not reached go back. (No call here: Ctrl-C could interrupt it.)
                item = items[0]
                del items[0]
                yield item

    def _taken(self, timeout: float | None) -> Iterator[deque[Item]]:
        follower = self._follower
        notice = self._client._core.notice
        yield from take(follower.buffer, lambda: follower.over, timeout, f"task {self.id}", notice)
        if follower.failure is not None:
            raise fresh(follower.failure)
