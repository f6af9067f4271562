"""The service manager's protocols: readiness, watchdog, socket activation.

They are systemd's, which other managers speak as well; without their variables, nothing here does anything.
The variables are removed from the environment, since they are not meant for children.
"""

from __future__ import annotations

import logging
import os
import re
import socket
import threading
import time
from collections.abc import Callable, MutableMapping
from functools import partial

from overseer.errors import OverseerError
from overseer.util.threads import start_thread

_log = logging.getLogger(__name__)

_FIRST_FD = 3
_VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
_NUMBER = re.compile("[0-9]{1,18}")


class Notifier:
    """Notifies the manager. Thread-safe; never raises.

    Attributes:
        variables: by which the manager is found, for the program that follows.
        watchdog: seconds between calls of :meth:`alive`, half of the manager's timeout; None: no watchdog.
    """

    def __init__(self, environ: MutableMapping[str, str] = os.environ) -> None:
        self.variables = {name: environ[name] for name in _VARIABLES if name in environ}
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
        """The server is ready, or ready again after :meth:`reloading`."""
        self._send("READY=1", f"STATUS={status}")

    def reloading(self) -> None:
        """A reload begins; :meth:`ready` must follow."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self, seconds: float) -> None:
        """The shutdown begins, and may take so long."""
        self._send("STOPPING=1", f"EXTEND_TIMEOUT_USEC={int(seconds * 1e6)}", "STATUS=ending its tasks")

    def alive(self) -> None:
        """The watchdog's keep-alive."""
        self._send("WATCHDOG=1")

    def feed_watchdog(self, check: Callable[[], object], over: threading.Event) -> None:
        """Have a thread send keep-alives until it is ``over``, each after ``check``; without a watchdog, do
        nothing."""
        if self.watchdog is not None:
            # On a thread of its own: the manager may make it wait.
            start_thread(partial(self._feed, self.watchdog, check, over), "watchdog")

    def _feed(self, period: float, check: Callable[[], object], over: threading.Event) -> None:
        while True:  # at once: much of the manager's patience may have gone into an upgrade
            check()
            self.alive()
            if over.wait(period):
                return

    def _send(self, *lines: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
                sock.settimeout(1.0)
                sock.sendto("\n".join(lines).encode(), self._address)
        except (OSError, ValueError) as error:
            if not self._warned:  # each keep-alive would warn again
                self._warned = True
                _log.warning("cannot notify the service manager (NOTIFY_SOCKET): %s", error)


def passed_sockets(environ: MutableMapping[str, str] = os.environ) -> list[socket.socket]:
    """The listening sockets that the manager passed to this process; the caller owns them.

    Raises:
        OverseerError: the number or one of the descriptors is invalid.
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
