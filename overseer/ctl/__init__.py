"""overseerctl, the command-line client of a running server; it sits on :mod:`overseer.client`."""

from __future__ import annotations

from collections.abc import Sequence

from overseer.util.interrupt import end_at_once
from overseer.util.startup import settle, speak_utf8

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run overseerctl with these arguments and return its exit status.

    Without any, it takes over the process: it reads its arguments, and Ctrl-C ends it at once, except where
    ``run`` and ``top`` clean up. (A KeyboardInterrupt could come between taking a lock and releasing it.)
    """
    if argv is not None:
        from overseer.ctl.command import main as command

        return command(argv)
    settle()
    end_at_once()
    unable = speak_utf8()
    from overseer.ctl.command import main as command
    from overseer.ctl.terminal import leave, say

    if unable:
        say(unable)
    end_at_once(leave)
    return command()
