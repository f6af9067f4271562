"""The server's own log: lines on stderr that begin with their level."""

from __future__ import annotations

import logging
import os
import sys

__all__ = ["printable", "set_up_logging"]

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
        priority = f"<{_PRIORITIES.get(record.levelno, 6)}>" if self._journal else ""
        # What comes from clients must not look like another entry, nor do anything to a terminal.
        first, *rest = map(printable, super().format(record).split("\n"))
        entry = [f"{record.levelname.lower()}: {first}", *(f"  {line}" for line in rest)]
        return "\n".join(priority + line for line in entry)


def printable(line: str) -> str:
    """The line with what is not to be seen written as an escape, ``\\x1b``; tabs stay."""
    if line.isprintable():
        return line
    shown = (char if char.isprintable() or char == "\t" else _escaped(char) for char in line)
    return "".join(shown)


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode()


def _goes_to_the_journal() -> bool:
    """Whether stderr is the stream that systemd has opened, and not something it was redirected to since."""
    try:
        found = os.fstat(sys.stderr.fileno())
    except (OSError, AttributeError, ValueError):  # closed, or replaced by what is no file
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"
