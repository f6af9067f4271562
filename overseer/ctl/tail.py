"""``tail`` and ``replay``: tasks' output, as text or as JSON lines."""

from __future__ import annotations

import threading
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import groupby
from operator import itemgetter

from overseer.client import Client, ClientError, ClosedError, RefusedError
from overseer.ctl.choosing import each
from overseer.ctl.columns import columns_of, pad
from overseer.ctl.exit_status import EXIT_LOST, EXIT_REFUSED, words_of
from overseer.ctl.live import LiveLine
from overseer.ctl.naming import shortened
from overseer.ctl.terminal import (
    PALETTE,
    OutputError,
    Style,
    json_line,
    on_terminal,
    plain,
    say,
    style_of,
    write_out,
)
from overseer.ctl.times import local
from overseer.errors import fresh
from overseer.protocol import Dequeued, Event, Exited, Gap, Output, Partial, utf8
from overseer.util.timestamps import format_timestamp

# By a gap's reason.
_GONE = {
    "not_logged": "were not logged, as the disk was full, slow or failed",
    "unreadable": "cannot be read in the log",
}


class Printer:
    """Writes the events of one or several tasks to stdout; safe from several threads.

    One task's output is written verbatim, stderr to stderr; that of several goes to stdout, prefixed with
    their ids as docker compose does.
    """

    def __init__(self, task_ids: Sequence[str], style: Style, *, as_json: bool, timestamps: bool) -> None:
        self._lock = threading.Lock()
        self._as_json = as_json
        self._timestamps = timestamps
        self._stamp = local if on_terminal() else format_timestamp
        self.live = LiveLine(wanted=not as_json)
        self._prefixes: dict[str, bytes] = {}
        if len(task_ids) > 1:
            shown = shortened(task_ids)
            size = max(columns_of(plain(shown(task_id))) for task_id in task_ids)
            for index, task_id in enumerate(task_ids):
                text = style.paint(f"{pad(plain(shown(task_id)), size)} |", PALETTE[index % len(PALETTE)])
                self._prefixes[task_id] = f"{text} ".encode()
        self.failure: OutputError | None = None  # the first one

    def write(self, events: Sequence[Event]) -> None:
        """Write some events of one task and flush. Raises OutputError, from the first one on each time."""
        with self._lock:
            if self.failure is not None:
                raise fresh(self.failure)
            try:
                self.live.clear()
                for name, parts in groupby(map(self._rendered, events), itemgetter(0)):
                    if name:
                        write_out(b"".join(data for _, data in parts), name)
                    else:
                        for _, remark in parts:
                            say(remark.decode())
            except OutputError as error:
                self.failure = error
                raise
            self.live.draw()

    def _rendered(self, event: Event) -> tuple[str, bytes]:
        """The stream that an event goes to ("": it is a remark), and its text."""
        if self._as_json:
            return "stdout", json_line(event)
        if not isinstance(event, Output | Partial | Gap | Exited | Dequeued):
            return "stdout", b""
        prefix = self._prefixes.get(event.task_id, b"")
        if isinstance(event, Output | Partial):
            when = f"{self._stamp(event.ts)} ".encode() if self._timestamps else b""
            name = "stderr" if event.stream == "stderr" and not self._prefixes else "stdout"
            key = event.task_id, event.stream
            if isinstance(event, Partial):
                self.live.put(name, key, (prefix + when).decode() + event.data if event.data else "")
                return name, b""
            self.live.put(name, key, "")
            return name, prefix + when + utf8(event.data) + b"\n"
        if isinstance(event, Gap):
            what = _GONE.get(event.reason, "are no longer stored")
            text = f"lines {event.from_seq} to {event.to_seq} {what}"
        elif isinstance(event, Dequeued):
            text = f"removed from the queue: {event.reason}"
        else:
            text = words_of(event) + (" and is restarted" if event.will_restart else "")
        if prefix:
            return "stdout", prefix + f"({plain(text)})\n".encode()
        return "", utf8(f"{plain(event.task_id)}: {text}")


def printer_of(task_ids: Sequence[str], options: Namespace) -> Printer:
    return Printer(task_ids, style_of(options), as_json=options.json, timestamps=options.timestamps)


def tail(client: Client, options: Namespace) -> int:
    """``overseerctl tail``."""
    if options.tasks:
        found, status = each(client, options.tasks, lambda task_id: None)
        task_ids = list(found)
    else:
        task_ids = [task.task_id for task in client.tasks() if task.worker_state == "running"]
        status = 0
        if not task_ids:
            say("no task is running; overseerctl list shows those that were")
    if not task_ids:
        return status
    printer = printer_of(task_ids, options)
    return status or show_last(client, task_ids, printer, lines=options.lines, follow=options.follow)


def show_last(
    client: Client, task_ids: Sequence[str], printer: Printer, *, lines: int, follow: bool
) -> int:
    """Show the last lines of tasks, and with ``follow`` what follows; returns the exit status."""

    def one(task_id: str) -> None:
        events = client.replay(task_id)
        seqs = [event.seq for event in events if isinstance(event, Output)]
        if seqs and len(seqs) < min(lines, seqs[-1]):
            say(f"{plain(task_id)}: only its last {len(seqs)} lines are still stored")
        shown = seqs[-lines:] if lines else []
        since = shown[0] - 1 if shown else seqs[-1] if seqs else 0
        if not follow:
            printer.write([event for event in events if isinstance(event, Exited) or event.seq > since])
            return
        for batch in client.subscribe(task_id, since, partial=printer.live.on).batches():
            printer.write(batch)

    if follow:
        with printer.live:
            return follow_all(client, {task_id: partial(one, task_id) for task_id in task_ids}, printer)
    status = 0
    for task_id in task_ids:
        try:
            one(task_id)
        except RefusedError as error:
            say(f"{plain(task_id)}: {error}")
            status = EXIT_REFUSED
    return status


def follow_all(client: Client, calls: Mapping[str, Callable[[], None]], printer: Printer) -> int:
    """Follow several tasks, each on a thread of its own; returns the exit status.

    Raises:
        OutputError: nothing more can be written.
    """
    statuses: dict[str, int] = {}

    def guarded(task_id: str, follow: Callable[[], None]) -> None:
        try:
            follow()
        except OutputError:
            client.close()  # which ends the others
        except RefusedError as error:
            say(f"{plain(task_id)}: {error}")
            statuses[task_id] = EXIT_REFUSED
        except ClientError as error:
            if not isinstance(error, ClosedError):
                say(str(error))
            statuses[task_id] = EXIT_LOST
        except BaseException:
            statuses[task_id] = EXIT_LOST
            raise

    threads = [
        threading.Thread(target=guarded, args=each, name=f"follow-{each[0]}", daemon=True)
        for each in calls.items()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if printer.failure is not None:
        raise fresh(printer.failure)
    return max(statuses.values(), default=0)


def replay(client: Client, options: Namespace) -> int:
    """``overseerctl replay``: what is stored of a task."""
    events = client.replay(options.task, options.since_seq, since=options.since)
    first = next((event.seq for event in events if isinstance(event, Output)), 0)
    known = options.since_seq
    if known is not None and options.since is None and first > known + 1:
        say(f"{plain(options.task)}: lines {known + 1} to {first - 1} are no longer stored")
    printer_of([options.task], options).write(events)
    return 0
