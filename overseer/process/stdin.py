"""A process's stdin: /dev/null, a pipe, or a terminal, which then takes its output as well."""

from __future__ import annotations

import os
import subprocess
import termios

from overseer.errors import SpawnError
from overseer.process.forking import forking
from overseer.process.input import TaskInput

STDIN = ("none", "pipe", "pty")
_LARGEST = 65535  # rows or columns that a terminal can have


class Stdin:
    """The stdin of a process about to be started.

    Attributes:
        theirs: the process's descriptor; -1 once it has its own copy.
        input: our side of it; None: it reads /dev/null.
        tty: path of the terminal that the process opens itself; "": none.
        master: reads that terminal's output; non-blocking, closed by its reader.
    """

    def __init__(self, kind: str = "none", size: tuple[int, int] = (24, 80)) -> None:
        """
        Args:
            kind: one of ``STDIN``.
            size: a terminal's rows and columns.

        Raises:
            SpawnError: it cannot be created.
        """
        self.theirs = subprocess.DEVNULL
        self.input: TaskInput | None = None
        self.tty = ""
        self.master = -1
        if kind not in STDIN:
            raise SpawnError(f"cannot start a task: stdin must be none, pipe or pty, not {kind!r}")
        if kind == "none":
            return
        ours = -1
        try:
            if kind == "pipe":
                self.theirs, ours = os.pipe2(os.O_CLOEXEC)
                os.set_blocking(ours, False)
            else:
                ours = self._open_terminal(size)
            made = TaskInput(ours, terminal=kind == "pty")
            made.begin()
            self.input = made
        except (OSError, RuntimeError, ValueError) as error:
            if ours >= 0:
                os.close(ours)
            self.discard()
            reason = error.strerror if isinstance(error, OSError) else error
            raise SpawnError(f"cannot start a task: stdin: {kind}: {reason}") from error

    def _open_terminal(self, size: tuple[int, int]) -> int:
        if not all(1 <= each <= _LARGEST for each in size):
            raise ValueError(f"a terminal has 1 to {_LARGEST} rows and columns, not {size}")
        with forking:  # no fork comes between opening and close-on-exec
            self.master, self.theirs = os.openpty()
        os.set_blocking(self.master, False)
        termios.tcsetwinsize(self.theirs, size)
        self.tty = os.ttyname(self.theirs)
        # One for input. It also keeps the terminal alive until the run ends, when the other has been closed.
        return os.dup(self.master)

    def handed_over(self) -> None:
        """Close the process's end here: it has its own copy, or never will. Idempotent."""
        if self.theirs >= 0:
            os.close(self.theirs)
            self.theirs = -1

    def discard(self) -> None:
        """Close everything, as the start failed."""
        self.handed_over()
        if self.input is not None:
            self.input.close()
        if self.master >= 0:
            os.close(self.master)
            self.master = -1
