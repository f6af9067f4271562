"""Removes secrets from the process's environment, where its children could read them.

``/proc/PID/environ`` shows the environment that a process was started with, whatever happens to its
variables. So the server re-executes itself without the secrets, and passes them on in a memfd that is closed
as soon as it is read. The configuration goes with them: it may have come from a pipe, and must be the one
that named the secrets.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from overseer.errors import OverseerError
from overseer.util.startup import re_execute

_log = logging.getLogger(__name__)

_HANDED_ON = "OVERSEER_HANDED_ON"  # the process and the descriptor of the file
_NAME = "overseer-secrets"


@dataclass(frozen=True, slots=True)
class HandedOn:
    """What this process passed on to itself: secrets by variable, and the configuration file's bytes."""

    secrets: Mapping[str, str] = field(repr=False)
    config: bytes | None = field(repr=False)


def handed_on() -> HandedOn | None:
    """What this process passed on to itself; None if it was not re-executed.

    Raises:
        OverseerError: it cannot be read; going on might mean serving without tokens.
    """
    pid, _, number = os.environ.pop(_HANDED_ON, "").partition(":")
    if pid != str(os.getpid()):
        return None  # inherited from another server
    try:
        with open(int(number), "rb") as file:  # noqa: PTH123
            given = json.load(file)
        config = given["config"]
        return HandedOn(given["secrets"], None if config is None else config.encode("latin-1"))
    except (ValueError, TypeError, KeyError, OSError) as error:
        raise OverseerError(f"cannot re-execute: the secrets passed on cannot be read ({error})") from None


def withdraw_secrets(
    names: Collection[str], *, start_over: bool, before: HandedOn | None = None, config: bytes | None = None
) -> dict[str, str]:
    """Remove these variables from the environment, and return their values.

    Args:
        start_over: re-execute the program if there were any, and so not return. Call it before there is a
            second thread and before anything else is open.
        before: what was passed on before.
        config: passed on as well.
    """
    fresh = {name: value for name in names if (value := os.environ.pop(name, None)) is not None}
    secrets = {**(before.secrets if before else {}), **fresh}
    if fresh and start_over:
        problem = _start_over(HandedOn(secrets, config))
        _log.warning(
            "%s cannot be removed from /proc/%d/environ, where programs of the same user can read it: %s",
            " and ".join(fresh), os.getpid(), problem,
        )  # fmt: skip
    return secrets


def _start_over(given: HandedOn) -> str:
    """Re-execute this program, passing this on; returns the reason if that fails."""
    text = None if given.config is None else given.config.decode("latin-1")
    data = json.dumps({"secrets": given.secrets, "config": text}).encode()
    try:
        fd = os.memfd_create(_NAME)
    except OSError as error:
        return str(error)
    try:
        rest = memoryview(data)
        while rest:  # a file size limit may cause a short write
            rest = rest[os.write(fd, rest) :]
        os.lseek(fd, 0, os.SEEK_SET)
        os.set_inheritable(fd, True)
        return re_execute({**os.environb, os.fsencode(_HANDED_ON): b"%d:%d" % (os.getpid(), fd)})
    except OSError as error:
        return str(error)
    finally:
        os.close(fd)
