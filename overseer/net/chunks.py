"""The elements of an outbox: bytes, or a message that is encoded piece by piece as it is sent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from overseer.net.frames import Piece


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
