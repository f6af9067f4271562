"""Watching all tasks at once: a snapshot, and from then on whatever happens.

Events are not sent to watchers where they happen, which would have each start and exit pay for all of them:
they are kept in a journal (:mod:`overseer.supervisor.journal`), and new ones are sent to all watchers
together, at once if little happens, and some fifty times a second if much does. Watchers with the same rights
and the same position are sent the same bytes. So a task never waits for a watcher, and one that does not read
costs only what is in its outbox: it keeps its position in the journal, and if that is no longer kept, it is
sent a new snapshot once it reads.

The output of all tasks comes through subscriptions, one per task, and then so do these tasks' events, in
their place among the lines.
"""

from __future__ import annotations

import itertools
import threading
import time
from dataclasses import dataclass
from typing import NamedTuple

from overseer.net.frames import Encoded
from overseer.protocol import Unwatched, Watch, Watching
from overseer.supervisor.clients import Client
from overseer.supervisor.journal import Journal, JournalEntry
from overseer.supervisor.listing import Listing, send_rows
from overseer.supervisor.output.subscription import Wishes
from overseer.supervisor.table import TaskTable
from overseer.supervisor.task import Requester, Task
from overseer.supervisor.timer_kinds import Due
from overseer.supervisor.transaction import Transaction
from overseer.supervisor.usage import UsageWatch
from overseer.util.locks import assert_held
from overseer.util.timers import Timer, Timers

_PAUSE_S = 0.02  # between two rounds
_STEP = 256 * 1024  # bytes sent to one watcher in a round
_KEPT_S = 600.0  # how long events are kept after the last watcher has gone


@dataclass(slots=True, eq=False)
class Watcher:
    """A client that watches; guarded by the hub's lock.

    Attributes:
        number: unique.
        tag: see :meth:`Journal.tag`.
        next: the number of the next event to send.
        output: its wishes for all tasks' output; None: no output.
        usage: also push resource usage.
        waits: nothing is sent until it has read more.
    """

    number: int
    client: Client
    tag: str
    output: Wishes | None
    usage: bool
    next: int = 0
    waits: bool = False


class _Span(NamedTuple):
    """The visible part of the next events; ``end``: one past the last one's number; ``told``: the watches
    whose clients are sent one of them in another way."""

    seen: list[JournalEntry]
    end: int
    told: frozenset[int]


class _Round:
    """What several watchers share in one round."""

    def __init__(self, lock: threading.Lock, journal: Journal) -> None:
        self._lock = lock  # the hub's
        self._journal = journal
        self._spans: dict[tuple[str, int, int], _Span] = {}
        self._messages: dict[tuple[str, int, int, tuple[bool, ...]], Encoded] = {}

    def take_locked(self, watcher: Watcher, room: int) -> Encoded | None:
        """The next messages for a watcher, whose position moves past them, or None."""
        assert_held(self._lock)
        where = watcher.tag, watcher.next, room
        span = self._spans.get(where)
        if span is None:
            span = self._spans[where] = self._span_locked(watcher, room)
        watcher.next = span.end
        if not span.seen:
            return None
        mine = watcher.number in span.told
        told = tuple(mine and watcher.number in entry.told for entry in span.seen) if mine else ()
        key = *where, told
        if key not in self._messages:
            marked = zip(span.seen, told or (False,) * len(span.seen), strict=True)
            principal = watcher.client.principal
            self._messages[key] = Encoded(
                [entry.payload(watcher.tag, principal, told=it) for entry, it in marked]
            )
        return self._messages[key]

    def _span_locked(self, watcher: Watcher, room: int) -> _Span:
        assert_held(self._lock)
        seen: list[JournalEntry] = []
        told: set[int] = set()
        size, end = 0, watcher.next
        sees = watcher.client.principal.sees
        for entry in self._journal.since_locked(watcher.next):
            if entry.action is not None and sees(entry.action):
                size += entry.size
                if seen and size > room:
                    break
                seen.append(entry)
                told |= entry.told
            end += 1
        return _Span(seen, end, frozenset(told))


class Watchers:
    """All watchers, and sending to them."""

    def __init__(self, table: TaskTable, listing: Listing, usage: UsageWatch, timers: Timers) -> None:
        self._table = table
        self._journal = table.journal
        self._listing = listing
        self._usage = usage
        self._timers = timers
        self._watchers: dict[Client, Watcher] = {}  # replaced, under the hub's lock
        self._numbers = itertools.count(1)
        self._round: Timer | None = None  # the next one
        self._sent_at = 0.0  # when the last one was (monotonic)
        self._left_at = 0.0  # when the last watcher went
        self.renewed = 0  # snapshots sent again, since start-up
        self._journal.news = self._news
        table.on_new = self._added_locked
        usage.of_all = lambda: [client for client, each in self._watchers.items() if each.usage]

    def __len__(self) -> int:
        return len(self._watchers)

    # -- requests

    def watch(self, client: Client, request: Watch, on_lag: str) -> None:
        """Send ``watching``, and then what happens; ``on_lag``: for the output of all tasks."""
        wishes = Wishes(on_lag) if request.output else None
        number = next(self._numbers)
        watcher = Watcher(number, client, self._journal.tag(client.principal), wishes, request.usage)
        with self._table.begin() as tx:
            after = self._journal.after_locked(request.after, watcher.tag) if request.after else None
            if after is not None:
                watcher.next = after
                tx.send(client, Watching(id=request.id, cursor=request.after))
                self._begin_locked(watcher)
                self._news(0.0)
                return
        self._show(watcher, request.id)

    def _show(self, watcher: Watcher, request_id: str) -> None:
        """Send a watcher a snapshot of all tasks, and continue from there."""
        principal = watcher.client.principal

        def show_locked(tx: Transaction, tasks: list[Task]) -> None:
            assert_held(self._table.lock)
            if not request_id and self._watchers.get(watcher.client) is not watcher:
                return  # it has ended
            cursor = self._journal.mark_locked() + watcher.tag
            watcher.next = self._journal.end
            watcher.waits = False
            rows = [task.row_for_locked(principal) for task in tasks]
            send_rows(tx, watcher.client, Watching(id=request_id, tasks=(), cursor=cursor), rows)
            if request_id:
                self._begin_locked(watcher)
            else:
                self.renewed += 1

        self._listing.picture(
            lambda: [task for task in self._table if principal.sees(task.action)], show_locked
        )

    def _begin_locked(self, watcher: Watcher) -> None:
        assert_held(self._table.lock)
        client = watcher.client
        self.end_locked(client, output=watcher.output is None)
        client.watch = watcher.number
        self._watchers = {**self._watchers, client: watcher}
        self._journal.on = True
        if watcher.output is not None:
            for task in self._table:
                self._subscribe_locked(watcher, task)
        if watcher.usage:
            self._usage.watched_locked()

    def unwatch(self, requester: Requester) -> None:
        """End a watch; nothing meant only for watchers follows ``unwatched``."""
        with self._table.begin(requester) as tx:
            if requester.client is not None:
                self.end_locked(requester.client)
            requester.tell(tx, Unwatched(id=requester.request_id))

    def end_locked(self, client: Client, *, output: bool = True) -> None:
        """End a client's watch; ``output``: and the output that came with it."""
        assert_held(self._table.lock)
        watcher = self._watchers.get(client)
        if watcher is None:
            return
        client.watch = 0
        self._watchers = {other: each for other, each in self._watchers.items() if other is not client}
        self._left_at = time.monotonic()
        if output and watcher.output is not None:
            for task in self._table:
                with task.lock:
                    subscription = task.stream.subscribers.get(client)
                    if subscription is None or not subscription.by_watch:
                        continue
                    task.stream.unsubscribe_locked(client)
                client.task_ids.discard(task.id)

    # -- output

    def _added_locked(self, task: Task) -> None:
        assert_held(self._table.lock)
        for watcher in self._watchers.values():
            self._subscribe_locked(watcher, task)

    def _subscribe_locked(self, watcher: Watcher, task: Task) -> None:
        assert_held(self._table.lock)
        client = watcher.client
        if watcher.output is None or not client.principal.sees(task.action):
            return
        with task.lock:
            if client not in task.stream.subscribers:
                task.stream.subscribe_locked(client, watcher.output, by_watch=True)
                client.task_ids.add(task.id)

    # -- events

    def _news(self, wait: float) -> None:
        when = max(time.monotonic() + wait, self._sent_at + _PAUSE_S)
        self._round = self._timers.bring_forward(self._round, when, Due.WATCH)

    def send(self) -> None:
        """Send all watchers what has happened since the last round."""
        fallen: list[Watcher] = []
        with self._table.begin() as tx:
            self._sent_at = time.monotonic()
            journal = self._journal
            if not self._watchers and self._sent_at - self._left_at > _KEPT_S:
                journal.end_locked()
            journal.say_locked()
            this_round = _Round(self._table.lock, journal)
            for watcher in self._watchers.values():
                if watcher.waits or watcher.next == journal.end:
                    continue
                if watcher.next < journal.first:
                    fallen.append(watcher)
                    continue
                outbox = watcher.client.outbox
                if outbox.has_spare(1):
                    message = this_round.take_locked(watcher, min(_STEP, outbox.spare))
                    if message is not None:
                        tx.send_encoded(watcher.client, message)
                if watcher.next < journal.end:
                    self._wait(watcher)
        for watcher in fallen:
            self._show(watcher, "")

    def _wait(self, watcher: Watcher) -> None:
        """Continue when the client has read most of what it was sent."""
        watcher.waits = True

        def drained() -> None:
            watcher.waits = False
            self._news(0.0)

        watcher.client.outbox.when_drained(drained)
