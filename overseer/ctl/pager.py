"""A pager between overseerctl and the terminal, as git and journalctl have one."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import threading
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import IO, TYPE_CHECKING

from overseer.ctl import terminal
from overseer.ctl.asking import EarlyExit
from overseer.ctl.terminal import OutputError, in_foreground, on_terminal

if TYPE_CHECKING:
    import subprocess

_USUAL = ("less", "more")
# For less: quit if all fits on the screen (F) or on Ctrl-C (K), show colours (R), do not fold lines (S),
# leave what was shown on the screen (X), say where one is (M).
_LESS = "FRSXMK"
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def paged(options: Namespace) -> Iterator[None]:
    """Have a pager show what is written meanwhile, if the command has ``--no-pager``, it was not given, and
    stdout is a terminal.

    Raises:
        EarlyExit: a signal has ended the pager, and with it the command.
    """
    unwanted = getattr(options, "no_pager", True) or options.json or getattr(options, "follow", False)
    if unwanted or not on_terminal() or os.environ.get("TERM", "dumb") == "dumb":
        yield
        return
    pager = Pager(at_end=getattr(options, "pager_end", False))
    terminal.pager = pager
    try:
        yield
    except OutputError as error:
        if error.gone:
            pager.wait()
        raise
    finally:
        terminal.pager = None
        pager.close()


class Pager:
    """A pager that starts with the first output. If its user quits early, it ends this process, which may be
    waiting for a server."""

    def __init__(self, *, at_end: bool) -> None:
        self._at_end = at_end
        self._process: subprocess.Popen[bytes] | None = None
        self._tried = False
        self._complete = False
        self._heard = 0  # a signal
        self._before = {number: signal.getsignal(number) for number in _SIGNALS}
        self._watcher = threading.Thread(target=self._watch, name="pager", daemon=True)

    @property
    def showing(self) -> bool:
        """Whether it has the terminal."""
        return self._process is not None

    def input(self) -> IO[bytes] | None:
        """What it reads; None: there is no pager."""
        if not self._tried:
            self._tried = True
            self._start()
        return None if self._process is None else self._process.stdin

    def close(self) -> None:
        """Give it the end of the output, and wait for its own. Raises EarlyExit."""
        if self._process is None:
            return
        self._complete = True
        with suppress(OSError):  # it has ended
            if self._process.stdin is not None:
                self._process.stdin.close()
        self.wait()
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self._heard:
            raise EarlyExit(128 + self._heard)

    def wait(self) -> None:
        """Until it has ended."""
        self._watcher.join()

    def _start(self) -> None:
        if not in_foreground(sys.stdout):  # it could not read keys
            return
        import subprocess  # most output is not paged

        for argv in _candidates():
            name = Path(argv[0]).name
            if name == "cat":
                return
            if name == "less" and self._at_end:
                argv = [*argv, "+G"]
            environment = {"LESS": _LESS, "LESSCHARSET": "utf-8", **os.environ}
            with suppress(OSError):  # it is not installed
                self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, env=environment)
                break
        else:
            return
        for number, handler in self._before.items():
            if handler != signal.SIG_IGN:
                signal.signal(number, self._hear)
        self._watcher.start()

    def _hear(self, number: int, frame: FrameType | None) -> None:
        """Ctrl-C is the pager's; it may have another meaning there."""
        self._heard = number
        if number != signal.SIGINT and self._process is not None:
            self._process.terminate()

    def _watch(self) -> None:
        assert self._process is not None
        self._process.wait()
        if not self._complete:
            os._exit(128 + self._heard if self._heard else 0)


def _candidates() -> Iterator[list[str]]:
    """The command lines to try, in order."""
    wanted = os.environ.get("OVERSEER_PAGER") or os.environ.get("PAGER") or ""
    with suppress(ValueError):  # an unbalanced quote
        if argv := shlex.split(wanted):
            yield argv
    for name in _USUAL:
        yield [name]
