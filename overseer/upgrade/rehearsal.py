"""Trying out, in a child, whether a program can take over a state."""

from __future__ import annotations

import os
import subprocess
import sys

from overseer.errors import OverseerError
from overseer.upgrade.succession import command_of
from overseer.util.handover import to_memory

OPTION = "check-handover"
"""Of the command line: followed by the descriptor of a state."""

_PATIENCE_S = 60.0
_SHOWN = 2000  # characters of what it says


def rehearse(state: bytes) -> str:
    """Have the program that is installed now read the state; returns its version.

    Raises:
        OverseerError: it cannot, and why.
        OSError: it cannot be started.
    """
    fd = to_memory(state)
    try:
        run = subprocess.run(
            [*command_of(), f"--{OPTION}", str(fd)],
            pass_fds=[fd],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE_S,
            errors="replace",
        )
    except subprocess.TimeoutExpired:
        raise OverseerError(f"the new program has not read the state within {_PATIENCE_S:g} s") from None
    finally:
        os.close(fd)
    if run.returncode:
        said = run.stderr.strip()[-_SHOWN:] or f"it ended with status {run.returncode}"
        raise OverseerError(f"the new program cannot take over: {said}")
    return run.stdout.strip() or "unknown"


def say(version: str) -> None:
    """The answer of the child, which ends here."""
    sys.stdout.write(f"{version}\n")
    sys.stdout.flush()
    os._exit(0)
