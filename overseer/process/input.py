"""Input for tasks: bytes that wait until a process reads them.

The caller writes at once what the pipe or terminal has room for; the rest waits here, bounded, and is written
by one thread for all tasks, started with the first task that takes input. No caller ever waits for a process
that does not read.
"""

from __future__ import annotations

import errno
import logging
import os
import select
import termios
import threading
from collections import deque
from collections.abc import Mapping
from typing import Any

from overseer.errors import NotRunningError, OverseerError, RequestError
from overseer.util.handover_format import Incoming, Outgoing
from overseer.util.locks import Rank, assert_held, lock
from overseer.util.threads import start_thread
from overseer.util.wakeup import Wakeup

_log = logging.getLogger(__name__)

MOST = 1 << 20  # bytes that may wait for one task
CLOSED = "the task's input has been closed by an eof"
_AGAIN_S = 0.1  # between tries of a full terminal: epoll does not always report that it has room
_EOF = b"\x04"  # Ctrl-D, if the terminal's own character cannot be read


def check_room(size: int, waiting: int) -> None:
    """Check that there is room for ``size`` bytes more of a task's input.

    Raises:
        OverseerError: there never will be.
        RequestError: ``full``: not while so much is ``waiting``.
    """
    if size > MOST:
        raise OverseerError(f"the input has {size} bytes; the limit is {MOST}")
    if waiting + size > MOST:
        text = f"{waiting} bytes already wait, the limit is {MOST}"
        raise RequestError(f"the task is not reading its input: {text}", code="full")


class TaskInput:
    """Our end of a process's stdin, which it owns, and what waits to be written to it.

    Thread-safe and non-blocking. Inputs are written in order, one after the other.

    Args:
        fd: a pipe's writing end, or a terminal's master; non-blocking.
    """

    def __init__(self, fd: int, *, terminal: bool) -> None:
        self._fd = fd
        self.terminal = terminal
        self._lock = lock(Rank.INPUT, "input")  # guards the fields below
        self._waiting: deque[memoryview] = deque()
        self._size = 0  # bytes, of all that waits
        self._refusal = ""  # why nothing more is taken
        self._over = False  # the run is
        self._closing = False  # the descriptor is closed when all is written

    @classmethod
    def restored(cls, data: Mapping[str, Any], given: Incoming) -> TaskInput:
        """The input that another program has exported; it goes on with :meth:`begin`."""
        made = cls(given.fd(data["fd"]), terminal=data["terminal"])
        waiting = given.blob(data["waiting"])
        made._waiting.extend([memoryview(waiting)] if waiting else [])
        made._size = len(waiting)
        made._refusal, made._closing = data["refusal"], data["closing"]
        return made

    def begin(self) -> None:
        """Begin to write, or go on.

        Raises:
            OSError: out of memory or epoll watches; the descriptor of a new one then remains the caller's.
            RuntimeError: the system allows no more threads; likewise.
        """
        if self._fd >= 0:
            writer.add(self._fd, self)
            if self._waiting:
                self.resume()

    def export_locked(self, out: Outgoing) -> dict[str, Any]:
        """What another program has to know to go on; the lock of ``writing`` is held until it does."""
        assert_held(self._lock)
        return {
            "fd": out.fd(self._fd),
            "terminal": self.terminal,
            "refusal": self._refusal,
            "closing": self._closing,
            "waiting": out.blob(b"".join(self._waiting)),
        }

    @property
    def writing(self) -> threading.Lock:
        """While it is held, nothing is written."""
        return self._lock

    def put(self, data: bytes, *, eof: bool = False) -> None:
        """Queue ``data``; with ``eof`` nothing more is accepted, and the pipe is closed once all is written.
        A terminal is sent its EOF character instead, and more may follow.

        Raises:
            OverseerError: why nothing of it is accepted; a RequestError with the code ``full``, if it may be
                later.
        """
        with self._lock:
            if self._over:
                raise NotRunningError
            if self._refusal:
                raise OverseerError(self._refusal)
            if eof and self.terminal:
                data += _eof_character(self._fd)
            check_room(len(data), self._size)
            idle = not self._waiting
            if data:
                self._waiting.append(memoryview(data))
                self._size += len(data)
            if eof and not self.terminal:
                self._refusal = CLOSED
                self._closing = True
            if idle:
                self._write_locked()
                if self._fd < 0 and not self._closing:
                    raise OverseerError(self._refusal)

    def resize(self, rows: int, cols: int) -> bool:
        """Set a terminal's size, which sends its foreground SIGWINCH; False if it is closed."""
        with self._lock:
            if self._fd < 0:
                return False
            termios.tcsetwinsize(self._fd, (rows, cols))
            return True

    def close(self) -> None:
        """Drop what waits, as the run is over. Idempotent."""
        with self._lock:
            self._over = True
            self._close_locked(str(NotRunningError()))

    def resume(self) -> None:
        """Called by the writer when there may be room again, or the reading end may be closed."""
        with self._lock:
            if self._fd >= 0 and not self.terminal and _is_broken(self._fd):
                self._closing = False
                self._close_locked(_closed(self.terminal))
            elif self._waiting:
                self._write_locked()

    def _write_locked(self) -> None:
        """Write what there is room for; the writer does the rest."""
        assert_held(self._lock)
        try:
            while self._waiting:
                first = self._waiting[0]
                written = os.write(self._fd, first)
                self._size -= written
                if written == len(first):
                    self._waiting.popleft()
                else:
                    self._waiting[0] = first[written:]
        except BlockingIOError:
            writer.watch(self._fd, self)
            return
        except OSError as error:
            self._closing = False
            gone = error.errno in (errno.EPIPE, errno.EIO)
            self._close_locked(
                _closed(self.terminal) if gone else f"input cannot be written: {error.strerror}"
            )
            return
        writer.settle(self)
        if self._closing:
            self._close_locked(self._refusal)

    def _close_locked(self, why: str) -> None:
        assert_held(self._lock)
        self._refusal = why
        self._waiting.clear()
        self._size = 0
        if self._fd >= 0:
            writer.forget(self._fd, self)
            os.close(self._fd)
            self._fd = -1


def _closed(terminal: bool) -> str:
    return "the task has closed its terminal" if terminal else "the task has closed its stdin"


def _is_broken(fd: int) -> bool:
    """Whether a pipe's other end is closed."""
    poll = select.poll()
    poll.register(fd, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _eof_character(fd: int) -> bytes:
    try:
        character: bytes = termios.tcgetattr(fd)[6][termios.VEOF]
    except (OSError, termios.error):
        return _EOF
    return character if character != b"\0" else _EOF


class InputWriter:
    """The thread that writes what found no room at first."""

    def __init__(self) -> None:
        self._lock = lock(Rank.LEAF, "input writer")  # guards the tables; an input's own may be held
        self._inputs: dict[int, TaskInput] = {}
        self._full: set[TaskInput] = set()  # terminals to try again
        self._thread: threading.Thread | None = None
        self._epoll: select.epoll | None = None
        self._wake: Wakeup | None = None

    def start(self) -> None:
        """Start the thread now rather than with the first input. Raises OSError, RuntimeError."""
        with self._lock:
            self._start_locked()

    def add(self, fd: int, input: TaskInput) -> None:
        """Register an input, which is called from now on if its pipe breaks. Raises OSError, RuntimeError."""
        with self._lock:
            self._start_locked().register(fd, select.EPOLLONESHOT)
            self._inputs[fd] = input

    def _start_locked(self) -> select.epoll:
        assert_held(self._lock)
        if self._epoll is None:
            self._wake = Wakeup()
            self._epoll = select.epoll()
            self._epoll.register(self._wake, select.EPOLLIN)
        if self._thread is None:
            self._thread = start_thread(self._run, "input")
        return self._epoll

    def watch(self, fd: int, input: TaskInput) -> None:
        """Call ``input.resume()`` once there is room."""
        with self._lock:
            if input.terminal:
                if not self._full and self._wake is not None:
                    self._wake.set()
                self._full.add(input)
            if self._epoll is not None:
                self._epoll.modify(fd, select.EPOLLOUT | select.EPOLLONESHOT)

    def settle(self, input: TaskInput) -> None:
        """Stop watching: everything has been written."""
        if input.terminal:
            with self._lock:
                self._full.discard(input)

    def forget(self, fd: int, input: TaskInput) -> None:
        """Unregister a descriptor that is about to be closed."""
        with self._lock:
            self._full.discard(input)
            if self._inputs.pop(fd, None) is not None and self._epoll is not None:
                self._epoll.unregister(fd)

    def _run(self) -> None:
        assert self._epoll is not None
        assert self._wake is not None
        while True:
            ready = self._epoll.poll(_AGAIN_S if self._full else None)
            self._wake.clear()
            with self._lock:
                some = [self._inputs[fd] for fd, _ in ready if fd in self._inputs] + [*self._full]
            for input in some:
                try:
                    input.resume()
                except BaseException:
                    _log.exception("writing a task's input failed")
                    input.close()


writer = InputWriter()
