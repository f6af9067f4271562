"""overseerctl, the command-line client of a running server; it sits on :mod:`overseer.client`."""

from overseer.ctl.command import main

__all__ = ["main"]
