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
from overseer.util.awake_clock import awake
from overseer.util.standstill import standstill
from overseer.util.timestamps import format_timestamp
from overseer.util.websocket_frame import CloseCode

_LINES = 100  # that are sent at a time
_PATIENCE_S = 120.0  # with a client that takes nothing; a slow one's system may take nothing for a minute
_LOOK_S = 5.0


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
            self._wait_for_client(output_size(part.lines, self._task_id))
            message = prepared(self._task_id, part, outbox)
            with DeferredFlush() as out:
                send(out, self._client, message)
        return not outbox.closed

    def _wait_for_client(self, size: int) -> None:
        """Wait until the client has taken enough of what it was sent. One that takes nothing is closed: this
        is its request's thread, so nobody listens for its signs of life."""
        outbox = self._client.outbox
        if outbox.has_spare(size):
            return
        drained = threading.Event()
        outbox.when_drained(drained.set)
        taken, since = outbox.taken, awake()
        with standstill.rest():  # a replay is not handed over, so nobody needs to wait for it
            while not drained.wait(_LOOK_S):
                if outbox.taken != taken:  # what is pending may grow meanwhile, by other tasks' output
                    taken, since = outbox.taken, awake()
                elif awake() - since >= _PATIENCE_S:
                    why = f"has not read for {_PATIENCE_S:g} s"
                    outbox.close(CloseCode.TRY_AGAIN_LATER, why, drop=True)


def _borders(output: LoggedOutput, since: str) -> Iterator[int]:
    """The seqs after which the lines begin, or cease, to be as late as that."""
    late = [time >= since for time in output.times]
    return (seq for seq, (one, next_) in enumerate(pairwise(late), output.first_seq) if one != next_)
