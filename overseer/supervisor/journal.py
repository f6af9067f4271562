"""The journal of all tasks' latest events, for watchers, each with a cursor.

A cursor is random, so that it reveals nothing about events its reader may not see, and is unknown to other
servers. It ends in a tag of its reader's rights, since a snapshot is only valid with the same rights. An
event is encoded once for all watchers; only the tag differs.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from overseer.auth.rights import Principal
from overseer.protocol import Changed, Event, Forgotten, encode
from overseer.supervisor.clients import Client
from overseer.supervisor.output.encode import TaskRow, row_data
from overseer.supervisor.waits import Waits, hidden_of, without_names
from overseer.util.hashes import blake2b
from overseer.util.locks import assert_held
from overseer.util.timestamps import now

if TYPE_CHECKING:
    import threading

    from overseer.supervisor.task import Task

_KEPT = 10_000  # events
_KEPT_SIZE = 16 << 20  # bytes of events, as their tasks' rows may be long
_AT_ONCE = 64  # tasks that are encoded while the hub's lock is held
_SOON_S = 0.01  # how long to wait for an event that shows a change
_CHANGED = encode(Changed()).removesuffix(b"}")
_NOBODY: frozenset[int] = frozenset()


@dataclass(slots=True, eq=False)
class JournalEntry:
    """One event.

    Attributes:
        action: its task's; None: a mere position between two events.
        head: the event without its closing brace.
        row: the task's row after it; None: the task is forgotten.
        told: the watches whose clients are sent the event itself in another way.
        waits: what the task waits for, which not everybody may see.
    """

    action: str | None
    head: bytes
    row: TaskRow | None
    told: frozenset[int] = _NOBODY
    waits: Waits = ()
    cursor: str = field(default_factory=lambda: os.urandom(12).hex())

    @property
    def size(self) -> int:
        """Its approximate size in bytes."""
        return len(self.head) + len(self.row or b"") + 50

    def payload(self, tag: str, principal: Principal, *, told: bool) -> bytes:
        """The message for watchers with this tag, who see what ``principal`` does."""
        head = _CHANGED if told else self.head
        row = None if self.row is None else row_data(self.row)
        if hidden := hidden_of(self.waits, principal):
            head = without_names(head + b"}", hidden)[:-1]
            row = row and without_names(row, hidden)
        if row is not None:
            head = b'%b,"task":%b' % (head, row)
        return b'%b,"cursor":"%b"}' % (head, (self.cursor + tag).encode())


class Journal:
    """The latest events, numbered consecutively. Methods that end in ``_locked`` need the hub's lock.

    Args:
        lock: the hub's.
        find: the task of an id.

    Attributes:
        on: a client watches, or did so recently; otherwise nothing is kept.
        first: the number of the oldest event kept.
        news: called when there is something to send, with the seconds that it may wait.
    """

    def __init__(self, lock: threading.Lock, find: Callable[[str], Task | None]) -> None:
        self._lock = lock
        self._find = find
        self.on = False
        self.first = 0
        self.news: Callable[[float], None] = lambda wait: None
        self._kept: deque[JournalEntry] = deque()
        self._size = 0
        self._numbers: dict[str, int] = {}  # by cursor
        # Tasks that have changed since they were shown, with the row shown; None: they were not.
        self._unsaid: dict[Task, TaskRow | None] = {}
        self._key = os.urandom(16)

    @property
    def end(self) -> int:
        """The number of the next event."""
        return self.first + len(self._kept)

    def tag(self, principal: Principal) -> str:
        """The end of all cursors for principals with these rights."""
        return blake2b(repr(principal.actions).encode(), key=self._key, digest_size=4).hexdigest()

    def mark_locked(self) -> str:
        """A new cursor for what comes from now on."""
        assert_held(self._lock)
        place = JournalEntry(None, b"", None)
        self._keep_locked(place)
        return place.cursor

    def after_locked(self, cursor: str, tag: str) -> int | None:
        """The number of the first event after a cursor; None: it is unknown, or for other rights."""
        assert_held(self._lock)
        number = self._numbers.get(cursor.removesuffix(tag)) if cursor.endswith(tag) else None
        return None if number is None else number + 1

    def since_locked(self, number: int) -> Iterator[JournalEntry]:
        """The events from that number on."""
        assert_held(self._lock)
        # By index, which is quick near both ends of a deque: most watchers are near the last event.
        return (self._kept[index] for index in range(number - self.first, len(self._kept)))

    def end_locked(self) -> None:
        """Keep nothing until a client watches again."""
        assert_held(self._lock)
        self.on = False
        self.first = self.end
        self._size = 0
        self._kept.clear()
        self._numbers.clear()
        self._unsaid.clear()

    def happened_locked(self, event: Event, encoded: bytes, told: Client | None) -> None:
        """Keep an event of a task; ``told`` is sent its own copy."""
        assert_held(self._lock)
        task = self._find(getattr(event, "task_id", ""))
        if task is None:
            return
        clients = (*task.stream.subscribers, told)
        watches = [client.watch for client in clients if client is not None and client.watch]
        self._unsaid.pop(task, None)
        row = task.encoded_info_locked()
        told_by = frozenset(watches) or _NOBODY
        self._keep_locked(JournalEntry(task.action, encoded[:-1], row, told_by, task.waits))
        self.news(0.0)

    def touched(self, task: Task, row: TaskRow | None) -> None:
        """Note that a task is new (``row`` None) or has changed. An event shows it, or :meth:`say_locked`."""
        if self.on:
            self._unsaid.setdefault(task, row)
            self.news(_SOON_S)

    def forgotten_locked(self, task: Task, error: str) -> None:
        """Note that a task is forgotten."""
        assert_held(self._lock)
        if self.on:
            self._unsaid.pop(task, None)
            event = Forgotten(task_id=task.id, ts=now(), error=error)
            self._keep_locked(JournalEntry(task.action, encode(event)[:-1], None))
            self.news(0.0)

    def say_locked(self) -> None:
        """Add an event for each task that has changed without one."""
        assert_held(self._lock)
        for task in list(islice(self._unsaid, _AT_ONCE)):
            before = self._unsaid.pop(task)
            row = task.encoded_info_locked()
            if row != before:
                self._keep_locked(JournalEntry(task.action, _CHANGED, row, waits=task.waits))
        if self._unsaid:
            self.news(0.0)

    def _keep_locked(self, entry: JournalEntry) -> None:
        assert_held(self._lock)
        self._numbers[entry.cursor] = self.end
        self._kept.append(entry)
        self._size += entry.size
        while len(self._kept) > _KEPT or (self._size > _KEPT_SIZE and len(self._kept) > 1):
            oldest = self._kept.popleft()
            del self._numbers[oldest.cursor]
            self._size -= oldest.size
            self.first += 1
