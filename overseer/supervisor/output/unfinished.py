"""How the last lines of a task's streams stand, whose ends have not come, and who is shown that."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection

from overseer.process.drawn import shown
from overseer.process.pipe import SHOW_EVERY_S
from overseer.protocol import Partial
from overseer.supervisor.clients import DeferredFlush
from overseer.supervisor.output.subscription import Subscription
from overseer.util.locks import assert_held
from overseer.util.timestamps import now

_KEEPS_UP = 64 * 1024  # bytes that may be pending for a client that is sent a partial


class _Line:
    """How the last line of a stream stands, which has no end yet; the task's lock guards it."""

    __slots__ = ("line", "pid", "rendered_at", "stale", "text")

    def __init__(self) -> None:
        self.line = b""
        self.pid = 0
        self.text = ""  # as it is shown
        self.stale = False  # the line has changed since
        self.rendered_at = -SHOW_EVERY_S

    def change(self, line: bytes, pid: int) -> None:
        if line != self.line:
            self.line, self.pid, self.stale = line, pid, True

    def render(self) -> bool:
        """Bring ``text`` up to date; whether it has changed."""
        before, self.text = self.text, shown(self.line)
        self.stale = False
        self.rendered_at = time.monotonic()
        return self.text != before

    def finish(self) -> None:
        """The line has ended, so nothing stands there any more, and nobody need be told."""
        self.line, self.text, self.stale = b"", "", False


class UnfinishedLines:
    """A task's, by stream; guarded by its lock."""

    def __init__(self, task_id: str, lock: threading.Lock) -> None:
        self._task_id = task_id
        self._lock = lock
        self._lines: dict[str, _Line] = {}

    def change_locked(
        self, out: DeferredFlush, stream: str, line: bytes, pid: int, subscribers: Collection[Subscription]
    ) -> float | None:
        """It stands so now, ``b""``: there is none; show that to those who read along.

        Returns after how many seconds to say it again, though nothing came: somebody has not seen it yet,
        since they saw another state just now, or have not read what they were sent. None: no need.
        """
        assert_held(self._lock)
        unfinished = self._lines.get(stream)
        if unfinished is None:
            if not line:
                return None
            unfinished = self._lines[stream] = _Line()
        unfinished.change(line, pid)
        watchers = [each for each in subscribers if each.partial]
        if not watchers:
            return None
        if unfinished.stale:
            wait = unfinished.rendered_at + SHOW_EVERY_S - time.monotonic()
            if wait > 0:
                return wait
            self._render(stream, watchers)
        for each in watchers:
            # Only to who reads along: a state that is past when it is read is worth nothing.
            lags = each.gap_from or each.behind is not None or each.client.outbox.pending > _KEEPS_UP
            if stream in each.owed and not lags:
                self._send(out, each, stream)
        return SHOW_EVERY_S if any(stream in each.owed for each in watchers) else None

    def show_locked(
        self, out: DeferredFlush, subscription: Subscription, subscribers: Collection[Subscription]
    ) -> None:
        """Send a subscriber, if it asked for them, how all stand; even behind a long replay, for nothing may
        ever change them again."""
        assert_held(self._lock)
        if not subscription.partial:
            return
        for stream, unfinished in self._lines.items():
            if unfinished.stale:
                self._render(stream, [each for each in subscribers if each.partial])
            if unfinished.text:
                self._send(out, subscription, stream)

    def finish_locked(self, stream: str, subscribers: Collection[Subscription]) -> None:
        """What stood in the line is past: output takes its place, or nothing does."""
        assert_held(self._lock)
        unfinished = self._lines.get(stream)
        if unfinished is not None and unfinished.line:
            unfinished.finish()
            for subscription in subscribers:
                subscription.owed.discard(stream)

    def finish_all_locked(self, subscribers: Collection[Subscription]) -> None:
        for stream in self._lines:
            self.finish_locked(stream, subscribers)

    def _render(self, stream: str, watchers: Collection[Subscription]) -> None:
        if self._lines[stream].render():
            for each in watchers:
                each.owed.add(stream)

    def _send(self, out: DeferredFlush, subscription: Subscription, stream: str) -> None:
        unfinished = self._lines[stream]
        event = Partial(self._task_id, unfinished.pid, stream, unfinished.text, now())
        out.send(subscription.client, event)
        subscription.owed.discard(stream)
