"""Replays output that only the log has to one client that asked for it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise

from overseer.logs.lines import lines_from
from overseer.logs.reader import LogReader
from overseer.supervisor.clients import Client, DeferredFlush
from overseer.supervisor.output.encode import output_size
from overseer.supervisor.output.logged import LoggedOutput, logged_output, parted, prepared
from overseer.supervisor.output.replay import send
from overseer.util.timestamps import format_timestamp

_LINES = 100  # that are sent at a time


class LogReplay:
    """One client's replay of output that only the log has, read and sent in steps.

    ``seq`` is the last line passed.
    """

    def __init__(
        self, task_id: str, reader: LogReader, client: Client, since: datetime | None, seq: int
    ) -> None:
        self._task_id = task_id
        self._reader = reader
        self._client = client
        self._since = since
        self.seq = seq
        self._parts: list[LoggedOutput] = []

    def read(self, to: int) -> bool:
        """Read some lines before ``to``, on a reader thread; returns whether there were any."""
        since = "" if self._since is None else format_timestamp(self._since)
        text = next(self._reader.forward(self.seq + 1, since), None)
        if text is None or text.first >= to:
            return False
        steps = range(text.first + _LINES, text.first + text.data.count(b"\n"), _LINES)
        for output in logged_output(lines_from(text, self.seq + 1)):
            for part in parted(output, [to - 1, *steps, *_borders(output, since)]):
                if self.seq < part.first_seq < to and part.times[0] >= since:
                    self._parts.append(part)
        self.seq = min(to, text.first + text.data.count(b"\n")) - 1
        return True

    def send(self) -> bool:
        """Send what was read, as the client takes it; False if it is gone."""
        outbox = self._client.outbox
        parts, self._parts = self._parts, []
        for part in parts:
            if not outbox.has_place(output_size(part.lines, self._task_id)):
                drained = threading.Event()
                outbox.when_drained(drained.set)
                drained.wait()
            message = prepared(self._task_id, part, outbox)
            with DeferredFlush() as out:
                send(out, self._client, message)
        return not outbox.closed


def _borders(output: LoggedOutput, since: str) -> Iterator[int]:
    """The seqs after which the lines begin, or cease, to be as late as that."""
    late = [time >= since for time in output.times]
    return (seq for seq, (one, next_) in enumerate(pairwise(late), output.first_seq) if one != next_)
