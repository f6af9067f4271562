"""Getting secrets out of the process's environment, where its children could read them.

``/proc/PID/environ`` shows what a process was started with, whatever it does to its variables later. So the
server starts over, as the same process, without them; they are handed on through a file that exists in memory
only and is closed as soon as it is read.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
from collections.abc import Collection, Mapping
from pathlib import Path

__all__ = ["withdraw_secrets"]

_log = logging.getLogger(__name__)

_HANDED_ON = "OVERSEER_HANDED_ON"  # the descriptor of the file
_NAME = "overseer-secrets"


def withdraw_secrets(names: Collection[str], *, start_over: bool) -> dict[str, str]:
    """The values of these variables, which are taken out of the environment and kept from children.

    Args:
        start_over: whether to execute the program anew if there were any, which does not return then. To be
            called before there is a second thread and before anything else is open.
    """
    found = _handed_on()
    fresh = {name: value for name in names if (value := os.environ.pop(name, None)) is not None}
    secrets = {**found, **fresh}
    if fresh and start_over:
        problem = _start_over(secrets)
        _log.warning(
            "%s cannot be removed from /proc/%d/environ, where programs of the same user can read it: %s",
            " and ".join(fresh), os.getpid(), problem,
        )  # fmt: skip
    return secrets


def _start_over(secrets: Mapping[str, str]) -> str:
    """Execute this program anew with these secrets handed on; returns why that cannot be done."""
    if not sys.executable:
        return "it is not known where Python is"
    if threading.active_count() > 1:
        return "this program has threads already"
    try:
        fd = os.memfd_create(_NAME)
    except OSError as error:
        return str(error)
    try:
        os.write(fd, json.dumps(secrets).encode())
        os.lseek(fd, 0, os.SEEK_SET)
        os.set_inheritable(fd, True)
        sys.stdout.flush()
        sys.stderr.flush()
        os.execve(sys.executable, [sys.orig_argv[0], *sys.orig_argv[1:]], {**os.environ, _HANDED_ON: str(fd)})
    except OSError as error:
        os.close(fd)
        return str(error)


def _handed_on() -> dict[str, str]:
    """What this process handed to itself when it started over."""
    number = os.environ.pop(_HANDED_ON, "")
    try:
        if not Path(f"/proc/self/fd/{int(number)}").readlink().name.startswith(f"memfd:{_NAME}"):
            return {}
    except (ValueError, OSError):
        return {}
    with open(int(number), "rb") as file:  # noqa: PTH123
        secrets: dict[str, str] = json.load(file)
    return secrets
