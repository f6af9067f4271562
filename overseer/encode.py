"""A batch of output lines to the bytes of its ``output`` messages, as fast as Python does it.

This is the one message that is not encoded through :mod:`overseer.messages`: there may be a million of them a
second. Everything that is the same for the whole batch is put together once; a line then costs one dictionary
look-up and one f-string. The result is, byte for byte, what ``messages.encode(Output(...))`` gives, framed
(RFC 6455, section 5.2: a server's text frame is not masked, so one encoding serves every client).
"""

from __future__ import annotations

from json.encoder import encode_basestring

from overseer.messages import utf8
from overseer.net.frames import text_header

__all__ = ["EncodedOutput", "output_size"]

# What JSON wants escaped.
_ESCAPED = bytes(range(0x20)) + b'"\\'


def output_size(lines: list[str], task_id: str) -> int:
    """About how many bytes the messages of these lines take, for asking for room before encoding.

    Raises:
        TypeError: a line is no text.
    """
    return len("".join(lines)) + len(lines) * (140 + len(task_id))


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
        overwritten: bool = False,
    ) -> None:
        self._lines = lines
        self.first_seq = first_seq
        self._head = (
            f'{{"type":"output","task_id":{encode_basestring(task_id)},"pid":{pid},'
            f'"stream":{encode_basestring(stream)},"data":'
        )
        self._middle = f',"ts":"{ts}","seq":'
        flags = ',"truncated":true' if truncated else ""
        self._tail = f'{flags},"overwritten":true}}' if overwritten else f"{flags}}}"
        # Two threads may build one of these at the same time; the results are equal, so either may stay.
        self._as_lines: bytes | None = None
        self._as_frames: bytes | None = None

    @property
    def lines(self) -> bytes:
        """The messages as newline-delimited JSON."""
        if self._as_lines is None:
            head, lines, middle = self._escaped()
            tail = f"{self._tail}\n"
            numbered = enumerate(lines, self.first_seq)
            self._as_lines = utf8("".join([f"{head}{line}{middle}{seq}{tail}" for seq, line in numbered]))
        return self._as_lines

    @property
    def websocket(self) -> bytes:
        """The messages as WebSocket text frames, one after the other."""
        if self._as_frames is None:
            # In the texts here a character stands for a byte (Latin-1): a length is a length on the wire.
            head, lines, middle = self._escaped()
            if not all(map(str.isascii, lines)):
                lines = [_as_bytes(line) for line in lines]
            frames = _frames(_as_bytes(head), lines, middle, self.first_seq, self._tail)
            self._as_frames = frames.encode("latin-1")
        return self._as_frames

    def _escaped(self) -> tuple[str, list[str], str]:
        """What stands before a line, the lines as JSON has them, what stands between a line and its seq."""
        # Mostly nothing needs escaping, and asking once for all lines is quicker than escaping each.
        data = "".join(self._lines).encode("utf-8", "replace")
        if len(data.translate(None, _ESCAPED)) < len(data):
            return self._head, [encode_basestring(line) for line in self._lines], self._middle
        return f'{self._head}"', self._lines, f'"{self._middle}'


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
    return utf8(text).decode("latin-1")
