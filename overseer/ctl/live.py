"""The unfinished line of a task's output, redrawn in place at the bottom of a terminal."""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
import threading
import unicodedata
from collections.abc import Callable, Hashable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Self, TextIO

from overseer.ctl.columns import columns_of
from overseer.ctl.interrupts import signals_to
from overseer.ctl.terminal import in_foreground, transient, width

_ERASE = "\r\x1b[K"
_PLAIN = "\x1b[0m"
# A colour; any other sequence, finished or not; a character.
_TOKEN = re.compile(
    r"(?P<colour>\x1b\[[0-9;:]*m)"
    r"|\x1b\[[0-?]*[ -/]*[@-~]?"
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[PX^_][^\x1b]*(?:\x1b\\)?|\x1b[ -/]*[0-~]?"
    r"|(?P<char>.)",
    re.DOTALL,
)


def cut_live(text: str, columns: int) -> str:
    """A text as one line of at most ``columns``, with its colours but without other control sequences, and
    with an ellipsis at its end if it was cut."""
    shown: list[str] = []  # a character, or a colour
    taken = 0
    coloured = False
    for token in _TOKEN.finditer(text):
        if token["colour"]:
            coloured = True
            shown.append(token["colour"])
        for char in " " * (8 - taken % 8) if token["char"] == "\t" else token["char"] or "":
            if not char.isprintable() and unicodedata.category(char) != "Zs":
                continue
            taken += columns_of(char)
            shown.append(char)
        if taken > columns:
            while shown and taken >= max(columns, 1):
                taken -= 0 if len(last := shown.pop()) > 1 else columns_of(last)
            shown.append("…" if columns > 0 else "")
            break
    return "".join(shown) + (_PLAIN if coloured else "")


class Unfinished:
    """The unfinished lines of several streams, and what to write to show the latest one."""

    def __init__(self) -> None:
        self._lines: dict[Hashable, str] = {}  # in the order in which they changed
        self.shown = False

    def put(self, key: Hashable, text: str) -> None:
        """Set a stream's unfinished line; "": it has none."""
        self._lines.pop(key, None)
        if text:
            self._lines[key] = text

    def clear(self) -> str:
        """The bytes that erase it."""
        was, self.shown = self.shown, False
        return _ERASE if was else ""

    def draw(self, columns: int) -> str:
        """What shows it in a terminal's width, less the last column, in which the cursor would hang between
        two lines."""
        if not self._lines:
            return self.clear()
        self.shown = True
        return _ERASE + cut_live(next(reversed(self._lines.values())), columns - 1)


class LiveLine:
    """Shows it on stdout or stderr, whichever is a terminal; does nothing when neither is. Thread-safe.

    While entered, it is redrawn when this program continues after Ctrl-Z, and when the window is resized.
    """

    def __init__(self, *, wanted: bool = True) -> None:
        self._lock = threading.Lock()  # guards the line, and writing it
        self._line = Unfinished()
        wanted = wanted and os.environ.get("TERM") != "dumb"
        streams = {"stdout": sys.stdout, "stderr": sys.stderr}
        self._terminals = {
            name: stream
            for name, stream in streams.items()
            if wanted and stream is not None and stream.isatty()
        }
        self._out: TextIO | None = next(iter(self._terminals.values()), None)
        self._signals = ExitStack()

    @property
    def on(self) -> bool:
        return self._out is not None

    @property
    def shown(self) -> bool:
        """Whether it is on the terminal."""
        return self._line.shown

    def put(self, stream: str, key: Hashable, text: str) -> None:
        """Set the unfinished line of ``stream``; :meth:`draw` shows it."""
        if stream in self._terminals:
            with self._lock:
                self._line.put(key, text)

    def clear(self) -> None:
        """To be called before anything else is written to the terminal."""
        if self.shown:
            with self._lock:
                self._write(self._line.clear())

    def draw(self) -> None:
        """To be called when all else has been written."""
        if self._out is not None:
            with self._lock:
                self._write(self._line.draw(width(self._out)))

    def __enter__(self) -> Self:
        if self.on:
            transient.append(self)
            self._signals.enter_context(_on_signals((signal.SIGCONT, signal.SIGWINCH), self._redraw))
        return self

    def __exit__(self, *exc: object) -> None:
        self._signals.close()
        self.clear()
        if self.on:
            transient.remove(self)

    def _redraw(self) -> None:
        if self.shown:
            self.draw()

    def _write(self, text: str) -> None:
        if text and self._out is not None and in_foreground(self._out):
            with suppress(OSError):  # the next ordinary write reports it
                self._out.buffer.write(text.encode("utf-8", "replace"))
                self._out.buffer.flush()


@contextmanager
def _on_signals(numbers: tuple[int, ...], act: Callable[[], None]) -> Iterator[None]:
    """Act on these signals on a thread: a handler would interrupt the main one anywhere."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    hear, tell = socket.socketpair()

    def listen() -> None:
        while heard := hear.recv(64):
            if any(number in heard for number in numbers):
                act()

    thread = threading.Thread(target=listen, name="redraw", daemon=True)
    with hear:
        with tell, signals_to(tell, numbers):
            thread.start()
            yield
        thread.join()  # it ends since tell is closed
