"""``overseerctl top``: the server's tasks and pools, renewed every other second, on the whole terminal."""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager

from overseer.client import Client, ReplyTimeoutError
from overseer.ctl.listing import shown_state, tasks_table
from overseer.ctl.terminal import Style, fit, on_terminal, plain, print_text
from overseer.messages import GlobalMetrics, PoolInfo, TaskInfo
from overseer.timestamps import now

__all__ = ["screen", "top"]

_ORDER = {"running": 0, "queued": 1, "errored": 2}
_ENTER = "\x1b[?1049h\x1b[?25l"  # the other screen, without a cursor
_LEAVE = "\x1b[?25h\x1b[?1049l"


def top(client: Client, style: Style, interval: float) -> int:
    """Show until q or Ctrl-C; into a pipe, once."""
    if not on_terminal():
        print_text("\n".join(_look(client, style, 10**6, 10**6)) + "\n")
        return 0
    with _resizes() as resized, _keys() as keys:
        print_text(_ENTER)
        try:
            while True:
                size = os.get_terminal_size(sys.stdout.fileno())
                try:
                    lines = _look(client, style, max(1, size.columns), max(1, size.lines))
                except ReplyTimeoutError as error:
                    lines = [fit(str(error), size.columns)]
                print_text("\x1b[H" + "\r\n".join(f"{line}\x1b[K" for line in lines) + "\x1b[J")
                ready, _, _ = select.select([resized, *keys], [], [], interval)
                if resized in ready:
                    os.read(resized, 4096)
                if any(os.read(key, 64) in (b"q", b"Q", b"\x03", b"") for key in keys if key in ready):
                    return 0
        finally:
            print_text(_LEAVE)


def _look(client: Client, style: Style, columns: int, rows: int) -> list[str]:
    tasks = client.tasks()
    pool = client.pool()
    counted = client.metrics()
    return screen(tasks, pool, counted if isinstance(counted, GlobalMetrics) else None, style, columns, rows)


def screen(
    tasks: tuple[TaskInfo, ...],
    pool: PoolInfo,
    counted: GlobalMetrics | None,
    style: Style,
    columns: int,
    rows: int,
) -> list[str]:
    """At most ``rows`` lines, none wider than ``columns``; who runs comes first, then who waits."""
    moment = now()
    limit = f" of {pool.limit}" if pool.limit else ""
    head = [
        f"{moment:%H:%M:%S}  {pool.running} running{limit}, {pool.queue_depth} waiting, {len(tasks)} known"
    ]
    if counted is not None:
        head.append(
            f"started {counted.tasks_started}  exits {counted.tasks_completed}  restarts "
            f"{counted.tasks_restarted}  errored {counted.tasks_errored}  lines {counted.total_output_lines}"
        )
    head = [fit(plain(line), columns) for line in head]
    ordered = sorted(
        tasks,
        key=lambda task: (
            _ORDER.get(shown_state(task), 3),
            -(task.last_exited_at or task.last_started_at or task.created_at).timestamp(),
        ),
    )
    room = max(0, rows - len(head) - 2)
    body = tasks_table(ordered[:room], moment, style, columns) if ordered and room else []
    lines = [*head, "", *body]
    if len(ordered) > room and lines:
        lines[2:3] = [fit(f"({len(ordered) - room} more)", columns)]
    return lines[:rows]


@contextmanager
def _resizes() -> Iterator[int]:
    """A descriptor that becomes readable when the terminal has another size."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    before = signal.signal(signal.SIGWINCH, lambda *_: None)
    old = signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    try:
        yield read
    finally:
        signal.set_wakeup_fd(old)
        signal.signal(signal.SIGWINCH, before)
        os.close(read)
        os.close(write)


@contextmanager
def _keys() -> Iterator[list[int]]:
    """The descriptor of single keys, none when stdin is no terminal."""
    if sys.stdin is None or not sys.stdin.isatty():
        yield []
        return
    fd = sys.stdin.fileno()
    before = termios.tcgetattr(fd)
    tty.setcbreak(fd)
    try:
        yield [fd]
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)
