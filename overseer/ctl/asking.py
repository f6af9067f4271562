"""Questions before what cannot be undone, or concerns many tasks."""

from __future__ import annotations

import sys
import termios
from argparse import Namespace
from getpass import getpass

from overseer.ctl.exit_status import EXIT_REFUSED, EXIT_USAGE
from overseer.ctl.terminal import leaving, plain, say
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
        EarlyExit: the user ended the input instead.
    """
    modes = termios.tcgetattr(0)
    leaving.append(lambda: termios.tcsetattr(0, termios.TCSANOW, modes))
    try:
        return getpass(prompt)
    except EOFError:
        say("cancelled")
        raise EarlyExit(EXIT_REFUSED) from None
    finally:
        leaving.pop()


def _ask(options: Namespace, question: str, refusal: str) -> None:
    if options.yes:
        return
    if sys.stdin is None or sys.stderr is None or not (sys.stdin.isatty() and sys.stderr.isatty()):
        say(refusal)
        raise EarlyExit(EXIT_USAGE)
    sys.stderr.write(f"{plain(question)} [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        say("cancelled")
        raise EarlyExit(EXIT_REFUSED)
