"""The unfinished last lines of a task's streams, and showing them to subscribers."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection

from overseer.process.pipe import SHOW_EVERY_S
from overseer.process.terminal_lines import shown
from overseer.protocol import Partial
from overseer.supervisor.clients import DeferredFlush
from overseer.supervisor.output.subscription import Subscription
from overseer.util.locks import assert_held
from overseer.util.timestamps import now

_KEEPS_UP = 64 * 1024  # a client with more bytes pending is sent no partials


class _Line:
    """A stream's last line while its end has not come; guarded by the task's lock."""

    __slots__ = ("line", "pid", "rendered_at", "stale", "text")

    def __init__(self) -> None:
        self.line = b""
        self.pid = 0
        self.text = ""  # as shown to clients
        self.stale = False  # the line has changed since ``text`` was rendered
        self.rendered_at = -SHOW_EVERY_S

    def change(self, line: bytes, pid: int) -> None:
        if line != self.line:
            self.line, self.pid, self.stale = line, pid, True

    def render(self) -> bool:
        """Bring ``text`` up to date; returns whether it has changed."""
        before, self.text = self.text, shown(self.line)
        self.stale = False
        self.rendered_at = time.monotonic()
        return self.text != before

    def finish(self) -> None:
        """Clear the line, which has ended; clients learn that from its output."""
        self.line, self.text, self.stale = b"", "", False


class UnfinishedLines:
    """A task's unfinished lines by stream; guarded by the task's lock."""

    def __init__(self, task_id: str, lock: threading.Lock) -> None:
        self._task_id = task_id
        self._lock = lock
        self._lines: dict[str, _Line] = {}

    def change_locked(
        self, out: DeferredFlush, stream: str, line: bytes, pid: int, subscribers: Collection[Subscription]
    ) -> float | None:
        """Note a line's new state, ``b""``: there is none, and show it to clients that keep up.

        Returns in how many seconds to call it again even if nothing comes, because a client was just sent an
        earlier state or has not read it yet; None: no need.
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
            # Only to clients that keep up: a stale state is worthless.
            lags = each.gap_from or each.behind is not None or each.client.outbox.pending > _KEEPS_UP
            if stream in each.owed and not lags:
                self._send(out, each, stream)
        return SHOW_EVERY_S if any(stream in each.owed for each in watchers) else None

    def show_locked(
        self, out: DeferredFlush, subscription: Subscription, subscribers: Collection[Subscription]
    ) -> None:
        """Send a subscriber, if it wants them, all lines; even after a long replay, as they may never change
        again."""
        assert_held(self._lock)
        if not subscription.partial:
            return
        for stream, unfinished in self._lines.items():
            if unfinished.stale:
                self._render(stream, [each for each in subscribers if each.partial])
            if unfinished.text:
                self._send(out, subscription, stream)

    def finish_locked(self, stream: str, subscribers: Collection[Subscription]) -> None:
        """Clear the line: output takes its place, or nothing does."""
        assert_held(self._lock)
        unfinished = self._lines.get(stream)
        if unfinished is not None and unfinished.line:
            unfinished.finish()
            for subscription in subscribers:
                subscription.owed.discard(stream)

    def finish_all_locked(self, subscribers: Collection[Subscription]) -> None:
        assert_held(self._lock)
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
