"""``overseerctl top``: the server's tasks and pools, full-screen, refreshed every other second."""

from __future__ import annotations

import errno
import os
import select
import signal
import socket
import sys
import termios
import threading
import time
import tty
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from overseer.client import Client, ReplyTimeoutError, Watch
from overseer.ctl.columns import fit
from overseer.ctl.interrupts import signals_to
from overseer.ctl.listing import tasks_table
from overseer.ctl.statuses import status_of
from overseer.ctl.terminal import OutputError, Style, on_terminal, plain, print_text, width
from overseer.protocol import GlobalMetrics, PoolInfo, TaskInfo, TaskUsage
from overseer.util.timestamps import now

_ORDER = {"running": 0, "ready": 0, "restarting": 0, "queued": 1, "waiting": 1, "errored": 2}
_ENTER = "\x1b[?1049h\x1b[?25l"  # alternate screen, cursor hidden
_LEAVE = "\x1b[?25h\x1b[?1049l"
_LATE_S = 1.0  # after which a late answer is reported
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_LEAVING = (b"q", b"Q", b"\x03", b"")  # keys, and the end of stdin
_ANSWERED = b"\0"  # sent to the loop that also hears signals; not a signal's number


@dataclass(frozen=True)
class Answer:
    tasks: tuple[TaskInfo, ...]
    pool: PoolInfo
    counted: GlobalMetrics | None
    usage: dict[str, TaskUsage]


def top(client: Client, style: Style, interval: float, sort: str) -> int:
    """Show until q or a signal; into a pipe, once."""
    if not on_terminal():
        usage = {each.task_id: each for each in client.usage()}
        answer = _ask(client, client.tasks(), usage)
        print_text("\n".join(screen_lines(answer, style, 10**6, 10**6, sort)) + "\n")
        return 0
    hear, tell = socket.socketpair()
    screen = Screen()
    wanted = [number for number in (*_ENDING, signal.SIGTSTP) if signal.getsignal(number) != signal.SIG_IGN]
    with hear, tell, signals_to(tell, [*wanted, signal.SIGWINCH, signal.SIGCONT]):
        try:
            return _Live(client, style, interval, sort, hear, tell, screen).run()
        finally:
            screen.leave()


def _ask(client: Client, tasks: tuple[TaskInfo, ...], usage: dict[str, TaskUsage]) -> Answer:
    pool, counted = client.pool(), client.metrics()
    return Answer(tasks, pool, counted if isinstance(counted, GlobalMetrics) else None, usage)


class _Live:
    """The main thread displays, and hears keys and signals; another asks the server, which may hang.

    So keys need not wait for an answer, and signals interrupt nothing. Tasks are watched, so only pools and
    counters are asked for.
    """

    def __init__(
        self,
        client: Client,
        style: Style,
        interval: float,
        sort: str,
        hear: socket.socket,
        tell: socket.socket,
        screen: Screen,
    ) -> None:
        self._client = client
        self._style = style
        self._interval = interval
        self._sort = sort
        self._hear = hear
        self._tell = tell
        self._screen = screen
        self._wanted = threading.Semaphore(0)  # released for each request
        # Written by the asking thread before it sends _ANSWERED, and read by the main thread afterwards.
        self._answer: Answer | None = None
        self._failure: Exception | None = None
        self._asked_at: float | None = None  # None: no request is under way

    def run(self) -> int:
        threading.Thread(target=self._look, name="look", daemon=True).start()
        due, told = time.monotonic(), self._hear.fileno()
        while True:
            moment = time.monotonic()
            if self._asked_at is None and moment >= due:
                self._asked_at = moment
                self._wanted.release()
            if self._screen.on:
                self._show(moment)
            until = due if self._asked_at is None else moment + _LATE_S
            wait = max(0.0, until - moment) if self._screen.on else 0.0
            ready, _, _ = select.select([told, *self._screen.keys], [], [], wait)
            if any(_read(key) in _LEAVING for key in self._screen.keys if key in ready):
                return 0
            heard = self._hear.recv(4096) if told in ready else b""
            for number in heard:
                if number in _ENDING:
                    return 128 + number
            if _ANSWERED in heard:
                self._asked_at, due = None, time.monotonic() + self._interval
                if self._failure is not None and not isinstance(self._failure, ReplyTimeoutError):
                    raise self._failure
            try:
                if signal.SIGTSTP in heard:
                    self._screen.leave()
                    _stop()
                elif signal.SIGCONT in heard or not self._screen.on:
                    self._screen.enter()
                    due = time.monotonic()  # the display may be hours old
                    self._asked_at = None if self._asked_at is None else due
            except OSError:  # the terminal is gone
                return 128 + signal.SIGHUP

    def _show(self, moment: float) -> None:
        columns, rows = width(sys.stdout), _height()
        waited = 0.0 if self._asked_at is None else moment - self._asked_at
        lines: list[str] = []
        if self._answer is not None:
            lines = screen_lines(self._answer, self._style, columns, rows, self._sort)
        if waited >= _LATE_S or self._failure is not None:
            late = f"the server has not answered for {waited:.0f} s"
            if waited < _LATE_S:
                late = str(self._failure)
            lines[:1] = [fit(late, columns)]
        elif self._answer is None:
            return
        print_text("\x1b[H" + "\r\n".join(f"{line}\x1b[K" for line in lines) + "\x1b[J")

    def _look(self) -> None:
        watch: Watch | None = None
        while True:
            self._wanted.acquire()
            try:
                watch = watch or self._client.watch(usage=True)
                self._answer = _ask(self._client, (*watch.tasks.values(),), watch.usage)
                self._failure = None
            except Exception as error:
                self._failure = error
            with suppress(OSError):  # the other thread has left
                self._tell.send(_ANSWERED)


def screen_lines(answer: Answer, style: Style, columns: int, rows: int, sort: str = "time") -> list[str]:
    """At most ``rows`` lines of at most ``columns``; running tasks first, then queued ones.

    Within these, by ``sort``: what began or ended last (``time``), or used most (``cpu``, ``memory``).
    """
    tasks, pool, counted, usage = answer.tasks, answer.pool, answer.counted, answer.usage
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
            _ORDER.get(status_of(task), 3),
            -_used(usage.get(task.task_id), sort),
            -(task.last_exited_at or task.last_started_at or task.created_at).timestamp(),
        ),
    )
    room = max(0, rows - len(head) - 2)
    body = tasks_table(ordered[:room], moment, style, columns, usage) if ordered and room else []
    lines = [*head, "", *body]
    if len(ordered) > room and lines:
        lines[2:3] = [fit(f"({len(ordered) - room} more)", columns)]
    return lines[:rows]


def _used(usage: TaskUsage | None, sort: str) -> float:
    if usage is None or sort == "time":
        return 0.0
    return usage.rss if sort == "memory" else usage.cpu or 0.0


def _read(key: int) -> bytes:
    try:
        return os.read(key, 64)
    except OSError:  # the terminal is gone
        return b""


def _height() -> int:
    try:
        return os.get_terminal_size(sys.stdout.fileno()).lines or 24  # a terminal may not know its size
    except OSError:
        return 24


def _stop() -> None:
    """Stop as Ctrl-Z does other programs; returns when continued. (The system does not stop a process that no
    shell could continue.)"""
    ours = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGTSTP)
    signal.signal(signal.SIGTSTP, ours)


class Screen:
    """The terminal in top's mode: alternate screen, no cursor, single keys.

    ``on`` while it is; ``keys`` then has the descriptor to read keys from, if stdin is a terminal.
    """

    def __init__(self) -> None:
        self.on = False
        self.keys: list[int] = []
        self._modes: list[Any] = []  # the terminal's before

    def enter(self) -> None:
        """Take the terminal, also again after a stop, during which a shell had it.

        In the background the system stops us here until we are brought to the foreground; then this may
        return without ``on``, for a signal to be handled first. Raises OSError when the terminal has gone.
        """
        key = sys.stdin.fileno() if sys.stdin is not None and sys.stdin.isatty() else None
        try:
            # Changes nothing, but is allowed only in the foreground. Modes read before that may be those of a
            # shell that is editing its next command.
            termios.tcdrain(sys.stdout.fileno())
            if key is not None:
                if not self.on:
                    self._modes = termios.tcgetattr(key)
                tty.setcbreak(key, termios.TCSADRAIN)  # keeps keys typed already
                self.keys = [key]
        except termios.error as error:
            if error.args[0] == errno.EINTR:
                return
            raise OSError(*error.args) from None
        self.on = True
        print_text(_ENTER)

    def leave(self) -> None:
        """Restore the terminal."""
        if not self.on:
            return
        self.on = False
        for key in self.keys:
            with suppress(termios.error, OSError):  # the terminal is gone
                if os.tcgetpgrp(key) == os.getpgrp():  # else a shell has set its own modes
                    termios.tcsetattr(key, termios.TCSADRAIN, self._modes)
        self.keys = []
        with suppress(OutputError):
            print_text(_LEAVE)
