"""overseerctl, the command-line client of a running server."""

from overseer.ctl.command import main

__all__ = ["main"]
