"""The elements of an outbox: bytes, or a message that is encoded piece by piece as it is sent."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from overseer.net.frames import Piece, frame_end

Buffer = bytes | memoryview
_SMALL = 128  # bytes: a chunk costs more than that by itself, so what is shorter joins the chunk before it
_JOINED = 1024  # bytes of a chunk that others have joined, at most: each time all of it is copied


class Source:
    """The rest of a streamed message; its pieces are made by the sending thread."""

    def __init__(self, size: int, pieces: Iterator[Piece]) -> None:
        self._remaining = size
        self._pieces = pieces
        self.ending = False  # the rest is dropped at the end of the current frame or line

    def __len__(self) -> int:
        return self._remaining

    def next(self) -> Piece:
        return next(self._pieces)

    def took(self, size: int) -> None:
        self._remaining -= size


class Chunk(NamedTuple):
    """Bytes to send, or their source, and whether they are output."""

    data: bytes | Source
    output: bool
    more: bool = False  # its last frame or line continues in the next chunk


class ChunkQueue:
    """What waits to leave for one client, in order. Not locked: its owner is.

    Attributes:
        size: bytes that have not left.
        gone: bytes that have left, from the beginning.
        replies: bytes of the chunks that are not output.
    """

    __slots__ = ("_framed", "_offset", "_within", "chunks", "gone", "replies", "size")

    def __init__(self, *, framed: bool) -> None:
        """``framed``: the bytes are text frames, else lines."""
        self._framed = framed
        self.chunks: deque[Chunk] = deque()
        self._within = False  # the first chunk goes on with a frame, or line, that one before it began
        self._offset = 0  # bytes of the first chunk that have left
        self.size = 0
        self.gone = 0
        self.replies = 0

    def push(self, data: bytes | Source, output: bool) -> None:
        if not output and isinstance(data, bytes) and len(data) < _SMALL and self.chunks:
            last = self.chunks[-1]
            before = b"" if last.output or last.more or isinstance(last.data, Source) else last.data
            if before and len(before) + len(data) <= _JOINED:
                self.chunks[-1] = Chunk(before + data, output=False)
                self.size += len(data)
                self.replies += len(data)
                return
        if data:
            self._add(Chunk(data, output))

    def _add(self, chunk: Chunk) -> None:
        self.chunks.append(chunk)
        self.size += len(chunk.data)
        if not chunk.output:
            self.replies += len(chunk.data)

    def clear(self) -> None:
        self.chunks.clear()
        self._offset = self.size = self.replies = 0

    def drop(self, last: bytes) -> None:
        """Drop everything except the rest of a partly sent frame or line; then queue ``last``."""
        rest = self._rest_of_begun()
        self.clear()
        for chunk in rest:
            self._add(chunk)
        self.push(last, output=False)

    def put_piece(self, piece: Piece) -> None:
        """Insert a piece made by the source in the first chunk, before what is left of that."""
        first = self.chunks[0]
        assert isinstance(first.data, Source)
        first.data.took(len(piece.data))
        if first.data.ending and not piece.more:
            self.size -= len(first.data)
            first.data.took(len(first.data))
        if not len(first.data):
            self.chunks.popleft()
        self.chunks.appendleft(Chunk(piece.data, first.output, piece.more))

    def first(self, most: int) -> list[Buffer]:
        """The first bytes, as at most ``most`` buffers; none if a piece has to be made first."""
        taken: list[Buffer] = []
        for chunk in itertools.islice(self.chunks, most):
            if isinstance(chunk.data, Source):
                break
            taken.append(chunk.data)
        if self._offset:
            taken[0] = memoryview(taken[0])[self._offset :]
        return taken

    def sent(self, size: int) -> None:
        """Note that ``size`` of the first bytes have left."""
        self.size -= size
        self.gone += size
        size += self._offset
        while self.chunks and size >= len(self.chunks[0].data):
            chunk = self.chunks.popleft()
            size -= len(chunk.data)
            self._within = chunk.more
            if not chunk.output:
                self.replies -= len(chunk.data)
        self._offset = size

    def make_all(self) -> None:
        """Have every source make its pieces now."""
        made: deque[Chunk] = deque()
        while self.chunks:
            if isinstance(source := self.chunks[0].data, Source):
                self.put_piece(source.next())
            made.append(self.chunks.popleft())
        self.chunks = made

    def export(self) -> tuple[list[Chunk], int, bool]:
        """The chunks, how many bytes of the first have left, and whether it goes on with what has."""
        self.make_all()
        return list(self.chunks), self._offset, self._within

    def restore(self, chunks: list[Chunk], offset: int, within: bool) -> None:
        """Be as another program's was."""
        for chunk in chunks:
            self._add(chunk)
        self.size -= offset
        self._offset, self._within = offset, within

    def _rest_of_begun(self) -> list[Chunk]:
        """The rest of a partly sent frame or line."""
        if not self._offset and not self._within:
            return []
        first = self.chunks[0]
        if not self._within and not first.more and isinstance(first.data, bytes):
            if self._framed:
                end = frame_end(first.data, self._offset)
            else:
                end = first.data.find(b"\n", self._offset - 1) + 1
            return [Chunk(first.data[self._offset : end], output=False)]
        rest = []
        for chunk in self.chunks:
            rest.append(chunk)
            if isinstance(chunk.data, Source):
                chunk.data.ending = True
                break
            if not chunk.more:
                break
        if self._offset and isinstance(first.data, bytes):
            rest[0] = first._replace(data=first.data[self._offset :])
        return rest
