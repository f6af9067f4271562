"""What a service manager and this program tell each other: readiness, the watchdog, sockets that are passed.

The protocols are systemd's, which others speak as well; without them in the environment, nothing here does
anything. The variables are taken out of the environment, since no child is meant by them.
"""

from __future__ import annotations

import logging
import os
import re
import socket
import threading
import time
from collections.abc import MutableMapping

from overseer.errors import OverseerError

_log = logging.getLogger(__name__)

_FIRST_FD = 3
_NUMBER = re.compile("[0-9]{1,18}")


class Notifier:
    """Tells the manager how the program is doing; safe from any thread, and never raises.

    Attributes:
        watchdog: seconds between two calls of :meth:`alive`, half of what the manager waits for; None: it
            does not watch.
    """

    def __init__(self, environ: MutableMapping[str, str] = os.environ) -> None:
        self._address = environ.pop("NOTIFY_SOCKET", "")
        if self._address.startswith("@"):
            self._address = "\0" + self._address[1:]  # an abstract one
        self.watchdog: float | None = None
        period = environ.pop("WATCHDOG_USEC", "")
        meant = environ.pop("WATCHDOG_PID", "") in ("", str(os.getpid()))
        if self._address and meant and _NUMBER.fullmatch(period) and int(period) > 0:
            self.watchdog = min(int(period) / 1e6 / 2, threading.TIMEOUT_MAX)
        self._warned = False

    def ready(self, status: str) -> None:
        """It serves now, or again after :meth:`reloading`."""
        self._send("READY=1", f"STATUS={status}")

    def reloading(self) -> None:
        """It reads its configuration anew; :meth:`ready` must follow."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self, seconds: float) -> None:
        """It ends, which may take so long."""
        self._send("STOPPING=1", f"EXTEND_TIMEOUT_USEC={int(seconds * 1e6)}", "STATUS=ending its tasks")

    def alive(self) -> None:
        """The watchdog's due."""
        self._send("WATCHDOG=1")

    def _send(self, *lines: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
                sock.settimeout(1.0)
                sock.sendto("\n".join(lines).encode(), self._address)
        except (OSError, ValueError) as error:
            if not self._warned:  # a watchdog's due would say it again and again
                self._warned = True
                _log.warning("cannot tell the service manager (NOTIFY_SOCKET): %s", error)


def passed_sockets(environ: MutableMapping[str, str] = os.environ) -> list[socket.socket]:
    """The listening sockets that the manager opened for this process, which are the caller's from now on.

    Raises:
        OverseerError: what was said is no number, or what was passed are no listening stream sockets.
    """
    count = environ.pop("LISTEN_FDS", "")
    meant = environ.pop("LISTEN_PID", "") == str(os.getpid())
    environ.pop("LISTEN_FDNAMES", None)
    if not meant:
        return []
    if not _NUMBER.fullmatch(count):
        raise OverseerError(f"LISTEN_FDS is not a number of file descriptors: {count[:40]!r}")
    sockets: list[socket.socket] = []
    try:
        for fd in range(_FIRST_FD, _FIRST_FD + int(count)):
            os.set_inheritable(fd, False)
            sock = socket.socket(fileno=fd)
            sockets.append(sock)
            if not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                raise OSError("it does not listen")
    except (OSError, OverflowError) as error:
        for sock in sockets:
            sock.close()
        raise OverseerError(
            f"cannot use the file descriptor {fd} that the service manager passed: {error}"
        ) from None
    return sockets
