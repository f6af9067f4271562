"""The last events of a task, kept for clients that connect late or reconnect.

No clock, and no lock except that of the sum of all rings. Output is kept in its batches (text, not yet
encoded), so that keeping it costs next to nothing for tasks that nobody watches.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from sys import getsizeof
from typing import Self

from overseer.protocol import Exited
from overseer.supervisor.memory_use import RING_BYTES, MemoryUse

CAPACITY = 100  # events in a ring
_EMPTY = getsizeof("")
_STEP = 4 * 1024  # bytes by which a ring grows or shrinks before it reports


@dataclass(slots=True)  # not frozen, for speed: a single line makes one
class StoredOutput:
    """Consecutive lines of one stream of one run, from seq ``first_seq`` on."""

    first_seq: int
    ts: datetime
    pid: int
    stream: str
    lines: list[str]
    truncated: bool = False
    overwritten: bool = False
    memory: int = 0  # bytes, once it is in a ring

    @property
    def last_seq(self) -> int:
        return self.first_seq + len(self.lines) - 1

    def after(self, seq: int) -> Self | None:
        """The part with greater seqs, or None."""
        skip = seq + 1 - self.first_seq
        if skip <= 0:
            return self
        if skip >= len(self.lines):
            return None
        return self.between(seq + 1, self.last_seq)

    def between(self, first: int, last: int) -> Self:
        """The lines from one seq to another, both its own."""
        if first == self.first_seq and last == self.last_seq:
            return self
        lines = self.lines[first - self.first_seq : last + 1 - self.first_seq]
        return replace(self, first_seq=first, lines=lines)


@dataclass(frozen=True, slots=True)
class StoredExit:
    """The end of a run."""

    event: Exited
    after_seq: int  # the seq of the last output before it


class Ring:
    """The last 100 ``output`` and ``exited`` events; fewer if they are very long, but always the last
    batch."""

    def __init__(self, memory: MemoryUse | None = None) -> None:
        self.entries: deque[StoredOutput | StoredExit] = deque()
        self._events = 0
        self._bytes = 0
        self.cut = False  # the memory limit has made it shorter than usual
        self._told = 0  # the size last reported to ``memory``
        self._memory = memory or MemoryUse()

    def add_output(self, output: StoredOutput) -> None:
        """Keep the end of a batch; ``output.lines`` may be longer than the ring."""
        events = len(output.lines)
        if events > CAPACITY:
            events = CAPACITY
            output = replace(output, first_seq=output.last_seq - CAPACITY + 1, lines=output.lines[-CAPACITY:])
        output.memory = memory = getsizeof(output.lines[0]) if events == 1 else _memory(output.lines)
        self.entries.append(output)
        self._events += events
        self._bytes += memory
        if self._events > CAPACITY or self._bytes > self._memory.most:
            self._trim()
        if not -_STEP < self._bytes - self._told < _STEP:
            self._tell()

    def add_exit(self, event: Exited, after_seq: int) -> None:
        """Keep an ``exited`` that followed the output with seq ``after_seq`` (0: before any)."""
        self.entries.append(StoredExit(event, after_seq))
        self._events += 1
        if self._events > CAPACITY or self._bytes > self._memory.most:
            self._trim()

    def fill(self, entries: Iterable[StoredOutput | StoredExit]) -> None:
        """Have a new ring keep what another one kept."""
        self.entries.extend(entries)
        for entry in self.entries:
            if isinstance(entry, StoredOutput):
                entry.memory = _memory(entry.lines)
                self._bytes += entry.memory
                self._events += len(entry.lines)
            else:
                self._events += 1
        self._tell()

    @property
    def memory(self) -> int:
        """The bytes that the kept output occupies."""
        return self._bytes

    def shrink(self, most: int) -> None:
        """Drop the oldest entries until at most ``most`` bytes of output are left."""
        if self._bytes > most:
            self.cut = True
            while self._bytes > most:
                self._pop()
            self._tell()

    def discard(self) -> None:
        """Stop counting towards the total, as its task is forgotten."""
        self._memory.ring_changed(-self._told)
        self._told = 0

    @property
    def oldest_seq(self) -> int:
        """The seq of the oldest line kept, or 0."""
        return next((entry.first_seq for entry in self._kept() if isinstance(entry, StoredOutput)), 0)

    def since(
        self, moment: datetime | None = None, seq: int | None = None
    ) -> Iterator[StoredOutput | Exited]:
        """The events kept, oldest first: from ``moment`` on (inclusive) and after ``seq`` (exclusive).

        Includes an ``exited`` right after the line with that seq, which the client may not have seen.
        """
        for entry in self._kept():
            if isinstance(entry, StoredExit):
                if (moment is None or entry.event.ts >= moment) and (seq is None or entry.after_seq >= seq):
                    yield entry.event
            elif moment is None or entry.ts >= moment:
                output = entry if seq is None else entry.after(seq)
                if output is not None:
                    yield output

    def exits(self, seq: int) -> Iterator[tuple[int, Exited]]:
        """The ``exited`` events after that line or later ones, each with the seq that it follows."""
        for entry in self.entries:
            if isinstance(entry, StoredExit) and entry.after_seq >= seq:
                yield entry.after_seq, entry.event

    def _kept(self) -> Iterator[StoredOutput | StoredExit]:
        """The entries, the first one cut so that at most CAPACITY events are seen."""
        excess = self._events - CAPACITY
        for entry in self.entries:
            if excess > 0 and isinstance(entry, StoredOutput):
                shortened = entry.after(entry.first_seq + excess - 1)
                if shortened is not None:
                    yield shortened
            else:
                yield entry
            excess = 0

    def _trim(self) -> None:
        """Drop entries from the front that are wholly beyond the limits; the first one left may be partly
        so."""
        most = self._memory.most
        self.cut = self.cut or (most < RING_BYTES and self._bytes > most)
        entries = self.entries
        while (self._events > CAPACITY or self._bytes > most) and len(entries) > 1:
            first = entries[0]
            events = len(first.lines) if isinstance(first, StoredOutput) else 1
            if self._events - events < CAPACITY and self._bytes <= most:
                return
            del entries[0]
            self._events -= events
            if isinstance(first, StoredOutput):
                self._bytes -= first.memory

    def _pop(self) -> None:
        first = self.entries.popleft()
        if isinstance(first, StoredOutput):
            self._events -= len(first.lines)
            self._bytes -= first.memory
        else:
            self._events -= 1

    def _tell(self) -> None:
        self._memory.ring_changed(self._bytes - self._told)
        self._told = self._bytes


def _memory(lines: list[str]) -> int:
    """The memory the texts occupy: one emoji makes a line take four bytes a character."""
    text = "".join(lines)
    if text.isascii():  # the same, several times quicker
        return len(text) + len(lines) * _EMPTY
    return sum(map(getsizeof, lines))
