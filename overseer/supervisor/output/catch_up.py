"""Serves clients from a task's log while they read more slowly than it writes, or want past output.

They are served on the reader threads, in steps and in turn, and only as they take what they are sent, until
what is left is in memory. That last stretch is sent under the task's lock, which makes the client live again
with no line missing or repeated. Lifecycle events wait for their place.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from overseer.logs.lines import beginning, lines_from
from overseer.protocol import Gap
from overseer.supervisor.clients import DeferredFlush
from overseer.supervisor.output.encode import output_size
from overseer.supervisor.output.logged import LoggedOutput, logged_output, messages_of, parted, prepared
from overseer.supervisor.output.replay import send
from overseer.supervisor.output.ring import Ring, StoredOutput
from overseer.supervisor.output.subscription import Behind, Subscription
from overseer.util.locks import assert_held
from overseer.util.timestamps import now

if TYPE_CHECKING:
    from overseer.logs.store import Logs

_log = logging.getLogger(__name__)

_STEP = 64 * 1024  # characters that a client is sent at a time, and that may be encoded under the lock
_FIRST_STEP = 4 * 1024  # so that who asks for what is past soon sees the first of it
_BATCH = 160  # characters that take about as long to encode as a batch without them
_AT_ONCE = 2  # streams of a client that may be read for at the same time
_PATIENCE_S = 10.0  # with a log that cannot be read; then what is in it counts as gone
_AGAIN_S = 0.5


class Laggards:
    """The lagging clients of one stream. Methods that end in ``_locked`` need the task's lock.

    Args:
        lock: the task's.
        last_seq: of the stream.
        caught_up: called under the lock with a subscription that is live again.
    """

    def __init__(
        self,
        task_id: str,
        lock: threading.Lock,
        ring: Ring,
        logs: Logs,
        last_seq: Callable[[], int],
        caught_up: Callable[[DeferredFlush, Subscription], None],
    ) -> None:
        self._task_id = task_id
        self._lock = lock
        self._ring = ring
        self._logs = logs
        self._last_seq = last_seq
        self._around = output_size([""], task_id)
        self._caught_up = caught_up
        self._count = 0
        # The last batches, while any client is behind: the ring keeps only the end of a long one.
        self._recent: deque[StoredOutput] = deque()
        self._recent_size = 0

    def __len__(self) -> int:
        return self._count

    def add_locked(self, subscription: Subscription, behind: Behind) -> None:
        """Serve this client from the log from now on."""
        assert_held(self._lock)
        subscription.behind = behind
        self._count += 1
        subscription.client.outbox.when_drained(lambda: self._later(subscription, behind))

    def keep_locked(self, output: StoredOutput) -> None:
        """Keep a batch that was published."""
        assert_held(self._lock)
        if self._count:
            self._recent.append(output)
            self._recent_size += _cost(output)
            while self._recent_size > _STEP and len(self._recent) > 1:
                self._recent_size -= _cost(self._recent.popleft())

    def _later(self, subscription: Subscription, behind: Behind) -> None:
        try:
            self._logs.read_later(lambda: self._step(subscription, behind))
        except RuntimeError:  # there are no more threads, for now
            outbox = subscription.client.outbox
            outbox.when_drained(lambda: self._later(subscription, behind), not_before=_AGAIN_S)

    def _step(self, subscription: Subscription, behind: Behind) -> None:
        outbox = subscription.client.outbox
        with DeferredFlush() as out, self._lock:
            if self._left_locked(subscription, behind) or self._meet_locked(out, subscription, behind):
                self._leave_locked()
                return
            if not outbox.is_drained():  # another stream was quicker
                outbox.when_drained(lambda: self._later(subscription, behind))
                return
            last_seq = self._last_seq()
            cuts = [last_seq, *(seq for seq, _ in behind.events)]
            outputs: Iterable[StoredOutput] = self._kept_locked(behind.next_seq)
        gone = ""
        if not outputs:

            def give_up() -> None:
                _log.warning("the log of task %s cannot be read: the disk does not respond", self._task_id)
                self._go_on(subscription, behind, (), "unreadable", last_seq, cuts)

            try:
                outputs, gone = self._logs.read_here(lambda: self._logged(behind), give_up)
                behind.failing_since = 0.0
            except (OSError, ValueError) as error:
                if self._may_pass(behind, error):
                    outbox.when_drained(lambda: self._later(subscription, behind), not_before=_AGAIN_S)
                    return
                gone = "unreadable"
        self._go_on(subscription, behind, outputs, gone, last_seq, cuts)

    def _go_on(
        self,
        subscription: Subscription,
        behind: Behind,
        outputs: Iterable[StoredOutput],
        gone: str,
        last_seq: int,
        cuts: list[int],
    ) -> None:
        """Send as much of these as a step may, up to that line; ``gone``: why there are none before them."""
        outbox = subscription.client.outbox
        most = min(_STEP if behind.begun else _FIRST_STEP, outbox.spare // _AT_ONCE)
        behind.begun = True
        parts = list(self._some(outputs, behind.next_seq, last_seq, most, cuts))
        messages = [prepared(self._task_id, part, outbox) for part in parts]
        with DeferredFlush() as out, self._lock:
            if not self._left_locked(subscription, behind):
                to = parts[0].first_seq if parts else last_seq + 1
                if to == behind.next_seq or self._skip_locked(out, subscription, behind, to, gone):
                    for part, message in zip(parts, messages, strict=True):
                        _send_events(out, subscription, behind, part.first_seq)
                        send(out, subscription.client, message)
                        behind.next_seq = part.last_seq + 1
        if outbox.is_drained():
            self._later(subscription, behind)
        else:
            outbox.when_drained(lambda: self._later(subscription, behind))

    def _may_pass(self, behind: Behind, error: Exception) -> bool:
        """Whether a log that cannot be read now may be so soon."""
        moment = time.monotonic()
        if not behind.failing_since:
            behind.failing_since = moment
            _log.warning("the log of task %s cannot be read: %s", self._task_id, error)
        return moment - behind.failing_since < _PATIENCE_S

    def _left_locked(self, subscription: Subscription, behind: Behind) -> bool:
        assert_held(self._lock)
        return subscription.ended or subscription.behind is not behind or subscription.client.outbox.closed

    def _leave_locked(self) -> None:
        assert_held(self._lock)
        self._count -= 1
        if not self._count:
            self._recent.clear()
            self._recent_size = 0

    # -- what is in memory -----------------------------------------------------------------------------

    def _meet_locked(self, out: DeferredFlush, subscription: Subscription, behind: Behind) -> bool:
        """Send the rest if it is in memory and small, which makes the client live again."""
        assert_held(self._lock)
        rest = self._in_memory_locked(behind.next_seq) if behind.next_seq <= self._last_seq() else []
        if rest is None:
            return False
        size = sum(output_size(output.lines, self._task_id) for output in rest)
        if size > max(subscription.client.outbox.spare, self._around):
            return False
        cuts = [seq for seq, _ in behind.events]
        for output in rest:
            for part in parted(output, cuts):
                _send_events(out, subscription, behind, part.first_seq)
                send(out, subscription.client, messages_of(self._task_id, part))
        _send_events(out, subscription, behind, self._last_seq() + 1)
        subscription.behind = None
        self._caught_up(out, subscription)
        return True

    def _in_memory_locked(self, next_seq: int) -> list[StoredOutput] | None:
        """What has been published from there on; None if it is not all in memory, or is too much."""
        assert_held(self._lock)
        lines = self._last_seq() + 1 - next_seq
        if self._recent and self._recent[0].first_seq <= next_seq:
            recent = [part for each in self._recent if (part := each.after(next_seq - 1)) is not None]
            if _is_rest(recent, lines):  # it lacks what came while nobody was subscribed
                return recent
        kept = self._kept_locked(next_seq)
        return kept if _is_rest(kept, lines) else None

    def _kept_locked(self, seq: int) -> list[StoredOutput]:
        """What the ring has from that line on, if it has that line."""
        assert_held(self._lock)
        if not 0 < self._ring.oldest_seq <= seq:
            return []
        return [each for each in self._ring.since(None, seq - 1) if isinstance(each, StoredOutput)]

    def _skip_locked(
        self, out: DeferredFlush, subscription: Subscription, behind: Behind, to: int, why: str
    ) -> bool:
        """The log has nothing before that line: go on there, or, and then False, with what is in memory."""
        assert_held(self._lock)
        oldest = self._ring.oldest_seq
        in_memory = behind.next_seq < oldest < to
        if in_memory:
            to = oldest
        _send_events(out, subscription, behind, behind.next_seq)
        out.send(subscription.client, Gap(self._task_id, behind.next_seq, to - 1, now(), why))
        behind.next_seq = to
        return not in_memory

    # -- what is on the disk ---------------------------------------------------------------------------

    def _logged(self, behind: Behind) -> tuple[Iterator[LoggedOutput], str]:
        """What the log has from the next line on, as much as a step may take; and why it lacks that line, if
        it does."""
        reader = self._logs.reader_of(self._task_id)
        text = behind.text and lines_from(behind.text, behind.next_seq)
        if not text or not text.data:
            text = next(reader.forward(behind.next_seq), None)
        behind.text = text
        if text is None:
            return iter(()), reader.why_not(behind.next_seq)
        gone = "" if text.first <= behind.next_seq else reader.why_not(behind.next_seq)
        return logged_output(beginning(lines_from(text, behind.next_seq), _STEP)), gone

    def _some(
        self, outputs: Iterable[StoredOutput], seq: int, last_seq: int, most: int, cuts: list[int]
    ) -> Iterator[StoredOutput]:
        """Those from one line to another, in parts that end at the cuts, until they are as many bytes."""
        size = 0
        for output in outputs:
            rest = output.after(seq - 1)
            if rest is None:
                continue
            for part in parted(rest, cuts):
                if part.first_seq > last_seq:
                    return
                count = 0
                for line in part.lines:
                    size += len(line) + self._around
                    count += 1
                    if size >= most:
                        break
                yield part.between(part.first_seq, min(part.first_seq + count - 1, last_seq))
                if size >= most:
                    return


def _send_events(out: DeferredFlush, subscription: Subscription, behind: Behind, seq: int) -> None:
    """Send the events that precede that line."""
    while behind.events and behind.events[0][0] < seq:
        out.send_encoded(subscription.client, behind.events.popleft()[1])


def _is_rest(outputs: list[StoredOutput], lines: int) -> bool:
    """Whether these are so many lines, and no more than a step."""
    return sum(len(each.lines) for each in outputs) == lines and sum(map(_cost, outputs)) <= _STEP


def _cost(output: StoredOutput) -> int:
    """Of encoding it, in characters: lines that came one by one cost far more than as many together."""
    return sum(map(len, output.lines)) + _BATCH
