"""What an outbox is made of: bytes, or a message that is made piece by piece as it is sent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from overseer.net.frames import Piece, frame_end


class Source:
    """What is left of a streamed message; its pieces are taken by the thread that sends."""

    def __init__(self, size: int, pieces: Iterator[Piece]) -> None:
        self._left = size
        self._pieces = pieces
        self.ending = False  # the rest is dropped when a frame, or line, is whole

    def __len__(self) -> int:
        return self._left

    def next(self) -> Piece:
        return next(self._pieces)

    def took(self, size: int) -> None:
        self._left -= size


class Chunk(NamedTuple):
    """Bytes that wait, or what gives them, and whether they are output."""

    data: bytes | Source
    output: bool
    more: bool = False  # its last frame, or line, goes on in the next chunk


def rest_of_begun(chunks: Sequence[Chunk], offset: int, within: bool, framed: bool) -> list[Chunk]:
    """The rest of the frame, or line, that has left in part; it counts as a reply.

    Args:
        offset: bytes of the first chunk that have left.
        within: the first chunk goes on with one that a chunk before it began.
    """
    if not offset and not within:
        return []
    first = chunks[0]
    if not within and not first.more and isinstance(first.data, bytes):
        end = frame_end(first.data, offset) if framed else first.data.find(b"\n", offset - 1) + 1
        return [Chunk(first.data[offset:end], output=False)]
    rest: list[Chunk] = []
    for chunk in chunks:
        rest.append(chunk)
        if isinstance(chunk.data, Source):
            chunk.data.ending = True
            break
        if not chunk.more:
            break
    if offset and isinstance(first.data, bytes):
        rest[0] = first._replace(data=first.data[offset:])
    return rest
