"""How the last line of a stream stands, whose end has not come."""

from __future__ import annotations

import time

from overseer.process.drawn import shown
from overseer.process.pipe import SHOW_EVERY_S


class UnfinishedLine:
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
