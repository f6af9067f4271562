"""Writing to a terminal or pipe that may go away at any time, within what it can show."""

from __future__ import annotations

import errno
import json
import os
import re
import sys
import termios
import threading
import time
from argparse import Namespace
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import IO, Any, Protocol, Self

from overseer.ctl.columns import fit
from overseer.ctl.exit_status import EXIT_INTERRUPTED
from overseer.errors import OverseerError
from overseer.protocol import to_plain, utf8

PALETTE = ("36", "33", "32", "35", "34", "96", "93", "92", "95", "94")  # SGR codes; none is red
_COLOUR = re.compile(r"(\x1b\[[0-9;:]*m)")


class Transient(Protocol):
    """A line that comes and goes at the bottom of the terminal."""

    @property
    def shown(self) -> bool: ...

    def clear(self) -> None: ...


transient: list[Transient] = []  # cleared before remarks


class Pager(Protocol):
    """A program that shows the output on the terminal."""

    @property
    def showing(self) -> bool: ...

    def input(self) -> IO[bytes] | None: ...


pager: Pager | None = None  # gets what would go to a terminal


def say(text: str) -> None:
    """Write a remark of overseerctl's own to stderr, with a prefix that tells it from a task's output."""
    if sys.stderr is None:
        return None
    try:
        for line in transient:
            line.clear()
        lines = "\n".join(map(plain, text.split("\n")))  # a server's words are untrusted
        remark = f"overseerctl: {lines}\n"
        if pager is not None and pager.showing:
            with suppress(OutputError):
                return write_out(utf8(remark), "stderr")
        print(remark, end="", file=sys.stderr, flush=True)
    except OSError:
        silence(sys.stderr)


class OutputError(OverseerError):
    """Writing to stdout or stderr failed; ``gone``: because the reader is gone (``| head``), which is not a
    failure of ours."""

    def __init__(self, name: str, error: OSError) -> None:
        super().__init__(f"cannot write to {name}: {error.strerror or error}")
        self.gone = isinstance(error, BrokenPipeError)


def write_out(data: bytes, name: str = "stdout") -> None:
    """Write to stdout or stderr, unbuffered. Raises OutputError; later output is discarded."""
    stream = sys.stdout if name == "stdout" else sys.stderr
    out: IO[bytes] | None = None
    try:
        if stream is None:  # >&-
            raise OSError(errno.EBADF, "it is closed")
        out = pager.input() if pager is not None and stream.isatty() else None
        out = stream.buffer if out is None else out
        out.write(data)
        out.flush()
    except OSError as error:
        if out is not None:
            silence(out)
        raise OutputError(name, error) from None


def print_text(text: str) -> None:
    """Write to stdout. Raises OutputError."""
    write_out(utf8(text))


def print_lines(lines: Iterable[str]) -> None:
    """Write to stdout. Raises OutputError."""
    print_text("".join(f"{line}\n" for line in lines))


def counted(number: int, what: str) -> str:
    """``1 task``, ``2 tasks``."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def show(options: Namespace, value: Any, lines: Callable[[], Iterable[str]], none: str = "") -> None:
    """A command's answer on stdout: with ``--json`` the value, else the lines; or, where the value is empty,
    the remark ``none``. Raises OutputError."""
    if options.json:
        print_json(value)
    elif value or not none:
        print_lines(lines())
    else:
        say(none)


def print_json(value: Any) -> None:
    """Write to stdout, with messages in the protocol's form. Raises OutputError."""
    print_text(_json(value, indent=2) + "\n")


def json_line(value: Any) -> bytes:
    """An event, or a part of one, as a line of JSON."""
    return utf8(_json(value) + "\n")


def _json(value: Any, indent: int | None = None) -> str:
    text = json.dumps(value, indent=indent, ensure_ascii=False, default=to_plain)
    # JSON escapes only ASCII's control characters, without DEL. Others that affect a terminal or are
    # invisible (U+202E reverses a line) are escaped too: to a program it is the same text.
    return "\n".join(map(plain, text.split("\n")))


def silence(stream: IO[Any]) -> None:
    """Discard the stream's buffer, which Python would flush at exit, and all that follows."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def plain(text: str) -> str:
    """An untrusted text on one line, with everything that affects a terminal escaped."""
    if text.isprintable():
        return text
    return "".join(map(_shown, text))


def _shown(char: str) -> str:
    if char.isprintable():
        return char
    # Half a surrogate pair is not a character, and many programs refuse JSON that escapes one.
    if "\ud800" <= char <= "\udfff":
        return "\ufffd"
    return "\\u007f" if char == "\x7f" else json.dumps(char)[1:-1]  # which JSON does not escape


def on_terminal() -> bool:
    """Whether stdout is a terminal."""
    return sys.stdout is not None and sys.stdout.isatty()


def in_foreground(stream: IO[Any]) -> bool:
    """Whether this program may draw on a terminal: in the background (``bg``, ``&``) it may not."""
    try:
        return os.tcgetpgrp(stream.fileno()) == os.getpgrp()
    except OSError:  # it is not the controlling terminal
        return True


def width(stream: IO[Any]) -> int:
    """A terminal's columns; 80 when unknown."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


def room() -> int | None:
    """Columns for a line on stdout; None: it is not a terminal."""
    return width(sys.stdout) if on_terminal() else None


class Style:
    """Colours and signs, if wanted.

    ``when``: ``always``, ``never``, or ``auto``: on a terminal, unless NO_COLOR or TERM=dumb say otherwise.
    Signs, such as a tick before ``succeeded``, are for terminals, coloured or not.
    """

    def __init__(self, when: str, stream: IO[Any] | None) -> None:
        dumb = os.environ.get("TERM") == "dumb"
        terminal = stream is not None and stream.isatty() and not dumb
        self.on = when == "always" or (when == "auto" and terminal and not os.environ.get("NO_COLOR"))
        self.signs = terminal

    def paint(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.on and code else text

    def failure(self, text: str) -> str:
        return self.paint(text, "31")

    def heading(self, text: str) -> str:
        return self.paint(text, "1")


def with_colours(text: str, style: Style) -> str:
    """:func:`plain`, but with the text's own colours, or without them where colours are not wanted."""
    if "\x1b" not in text:
        return plain(text)
    parts = _COLOUR.split(text)  # every second one is a colour
    if not style.on:
        return "".join(map(plain, parts[::2]))
    parts[::2] = map(plain, parts[::2])
    return "".join(parts) + ("\x1b[0m" if len(parts) > 1 else "")


def style_of(options: Namespace) -> Style:
    return Style(getattr(options, "color", "auto"), sys.stdout)


leaving: list[Callable[[], None]] = []  # what put_back calls


def put_back() -> None:
    """Before the process ends at once: give the terminal the modes that it had. Never blocks."""
    for put in leaving:
        with suppress(OSError, termios.error):
            put()


def leave() -> None:
    """End the process at once, on Ctrl-C, without taking locks that the interrupted code may hold."""
    put_back()
    if any(line.shown for line in transient):
        os.write(2, b"\r\x1b[K")
    os._exit(EXIT_INTERRUPTED)


class Progress:
    """``with Progress(lambda: "waiting for x"):`` shows that on stderr, and for how long.

    Only on a terminal, and after a second; erased when something else is written.
    """

    def __init__(self, text: Callable[[], str]) -> None:
        self._text = text
        self._since = time.monotonic()
        self._over = threading.Event()
        self._lock = threading.Lock()  # guards the display
        self._shown = False
        self._on = sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._thread = threading.Thread(target=self._run, name="progress", daemon=True)

    @property
    def shown(self) -> bool:
        """Whether its line is on the terminal."""
        return self._shown

    def clear(self) -> None:
        with self._lock:
            if self._shown:
                self._shown = False
                self._write("\r\x1b[K")

    def __enter__(self) -> Self:
        if self._on:
            transient.append(self)
            self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._over.set()
        if self._on:
            self._thread.join()
            self.clear()
            transient.remove(self)

    def _run(self) -> None:
        while not self._over.wait(1.0):
            with self._lock:  # a clear must not be followed by an outdated text
                if text := self._text():
                    elapsed = f" ({time.monotonic() - self._since:.0f} s)"
                    columns = width(sys.stderr) - 1
                    shown = fit(plain(text), max(0, columns - len(elapsed))) + elapsed
                    self._write(f"\r\x1b[K{fit(shown, columns)}")
                    self._shown = True

    def _write(self, text: str) -> None:
        try:
            if in_foreground(sys.stderr):
                sys.stderr.write(text)
                sys.stderr.flush()
        except OSError:
            self._over.set()
