"""``READY=1`` from runs, as sd_notify sends it: a socket for each run that wants one, a thread for all.

The sockets are abstract, so no file can be left behind. Any process on this machine may send to them: a
message counts only if its sender, as reported by the kernel, is a process of the run.
"""

from __future__ import annotations

import array
import logging
import os
import select
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from typing import Any

from overseer.errors import SpawnError
from overseer.process.finder import belongs
from overseer.util.handover_format import Incoming, Outgoing
from overseer.util.locks import Rank, assert_held, lock
from overseer.util.standstill import standstill
from overseer.util.threads import start_thread
from overseer.util.wakeup import Wakeup

_log = logging.getLogger(__name__)

_MOST = 4096  # bytes of a message
_FDS = 16  # descriptors that come with one: BARRIER=1 has one, which is closed
_AT_ONCE = 32  # messages of one run before the next run's turn
_CREDENTIALS = struct.Struct("3i")


class NotifySocket:
    """Of one run. Made by :meth:`NotifySockets.open`.

    Attributes:
        address: for ``NOTIFY_SOCKET``.
    """

    def __init__(self, run_id: str, ready: Callable[[], None], earlier: socket.socket | None = None) -> None:
        """
        Args:
            earlier: the socket of the program before this one.

        Raises:
            OSError: no file descriptor is left.
        """
        self.run_id = run_id
        self.address = f"@overseer/{os.urandom(16).hex()}"
        self._ready = ready
        # Held over a receive (which does not block) and the close, so that a late one cannot hit a reused
        # descriptor. Unranked: no lock is taken under it.
        self._closing = threading.Lock()
        self._told = False
        self._warned = False
        if earlier is not None:
            self.socket = earlier
            return
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
            self.socket.bind("\0" + self.address[1:])
        except BaseException:
            self.socket.close()
            raise

    def read(self) -> None:
        """Read some of the messages that have come."""
        for _ in range(_AT_ONCE):
            try:
                data, pid = self._receive()
            except OSError:  # mostly: nothing is left
                return
            if self._told or b"READY=1" not in data.split(b"\n"):
                continue
            member = belongs(pid, self.run_id)
            if member:
                self._told = True
                self._ready()
            elif member is None and not self._warned:
                self._warned = True
                _log.warning(
                    "READY=1 came from process %d, which ended before its run could be identified: a "
                    "helper must wait until its message was read, as systemd-notify does",
                    pid,
                )

    def _receive(self) -> tuple[bytes, int]:
        """The next message and who sent it. Descriptors that came with it are closed: it may be a barrier."""
        space = socket.CMSG_SPACE(_CREDENTIALS.size) + socket.CMSG_SPACE(4 * _FDS)
        with self._closing:
            data, controls, _, _ = self.socket.recvmsg(_MOST, space, socket.MSG_CMSG_CLOEXEC)
        pid = 0
        for level, kind, content in controls:
            if level != socket.SOL_SOCKET:
                continue
            if kind == socket.SCM_CREDENTIALS and len(content) >= _CREDENTIALS.size:
                pid = _CREDENTIALS.unpack_from(content)[0]
            elif kind == socket.SCM_RIGHTS:
                fds = array.array("i")
                fds.frombytes(content[: len(content) - len(content) % fds.itemsize])
                for fd in fds:
                    os.close(fd)
        return data, pid

    def export(self, out: Outgoing) -> dict[str, Any]:
        return {"fd": out.fd(self.socket.fileno()), "address": self.address, "told": self._told}

    def close(self) -> None:
        with self._closing:
            self.socket.close()


class NotifySockets:
    """All of them, and the thread that reads; it starts with the first one."""

    def __init__(self) -> None:
        self._lock = lock(Rank.LEAF, "notify")  # guards the rest
        self._epoll: select.epoll | None = None
        self._sockets: dict[int, NotifySocket] = {}
        self._wakeup: Wakeup | None = None  # set at the end
        self._thread: threading.Thread | None = None

    def open(self, run_id: str, ready: Callable[[], None]) -> NotifySocket:
        """Open one for a run; ``ready`` is called once, on the reading thread, when a process of it reports
        so.

        Raises:
            SpawnError: none can be made.
        """
        try:
            made = NotifySocket(run_id, ready)
        except OSError as error:
            raise SpawnError(f"ready.notify: cannot make a socket: {error.strerror}") from None
        return self._add(made)

    def restore(
        self, run_id: str, ready: Callable[[], None], data: Mapping[str, Any], given: Incoming
    ) -> NotifySocket:
        """The one that another program has exported. Raises SpawnError, OSError."""
        sock = given.socket(data["fd"])
        sock.setblocking(False)
        made = NotifySocket(run_id, ready, sock)
        made.address, made._told = data["address"], data["told"]
        return self._add(made)

    def _add(self, made: NotifySocket) -> NotifySocket:
        try:
            with self._lock:
                if self._epoll is None:
                    self._start_locked()
                assert self._epoll is not None
                self._epoll.register(made.socket, select.EPOLLIN)
                self._sockets[made.socket.fileno()] = made
        except (OSError, RuntimeError) as error:
            self.discard(made)
            raise SpawnError(f"ready.notify: cannot listen: {error}") from None
        return made

    def _start_locked(self) -> None:
        """Raises OSError or RuntimeError."""
        assert_held(self._lock)
        wakeup = Wakeup()
        epoll = None
        try:
            epoll = select.epoll()
            epoll.register(wakeup, select.EPOLLIN)
            self._thread = start_thread(lambda: self._run(epoll, wakeup), "notify")
        except BaseException:
            wakeup.close()
            if epoll is not None:
                epoll.close()
            raise
        self._epoll, self._wakeup = epoll, wakeup

    def discard(self, opened: NotifySocket) -> None:
        """Its run is over. Idempotent."""
        with self._lock:
            fd = opened.socket.fileno()
            if self._sockets.pop(fd, None) is not None and self._epoll is not None:
                self._epoll.unregister(fd)
        opened.close()

    def close(self) -> None:
        """Close all, and end the thread. Idempotent."""
        with self._lock:
            sockets = list(self._sockets.values())
            self._sockets.clear()
            wakeup, self._wakeup = self._wakeup, None
            epoll, self._epoll = self._epoll, None
        if wakeup is not None and epoll is not None and self._thread is not None:
            wakeup.set()
            self._thread.join()
            wakeup.close()
            epoll.close()
        for each in sockets:
            each.close()

    def _run(self, epoll: select.epoll, wakeup: Wakeup) -> None:
        while True:
            for fd, _ in epoll.poll():
                if fd == wakeup.fileno():
                    return
                with self._lock:
                    found = self._sockets.get(fd)
                if found is not None:
                    try:
                        with standstill:  # what is read is told
                            found.read()
                    except Exception:
                        _log.exception("a message to NOTIFY_SOCKET of run %s failed", found.run_id)
