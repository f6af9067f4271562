"""Raw output of terminals, for clients that display it.

The latest bytes are kept, and a client is sent those that it has not seen. So a late client sees the end of
what is on the screen, and one that falls behind continues with what is still kept: offsets show what it has
missed.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable

from overseer.net.frames import Encoded
from overseer.protocol import Data, encode
from overseer.supervisor.clients import DeferredFlush
from overseer.supervisor.memory_use import MemoryUse
from overseer.supervisor.output.subscription import Subscription
from overseer.util.locks import assert_held

KEPT = 64 * 1024  # bytes


class RawOutput:
    """A task's raw output; guarded by the task's lock. Offsets count the bytes of all its runs."""

    def __init__(self, task_id: str, lock: threading.Lock, memory: MemoryUse) -> None:
        self._task_id = task_id
        self._lock = lock
        self._memory = memory
        self._pid = 0
        self._end = 0  # offset
        self._kept = bytearray()  # the bytes before ``_end``
        self._counts = False  # it is reported to ``memory``
        self._last: tuple[int, int, Encoded] | None = None  # begin, end and bytes of the last message built

    def lagging_locked(self, subscribers: Iterable[Subscription], size: int) -> Subscription | None:
        """A subscriber without room for so many bytes, if there is one."""
        assert_held(self._lock)
        for each in subscribers:
            if each.raw and each.blocks(_on_the_wire(size)):
                return each
        return None

    def add_locked(self, data: bytes, pid: int) -> None:
        """Keep what was read."""
        assert_held(self._lock)
        if not self._counts:
            self._counts = True
            self._memory.ring_changed(2 * KEPT)
        self._pid = pid
        self._kept += data
        self._end += len(data)
        if len(self._kept) > 2 * KEPT:  # in large steps, so that each byte is moved once
            del self._kept[:-KEPT]

    def offer_locked(self, out: DeferredFlush, subscription: Subscription) -> None:
        """Send a subscriber what it has not seen, now or once it has room."""
        assert_held(self._lock)
        if not (subscription.awaits_room or self.send_locked(out, subscription)):
            subscription.awaits_room = True
            subscription.client.outbox.on_room(lambda: self._resume(subscription))

    def _resume(self, subscription: Subscription) -> None:
        """Called when a subscriber has room again: it continues with what is still kept."""
        with DeferredFlush() as out, self._lock:
            subscription.awaits_room = False
            if not subscription.ended and not subscription.client.outbox.closed:
                self.offer_locked(out, subscription)

    def send_locked(self, out: DeferredFlush, subscription: Subscription, *, anyway: bool = False) -> bool:
        """Send a subscriber what it has not seen; False if it has no room, unless ``anyway``."""
        assert_held(self._lock)
        begin = max(subscription.raw_seen, self._end - min(KEPT, len(self._kept)))
        if begin == self._end or not subscription.raw:
            return True
        room = subscription.client.outbox.ask_for_room(_on_the_wire(self._end - begin))
        if not (room or anyway or subscription.lossless):
            return False
        subscription.raw_seen = self._end
        out.send_output(subscription.client, self._message(begin))
        return True

    def _message(self, begin: int) -> Encoded:
        """The message with everything from that offset on; built once for all who need the same."""
        if self._last is None or self._last[:2] != (begin, self._end):
            data = bytes(self._kept[len(self._kept) - (self._end - begin) :])
            event = Data(task_id=self._task_id, pid=self._pid, offset=begin, data=data)
            self._last = begin, self._end, Encoded([encode(event)])
        return self._last[2]

    def finish_locked(self, out: DeferredFlush, subscribers: Iterable[Subscription]) -> None:
        """Send every subscriber the rest, as the run is over."""
        assert_held(self._lock)
        for each in subscribers:
            self.send_locked(out, each, anyway=True)
        self.forget()

    def forget(self) -> None:
        """Stop counting towards the memory total: no subscriber can come any more."""
        self._kept.clear()
        self._last = None
        if self._counts:
            self._counts = False
            self._memory.ring_changed(-2 * KEPT)


def _on_the_wire(size: int) -> int:
    return size * 4 // 3 + 200
