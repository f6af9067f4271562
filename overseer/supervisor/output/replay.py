"""Sends the contents of a task's ring to one client: encoded without a lock, appended under one.

A ring may hold 16 MiB, which take a tenth of a second to encode, far longer than a lock may be held; and the
messages may be several times as long, memory that a client that does not read must not cost. So long batches
are only measured, and encoded as they are sent; and it is done in rounds, until little is left to encode::

    with the locks:     replay.ready_locked()?  then replay.send_locked(), and done
    without:            replay.encode()         including what has come since the last round

Only what is in the ring at the end is sent, so it does not matter what comes or goes meanwhile.
"""

from __future__ import annotations

import threading
from datetime import datetime
from typing import TypeAlias

from overseer.net.outbox import Outbox
from overseer.protocol import Exited
from overseer.supervisor.clients import Client, DeferredFlush
from overseer.supervisor.output.encode import (
    EncodedLine,
    EncodedOutput,
    StreamedOutput,
    encoded_output,
    output_size,
)
from overseer.supervisor.output.ring import Ring, StoredOutput
from overseer.util.locks import assert_held, assert_none_held
from overseer.util.timestamps import format_timestamp

# Characters up to which a batch is encoded at once; longer ones piece by piece as they are sent.
SMALL = 16 * 1024
# Characters that may be encoded with the locks held; few batches of output have more.
_LITTLE = 64 * 1024
# A task might write faster than its output is encoded; then the rest is encoded with the locks held.
_ROUNDS = 8

Messages: TypeAlias = EncodedLine | EncodedOutput | StreamedOutput
"""Those of a batch."""


class RingReplay:
    """One client's request for stored events, from ``since`` on (inclusive) and after ``seq`` (exclusive).

    ``lock`` is the task's, which methods that end in ``_locked`` expect to be held.
    """

    def __init__(
        self,
        task_id: str,
        lock: threading.Lock,
        ring: Ring,
        client: Client,
        *,
        since: datetime | None = None,
        seq: int | None = None,
    ) -> None:
        self.ring = ring
        self._lock = lock
        self._task_id = task_id
        self._client = client
        self._since = since
        self._seq = seq
        self._rounds = 0
        self._events: list[StoredOutput | Exited] = []  # what to send, as of the last look
        # By first seq, which changes when the ring drops lines from the front of an entry.
        self._encoded: dict[int, Messages] = {}

    def ready_locked(self) -> bool:
        """Look at the ring; returns whether :meth:`send_locked` may follow at once, else :meth:`encode`
        must."""
        assert_held(self._lock)
        self._events = list(self.ring.since(self._since, self._seq))
        left = sum(sum(map(len, output.lines)) for output in self._left())
        return left <= _LITTLE or self._rounds == _ROUNDS

    @property
    def size(self) -> int:
        """About how many bytes of messages that is."""
        outputs = (event for event in self._events if isinstance(event, StoredOutput))
        return sum(output_size(output.lines, self._task_id) for output in outputs)

    def encode(self) -> None:
        """Encode what the last look found; no lock is held."""
        assert_none_held("encoding what is stored")
        self._rounds += 1
        for output in self._left():
            encoded = self._encoded[output.first_seq] = self._encode(output)
            prepare(self._client.outbox, encoded)

    def send_locked(self, out: DeferredFlush) -> None:
        """Append what the last look found, under the same hold of the lock."""
        assert_held(self._lock)
        for event in self._events:
            if isinstance(event, StoredOutput):
                send(out, self._client, self._encoded.get(event.first_seq) or self._encode(event))
            else:
                out.send(self._client, event)

    def _left(self) -> list[StoredOutput]:
        """What the last look found and is not encoded yet."""
        return [
            event
            for event in self._events
            if isinstance(event, StoredOutput) and event.first_seq not in self._encoded
        ]

    def _encode(self, output: StoredOutput) -> Messages:
        if sum(map(len, output.lines)) <= SMALL:
            return encoded_output(self._task_id, output)
        return StreamedOutput(self._task_id, output, format_timestamp(output.ts))


def prepare(outbox: Outbox, messages: Messages) -> None:
    """Encode, or measure, them before they are sent; they keep the result."""
    if isinstance(messages, StreamedOutput):
        outbox.measure(messages)
    else:
        outbox.framed(messages)


def send(out: DeferredFlush, client: Client, messages: Messages) -> None:
    """Append them to a client's outbox."""
    if isinstance(messages, StreamedOutput):
        out.send_streamed(client, messages)
    else:
        out.send_output(client, messages)
