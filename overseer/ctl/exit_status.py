"""Exit statuses, the same for all commands."""

from __future__ import annotations

import signal

from overseer.ctl.times import rounded
from overseer.protocol import Exited

EXIT_REFUSED = 1  # the server refused, or removed the task from its queue; or stdout cannot be written
EXIT_USAGE = 2
EXIT_TIMEOUT = 124  # as with timeout(1)
EXIT_LOST = 125  # how it ends is unknown: no connection, or it was lost; or its host was
EXIT_INTERRUPTED = 128 + signal.SIGINT

EXITS = """\
exit status:
  run, wait: the task's own; 128 + the signal's number when a signal ended it
  0    done
  1    the server refused, or took the task out of its queue; or stdout cannot
       be written; or the task was unhealthy, though it exited with 0
  2    usage error
  124  --timeout expired, or the task lasted longer than its action allows
  125  no connection, or it was lost, or the task's host was: how the task ended
       is unknown
  130  interrupted by Ctrl-C (run: by the second one), or stopped before it ran
"""


def of_exit(event: Exited | None) -> int:
    """A task's exit as a shell reports it: the code, or 128 + the signal's number."""
    if event is None:
        return EXIT_REFUSED
    if event.reason == "timeout":
        return EXIT_TIMEOUT
    if event.reason == "lost":
        return EXIT_LOST
    if event.reason == "unhealthy" and not event.exit_code:
        return 1
    if event.signal in signal.Signals.__members__:
        return 128 + signal.Signals[event.signal]
    return event.exit_code & 0xFF


def words_of(event: Exited | None) -> str:
    """How a run ended, for people."""
    if event is None:
        return "it could not be started"
    if event.reason == "lost":
        return f"how it ended is unknown: {event.host or 'its host'} was lost"
    how = f"ended by {event.signal}" if event.signal else f"exited with {event.exit_code}"
    told = event.reason in ("exited", "signal")
    return f"{how} after {rounded(event.duration_ms * 1_000_000)}{'' if told else f' ({event.reason})'}"
