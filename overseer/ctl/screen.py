"""The whole terminal: entered, left, and what is typed on it."""

from __future__ import annotations

import errno
import os
import re
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from overseer.ctl.terminal import OutputError, print_text

_ENTER = "\x1b[?1049h\x1b[?25l"  # alternate screen, cursor hidden
_LEAVE = "\x1b[?25h\x1b[?1049l"
_NAMED = {
    **{"\x1b[A": "up", "\x1bOA": "up", "\x1b[B": "down", "\x1bOB": "down"},
    **{"\x1b[5~": "page up", "\x1b[6~": "page down", "\x1b[H": "home", "\x1b[F": "end"},
    **{"\x1b": "escape", "\r": "enter", "\n": "enter", "\x7f": "backspace", "\b": "backspace"},
    "\x03": "interrupt",
}
_KEY = re.compile(r"\x1b\[[0-9;]*[A-Za-z~]|\x1bO[A-Z]|.", re.DOTALL)


def keys_of(typed: bytes) -> Iterator[str]:
    """The keys in what was typed: characters, and the names of other keys."""
    for match in _KEY.finditer(typed.decode("utf-8", "ignore")):
        key = match[0]
        if key in _NAMED or len(key) == 1:
            yield _NAMED.get(key, key)


def read_key(key: int) -> bytes:
    """What was typed, perhaps several keys; b"": the terminal is gone."""
    try:
        return os.read(key, 64)
    except OSError:  # the terminal is gone
        return b""


def height() -> int:
    """The terminal's rows; 24 when unknown."""
    try:
        return os.get_terminal_size(sys.stdout.fileno()).lines or 24  # a terminal may not know its size
    except OSError:
        return 24


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
