"""``overseerctl top``: the server's tasks and pools, full-screen, as it changes."""

from __future__ import annotations

import select
import signal
import socket
import subprocess
import sys
import threading
import time
from argparse import Namespace
from contextlib import suppress

from overseer.client import Client, ClientError, ReplyTimeoutError, Watch
from overseer.ctl.choosing import matching
from overseer.ctl.columns import fit
from overseer.ctl.interrupts import signals_to, suspend
from overseer.ctl.screen import Screen, height, keys_of, read_key
from overseer.ctl.terminal import Style, on_terminal, plain, print_json, print_text, room, style_of, width
from overseer.ctl.toptable import Answer, in_order, screen_lines
from overseer.protocol import GlobalMetrics, TaskInfo, TaskUsage
from overseer.util.threads import start_thread

_LATE_S = 1.0  # after which a late answer is reported
_SAID_S = 5.0  # how long a remark stays
_LOOK_S = 0.2  # between looks at another program that has the terminal
_ENDING = (signal.SIGQUIT, signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_ANSWERED = b"\0"  # sent to the loop that also hears signals; not a signal's number
_KEYS = "↑↓ choose  s stop  l logs  a attach  c/m/t by CPU/memory/time  / filter  q quit"
_SORTS = {"c": "cpu", "m": "memory", "t": "time"}
_STEPS = {"up": -1, "k": -1, "down": 1, "j": 1, "page up": -10, "page down": 10}


def top(client: Client, options: Namespace) -> int:
    """Show until q or a signal; with ``--once``, ``--json``, and into a pipe, once."""
    if options.json:
        figures = {"pool": client.pool(), "metrics": client.metrics(), "usage": client.usage()}
        print_json({"tasks": [*matching(client, client.tasks(), options)], **figures})
        return 0
    style = style_of(options)
    if options.once or not on_terminal():
        usage = {each.task_id: each for each in client.usage()}
        answer = _ask(client, tuple(matching(client, client.tasks(), options)), usage)
        tasks = in_order(answer, options.sort)
        print_text("\n".join(screen_lines(answer, tasks, style, room() or 10**6, 10**6)) + "\n")
        return 0
    hear, tell = socket.socketpair()
    screen = Screen()
    wanted = [number for number in (*_ENDING, signal.SIGTSTP) if signal.getsignal(number) != signal.SIG_IGN]
    with hear, tell, signals_to(tell, [*wanted, signal.SIGWINCH, signal.SIGCONT]):
        try:
            return _Live(client, options, style, hear, tell, screen).run()
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
        options: Namespace,
        style: Style,
        hear: socket.socket,
        tell: socket.socket,
        screen: Screen,
    ) -> None:
        self._client = client
        self._options = options
        self._style = style
        self._sort = options.sort
        self._hear = hear
        self._tell = tell
        self._screen = screen
        self._wanted = threading.Semaphore(0)  # released for each request
        # Written by the asking thread before it sends _ANSWERED, and read by the main thread afterwards.
        self._answer: Answer | None = None
        self._failure: Exception | None = None
        self._asked_at: float | None = None  # None: no request is under way
        # What the keys have led to:
        self._chosen = ""  # a task's id
        self._to_stop = ""  # one that is asked about
        self._words = ""  # of the filter
        self._typing = False  # them
        self._remark, self._said_at = "", 0.0

    def run(self) -> int:
        start_thread(self._look, "look")
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
            heard = self._hear.recv(4096) if told in ready else b""
            for number in heard:
                if number in _ENDING:
                    return 128 + number
            if _ANSWERED in heard:
                self._asked_at, due = None, time.monotonic() + self._options.interval
                if self._failure is not None and not isinstance(self._failure, ReplyTimeoutError):
                    raise self._failure
            for key in [key for key in self._screen.keys if key in ready]:
                typed = read_key(key)
                if not typed or not all(self._take(each) for each in keys_of(typed)):
                    return 0
            try:
                if signal.SIGTSTP in heard:
                    self._screen.leave()
                    suspend()
                elif signal.SIGCONT in heard or not self._screen.on:
                    self._screen.enter()
                    due = time.monotonic()  # the display may be hours old
                    self._asked_at = None if self._asked_at is None else due
            except OSError:  # the terminal is gone
                return 128 + signal.SIGHUP

    # -- the display

    def _tasks(self) -> list[TaskInfo]:
        return [] if self._answer is None else in_order(self._answer, self._sort, self._words)

    def _show(self, moment: float) -> None:
        columns, rows = width(sys.stdout), height()
        waited = 0.0 if self._asked_at is None else moment - self._asked_at
        lines: list[str] = []
        if self._answer is not None:
            lines = screen_lines(
                self._answer,
                self._tasks(),
                self._style,
                columns,
                rows,
                chosen=self._chosen,
                footer=self._footer(moment),
            )
        if waited >= _LATE_S or self._failure is not None:
            late = f"the server has not answered for {waited:.0f} s"
            if waited < _LATE_S:
                late = str(self._failure)
            lines[:1] = [fit(late, columns)]
        elif self._answer is None:
            return
        print_text("\x1b[H" + "\r\n".join(f"{line}\x1b[K" for line in lines) + "\x1b[J")

    def _footer(self, moment: float) -> str:
        if self._to_stop:
            return f"Stop {plain(self._to_stop)}? [y/N]"
        if self._typing:
            return f"/{plain(self._words)}_  (Enter keeps the filter, Esc ends it)"
        if self._remark and moment - self._said_at < _SAID_S:
            return plain(self._remark)
        return f"/{plain(self._words)}  {_KEYS}" if self._words else _KEYS

    def _say(self, text: str) -> None:
        self._remark, self._said_at = text, time.monotonic()

    # -- keys

    def _take(self, key: str) -> bool:
        """Act on a key; False: leave."""
        self._remark = ""  # it was about an earlier one
        if key == "interrupt":
            return False
        if self._to_stop:
            if key in ("y", "Y"):
                self._stop(self._to_stop)
            self._to_stop = ""
        elif self._typing:
            self._edit(key)
        elif key in ("q", "Q"):
            return False
        elif key in _STEPS or key in ("home", "end"):
            self._move(key)
        elif key in _SORTS:
            self._sort = _SORTS[key]
        elif key == "/":
            self._typing = True
        elif key == "escape":
            self._words = ""
        elif key in ("s", "l", "a"):
            self._about_chosen(key)
        return True

    def _edit(self, key: str) -> None:
        if key in ("enter", "escape"):
            self._typing = False
            self._words = "" if key == "escape" else self._words
        elif key == "backspace":
            self._words = self._words[:-1]
        elif len(key) == 1 and key.isprintable():
            self._words += key

    def _move(self, key: str) -> None:
        ids = [task.task_id for task in self._tasks()]
        if not ids:
            return
        at = ids.index(self._chosen) if self._chosen in ids else -1
        if key in ("home", "end"):
            at = 0 if key == "home" else len(ids) - 1
        else:
            at = 0 if at < 0 else at + _STEPS[key]
        self._chosen = ids[max(0, min(at, len(ids) - 1))]

    def _about_chosen(self, key: str) -> None:
        known = () if self._answer is None else self._answer.tasks
        if len(shown := self._tasks()) == 1:
            self._chosen = shown[0].task_id
        if self._chosen not in [task.task_id for task in known]:
            self._say("choose a task with the arrow keys first")
        elif key == "s":
            self._to_stop = self._chosen
        elif key == "l":
            self._give_way("logs", "--tail", str(10 * height()), "-f", "--", self._chosen)
        else:
            self._give_way("attach", "--", self._chosen)

    def _stop(self, task_id: str) -> None:
        def stop() -> None:  # the server may hang
            try:
                self._client.stop(task_id)
                self._say(f"{task_id} is being stopped")
            except ClientError as error:
                self._say(f"{task_id}: {error}")
            with suppress(OSError):
                self._tell.send(bytes([signal.SIGWINCH]))

        start_thread(stop, "stop")

    def _give_way(self, *arguments: str) -> None:
        """Let another overseerctl have the terminal, until it ends and Enter is pressed, or Ctrl-C is."""
        self._screen.leave()
        print_text(f"overseerctl {' '.join(map(plain, arguments))}\n")
        ours = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        try:
            child = subprocess.Popen([*_program(), *arguments], env=self._options.environment)
            heard = 0
            while child.poll() is None:
                if select.select([self._hear], [], [], _LOOK_S)[0]:
                    heard = self._heard() or heard
                    if heard in (signal.SIGTERM, signal.SIGHUP):
                        child.send_signal(heard)
                        child.wait()
                        self._tell.send(bytes([heard]))  # for ourselves, too
                        return
            if heard:
                return
            print_text("overseerctl: Enter goes back to top\n")
            key = sys.stdin.fileno()
            while not heard and key not in select.select([self._hear, key], [], [])[0]:
                heard = self._heard()
            if heard in (signal.SIGTERM, signal.SIGHUP):
                self._tell.send(bytes([heard]))
            elif not heard:
                read_key(key)
        except OSError as error:
            self._say(f"cannot start another overseerctl: {error.strerror}")
        finally:
            signal.signal(signal.SIGTSTP, ours)

    def _heard(self) -> int:
        """A signal that ends another program, or 0; an answer is noted."""
        heard = self._hear.recv(4096)
        if _ANSWERED in heard:
            self._asked_at = None
        return next((number for number in reversed(_ENDING) if number in heard), 0)

    # -- on the thread that asks

    def _look(self) -> None:
        watch: Watch | None = None
        while True:
            self._wanted.acquire()
            try:
                watch = watch or self._client.watch(usage=True)
                tasks = tuple(matching(self._client, watch.tasks.values(), self._options))
                self._answer = _ask(self._client, tasks, watch.usage)
                self._failure = None
            except Exception as error:
                self._failure = error
            with suppress(OSError):  # the other thread has left
                self._tell.send(_ANSWERED)


def _program() -> list[str]:
    """What this program was started as: a module, a script, or one file with all modules in it."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    by_name = spec is not None and spec.name == f"{__package__}.__main__"
    return [sys.executable, *(["-m", __package__] if by_name else [sys.argv[0]])]
