"""overseerctl, the command-line client of a running server; it sits on :mod:`overseer.client`."""

from __future__ import annotations

from collections.abc import Sequence

from overseer.interrupt import end_at_once, raise_again

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run overseerctl with these arguments and return its exit status.

    Without any it is the process that overseerctl has to itself: its arguments, and Ctrl-C is heeded while it
    loads and while it ends.
    """
    if argv is not None:
        from overseer.ctl.command import main as command

        return command(argv)
    end_at_once()
    from overseer.ctl.command import main as command

    try:
        raise_again()
        return command()
    except KeyboardInterrupt:
        return 130
    finally:
        end_at_once()
