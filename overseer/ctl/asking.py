"""Questions before something is done that cannot be undone, or to many tasks."""

from __future__ import annotations

import sys
from argparse import Namespace

from overseer.ctl.exit_status import EXIT_REFUSED, EXIT_USAGE
from overseer.ctl.terminal import plain, say
from overseer.protocol import ActionInfo


class NotConfirmed(Exception):
    """It is not done; ``status`` is the exit status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def confirm(options: Namespace, what: str) -> None:
    """Ask whether to do ``what``, such as "stop 2 tasks", unless ``--yes`` says it.

    Raises:
        NotConfirmed: the answer was no, or there is no terminal to ask on.
    """
    refusal = f"refusing to {what}: there is no terminal to confirm it on; add --yes"
    _ask(options, f"{what[0].upper()}{what[1:]}?", refusal)


def confirm_start(options: Namespace, action: ActionInfo) -> None:
    """Ask what an action has people asked before each start. Raises NotConfirmed."""
    if action.confirm:
        name = plain(action.name)
        refusal = (
            f'{name} asks "{plain(action.confirm)}" before it starts, and there is no terminal to answer on; '
            "add --yes"
        )
        _ask(options, action.confirm, refusal)


def _ask(options: Namespace, question: str, refusal: str) -> None:
    if options.yes:
        return
    if sys.stdin is None or sys.stderr is None or not (sys.stdin.isatty() and sys.stderr.isatty()):
        say(refusal)
        raise NotConfirmed(EXIT_USAGE)
    sys.stderr.write(f"{plain(question)} [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        say("cancelled")
        raise NotConfirmed(EXIT_REFUSED)
