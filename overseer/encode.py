"""A batch of output lines to the bytes of its ``output`` messages, as fast as Python does it.

This is the one message that is not encoded through :mod:`overseer.messages`: there may be a million of them a
second. Everything that is the same for the whole batch is put together once; a line then costs one dictionary
look-up and one f-string. The result is, byte for byte, what ``messages.encode(Output(...))`` gives, framed
(RFC 6455, section 5.2: a server's text frame is not masked, so one encoding serves every client).
"""

from __future__ import annotations

from functools import cached_property
from json.encoder import encode_basestring

from overseer.net.frames import text_header

__all__ = ["EncodedOutput", "output_size"]

# What JSON wants escaped.
_ESCAPED = bytes(range(0x20)) + b'"\\'


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
        # In the texts here a character stands for a byte (Latin-1): a length is a length on the wire.
        lines, head = self._lines, _as_bytes(self._head)
        text = "".join(lines)
        if not text.isascii():
            lines = [_as_bytes(line) for line in lines]
        # Mostly nothing needs escaping, and asking once for all lines is quicker than escaping each.
        data = text.encode("utf-8", "replace")
        quoted = len(data.translate(None, _ESCAPED)) < len(data)
        if quoted:
            lines = [encode_basestring(line) for line in lines]
        else:
            head += '"'
        middle = self._middle if quoted else f'"{self._middle}'
        return _frames(head, lines, middle, self.first_seq, self._tail).encode("latin-1")


def _frames(head: str, lines: list[str], middle: str, seq: int, tail: str) -> str:
    """A frame around head, line, middle, seq and tail, for each line."""
    frames: list[str] = []
    while lines:
        # Seqs with as many digits at a time, so that a line's length alone decides its frame's header.
        digits = len(str(seq))
        count = min(len(lines), 10**digits - seq)
        same, lines = lines[:count], lines[count:]
        around = len(head) + len(middle) + digits + len(tail)
        starts = {length: _frame_start(around + length, head) for length in set(map(len, same))}
        frames += [
            f"{starts[len(line)]}{line}{middle}{number}{tail}" for number, line in enumerate(same, seq)
        ]
        seq += count
    return "".join(frames)


def _frame_start(length: int, head: str) -> str:
    """The header of a frame whose payload has ``length`` bytes, and the payload's head."""
    return text_header(length).decode("latin-1") + head


def _as_bytes(text: str) -> str:
    """Text to text in which each character stands for a byte of its UTF-8."""
    return text.encode("utf-8", "replace").decode("latin-1")
