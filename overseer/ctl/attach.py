"""``overseerctl attach`` and ``run -it``: this terminal becomes a task's.

While attached, the terminal is raw: every key goes to the task, Ctrl-C too, and what the task's terminal is
sent is written as it is. Only Ctrl-P Ctrl-Q is for overseerctl, and detaches. The main thread reads the
keyboard, another one writes; however it ends, the terminal is as it was before.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import termios
import threading
import tty
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from overseer.client import Client, ClientError, RefusedError, Task
from overseer.ctl.exit_status import EXIT_INTERRUPTED, EXIT_LOST, EXIT_REFUSED, of_exit, words_of
from overseer.ctl.feeding import feed
from overseer.ctl.interrupts import signals_to
from overseer.ctl.tail import Printer, show_last
from overseer.ctl.terminal import OutputError, Style, plain, say, style_of, write_out
from overseer.protocol import Data, Dequeued, Errored, Event, Exited, Queued, Restarting, Started
from overseer.util.threads import start_thread

_LINES = 10  # of earlier output, without a terminal
_PIECE = 64 * 1024
_DETACH = b"\x10\x11"  # Ctrl-P Ctrl-Q
_HELD_S = 1.0  # how long a Ctrl-P waits for what follows
_AGAIN_S = 0.05  # until input that did not fit is offered again
_LAST_S = 1.0  # for showing what is left at the end
_MOST = 1 << 20  # bytes of input that may wait; then no more is read
# What a program that could not tidy up may have left: colours, a hidden cursor, the other screen, mouse and
# paste reports, application keys.
_RESET = b"\x1b[0m\x1b[?25h\x1b[?1047l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?2004l\x1b[?1l\x1b>"
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGWINCH, signal.SIGCONT)


class Keys:
    """The keyboard's input, without the keys that detach."""

    def __init__(self) -> None:
        self.held = b""  # a Ctrl-P, which may be the first of them

    def feed(self, typed: bytes) -> tuple[bytes, bool]:
        """What the task gets of it, and whether to detach."""
        typed = self.held + typed
        self.held = b""
        before, keys, _ = typed.partition(_DETACH)
        if keys:
            return before, True
        if typed.endswith(_DETACH[:1]):
            self.held = typed[-1:]
            typed = typed[:-1]
        return typed, False

    def release(self) -> bytes:
        """Nothing followed in time."""
        held, self.held = self.held, b""
        return held


def attach(client: Client, options: Namespace) -> int:
    """Show a running task's terminal and type into it or, where it reads a pipe, give it lines; returns the
    status for the shell."""
    task = client.subscribe(options.task, on_lag="drop", raw=True)
    if task.over or task.state != "running":
        raise RefusedError("task is not running", code="not_running")
    if task.stdin == "pty":
        return Session(client, task, stops=False).run()
    if task.stdin == "pipe":
        return _attach_lines(client, task, style_of(options))
    raise RefusedError("the task takes no input (stdin: none); overseerctl tail -f shows its output")


def _attach_lines(client: Client, task: Task, style: Style) -> int:
    feed(client, task.id)
    printer = Printer([task.id], style, as_json=False, timestamps=False)
    status = show_last(client, [task.id], printer, lines=_LINES, follow=True)
    return status or of_exit(task.wait())


class Session:
    """One terminal attached to one task.

    Args:
        task: subscribed to with ``raw``.
        stops: whether SIGTERM, SIGHUP, and Ctrl-C before it runs stop the task, rather than detach.
    """

    def __init__(self, client: Client, task: Task, *, stops: bool) -> None:
        self._client = client
        self._task = task
        self._stops = stops
        self._stopping = False
        self._detached = False
        self._keys = Keys()
        self._pending = bytearray()  # typed, not yet taken
        self._ending = False  # the end of the input follows
        self._remarks: list[str] = []  # why input was lost
        self._over = threading.Event()  # nothing more is shown
        self._failure: ClientError | OutputError | None = None
        self._begun = task.state == "running"  # the terminal is wanted
        self._attached = threading.Event()  # the terminal is raw, so that something can be shown
        self._showing = threading.Lock()
        self._tell, self._told = socket.socketpair()

    def run(self) -> int:
        with self._tell, self._told, signals_to(self._tell, _SIGNALS):
            start_thread(self._show, "attach")
            self._until_begun()
            if self._begun:
                with raw_terminal() as again:
                    self._attached.set()
                    self._resize()
                    self._until_over(again)
                    self._showing.acquire(timeout=_LAST_S)  # for good: nothing is shown any more
        if self._begun and sys.stdout is not None and sys.stdout.isatty():
            print(flush=True)  # the program may have left the cursor within a line
        for remark in self._remarks:
            say(remark)
        return self._status()

    def _status(self) -> int:
        task = self._task
        name = plain(task.id)
        if self._detached:
            say(f"detached; task {name} keeps running")
            return 0
        if self._failure is not None:
            if isinstance(self._failure, OutputError):
                say(str(self._failure))
                return EXIT_REFUSED
            say(f"{self._failure}. Task {name} may still be running; overseerctl list shows it.")
            return EXIT_LOST
        if task.dequeued and task.exit is None:
            return EXIT_INTERRUPTED if self._stopping else EXIT_REFUSED
        say(words_of(task.exit))
        return of_exit(task.exit) or (1 if task.state == "errored" else 0)

    # -- on the thread that shows

    def _show(self) -> None:
        try:
            for events in self._task.batches():
                for event in events:
                    if isinstance(event, Data):
                        self._attached.wait()
                        with self._showing:
                            write_out(event.data)
                    else:
                        self._note(event)
        except (ClientError, OutputError) as error:
            self._failure = error
        finally:
            self._over.set()
            with suppress(OSError):
                self._tell.send(b"\0")

    def _note(self, event: Event) -> None:
        match event:
            case Queued():
                say(f"queued at position {event.position} as task {plain(self._task.id)}")
            case Dequeued() if not self._stopping:
                say(f"removed from the queue: {event.reason}")
            case Started():
                self._begun = True
                with suppress(OSError):
                    self._tell.send(bytes([signal.SIGWINCH]))  # it has the size of its configuration
            case Exited() if event.will_restart:
                write_out(f"\r\n[{plain(words_of(event))}; it is restarted]\r\n".encode())
            case Restarting() | Errored():
                pass  # the exit before it has said what happened

    # -- on the main thread

    def _until_begun(self) -> None:
        while not (self._begun or self._over.is_set() or self._detached):
            select.select([self._told], [], [])
            self._take_signals()

    def _until_over(self, again: Callable[[], None]) -> None:
        told = self._told.fileno()
        reading = True
        while not (self._over.is_set() or self._detached):
            wants = [told, 0] if reading and len(self._pending) < _MOST else [told]
            wait = _AGAIN_S if self._pending or self._ending else _HELD_S if self._keys.held else None
            ready = select.select(wants, [], [], wait)[0]
            if told in ready and self._take_signals():
                again()
            if 0 in ready:
                typed = _read()
                if not typed:  # the keyboard is gone, or it was a file
                    reading, self._ending = False, True
                given, self._detached = self._keys.feed(typed)
                self._pending += given
            elif not ready and not self._pending:
                self._pending += self._keys.release()
            if self._pending:
                given = bytes(self._pending[:_PIECE])
                if self._give(given):
                    del self._pending[: len(given)]
            elif self._ending:
                self._ending = not self._give(b"", eof=True)

    def _give(self, data: bytes, *, eof: bool = False) -> bool:
        """Whether it need not be offered again. What is refused other than for lack of room is lost, which is
        reported at the end."""
        try:
            self._client.input(self._task.id, data, eof=eof)
        except RefusedError as error:
            if error.code == "full":
                return False
            if str(error) not in self._remarks and not self._over.is_set():
                self._remarks.append(str(error))
        except ClientError:
            return False  # the other thread reports it
        return True

    def _take_signals(self) -> bool:
        """Act on the signals that have come; whether the terminal may have changed meanwhile (``fg``)."""
        numbers = set(self._told.recv(4096))
        if signal.SIGWINCH in numbers or signal.SIGCONT in numbers:
            self._resize()
        if numbers & {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}:
            if not self._stops or self._stopping:
                self._detached = True
            else:
                self._stopping = True
                with suppress(ClientError):
                    self._client.stop(self._task.id)
        return signal.SIGCONT in numbers

    def _resize(self) -> None:
        if not self._begun or sys.stdout is None or not sys.stdout.isatty():
            return
        size = os.get_terminal_size(sys.stdout.fileno())
        with suppress(ClientError):  # it has ended, or a viewer is attached
            if size.lines and size.columns:
                self._client.resize(self._task.id, size.lines, size.columns)


@contextmanager
def raw_terminal() -> Iterator[Callable[[], None]]:
    """While entered, keys are not interpreted by the terminal that stdin is, if it is one.

    Yields a function that makes it so again, after another program had the terminal.
    """
    if not os.isatty(0):
        yield lambda: None
        return
    before = termios.tcgetattr(0)
    try:
        tty.setraw(0, termios.TCSANOW)
        yield lambda: tty.setraw(0, termios.TCSANOW)
    finally:
        with suppress(OutputError):
            if sys.stdout is not None and sys.stdout.isatty():
                write_out(_RESET)
        with suppress(termios.error):  # it is gone
            termios.tcsetattr(0, termios.TCSANOW, before)


def _read() -> bytes:
    try:
        return os.read(0, _PIECE)
    except OSError:
        return b""
