"""``tail`` and ``replay``: what tasks say, as text or as JSON lines."""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from datetime import datetime
from typing import IO, Any

from overseer.client import Client, ClientError, RefusedError
from overseer.ctl.status import EXIT_LOST, EXIT_REFUSED, words_of
from overseer.ctl.terminal import PALETTE, Style, plain, print_json, say, silence
from overseer.messages import Event, Exited, Gap, Output, to_plain
from overseer.timestamps import format_timestamp

__all__ = ["Printer", "replay", "tail"]


class Printer:
    """Writes the events of one or several tasks to stdout; safe from several threads.

    One task's output goes as it is, stderr to stderr. That of several is put behind their ids, all on stdout,
    as docker compose does.
    """

    def __init__(self, task_ids: Sequence[str], style: Style, *, as_json: bool, timestamps: bool) -> None:
        self._lock = threading.Lock()
        self._as_json = as_json
        self._timestamps = timestamps
        self._prefixes: dict[str, bytes] = {}
        if len(task_ids) > 1:
            size = max(len(plain(task_id)) for task_id in task_ids)
            for index, task_id in enumerate(task_ids):
                text = style.paint(f"{plain(task_id):<{size}} |", PALETTE[index % len(PALETTE)])
                self._prefixes[task_id] = f"{text} ".encode()
        self.broken = False  # nobody reads stdout any more

    def write(self, events: Sequence[Event]) -> None:
        """Write some events of one task and flush."""
        with self._lock:
            if self.broken:
                return
            used: set[IO[Any]] = set()
            try:
                for event in events:
                    used.add(self._write(event))
                for stream in used:
                    stream.flush()
            except BrokenPipeError:
                self.broken = True
                silence(sys.stdout)

    def _write(self, event: Event) -> IO[Any]:
        if self._as_json:
            print_json(to_plain(event), indent=None)
            return sys.stdout.buffer
        if not isinstance(event, Output):
            return self._remark(event)
        prefix = self._prefixes.get(event.task_id, b"")
        out = sys.stderr.buffer if event.stream == "stderr" and not self._prefixes else sys.stdout.buffer
        when = f"{format_timestamp(event.ts)} ".encode() if self._timestamps else b""
        out.write(prefix + when + event.data.encode("utf-8", "replace") + b"\n")
        return out

    def _remark(self, event: Event) -> IO[Any]:
        out = sys.stdout.buffer
        if isinstance(event, Gap):
            text = f"lines {event.from_seq} to {event.to_seq} are not there any more"
        elif isinstance(event, Exited):
            text = words_of(event) + (" and is restarted" if event.will_restart else "")
        else:
            return out
        if event.task_id in self._prefixes:
            out.write(self._prefixes[event.task_id] + f"({text})".encode() + b"\n")
        else:
            out.flush()
            say(f"{plain(event.task_id)}: {text}")
        return out


def tail(client: Client, task_ids: Sequence[str], printer: Printer, *, lines: int, follow: bool) -> int:
    """Show the last lines of tasks, then what comes."""
    statuses: dict[str, int] = {}
    if not follow:
        for task_id in task_ids:
            try:
                printer.write(_last(client.replay(task_id), lines))
            except RefusedError as error:
                say(f"{plain(task_id)}: {error}")
                statuses[task_id] = EXIT_REFUSED
        return max(statuses.values(), default=0)

    def one(task_id: str) -> None:
        try:
            stored = [event.seq for event in client.replay(task_id) if isinstance(event, Output)]
            shown = stored[-lines:] if lines else []
            since = shown[0] - 1 if shown else stored[-1] if stored else 0
            for events in client.subscribe(task_id, since).batches():
                printer.write(events)
                if printer.broken:
                    return
        except RefusedError as error:
            say(f"{plain(task_id)}: {error}")
            statuses[task_id] = EXIT_REFUSED
        except ClientError as error:
            say(str(error))
            statuses[task_id] = EXIT_LOST

    threads = [threading.Thread(target=one, args=(task_id,), daemon=True) for task_id in task_ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return max(statuses.values(), default=0)


def _last(events: Sequence[Output | Exited], lines: int) -> list[Output | Exited]:
    """Without the output before the last so many lines."""
    seqs = [event.seq for event in events if isinstance(event, Output)]
    if len(seqs) <= lines:
        return list(events)
    first = seqs[-lines] if lines else float("inf")
    return [event for event in events if isinstance(event, Exited) or event.seq >= first]


def replay(
    client: Client, task_id: str, printer: Printer, since_seq: int | None, since: datetime | None
) -> int:
    """Show what is stored of a task."""
    printer.write(client.replay(task_id, since_seq, since=since))
    return 0
