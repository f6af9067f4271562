"""One client over stdin and stdout: newline-delimited JSON, instead of a listening socket."""

from __future__ import annotations

import logging
import os
import select
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from overseer.auth.peer import Peer
from overseer.net.frames import SHUTTING_DOWN
from overseer.net.handler import Handler, OpenHandler
from overseer.net.limits import ConnectionLimits
from overseer.net.readable_outbox import ReadableOutbox
from overseer.util.awake_clock import Ticker
from overseer.util.logs import Stderr
from overseer.util.threads import DaemonThread
from overseer.util.timers import Timers
from overseer.util.wakeup import Wakeup
from overseer.util.websocket_frame import CloseCode

_log = logging.getLogger(__name__)

_RECEIVE = 64 * 1024


def take_over_stdio() -> tuple[int, int]:
    """Private descriptors for stdin and stdout. From now on, for this program and its children, stdin is
    empty and what is printed goes to stderr."""
    requests, replies = os.dup(0), os.dup(1)
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    if isinstance(sys.stderr, Stderr):  # which never waits for a reader
        sys.stdout = sys.stderr
    return requests, replies


class StdioServer:
    """Serves one client over two descriptors of any kind, which it closes; the counterpart of ``Server``.

    Replies still go out after the requests have ended, since tasks may be running: the handler is closed by
    ``shutdown``, or when nobody reads the replies any more.

    Args:
        ended: called once, when the requests have ended or nobody reads the replies.
    """

    address = "stdio"
    everywhere = False

    def __init__(
        self,
        requests: int,
        replies: int,
        open_handler: OpenHandler,
        *,
        timers: Timers,
        ended: Callable[[], None],
        limits: ConnectionLimits,
    ) -> None:
        self._limits = limits
        self._requests = requests
        self._open_handler = open_handler
        self._timers = timers
        self._ticker: Ticker | None = None
        self._ended = ended
        self._replies = replies
        self._wake = Wakeup()  # of the reader
        self._cut = Wakeup()  # set when the writer is to leave what is unsent
        self._outbox = ReadableOutbox(limits, timers, self._cut.set)
        # Daemons, but joined by shutdown.
        self._reader = DaemonThread(target=self._read, name="stdio-reader")
        self._writer = DaemonThread(target=self._write, name="stdio-writer")

    def start(self) -> None:
        """Open the handler and begin to read; also starts the timers, while there are threads to be had."""
        self._timers.start()
        self._ticker = Ticker(self._timers, lambda: True)
        self._writer.start()
        self._reader.start()

    def shutdown(self) -> None:
        """Stop reading, let pending replies go out for up to ``close_timeout`` seconds, end. Idempotent."""
        self._outbox.close(*SHUTTING_DOWN)
        self._wake.set()
        for thread in (self._writer, self._reader):
            if thread.is_alive():
                thread.join(self._limits.close_timeout + 0.5)
        if not self._reader.is_alive():
            self._wake.close()
        if self._ticker is not None:
            self._ticker.stop()

    def _read(self) -> None:
        try:
            try:
                handler = self._open_handler(self._outbox, Peer("stdio", ""))
            except BaseException:
                self._ended()
                raise
            try:
                try:
                    self._receive_all(handler)
                finally:
                    self._ended()
                self._writer.join()
            finally:
                # Closed already, unless something failed.
                self._outbox.close(CloseCode.INTERNAL_ERROR, "internal error")
                handler.closed()
        except BaseException:
            _log.exception("serving stdio failed")
        finally:
            os.close(self._requests)

    def _write(self) -> None:
        """Pass on replies until the outbox is closed and empty, or nobody reads them."""
        try:
            while self._outbox.wait():
                self._write_all(self._outbox.take_piece())
        except OSError as error:
            _log.warning("cannot write replies: %s", error.strerror)
        except BaseException:
            _log.exception("writing replies failed")
        finally:
            self._outbox.fail()
            self._wake.set()
            os.close(self._replies)
            self._cut.close()

    def _write_all(self, data: bytes) -> None:
        """Write all of it, unless it is cut.

        Non-blocking mode would be shared with every other user of the terminal or pipe; so this waits until a
        page can be written and writes no more than that.
        """
        poll = select.poll()
        poll.register(self._replies, select.POLLOUT)
        poll.register(self._cut, select.POLLIN)
        rest = memoryview(data)
        while rest:
            if any(fd == self._cut.fileno() for fd, _ in poll.poll()):
                return
            with suppress(BlockingIOError):  # the descriptor came in non-blocking mode
                rest = rest[os.write(self._replies, rest[: select.PIPE_BUF]) :]

    def _receive_all(self, handler: Handler) -> None:
        """Pass on lines until the requests end or the outbox is closed."""
        lines = _LineBuffer(self._limits.max_message)
        poll = select.poll()
        poll.register(self._requests, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        while True:
            poll.poll()
            if not self._outbox.wait_until_bounded():
                return
            try:
                data = os.read(self._requests, _RECEIVE)
            except BlockingIOError:
                continue
            except OSError as error:
                _log.warning("cannot read requests: %s", error.strerror)
                data = b""
            for line in lines.feed(data) if data else lines.end():
                if not self._outbox.wait_until_bounded():
                    return
                handler.receive(line)
            if not data:
                return


class _LineBuffer:
    """Splits bytes into lines, skipping empty ones; an overlong line is cut to one byte over the limit."""

    def __init__(self, max_line: int) -> None:
        self._max_line = max_line
        self._rest = bytearray()  # a line may come byte by byte

    def feed(self, data: bytes) -> list[bytes]:
        first, *others = data.split(b"\n")
        self._hold(first)
        lines: list[bytes] = []
        for part in others:
            lines += self.end()
            self._hold(part)
        return lines

    def end(self) -> list[bytes]:
        """The line so far, unless it is blank."""
        rest, self._rest = bytes(self._rest), bytearray()
        return [rest] if rest.strip() or len(rest) > self._max_line else []

    def _hold(self, part: bytes) -> None:
        self._rest += part[: self._max_line + 1 - len(self._rest)]
