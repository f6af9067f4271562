"""Writing to a terminal or pipe that may go away at any time."""

from __future__ import annotations

import os
import sys
from typing import IO, Any

__all__ = ["print_text", "say", "silence"]


def say(text: str) -> None:
    """A remark of overseerctl's own on stderr, told apart from a task's output by the name in front."""
    if sys.stderr is None:
        return
    try:
        print(f"overseerctl: {text}", file=sys.stderr, flush=True)
    except OSError:
        silence(sys.stderr)  # there is nobody to tell


def print_text(text: str) -> None:
    """Write to stdout; that its reader has gone (``| head``) is no error."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        silence(sys.stdout)


def silence(stream: IO[Any]) -> None:
    """Send what is in the stream's buffer, and all that follows, nowhere: Python flushes it again at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
