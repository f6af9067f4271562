"""The unfinished last line of a stream."""

from __future__ import annotations

import time

from overseer.process.drawn import shown
from overseer.process.pipe import SHOW_EVERY_S


class UnfinishedLine:
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
