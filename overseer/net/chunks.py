"""What an outbox is made of: bytes, or a message that is made piece by piece as it is sent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from overseer.net.frames import Piece


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
