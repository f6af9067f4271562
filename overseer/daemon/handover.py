"""Getting secrets out of the process's environment, where its children could read them.

``/proc/PID/environ`` shows what a process was started with, whatever it does to its variables later. So the
server starts over, as the same process, without them; they are handed on through a file that exists in memory
only and is closed as soon as it is read. So is the configuration that was read before: it may have come out
of a pipe, and must be the one that named the secrets.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from overseer.errors import OverseerError
from overseer.util.inherited import execute_anew

_log = logging.getLogger(__name__)

_HANDED_ON = "OVERSEER_HANDED_ON"  # the process and the descriptor of the file
_NAME = "overseer-secrets"


@dataclass(frozen=True, slots=True)
class HandedOn:
    """What this process handed to itself: secrets by their variables, and the file's bytes, if any."""

    secrets: Mapping[str, str] = field(repr=False)
    config: bytes | None = field(repr=False)


def handed_on() -> HandedOn | None:
    """What this process handed to itself when it started over; None when it did not.

    Raises:
        OverseerError: it did, and it cannot be read: without it the server might run without its tokens.
    """
    pid, _, number = os.environ.pop(_HANDED_ON, "").partition(":")
    if pid != str(os.getpid()):
        return None  # somebody else's
    try:
        with open(int(number), "rb") as file:  # noqa: PTH123
            given = json.load(file)
        config = given["config"]
        return HandedOn(given["secrets"], None if config is None else config.encode("latin-1"))
    except (ValueError, TypeError, KeyError, OSError) as error:
        raise OverseerError(f"cannot start over: what was handed on cannot be read ({error})") from None


def withdraw_secrets(
    names: Collection[str], *, start_over: bool, before: HandedOn | None = None, config: bytes | None = None
) -> dict[str, str]:
    """The values of these variables, which are taken out of the environment and kept from children.

    Args:
        start_over: whether to execute the program anew if there were any, which does not return then. To be
            called before there is a second thread and before anything else is open.
        before: what was handed on already.
        config: what else is to be handed on.
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
    """Execute this program anew with this handed on; returns why that cannot be done."""
    text = None if given.config is None else given.config.decode("latin-1")
    data = json.dumps({"secrets": given.secrets, "config": text}).encode()
    try:
        fd = os.memfd_create(_NAME)
    except OSError as error:
        return str(error)
    try:
        rest = memoryview(data)
        while rest:  # a limit on the size of files may cut it
            rest = rest[os.write(fd, rest) :]
        os.lseek(fd, 0, os.SEEK_SET)
        os.set_inheritable(fd, True)
        return execute_anew({**os.environb, os.fsencode(_HANDED_ON): b"%d:%d" % (os.getpid(), fd)})
    except OSError as error:
        return str(error)
    finally:
        os.close(fd)
