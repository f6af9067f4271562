"""Questions before something is done that cannot be undone, or to many tasks."""

from __future__ import annotations

import sys
from argparse import Namespace

from overseer.ctl.exit_status import EXIT_REFUSED, EXIT_USAGE
from overseer.ctl.terminal import plain, say


def unconfirmed(options: Namespace, what: str) -> int:
    """Ask whether to do ``what``; 0 if so, or if ``--yes`` says it, else the exit status."""
    if options.yes:
        return 0
    if sys.stdin is None or sys.stderr is None or not (sys.stdin.isatty() and sys.stderr.isatty()):
        say(f"this would {what}: say --yes, since there is no terminal to ask on")
        return EXIT_USAGE
    sys.stderr.write(f"{plain(what[0].upper() + what[1:])}? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() in ("y", "yes"):
        return 0
    say("nothing was done")
    return EXIT_REFUSED
