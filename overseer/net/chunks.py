"""The elements of an outbox: bytes, or a message that is encoded piece by piece as it is sent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from overseer.net.frames import Piece, frame_end


class Source:
    """The rest of a streamed message; its pieces are made by the sending thread."""

    def __init__(self, size: int, pieces: Iterator[Piece]) -> None:
        self._left = size
        self._pieces = pieces
        self.ending = False  # the rest is dropped at the end of the current frame or line

    def __len__(self) -> int:
        return self._left

    def next(self) -> Piece:
        return next(self._pieces)

    def took(self, size: int) -> None:
        self._left -= size


class Chunk(NamedTuple):
    """Bytes to send, or their source, and whether they are output."""

    data: bytes | Source
    output: bool
    more: bool = False  # its last frame or line continues in the next chunk


def rest_of_frame(first: bytes, offset: int) -> bytes:
    """Of whole text frames, ``offset`` bytes of which have left: the rest of the one that left in part."""
    return first[offset : frame_end(first, offset)]


def rest_of_line(first: bytes, offset: int) -> bytes:
    """The same of lines."""
    return first[offset : first.find(b"\n", offset - 1) + 1]


def rest_of_pieces(chunks: Iterable[Chunk], offset: int) -> list[Chunk]:
    """The rest of a frame or line that continues in further chunks; ``offset``: bytes of it that left."""
    rest: list[Chunk] = []
    for chunk in chunks:
        rest.append(chunk)
        if isinstance(chunk.data, Source):
            chunk.data.ending = True
            break
        if not chunk.more:
            break
    if offset and isinstance(rest[0].data, bytes):
        rest[0] = rest[0]._replace(data=rest[0].data[offset:])
    return rest
