"""Executing the program that follows, and what it is given."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, NoReturn

from overseer.errors import OverseerError
from overseer.util.handover import from_memory

VARIABLE = "OVERSEER_HANDOVER"
"""The process, the descriptor of the state, and what else is to be known."""


class Succession(NamedTuple):
    """What the program before has passed on.

    Attributes:
        state: as bytes.
        began: since when nothing is read or sent (monotonic).
        ended: tasks that it has ended for this.
        failure: why the program that was to follow did not; ``""``: this is that one.
    """

    state: bytes
    began: float
    ended: tuple[str, ...]
    failure: str = ""


def command_of() -> list[str]:
    """The command line by which this program was started."""
    return [sys.executable, *sys.orig_argv[1:]]


def replace_by(
    command: list[str], state: int, descriptors: Iterable[int], more: Mapping[str, Any]
) -> NoReturn:
    """Execute a program with this state, a file in memory, and these descriptors; on the main thread.

    Raises:
        OSError: that is impossible; nothing has changed.
    """
    said = json.dumps({"pid": os.getpid(), "state": state, **more})
    passed = [state, *descriptors]
    try:
        for fd in passed:
            os.set_inheritable(fd, True)
        os.execve(command[0], command, {**os.environb, VARIABLE.encode(): said.encode()})
    except BaseException:
        for fd in passed:
            os.set_inheritable(fd, False)
        raise


def succession() -> Succession | None:
    """What the program before this one has passed on; None: there was none.

    Raises:
        OverseerError: it cannot be read; going on might mean serving without tokens.
    """
    text = os.environ.pop(VARIABLE, "")
    if not text:
        return None
    try:
        said = json.loads(text)
        if said["pid"] != os.getpid():
            return None  # inherited from another server
        state = from_memory(said["state"])
        os.close(said["state"])
        return Succession(state, said["began"], tuple(said["ended"]), said.get("failure", ""))
    except (ValueError, TypeError, KeyError, OSError) as error:
        raise OverseerError(f"the state that was handed over cannot be read: {error}") from None
