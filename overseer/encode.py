"""A batch of output lines to the bytes of its ``output`` messages, as fast as Python does it.

This is the one message that is not encoded through :mod:`overseer.messages`: there may be a million of them a
second. Everything that is the same for the whole batch is put together once; a line then costs one dictionary
look-up and one f-string. The result is, byte for byte, what ``messages.encode(Output(...))`` gives, framed
(RFC 6455, section 5.2: a server's text frame is not masked, so one encoding serves every client).
"""

from __future__ import annotations

import re
from functools import cached_property
from json.encoder import encode_basestring

from overseer.net.frames import text_frames, text_header

__all__ = ["EncodedOutput", "output_size"]

# What JSON wants escaped. A batch with none of it and nothing beyond ASCII takes the short way.
_ESCAPED = re.compile(r'["\\\x00-\x1f]')


def output_size(lines: list[str], task_id: str) -> int:
    """About how many bytes the messages of these lines take, for asking for room before encoding."""
    return sum(map(len, lines)) + len(lines) * (140 + len(task_id))


class EncodedOutput:
    """The ``output`` messages of one batch; each form is made when first asked for and then kept.

    Args:
        lines: the texts, without line ends.
        first_seq: the seq of the first line; the others follow.
        ts: RFC 3339, the batch's time.
    """

    def __init__(
        self,
        task_id: str,
        pid: int,
        stream: str,
        lines: list[str],
        first_seq: int,
        ts: str,
        truncated: bool = False,
    ) -> None:
        self._lines = lines
        self.first_seq = first_seq
        self._head = (
            f'{{"type":"output","task_id":{encode_basestring(task_id)},"pid":{pid},'
            f'"stream":{encode_basestring(stream)},"data":'
        )
        self._middle = f',"ts":"{ts}","seq":'
        self._tail = ',"truncated":true}' if truncated else "}"

    @cached_property
    def payloads(self) -> list[bytes]:
        """The JSON texts, one for each line."""
        head = self._head.encode("utf-8", "replace")
        middle = self._middle.encode()
        tail = self._tail.encode()
        return [
            b"%b%b%b%d%b" % (head, encode_basestring(line).encode("utf-8", "replace"), middle, seq, tail)
            for seq, line in enumerate(self._lines, self.first_seq)
        ]

    @cached_property
    def lines(self) -> bytes:
        """The messages as newline-delimited JSON."""
        return b"\n".join(self.payloads) + b"\n"

    @cached_property
    def websocket(self) -> bytes:
        """The messages as WebSocket text frames, one after the other."""
        text = "".join(self._lines)
        if text.isascii() and self._head.isascii() and not _ESCAPED.search(text):
            return self._plain_frames()
        return text_frames(self.payloads)

    def _plain_frames(self) -> bytes:
        """The frames of lines that are ASCII with nothing to escape: a character is a byte of the payload."""
        frames: list[str] = []
        lines, seq = self._lines, self.first_seq
        while lines:
            # Seqs with as many digits at a time, so that a line's length alone decides its frame's header.
            digits = len(str(seq))
            count = min(len(lines), 10**digits - seq)
            same, lines = lines[:count], lines[count:]
            around = len(self._head) + 2 + len(self._middle) + digits + len(self._tail)
            starts = {length: self._frame_start(around + length) for length in set(map(len, same))}
            end = f'"{self._middle}'
            tail = self._tail
            frames += [
                f"{starts[len(line)]}{line}{end}{number}{tail}" for number, line in enumerate(same, seq)
            ]
            seq += count
        # Latin-1 maps the header's characters 0 to 255 to those bytes; the rest is ASCII.
        return "".join(frames).encode("latin-1")

    def _frame_start(self, length: int) -> str:
        """Frame header and what comes before the line, for a payload of ``length`` bytes, as Latin-1."""
        return f'{text_header(length).decode("latin-1")}{self._head}"'
