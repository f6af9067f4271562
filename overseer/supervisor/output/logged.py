"""Output as a log has it: lines of one stream and run, each with a time of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Self, TypeVar

from overseer.logs.lines import decode
from overseer.logs.standalone.segments import Text, run_at
from overseer.net.outbox import Outbox
from overseer.supervisor.output.encode import EncodedOutput, StreamedOutput, encoded_output
from overseer.supervisor.output.replay import SMALL, Messages, prepare
from overseer.supervisor.output.ring import StoredOutput
from overseer.util.timestamps import format_timestamp

_Output = TypeVar("_Output", bound=StoredOutput)


@dataclass(slots=True)
class LoggedOutput(StoredOutput):
    """``times``: of each line, as written in the log; ``ts`` is the first one's."""

    times: list[str] = field(default_factory=list)

    def between(self, first: int, last: int) -> Self:
        if first == self.first_seq and last == self.last_seq:
            return self
        begin, end = first - self.first_seq, last + 1 - self.first_seq
        times = self.times[begin:end]
        ts = datetime.fromisoformat(times[0])
        return replace(self, first_seq=first, lines=self.lines[begin:end], times=times, ts=ts)


def logged_output(text: Text) -> Iterator[LoggedOutput]:
    """The lines of a block."""
    cuts = [run.first - 1 for run in text.runs if run.first > text.first]
    for first, times, stream, lines, truncated in decode(text):
        ts = datetime.fromisoformat(times[0])
        for part in parted(LoggedOutput(first, ts, 0, stream, lines, truncated, times=times), cuts):
            part.pid = run_at(text.runs, part.first_seq).pid
            yield part


def parted(output: _Output, cuts: Iterable[int]) -> Iterator[_Output]:
    """The output, split after each of these seqs."""
    if len(output.lines) == 1:
        yield output
        return
    begin = output.first_seq
    for cut in sorted({cut for cut in cuts if output.first_seq <= cut < output.last_seq}):
        yield output.between(begin, cut)
        begin = cut + 1
    yield output.between(begin, output.last_seq)


def messages_of(task_id: str, output: StoredOutput) -> Messages:
    """The messages of the output, of whichever kind it is."""
    if len(output.lines) == 1 and len(output.lines[0]) > SMALL:
        return StreamedOutput(task_id, output, format_timestamp(output.ts))
    if isinstance(output, LoggedOutput) and len(output.lines) > 1:
        return EncodedOutput(task_id, output, output.times)
    return encoded_output(task_id, output)


def prepared(task_id: str, output: StoredOutput, outbox: Outbox) -> Messages:
    """The same, encoded for that outbox before any lock is taken."""
    messages = messages_of(task_id, output)
    prepare(outbox, messages)
    return messages
