"""Watching all tasks of a server: a connection of its own, a picture kept current, and what happens.

The connection is read only while there is room for whoever iterates. To a slow reader, the server leaves out
lines of output, with a gap, and sends all tasks again once it has fallen too far behind.
"""

from __future__ import annotations

import itertools
import threading
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Self

from overseer.client import frames
from overseer.client.arguments import Seconds, seconds_of
from overseer.client.backpressure import ALIVE_S, SharedConnection
from overseer.client.buffer import SEQ, TASK_ID, EventBuffer, Item, Line, batches, take
from overseer.client.connection import Connection
from overseer.client.core import Core
from overseer.client.errors import (
    ClientError,
    ClosedError,
    ConnectionLostError,
    RefusedError,
    ReplyTimeoutError,
)
from overseer.errors import fresh
from overseer.protocol import (
    Changed,
    Error,
    Event,
    Forgotten,
    Gap,
    Started,
    TaskEvent,
    TaskInfo,
    TaskUsage,
    Usage,
    Watching,
    encode,
)
from overseer.protocol import Watch as WatchRequest
from overseer.util.locks import CHECKED, assert_held
from overseer.util.timestamps import now

_JOIN_S = 5.0


class WatchConnection:
    """What a watch knows, and the connection that it learns it from. Guarded by the client's lock."""

    def __init__(self, core: Core, shared: SharedConnection, request: WatchRequest) -> None:
        self.core = core
        self._shared = shared
        self._request = request
        self.connection = Connection(core, self)
        self.tasks: dict[str, TaskInfo] = {}
        self.usage: dict[str, TaskUsage] = {}
        self.failure: ClientError | None = None  # why it has ended
        self.changed = threading.Condition(core.lock)  # notified at the first picture and at the end
        self._cursor = ""  # "": before the first snapshot
        self._begun = False  # on this connection; what comes before, such as broadcasts, will come again
        self._seqs: dict[str, int] = {}  # the last line of each task that has had any
        # The latest events of each task, by kind, that came in the midst of its output, their cursors behind
        # them: where the connection is lost in between, they come again.
        self._ahead: dict[str, dict[type[TaskEvent], TaskEvent]] = {}
        self._ids = itertools.count(1)
        # Weak: a buffer lives as long as its iteration.
        self._buffers: tuple[weakref.ref[EventBuffer], ...] = ()

    def begin(self, seconds: float) -> None:
        """Connect, and wait for the first picture. Raises ClientError."""
        with self.core.lock:
            self.core.check_locked()
            self._shared.watches |= {self.connection}
        try:
            self.connection.start()
        except RuntimeError as error:
            with self.core.lock:
                self._shared.watches -= {self.connection}
            raise ClientError(f"cannot start a thread for the watch: {error}") from None
        with self.core.lock:
            self.changed.wait_for(lambda: self._cursor or self.failure, seconds)
            if self._cursor:
                return
            failure = self.failure
            self.connection.end_locked()
        if failure is not None:
            raise fresh(failure)
        raise ReplyTimeoutError(f"the server has not answered watch within {seconds:g} s")

    def iterate(self) -> EventBuffer:
        """A buffer that begins with the picture and gets all that follows. Raises what ended the watch."""
        buffer = EventBuffer(self.core.lock, self.core.settings.buffer)
        with self.core.lock:
            if self.failure is not None:
                raise fresh(self.failure)
            buffer.put_locked(Watching(tasks=(*self.tasks.values(),), cursor=self._cursor))
            self._buffers = (*self._buffers, weakref.ref(buffer))
        return buffer

    def close(self) -> None:
        with self.core.lock:
            self.connection.end_locked()
            self._fail_locked(ClosedError("this watch was closed"))
        if self.connection.thread is not threading.current_thread():
            self.connection.thread.join(_JOIN_S)

    # -- for the connection

    def connected_locked(self) -> None:
        assert_held(self.core.lock)
        self._begun = False
        request = replace(self._request, id=f"w{next(self._ids)}", after=self._cursor)
        self.connection.send_locked(frames.text(encode(request)))

    def received(self, items: Sequence[Item]) -> None:
        with self.core.lock:
            for item in items:
                self._begun = self._begun or isinstance(item, Watching | Error)
                if isinstance(item, tuple):
                    self._line_locked(item)
                elif self._begun:
                    self._event_locked(item)
            self._settle_locked()
        self._wait_for_room()

    def before_connecting(self) -> None:
        self._wait_for_room()

    def ended_locked(self, failure: ConnectionLostError) -> None:
        assert_held(self.core.lock)
        self._shared.watches -= {self.connection}
        self._fail_locked(failure)

    def _fail_locked(self, failure: ClientError) -> None:
        assert_held(self.core.lock)
        self.failure = self.failure or failure
        self.changed.notify_all()
        self._settle_locked()

    # -- what comes

    def _event_locked(self, event: Event) -> None:
        assert_held(self.core.lock)
        if isinstance(event, TaskEvent):
            event = self._once_locked(event)
        match event:
            case Watching(tasks=None):
                return  # what is known goes on
            case Watching():
                self.tasks = {task.task_id: task for task in event.tasks or ()}
                self.usage.clear()
                self._ahead.clear()
                self._seqs = {each: seq for each, seq in self._seqs.items() if each in self.tasks}
                self._cursor = event.cursor
                self.changed.notify_all()
            case Error():
                self.connection.end_locked()
                self._fail_locked(RefusedError(event.message, code=event.code))
                return
            case Usage():
                self.usage |= {used.task_id: used for used in event.tasks}
            case Gap():
                self._seqs[event.task_id] = event.to_seq
            case Forgotten():
                for known in (self.tasks, self.usage, self._seqs, self._ahead):
                    known.pop(event.task_id, None)
            case Started(restart_of=0):
                self._seqs[event.task_id] = max(0, event.first_seq - 1)
        if isinstance(event, TaskEvent) and event.cursor:
            self._cursor = event.cursor
            if event.task is not None:
                self.tasks[event.task.task_id] = event.task
        self._put_locked(event)

    def _once_locked(self, event: TaskEvent) -> TaskEvent:
        """The event; or, if it came before without its task and cursor, only what these say."""
        assert_held(self.core.lock)
        task_id, kind = getattr(event, "task_id", ""), type(event)
        if not event.cursor:
            self._ahead.setdefault(task_id, {})[kind] = event
        elif self._ahead.get(task_id, {}).get(kind) == replace(event, task=None, cursor=""):
            return Changed(task=event.task, cursor=event.cursor)
        return event

    def _line_locked(self, line: Line) -> None:
        if CHECKED:
            assert_held(self.core.lock)
        task_id, seq = line[TASK_ID], line[SEQ]
        last = self._seqs.get(task_id, seq - 1)
        if seq > last + 1:  # the connection was lost meanwhile
            self._put_locked(Gap(task_id, last + 1, seq - 1, now()))
        self._seqs[task_id] = seq
        self._put_locked(line)

    def _put_locked(self, item: Item) -> None:
        if CHECKED:
            assert_held(self.core.lock)
        for buffer in self._live_locked():
            buffer.put_locked(item)

    def _live_locked(self) -> list[EventBuffer]:
        assert_held(self.core.lock)
        return [buffer for ref in self._buffers if (buffer := ref()) is not None]

    def _settle_locked(self) -> None:
        assert_held(self.core.lock)
        self._buffers = tuple(ref for ref in self._buffers if ref() is not None)
        for buffer in self._live_locked():
            buffer.settle_locked(lossless=True)
            buffer.room.notify_all()

    # -- back-pressure

    def _full_locked(self) -> EventBuffer | None:
        """A buffer without room, which is being read or has yet to be."""
        assert_held(self.core.lock)
        for buffer in self._live_locked():
            if buffer.full and (buffer.is_read_locked() or not buffer.was_read):
                return buffer
        return None

    def _wait_for_room(self) -> None:
        """Pause reading while somebody who iterates has fallen behind."""
        while True:
            with self.core.lock:
                full = self._full_locked()
                if full is None or self.connection.ending:
                    return
                full.room.wait(ALIVE_S)
            self.connection.show_alive()


class Watch:
    """All tasks of a server, and what happens to them: made by :meth:`Client.watch`. It ends on leaving its
    ``with``, or when it is dropped. Usable from several threads.

    Iterating over it means :meth:`events`.
    """

    def __init__(self, link: WatchConnection) -> None:
        self._link = link
        self._end = weakref.finalize(self, link.connection.abandon)
        self._end.atexit = False  # the thread is a daemon

    def __repr__(self) -> str:
        return f"<Watch of {len(self._link.tasks)} tasks>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Event]:
        return self.events()

    def close(self) -> None:
        """End it, and all iterations over it. Idempotent."""
        self._link.close()

    @property
    def tasks(self) -> dict[str, TaskInfo]:
        """Every task by its id, kept current whether anybody iterates or not. A copy."""
        with self._link.core.lock:
            return dict(self._link.tasks)

    @property
    def usage(self) -> dict[str, TaskUsage]:
        """What each running task used when last reported, by id; empty without ``usage``. A copy."""
        with self._link.core.lock:
            tasks, usage = self._link.tasks, self._link.usage
            return {
                task_id: used
                for task_id, used in usage.items()
                if task_id in tasks and tasks[task_id].worker_state == "running"
            }

    def events(self, timeout: Seconds | None = None) -> Iterator[Event]:
        """A ``Watching`` with all tasks as they are now, and then everything that happens, each event once.

        An event carries the task as it is then (``task``), or a ``Changed`` with it follows; a ``Changed``
        also reports what no other event does. After a ``Forgotten``, no task has that id. Another
        ``Watching`` comes when the server cannot resume where this program was.
        A ``Gap`` stands for lines that were missed.

        Args:
            timeout: the most seconds to wait for each event; None: no limit.

        Raises:
            ReplyTimeoutError: nothing came for so long.
            ConnectionLostError: the connection is lost for good; :meth:`close` just ends the iteration.
        """
        return (event for events in self.batches(timeout) for event in events)

    def batches(self, timeout: Seconds | None = None) -> Iterator[list[Event]]:
        """As :meth:`events`, in batches of what is available: for programs that flush after each."""
        return self._batches(self._link.iterate(), seconds_of(timeout))

    def _batches(self, buffer: EventBuffer, timeout: float | None) -> Iterator[list[Event]]:
        link = self._link
        over, notice = (lambda: link.failure is not None), link.core.notice
        yield from batches(take(buffer, over, timeout, "this server", notice))
        failure = link.failure
        if failure is not None and not isinstance(failure, ClosedError):
            raise fresh(failure)
