"""Questions before what cannot be undone, or concerns many tasks."""

from __future__ import annotations

import signal
import sys
import termios
from argparse import Namespace
from getpass import getpass

from overseer.ctl.exit_status import EXIT_REFUSED, EXIT_USAGE
from overseer.ctl.interrupts import suspend
from overseer.ctl.terminal import leaving, plain, put_back, say
from overseer.protocol import ActionInfo


class EarlyExit(Exception):
    """The command ends here, with this exit ``status``; the reason has been printed."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def confirm(options: Namespace, what: str) -> None:
    """Ask whether to do ``what``, such as "stop 2 tasks", unless there is a ``--yes``.

    Raises:
        EarlyExit: the user said no, or there is no terminal to ask on.
    """
    refusal = f"refusing to {what}: there is no terminal to confirm it on; add --yes"
    _ask(options, f"{what[0].upper()}{what[1:]}?", refusal)


def confirm_start(options: Namespace, action: ActionInfo) -> None:
    """Put an action's own question, its ``confirm``, to the user, as :func:`confirm` does."""
    if action.confirm:
        name = plain(action.name)
        refusal = (
            f'{name} asks "{plain(action.confirm)}" before it starts, and there is no terminal to answer on; '
            "add --yes"
        )
        _ask(options, action.confirm, refusal)


def ask_secret(prompt: str) -> str:
    """Ask on the terminal for what is not shown while it is typed.

    Raises:
        EarlyExit: the user ended the input instead, or typed what is not UTF-8.
    """
    modes = termios.tcgetattr(0)
    leaving.append(lambda: termios.tcsetattr(0, termios.TCSANOW, modes))

    def pause(number: int, frame: object) -> None:
        """Ctrl-Z: the shell gets the terminal as it was; once we go on, nothing is shown again."""
        hidden = termios.tcgetattr(0)
        put_back()
        suspend()
        termios.tcsetattr(0, termios.TCSANOW, hidden)
        sys.stderr.write(f"\n{prompt}")
        sys.stderr.flush()

    handlers = {signal.SIGTSTP: pause, **dict.fromkeys((signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT), _end)}
    # Those that are ignored, as by nohup, stay so.
    ours = [number for number in handlers if signal.getsignal(number) == signal.SIG_DFL]
    for number in ours:
        signal.signal(number, handlers[number])
    try:
        return getpass(prompt)
    except EOFError:
        say("cancelled")
        raise EarlyExit(EXIT_REFUSED) from None
    except UnicodeDecodeError:
        say("cancelled: what was typed is not UTF-8")
        raise EarlyExit(EXIT_REFUSED) from None
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)
        leaving.pop()


def _end(number: int, _: object) -> None:
    """Die of a signal, with the terminal as it was."""
    put_back()
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)


def can_ask() -> bool:
    """Whether there is a terminal to ask on."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))


def _ask(options: Namespace, question: str, refusal: str) -> None:
    if options.yes:
        return
    if not can_ask():
        say(refusal)
        raise EarlyExit(EXIT_USAGE)
    sys.stderr.write(f"{plain(question)} [y/N] ")
    sys.stderr.flush()
    if sys.stdin.buffer.readline().strip().lower() not in (b"y", b"yes"):  # it may not be UTF-8
        say("cancelled")
        raise EarlyExit(EXIT_REFUSED)
