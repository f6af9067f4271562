"""What a client knows of one task: bookkeeping on its messages, whichever connection they come from.

A follower takes each line once, by its seq, even if a reconnection repeats it, reports every gap, and knows
whether the task is over. Guarded by the client's lock.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from overseer.client.buffer import SEQ, EventBuffer, Line
from overseer.client.errors import ClientError, TaskGoneError
from overseer.protocol import (
    Data,
    Dequeued,
    Errored,
    Event,
    Exited,
    Gap,
    Health,
    Partial,
    Queued,
    Ready,
    Restarting,
    Started,
    Subscribed,
    TaskInfo,
)
from overseer.util.locks import CHECKED, assert_held
from overseer.util.timestamps import now

_TO_BEGIN_S = 10.0  # in which a reader may begin before a lossless task stops waiting for one
_REMEMBERED = 256  # events without a seq; a server stores at most 100
_UNDER_WAY = frozenset({"starting", "queued", "running", "restarting"})


class Follower:
    """One handle's view of a task.

    Args:
        lock: the client's.
        buffer: bytes of events that may wait for the handle's reader; 0: none are kept.
        lossless: hold up the task rather than lose lines.
        catch_up: have the server keep them, if it can, rather than hold up the task.
        partial: take messages about unfinished lines.
        raw: take what its terminal is sent.
        from_now: leave out what was stored before the subscription.
        tell: called with each gap that no message reports.
    """

    def __init__(
        self,
        task_id: str,
        lock: threading.Lock,
        buffer: int,
        *,
        lossless: bool,
        catch_up: bool = False,
        partial: bool = False,
        raw: bool = False,
        from_now: bool = False,
        tell: Callable[[Gap], None] = lambda gap: None,
    ) -> None:
        self.task_id = task_id
        self.buffer = EventBuffer(lock, buffer)
        self.lossless = lossless
        self.catch_up = catch_up
        self.may_drop = not lossless  # as asked for; lossless may be given up
        self.partial = partial
        self.raw = raw
        self.raw_seen = 0  # bytes that its terminal was sent so far
        self.stdin = ""  # how it takes input, according to the server's list
        self.open = False  # takes messages: an answer on this connection has opened it
        self.began = False  # has been open
        self.created_at: datetime | None = None
        self.last_seq = 0
        self.state = "starting"  # or another of _UNDER_WAY; over: ended, stopped, errored, gone
        self.ready = False  # whether its run is
        self.health = ""  # of its run
        self.exit: Exited | None = None  # of the latest run
        self.success_codes: tuple[int, ...] = ()  # according to the server's list
        self.dequeued = ""  # the reason
        self.waiting = False  # queued since it waits for other tasks
        self.warnings: tuple[str, ...] = ()  # about its start
        self.failure: ClientError | None = None
        self.unsure_since: datetime | None = None  # when it exited, possibly for good
        self.moving = False  # to a connection of its own
        self.resetting = False  # a reset is under way: an end is not the last word, a start a new generation
        self.waiters = 0  # threads that wait for its end
        self._reader_due = math.inf  # by when a reader has to begin (monotonic)
        self.changed = threading.Condition(lock)  # notified when state, ready, health or failure change
        self._from_now = from_now
        self._tell_locked = tell
        self._stored = from_now  # messages are from before the subscription
        self.in_doubt = False  # an exit has come since the list was asked for, which may predate it
        self._settling = False  # between a subscription and the list that completes what was stored
        self._seen: deque[tuple[str, int, datetime]] = deque(maxlen=_REMEMBERED)
        self._partials: dict[str, datetime] = {}  # each stream's latest

    def __repr__(self) -> str:
        return f"<Follower {self.task_id} {self.state} seq={self.last_seq} {self.buffer!r}>"

    @property
    def over(self) -> bool:
        return self.state not in _UNDER_WAY

    @property
    def on_lag(self) -> str:
        """What the server is to do with what the client does not read."""
        return "block" if self.lossless else "drop"

    @property
    def finished(self) -> bool:
        """Whether it need not be followed any longer."""
        return self.over and not self.resetting

    @property
    def must_ask(self) -> bool:
        """Whether to ask for the server's list, which says what follows an exit; a subscription does
        anyway."""
        return self.unsure_since is not None and not self._settling

    # -- what comes

    def line_locked(self, line: Line) -> bool:
        """Take a line of output; False when it is known."""
        if CHECKED:
            assert_held(self.buffer.lock)
        seq = line[SEQ]
        if seq <= self.last_seq:
            return False
        if seq > self.last_seq + 1:
            self._miss_locked(seq - 1)
        self.last_seq = seq
        self.buffer.put_locked(line)
        return True

    def event_locked(self, event: Event) -> bool:
        """Take any other event of the task; False when it is known."""
        assert_held(self.buffer.lock)
        if isinstance(event, Gap):
            if event.to_seq <= self.last_seq:
                return False
            self._gap_locked(event.to_seq, event.reason)
            return True
        if isinstance(event, Partial):
            return self._partial_locked(event)
        if isinstance(event, Data):
            return self._data_locked(event)
        key = (event.type, getattr(event, "pid", 0), getattr(event, "ts", now()))
        if key in self._seen:
            return False
        if self._is_anothers(event):
            self._end_as_exited_locked()
            return False
        self._seen.append(key)
        match event:
            case Started():
                self.last_seq = max(self.last_seq, event.first_seq - 1)  # the rest were another's
                if self.resetting:
                    self._begin_generation_locked()
                self._found_locked(False, "")
                self._be_locked("running")
            case Ready():
                self._found_locked(True, self.health)
            case Health():
                self._found_locked(self.ready, event.status)
            case Queued():
                self.waiting = bool(event.waiting_on)
                self._be_locked("queued")
            case Restarting():
                self._be_locked("restarting")
            case Exited():
                self.exit = event
                self._found_locked(False, "")
                self.in_doubt = True
                if event.will_restart:
                    self._be_locked("restarting")
                else:
                    self.unsure_since = event.ts
                if self._stored:
                    return False
            case Errored():
                self._be_locked("errored")
                if self.resetting:
                    return False  # refused: nothing has changed
            case Dequeued():
                self.dequeued = event.reason
                self._be_locked("stopped")
        self.buffer.put_locked(event)
        return True

    def _found_locked(self, ready: bool, health: str) -> None:
        assert_held(self.buffer.lock)
        self.ready, self.health = ready, health
        self.changed.notify_all()

    def _partial_locked(self, event: Partial) -> bool:
        assert_held(self.buffer.lock)
        # While a task moves to a connection of its own, both deliver it.
        last = self._partials.get(event.stream)
        if not self.partial or (last is not None and event.ts <= last):
            return False
        self._partials[event.stream] = event.ts
        self.buffer.put_partial_locked(event)
        return True

    def _data_locked(self, event: Data) -> bool:
        assert_held(self.buffer.lock)
        # As above; and a new subscription repeats what may be known.
        known = max(0, self.raw_seen - event.offset)
        if not self.raw or known >= len(event.data):
            return False
        self.raw_seen = event.offset + len(event.data)
        if known:
            event = replace(event, offset=event.offset + known, data=event.data[known:])
        self.buffer.put_locked(event)
        return True

    def subscribed_locked(self, answer: Subscribed, *, listed: bool = True) -> None:
        """A subscription with since_seq was answered: check that it is the same task, and note what is
        missing.

        ``listed``: stored messages come next, and then the server's list.
        """
        assert_held(self.buffer.lock)
        if answer.created_at is None:
            self.fail_locked(TaskGoneError(f"the server does not know task {self.task_id}; it was restarted"))
            return
        if self.created_at is None:
            if self.unsure_since is not None and answer.created_at > self.unsure_since:
                self._end_as_exited_locked()  # another task has its id by now
                return
            self.created_at = answer.created_at
            if self._from_now:
                self.last_seq = answer.last_seq or 0
            elif not self.began and self.last_seq > (answer.last_seq or 0):
                self.fail_locked(_replaced(self.task_id))
                return
        elif self.created_at != answer.created_at:
            self.fail_locked(_replaced(self.task_id))
            return
        self.last_seq = max(self.last_seq, answer.first_seq - 1)  # the lines before were another task's
        oldest = answer.oldest_seq or (answer.last_seq or 0) + 1
        if oldest > self.last_seq + 1:
            self._miss_locked(oldest - 1)
        self._settling = listed
        self.begin_locked()

    def caught_up_locked(self) -> None:
        """All stored messages have come; the next list is newer."""
        assert_held(self.buffer.lock)
        self._stored = self.in_doubt = False

    def begin_locked(self) -> None:
        """Messages from now on are this task's."""
        assert_held(self.buffer.lock)
        if not self.began:
            self._reader_due = time.monotonic() + _TO_BEGIN_S
        self.open = self.began = True

    def may_wait_locked(self) -> bool:
        """Whether the task is to wait rather than lose lines: while it has a reader, or may get one."""
        assert_held(self.buffer.lock)
        if self.resetting:
            return False  # what precedes the new generation will be dropped
        if not self.lossless or self.buffer.is_read_locked():
            return self.lossless
        return not (self.buffer.was_read or self.waiters) and time.monotonic() < self._reader_due

    def listed_locked(self, info: TaskInfo | None) -> None:
        """Take the task's entry in the server's list, which is newer than the messages before it."""
        assert_held(self.buffer.lock)
        self._stored = self._settling = False
        unsure, self.unsure_since = self.unsure_since is not None, None
        if info is None:  # forgotten; only what has ended is
            self._end_as_exited_locked()
        elif self.created_at is not None and info.created_at != self.created_at:
            if unsure:
                self._end_as_exited_locked()
            else:  # another task displaced this one from a queue
                self.fail_locked(_replaced(self.task_id))
        else:
            self.success_codes = info.success_codes
            self.stdin = info.stdin
            self._found_locked(bool(info.ready), info.health)
            self._take_state_locked(info)

    def _take_state_locked(self, info: TaskInfo) -> None:
        assert_held(self.buffer.lock)
        self.waiting = bool(info.waiting_on)
        if info.state == "queued":
            self._be_locked("queued")
        elif info.worker_state == "running":
            self._be_locked("running")
        elif info.state != "active":
            self._be_locked(info.state)
        elif not info.worker_state:
            self._be_locked("starting")
        elif self.exit is None or not self.exit.will_restart:
            self._be_locked("ended")

    def interrupted_locked(self, *, shutdown: bool) -> None:
        """The connection is lost; ``shutdown``: because the server has ended its tasks and itself."""
        assert_held(self.buffer.lock)
        self.open = False
        self.resetting = False  # the caller gets ConnectionLostError
        if shutdown and self.unsure_since is not None:
            self._be_locked("stopped")

    # -- what follows

    def _end_as_exited_locked(self) -> None:
        assert_held(self.buffer.lock)
        self._be_locked("stopped" if self.exit is not None and self.exit.intentional else "ended")

    def _is_anothers(self, event: Event) -> bool:
        """Whether it belongs to a task that took over the id: after the end of its last run, this task can
        only have been put back into a queue, and only if it was stopped for that."""
        if self.unsure_since is None or self._settling or self.exit is None:
            return False
        return isinstance(event, Started) or (isinstance(event, Queued) and not self.exit.intentional)

    def revive_locked(self) -> None:
        """A task that was over has been asked to start again."""
        assert_held(self.buffer.lock)
        self._be_locked("starting")

    def fail_locked(self, error: ClientError) -> None:
        """Nothing more can be known of it; what waits can still be read before this is raised."""
        assert_held(self.buffer.lock)
        self.failure = error
        self._be_locked("gone")

    def _begin_generation_locked(self) -> None:
        """It was reset: forget everything before, read or not."""
        assert_held(self.buffer.lock)
        self.resetting = False
        self.buffer.clear_locked()
        self.exit = None
        self.dequeued = ""

    def _be_locked(self, state: str) -> None:
        """It is that now. Where it is over, what waits can still be read."""
        assert_held(self.buffer.lock)
        self.unsure_since = None
        self.state = state
        self.changed.notify_all()
        self.buffer.arrived.notify_all()
        self.buffer.room.notify_all()

    def _miss_locked(self, to_seq: int) -> None:
        """The lines up to this one are lost, which no message reports."""
        assert_held(self.buffer.lock)
        self._tell_locked(self._gap_locked(to_seq))

    def _gap_locked(self, to_seq: int, reason: str = "") -> Gap:
        assert_held(self.buffer.lock)
        gap = Gap(self.task_id, self.last_seq + 1, to_seq, now(), reason)
        self.buffer.put_locked(gap)
        self.last_seq = to_seq
        return gap


def _replaced(task_id: str) -> TaskGoneError:
    return TaskGoneError(f"another task has the id {task_id} now; how this one ended is not known")
