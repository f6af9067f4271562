"""The hot path's second half: from a batch of lines to the subscribers' outboxes.

A :class:`Stream` is the part of a task that clients subscribe to: its subscribers, the seq of its lines and
the ring of its last events. All of it is guarded by the task's lock, which is passed in, since a task's state
and its announcements must change together. The path of a batch, mostly of one line, all of it on the worker's
reader thread::

    PipeReader.run                  poll, read
      LineSplitter.feed             bytes to lines
      OSWorker._deliver             the time; a driver's filter
        Stream.publish_output       with the lock:     room? number, keep, encode once, append
          SocketOutbox.send, flush  then, without it:  a send that never waits
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from overseer.net.frames import Message
from overseer.protocol import Event, Exited, Gap
from overseer.supervisor.clients import Client, DeferredFlush
from overseer.supervisor.memory_use import MemoryUse
from overseer.supervisor.metrics import Metrics
from overseer.supervisor.output.encode import EncodedLine, EncodedOutput, output_head, output_size
from overseer.supervisor.output.raw import RawOutput
from overseer.supervisor.output.replay import RingReplay
from overseer.supervisor.output.ring import Ring, StoredOutput
from overseer.supervisor.output.subscription import Behind, Subscription, Wishes
from overseer.supervisor.output.unfinished import UnfinishedLines
from overseer.util.jsonlog import EventLog
from overseer.util.locks import CHECKED, assert_held
from overseer.util.standstill import standstill
from overseer.util.timestamps import format_timestamp, now
from overseer.util.waiters import Waiters
from overseer.workers.base import OutputBatch

if TYPE_CHECKING:
    from overseer.logs.lines import Entry
    from overseer.logs.store import Logs
    from overseer.logs.tasklog import TaskLog
    from overseer.supervisor.output.catch_up import Laggards

_NO_HEAD = (None, "")


class Stream:
    """Numbers a task's lines, keeps the last ones, and sends everything to all subscribers in one order."""

    def __init__(
        self,
        task_id: str,
        action: str,
        lock: threading.Lock,
        metrics: Metrics,
        log: EventLog,
        memory: MemoryUse | None = None,
        logs: Logs | None = None,
    ) -> None:
        self._task_id = task_id
        self._action = action
        self._lock = lock  # the task's
        self._metrics = metrics
        self._log = log
        self.subscribers: dict[Client, Subscription] = {}
        self.ring = Ring(memory)
        self.base_seq = 0  # of the last line of an earlier task with this id
        self.last_seq = 0
        self._reserve: Callable[[int], int] | None = None  # reserves numbers that outlive the server
        self._reserve_at = sys.maxsize  # the seq at which it is to be called
        self._unfinished: UnfinishedLines | None = None  # of a task that has had such
        self._memory = memory or MemoryUse()
        self._raw: RawOutput | None = None  # of a task that has had a terminal
        self._around = output_size([""], task_id)
        self._heads: dict[str, tuple[int, str]] = {}  # by stream: pid, start of its messages
        self.run: int | None = 0  # the current run, whose output is accepted, or None
        self.disk: TaskLog | None = None  # where lines are written before they are sent
        self.logs = logs
        self._laggards: Laggards | None = None  # clients served from the log
        if logs is not None:
            from overseer.supervisor.output.catch_up import Laggards  # only where there are logs

            self._laggards = Laggards(
                task_id,
                lock,
                self.ring,
                logs,
                last_seq=lambda: self.last_seq,
                caught_up=lambda out, subscription: self.show_unfinished_locked(out, subscription.client),
            )
        self._logging = False  # a batch that is already numbered is being written
        self._turn = Waiters(lock)  # threads with the next batches

    @property
    def first_seq(self) -> int:
        """The first seq, if an earlier task had its id; 0: numbering begins at 1."""
        return self.base_seq + 1 if self.base_seq else 0

    def continue_locked(self, seq: int) -> None:
        """Continue the numbering of an earlier task with the same id after ``seq``."""
        assert_held(self._lock)
        self.base_seq = self.last_seq = seq

    def reserve_locked(self, reserve: Callable[[int], int]) -> None:
        """Have ``reserve`` called with a line's seq now and then, unless lines are logged; it returns the seq
        at which to call it again."""
        assert_held(self._lock)
        self._reserve, self._reserve_at = reserve, self.last_seq

    def publish_output(self, batch: OutputBatch, pid: int, run: int = 0) -> bool:
        """Number, keep and send a batch; waits (without the lock) while a lossless subscriber has no room.

        Returns:
            Whether it was accepted; output after the end of its run is not.

        Raises:
            TypeError, ValueError: a driver's batch is invalid; nothing has changed.
        """
        lines = batch.lines
        if not lines:
            return True
        # A driver's mistakes surface here, before anything is numbered or kept.
        if batch.stream not in ("stdout", "stderr"):
            raise ValueError(f"no such stream: {batch.stream!r}")
        ts = format_timestamp(batch.ts)
        entry: Entry | None = None
        if len(lines) == 1 and type(lines[0]) is str:  # the same, quicker
            size = len(lines[0]) + self._around
        elif (log := self.disk) is not None:  # what the log is given tells the size, too
            entry = log.entry(ts, batch.stream, lines, batch.truncated, batch.split)
            size = entry.text_size + len(lines) * self._around
        else:
            size = output_size(lines, self._task_id)
        seq = 0
        to_send: bytes | None = None
        while True:
            with self._lock:
                if run != self.run:
                    return False
                subscribers = list(self.subscribers.values())
                for subscription in subscribers:
                    if subscription.blocks(size):
                        if standstill.closed:  # what was read must not be lost with this thread
                            continue
                        full = subscription
                        break
                else:
                    if self.disk is None:
                        to_send = self._publish_locked(batch, pid, subscribers, size, ts, False)
                        break
                    if not self._logging:
                        self._logging = True
                        disk, seq = self.disk, self.last_seq + 1
                        break
                    self._turn.wait_for(lambda: not self._logging)
                    continue
            full.client.outbox.wait_for_room(unless=full.waits_no_more)
        if seq:
            go_on = partial(self._publish_logged, batch, pid, run, size, ts)
            try:
                if entry is None:
                    entry = disk.entry(ts, batch.stream, lines, batch.truncated, batch.split)
                logged = disk.append(seq, entry, late=lambda: go_on(logged=False))
            except Exception:
                go_on(logged=False)
                raise
            go_on(logged=logged)
            return True
        _send(subscribers, to_send)
        return True

    def _publish_logged(
        self, batch: OutputBatch, pid: int, run: int, size: int, ts: str, *, logged: bool
    ) -> None:
        """The log has the batch, or has lost it: send it, and let the next one have its turn."""
        to_send: bytes | None = None
        with self._lock:
            self._logging = False
            self._turn.wake()
            subscribers = list(self.subscribers.values())
            if run == self.run:
                to_send = self._publish_locked(batch, pid, subscribers, size, ts, logged)
            else:
                self._keep_late_locked(batch, pid)
                subscribers = []
        _send(subscribers, to_send)

    def _publish_locked(
        self, batch: OutputBatch, pid: int, subscribers: list[Subscription], size: int, ts: str, logged: bool
    ) -> bytes | None:
        """Number, keep, count, encode and append; there is room. Returns the send to the only subscriber that
        this thread has to do, or None: then all outboxes need a flush."""
        if CHECKED:
            assert_held(self._lock)
        lines = batch.lines
        if self._unfinished is not None:
            self._unfinished.finish_locked(batch.stream, self.subscribers.values())
        seq = self.last_seq + 1
        self.last_seq += len(lines)
        if self.last_seq > self._reserve_at and self._reserve is not None and not logged:
            self._reserve_at = self._reserve(self.last_seq)
        output = StoredOutput(seq, batch.ts, pid, batch.stream, lines, batch.truncated, batch.overwritten)
        self.ring.add_output(output)
        self._metrics.count("total_output_lines", self._action, len(lines))
        if not subscribers and not self._log.enabled:
            return None
        if len(lines) == 1 and not (batch.truncated or batch.overwritten):
            of_pid, head = self._heads.get(batch.stream, _NO_HEAD)
            if of_pid != pid:
                head = output_head(self._task_id, pid, batch.stream)
                self._heads[batch.stream] = pid, head
            encoded: Message = EncodedLine(head, lines[0], ts, seq)
        else:
            encoded = EncodedOutput(self._task_id, output, ts)
        if self._log.enabled:
            self._log.write(encoded, size, len(lines))
        if len(subscribers) == 1 and subscribers[0].takes(size):
            return subscribers[0].client.outbox.append_output(encoded)
        self._append_output_locked(subscribers, encoded, size, seq)
        if self._laggards:
            self._laggards.keep_locked(output)
        return None

    def _keep_late_locked(self, batch: OutputBatch, pid: int) -> None:
        """The run was given up while its lines were written: they have numbers, and only those who are served
        from the log are sent them."""
        assert_held(self._lock)
        seq = self.last_seq + 1
        self.last_seq += len(batch.lines)
        self.ring.add_output(
            StoredOutput(seq, batch.ts, pid, batch.stream, batch.lines, batch.truncated, batch.overwritten)
        )
        for subscription in self.subscribers.values():
            if subscription.behind is None:
                subscription.gap_from, subscription.gap_to = subscription.gap_from or seq, self.last_seq

    def publish_unfinished(self, stream: str, line: bytes, pid: int, run: int) -> float | None:
        """How the line stands that has no end yet: ``line`` is the end of it, ``b""`` when there is none.

        Returns in how many seconds to call it again even if nothing comes; None: no need.
        """
        with DeferredFlush() as out, self._lock:
            if run != self.run or (self._unfinished is None and not line):
                return None
            self._unfinished = self._unfinished or UnfinishedLines(self._task_id, self._lock)
            return self._unfinished.change_locked(out, stream, line, pid, self.subscribers.values())

    def publish_raw(self, data: bytes, pid: int, run: int) -> None:
        """Pass on a terminal's raw output; waits (without the lock) as :meth:`publish_output` does."""
        while True:
            with DeferredFlush() as out, self._lock:
                if run != self.run:
                    return
                self._raw = self._raw or RawOutput(self._task_id, self._lock, self._memory)
                full = self._raw.lagging_locked(self.subscribers.values(), len(data))
                if full is None or standstill.closed:
                    self._raw.add_locked(data, pid)
                    for subscription in self.subscribers.values():
                        self._raw.offer_locked(out, subscription)
                    return
            full.client.outbox.wait_for_room(unless=full.waits_no_more)

    def publish_locked(self, out: DeferredFlush, event: Event, *, excluding: Client | None = None) -> None:
        """Send a lifecycle event to every subscriber, ``excluding`` one; an ``exited`` is kept in the ring.

        Subscribers that missed lines get their gap first, so that ``exited`` is the last message of its run.
        """
        assert_held(self._lock)
        if isinstance(event, Exited):
            self.ring.add_exit(event, self.last_seq)
            if self._raw is not None:
                self._raw.finish_locked(out, self.subscribers.values())
            if self._unfinished is not None:
                self._unfinished.finish_all_locked(self.subscribers.values())
        out.log(self._log, event, excluding)
        for client, subscription in self.subscribers.items():
            if subscription.gap_from:
                self._tell_gap_locked(out, subscription)
            if client is excluding:
                continue
            if subscription.behind is None:
                out.send(client, event)
            else:
                subscription.behind.events.append((self.last_seq, out.encode(event)))

    def subscribe_locked(self, client: Client, wishes: Wishes, *, by_watch: bool = False) -> None:
        """Add a subscriber, or change its wishes."""
        assert_held(self._lock)
        known = self.subscribers.get(client)
        if known is None:
            self.subscribers[client] = Subscription(client, wishes, by_watch=by_watch)
        else:
            known.change(wishes)

    def show_unfinished_locked(self, out: DeferredFlush, client: Client) -> None:
        """Send a subscriber, if it wants them, the unfinished lines and a terminal's latest raw output."""
        assert_held(self._lock)
        subscription = self.subscribers[client]
        if self._raw is not None:
            self._raw.send_locked(out, subscription, anyway=True)
        if self._unfinished is not None and subscription.behind is None:
            self._unfinished.show_locked(out, subscription, self.subscribers.values())

    def unsubscribe_locked(self, client: Client) -> None:
        """Remove a subscriber, if it is one; it is sent nothing more of this stream."""
        assert_held(self._lock)
        subscription = self.subscribers.pop(client, None)
        if subscription is not None:
            subscription.gap_from = 0
            subscription.ended = True
            client.outbox.recheck()

    def adopt_locked(self, subscription: Subscription) -> None:
        """Take over a subscription that is older than this stream."""
        assert_held(self._lock)
        self.subscribers[subscription.client] = subscription
        if subscription.behind is not None:
            assert self._laggards is not None
            self._laggards.add_locked(subscription, subscription.behind)

    def give_up_locked(self) -> list[Subscription]:
        """Release all subscriptions, and return them renewed for the id's next stream."""
        assert_held(self._lock)
        self.ring.discard()
        if self._raw is not None:
            self._raw.forget()
        subscribers, self.subscribers = self.subscribers, {}
        for subscription in subscribers.values():
            subscription.gap_from = 0  # lines missed here do not count there
            subscription.ended = True
        # New objects, so that a pending gap of this stream cannot affect the next one.
        return [old.renewed() for old in subscribers.values()]

    def catch_up_locked(self, out: DeferredFlush, client: Client) -> None:
        """Send a subscriber that becomes lossless its pending gap, before the next line."""
        assert_held(self._lock)
        subscription = self.subscribers[client]
        if subscription.on_lag != "drop":
            self._tell_gap_locked(out, subscription)

    def resume_locked(self, out: DeferredFlush, client: Client, replay: RingReplay, since_seq: int) -> None:
        """Send a subscriber what the ring has after that line; what it missed before is settled with that."""
        assert_held(self._lock)
        subscription = self.subscribers[client]
        if subscription.on_lag == "catch_up" and not client.outbox.has_spare(replay.size):
            self.resume_from_log_locked(out, client, since_seq + 1)
            return
        subscription.gap_from = subscription.gap_to = 0
        subscription.behind = None
        replay.send_locked(out)

    def resume_from_log_locked(self, out: DeferredFlush, client: Client, from_seq: int) -> None:
        """Send a subscriber that line and what follows, from the log on."""
        assert_held(self._lock)
        assert self._laggards is not None
        subscription = self.subscribers[client]
        subscription.gap_from = subscription.gap_to = 0
        behind = Behind(from_seq)
        behind.events.extend((seq, out.encode(event)) for seq, event in self.ring.exits(from_seq - 1))
        self._laggards.add_locked(subscription, behind)

    @property
    def laggards(self) -> int:
        """The number of clients served from the log."""
        return len(self._laggards or ())

    def only_logged(self, seq: int) -> bool:
        """Whether part of what follows that line is in the log, but no longer in memory."""
        oldest = self.ring.oldest_seq or self.last_seq + 1
        return self._laggards is not None and seq + 1 < oldest

    def _append_output_locked(
        self, subscribers: list[Subscription], encoded: Message, size: int, first_seq: int
    ) -> None:
        assert_held(self._lock)
        for subscription in subscribers:
            outbox = subscription.client.outbox
            if subscription.takes(size):
                outbox.append(encoded, output=True)
                continue
            if subscription.behind is not None:
                continue
            if subscription.on_lag == "catch_up" and self._laggards is not None:
                self._laggards.add_locked(subscription, Behind(first_seq))
                continue
            self._metrics.count("dropped_lines", self._action, self.last_seq - first_seq + 1)
            subscription.gap_to = self.last_seq
            if not subscription.gap_from:
                subscription.gap_from = first_seq
                outbox.on_room(lambda behind=subscription: self._end_gap(behind))  # type: ignore[misc]

    def _end_gap(self, subscription: Subscription) -> None:
        """Send a client that reads again its gap; it goes on with the next batch."""
        with DeferredFlush() as out, self._lock:
            self._tell_gap_locked(out, subscription)

    def _tell_gap_locked(self, out: DeferredFlush, subscription: Subscription) -> None:
        assert_held(self._lock)
        if not subscription.gap_from:
            return
        gap = Gap(self._task_id, subscription.gap_from, subscription.gap_to, now())
        out.send(subscription.client, gap)
        subscription.gap_from = subscription.gap_to = 0


def _send(subscribers: list[Subscription], to_send: bytes | None) -> None:
    """What :meth:`Stream._publish_locked` has left to be done, with no lock held."""
    if to_send is not None:
        subscribers[0].client.outbox.send(to_send)
        return
    for subscription in subscribers:
        subscription.client.outbox.flush()
