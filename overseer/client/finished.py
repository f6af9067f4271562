"""What :meth:`Client.run` returns: how a task ended, and what it said."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import cast

from overseer.client.errors import TaskFailedError
from overseer.client.words import Reason, Status, Stream
from overseer.protocol import Exited
from overseer.protocol import failed as has_failed

_LAST = 20  # lines in an error


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
            last = tuple(text for _, text in self.lines[-_LAST:])
            raise TaskFailedError(self.task_id, self.exited, last, self.output)
