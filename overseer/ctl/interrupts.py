"""Signals delivered where they interrupt nothing: to a thread, or to a loop that reads a socket."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Self

from overseer.ctl.exit_status import EXIT_INTERRUPTED
from overseer.ctl.terminal import put_back
from overseer.util.threads import start_thread

_LEAVE_S = 1.0
_POLITE = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def signals_to(tell: socket.socket, numbers: Iterable[int]) -> Iterator[None]:
    """Write the numbers of these signals to a socket instead of acting on them. Only on the main thread."""
    tell.setblocking(False)
    before = {number: signal.signal(number, lambda *_: None) for number in numbers}
    old = signal.set_wakeup_fd(tell.fileno(), warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(old)
        for number, handler in before.items():
            signal.signal(number, handler)


def suspend() -> None:
    """Stop as Ctrl-Z does other programs; returns when continued. (The system does not stop a process that no
    shell could continue.)"""
    ours = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGTSTP)
    signal.signal(signal.SIGTSTP, ours)


class Interrupts:
    """While entered, SIGINT, SIGTERM and SIGHUP call ``first()``, then ``again()``, on a thread.

    Without ``first`` (there is nothing to stop yet) the process just ends. It also ends a second after the
    second signal, or at the third: writing to a terminal may block.

    Enter it before any other thread is started, since threads inherit the signal mask.
    """

    def __init__(self) -> None:
        self.first: Callable[[], None] | None = None
        self.again: Callable[[], None] = lambda: None
        self.heard: int | None = None  # the first signal
        self._signals: set[signal.Signals] = set()
        self._before: set[signal.Signals | int] = set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="interrupts", daemon=True)

    def __enter__(self) -> Self:
        # nohup is respected. The main thread blocks the others, so that this one gets them.
        self._signals = {number for number in _POLITE if signal.getsignal(number) != signal.SIG_IGN}
        self._before = signal.pthread_sigmask(signal.SIG_BLOCK, {*self._signals, signal.SIGUSR2})
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._over.set()
        signal.pthread_kill(self._thread.ident or 0, signal.SIGUSR2)
        self._thread.join()
        signal.pthread_sigmask(signal.SIG_SETMASK, self._before)

    def _listen(self) -> None:
        count = 0
        while True:
            number = signal.sigwait({*self._signals, signal.SIGUSR2})
            if self._over.is_set():
                return
            if number == signal.SIGUSR2:
                continue
            count += 1
            self.heard = self.heard or number
            if count == 1 and self.first is not None:
                # On its own thread: the second signal must be heard while this waits.
                start_thread(self.first, "interrupted")
                continue
            if count == 2:
                start_thread(self.again, "interrupted-again")
                heard = signal.sigtimedwait({*self._signals, signal.SIGUSR2}, _LEAVE_S)
                if heard is not None and heard.si_signo == signal.SIGUSR2:
                    return
            put_back()
            os._exit(EXIT_INTERRUPTED)
