"""A bound on clients' messages that is kept before they are buffered; no I/O.

Messages are parsed by wsproto, in :mod:`overseer.net.receiver`; their headers are read here first, so that
one is refused for the length that it announces.
"""

from __future__ import annotations

from overseer.util.websocket_frame import MAX_CONTROL

_AROUND = 1 << 20  # bytes of headers and control frames that may come before the end of a message


class FrameScanner:
    """Follows the frame headers in a client's bytes, to catch a message that announces too great a length, or
    never ends: all of it is kept until then, with the control frames in between.

    Everything else that can be wrong with a frame is left to wsproto, which parses the same bytes afterwards.
    """

    def __init__(self, max_message: int) -> None:
        self._max_message = max_message
        self._head = b""  # an incomplete header
        self._skip = 0  # payload bytes of the current frame still to come
        self._message = 0  # payload bytes announced by the fragments of the current message
        self._within = False  # a message has begun, and its last fragment has not
        self._around = 0  # bytes of the current message's headers and the control frames in between
        self._seen = 0  # bytes of all calls before
        self.border = 0  # how many of all bytes make whole messages, and frames between them

    def scan(self, data: bytes) -> int:
        """How many bytes of ``data`` may be used: all, or those before a header that announces too much
        (0 for a header that began in an earlier call)."""
        good = self._scan(data)
        self._seen += good
        return good

    def _scan(self, data: bytes) -> int:
        position, size = 0, len(data)
        while position < size:
            if self._skip:
                step = min(self._skip, size - position)
                self._skip -= step
                position += step
                if not self._skip and not self._within:
                    self.border = self._seen + position
                continue
            begun = len(self._head)
            head = self._head + data[position : position + 14 - begun]
            length = self._payload_length(head)
            if length is None:
                self._head = head
                return size
            header_size, payload, fits = length
            control = bool(head[0] & 0x08)
            self._around += header_size + (min(payload, MAX_CONTROL) if control else 0)
            if not fits or self._around > _AROUND:
                return position
            self._head = b""
            position += header_size - begun
            self._skip = payload
            if not control:
                self._within = not head[0] & 0x80
            if not self._within:
                self._around = 0
            if not payload and not self._within:
                self.border = self._seen + position
        return size

    def _payload_length(self, head: bytes) -> tuple[int, int, bool] | None:
        """(header's size, payload's size, whether the message is short enough); None: more is needed."""
        if len(head) < 2:
            return None
        short = head[1] & 0x7F
        size = 2 if short < 126 else 4 if short == 126 else 10
        if len(head) < size:
            return None
        payload = short if size == 2 else int.from_bytes(head[2:size], "big")
        control = bool(head[0] & 0x08)
        if payload > self._max_message and not control:
            return size, payload, False
        size += 4 if head[1] & 0x80 else 0
        if len(head) < size:
            return None
        if control:  # may come between the fragments of a message; wsproto checks its length
            return size, payload, True
        total = self._message + payload
        self._message = 0 if head[0] & 0x80 else total
        return size, payload, total <= self._max_message
