"""What :meth:`Client.run` returns: how a task ended, and what it said; and the error that has it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import cast

from overseer.client.errors import ClientError
from overseer.client.words import Reason, Status, Stream
from overseer.protocol import Exited
from overseer.protocol import failed as has_failed

_LAST = 20  # lines of its output in an error


@dataclass(frozen=True, slots=True)
class Finished:
    """A task that is over.

    Attributes:
        task_id: its id.
        status: ``succeeded``, ``failed``, ``errored`` or ``stopped``.
        exited: how its last run ended.
        lines: what it said, restarts included: the stream and the text of each line.
        missed: how many lines are lost; 0 unless the connection was, or ``on_lag`` is ``drop``.
        success_codes: the exit codes that are a success.
    """

    task_id: str
    status: Status
    exited: Exited
    lines: tuple[tuple[Stream, str], ...] = field(repr=False)
    missed: int = 0
    success_codes: tuple[int, ...] = ()

    @property
    def exit_code(self) -> int:
        """The exit code; -1 when a signal ended it."""
        return self.exited.exit_code

    @property
    def signal(self) -> str:
        """The signal that ended it, else ``""``."""
        return self.exited.signal

    @property
    def reason(self) -> Reason:
        """Why its last run ended."""
        return cast(Reason, self.exited.reason)

    @property
    def failed(self) -> bool:
        """Whether its last run failed: by a timeout, a signal, or a code other than a success."""
        return has_failed(self.exited.reason, self.exited.exit_code, self.success_codes)

    @property
    def output(self) -> str:
        """Everything that it said, in order, each line with its end."""
        return "".join(f"{text}\n" for _, text in self.lines)

    @property
    def stdout(self) -> str:
        """What it wrote to stdout, each line with its end."""
        return "".join(self._of("stdout"))

    @property
    def stderr(self) -> str:
        """What it wrote to stderr, each line with its end."""
        return "".join(self._of("stderr"))

    def _of(self, stream: Stream) -> Iterator[str]:
        return (f"{text}\n" for name, text in self.lines if name == stream)

    def check(self) -> None:
        """Raise TaskFailedError if it failed."""
        if self.failed:
            raise TaskFailedError(self)


class TaskFailedError(ClientError):
    """A task failed, for ``run(..., check=True)``; the text ends with its last lines.

    Attributes:
        finished: how it ended, and what it said.
        last_lines: its last lines, at most twenty.
        task_id, exited, exit_code, signal, reason, output: those of ``finished``.
    """

    def __init__(self, finished: Finished) -> None:
        self.finished = finished
        self.task_id = finished.task_id
        self.exited = finished.exited
        self.exit_code = finished.exit_code
        self.signal = finished.signal
        self.reason = finished.reason
        self.output = finished.output
        self.last_lines = tuple(text for _, text in finished.lines[-_LAST:])
        by_itself = self.reason in ("", "exited", "signal")
        how = f"was ended by {self.signal}" if self.signal else f"exited with {self.exit_code}"
        why = "" if by_itself else f" ({self.reason})"
        shown = "".join(f"\n  {line}" for line in self.last_lines)
        super().__init__(f"task {self.task_id} {how}{why}{':' if shown else ''}{shown}")
