"""The server's own log: lines on stderr that begin with their level."""

from __future__ import annotations

import logging
import os
import sys

__all__ = ["set_up_logging"]

# The journal takes `<N>` in front of a line for its priority, see sd-daemon(3).
_PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}


def set_up_logging() -> None:
    """Log to stderr, from INFO up. To be called once, by the program."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Formatter(journal=_goes_to_the_journal()))
    logging.basicConfig(level=logging.INFO, handlers=[handler])


class _Formatter(logging.Formatter):
    def __init__(self, *, journal: bool) -> None:
        super().__init__()
        self._journal = journal

    def format(self, record: logging.LogRecord) -> str:
        text = f"{record.levelname.lower()}: {super().format(record)}"
        if not self._journal:
            return text
        priority = f"<{_PRIORITIES.get(record.levelno, 6)}>"
        return "\n".join(priority + line for line in text.split("\n"))


def _goes_to_the_journal() -> bool:
    """Whether stderr is the stream that systemd has opened, and not something it was redirected to since."""
    try:
        found = os.fstat(sys.stderr.fileno())
    except (OSError, AttributeError, ValueError):  # closed, or replaced by what is no file
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"
