"""The layout of a task's log on disk, and reading blocks of it.

Each task has a directory of segments, named by the seq of their first line and never renamed::

    00000000000000000001.log.gz   a sealed segment: gzip members, each a block
    00000000000000000001.idx      its index: where blocks begin, the number of lines, the runs that wrote them
    00000000000000120001.log      the segment being written: lines of ``TIME stdout|stderr F|P TEXT`` (CRI)
    00000000000000120001.runs     the runs that wrote these lines

A segment has no gaps, so its name plus a line's number in it is the line's seq. Bytes after the last LF were
torn by a crash and are ignored.
"""

from __future__ import annotations

import errno
import json
import os
import re
import stat
import sys
import zlib
from bisect import bisect_right
from collections.abc import Iterator
from importlib import import_module
from itertools import pairwise
from operator import itemgetter
from typing import Any, NamedTuple

BLOCK = 256 * 1024
"""Bytes of text compressed, read and skipped as a unit; a block ends at a line's end."""
TIME = 27
"""Bytes of a line's time, always ``2024-05-06T07:08:09.123456Z``, so that texts compare as times do."""
PREFIX = TIME + len(" stdout F ")
"""Bytes before a line's text."""
NO_ZSTD = "zstd needs Python 3.14, or the package backports.zstd (pip install 'sticky-overseer[zstd]')"
UNKNOWN = "~"
"""Stands for an unknown latest time, also of lines that cannot be read; sorts after every time."""

# How many times as long as its data a text may be.
_MOST_PACKED = {"": 1, "gz": 1032, "zst": 2**15}
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_FILE = re.compile(r"([0-9]{20})\.(log(?:\.(gz|zst))?|idx|runs)\Z")


class Segment(NamedTuple):
    """A segment as listed.

    Attributes:
        packed: its compression: ``gz``, ``zst`` or ``""``.
        size: bytes on disk, companion files included.
        mtime: once it is sealed, the time of its latest line.
        below: all its lines have lower seqs, as the next segment begins with this one.
    """

    first: int
    packed: str = ""
    size: int = 0
    mtime: float = 0.0
    sealed: bool = False
    below: int = sys.maxsize

    @property
    def last(self) -> bool:
        """Whether none follows it."""
        return self.below == sys.maxsize

    @property
    def name(self) -> str:
        return f"{self.first:020}.log{'.' if self.packed else ''}{self.packed}"


class Block(NamedTuple):
    """A block of a segment: its place in the file, and its lines' latest and earliest times.

    The earliest need not be the first line's: clocks are set back, and drivers have times of their own.
    """

    first: int
    offset: int
    size: int
    latest: str
    earliest: str = ""  # unknown


class Run(NamedTuple):
    """The run that wrote the lines from seq ``first`` on."""

    first: int
    pid: int
    run_id: str
    action: str


NOBODY = Run(0, 0, "", "")


class Index(NamedTuple):
    """A segment's contents; ``end``: one past its last line's seq."""

    blocks: list[Block]
    runs: list[Run]
    end: int


class Text(NamedTuple):
    """A block's lines; ``runs``: its segment's, oldest first."""

    first: int
    data: bytes
    runs: list[Run]


def run_at(runs: list[Run], seq: int) -> Run:
    """The run that wrote the line ``seq``."""
    place = bisect_right(runs, seq, key=itemgetter(0))
    return runs[place - 1] if place else NOBODY


def list_segments(directory: str) -> list[Segment]:
    """The segments of a log, oldest first; a compressed one hides its plain original, and what is not a file
    is none."""
    found: dict[int, Segment] = {}
    sizes: dict[int, int] = {}
    indexed: set[int] = set()
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                match = _FILE.match(entry.name)
                if match is None:
                    continue
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:  # it has expired meanwhile
                    continue
                if not stat.S_ISREG(status.st_mode):
                    continue
                first, packed = int(match[1]), match[3] or ""
                sizes[first] = sizes.get(first, 0) + status.st_size
                if match[2] == "idx":
                    if status.st_size:  # a power cut may leave an empty one
                        indexed.add(first)
                elif match[2] != "runs" and (packed or first not in found):
                    found[first] = Segment(first, packed, 0, status.st_mtime)
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [
        found[first]._replace(
            size=sizes[first], sealed=bool(found[first].packed) or first in indexed, below=below
        )
        for first, below in pairwise([*sorted(found), sys.maxsize])
    ]


def beside(first: int, ending: str) -> str:
    """The name of a segment's companion file: ``idx`` or ``runs``."""
    return f"{first:020}.{ending}"


def read_index(directory: str, segment: Segment) -> Index | None:
    """A sealed segment's index; None if it is missing or unreadable."""
    try:
        found = json.loads(_read_beside(directory, segment.first, "idx"))
        index = Index(
            [Block(*each) for each in found["blocks"]], [Run(*each) for each in found["runs"]], found["end"]
        )
        return index if found["packed"] == segment.packed and _is_sound(index, segment) else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _is_sound(index: Index, segment: Segment) -> bool:
    """Whether a segment can have this index, which may be damaged."""
    numbers = [number for block in index.blocks for number in block[:3]] + [run.first for run in index.runs]
    texts = [text for block in index.blocks for text in block[3:]]
    texts += [text for run in index.runs for text in run[2:]]
    if {*map(type, numbers), type(index.end)} != {int} or not {*map(type, texts)} <= {str}:
        return False
    first, offset = segment.first, 0
    for block in index.blocks:
        if block.offset != offset or block.size <= 0 or block.first < first:
            return False
        first, offset = block.first + 1, offset + block.size
    return first <= index.end <= segment.below


def read_runs(directory: str, first: int) -> list[Run]:
    """The runs of a segment that is not sealed."""
    runs = []
    try:
        lines = _read_beside(directory, first, "runs").split(b"\n")
    except OSError:
        return []
    for line in lines:
        try:
            runs.append(Run(*json.loads(line)))
        except (ValueError, TypeError):  # torn by a crash
            continue
    return runs


def _read_beside(directory: str, first: int, ending: str) -> bytes:
    """A companion file; what else may be in its place is not waited for. Raises OSError."""
    file = os.open(f"{directory}/{beside(first, ending)}", _READ)
    try:
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is not a file")
        return os.read(file, status.st_size)
    finally:
        os.close(file)


def scan(file: int, segment: Segment, *, times: bool) -> tuple[list[Block], int]:
    """The blocks of a segment that has no index, and the seq after its last complete line.

    From where it is damaged, or the disk cannot read it, the rest is one block, of as many lines as there may
    be in it, so that no number is used twice.

    Args:
        times: find each block's times, which is slower.
    """
    blocks: list[Block] = []
    seq, offset = segment.first, 0
    try:
        for text, size in _packed_blocks(file, segment.packed) if segment.packed else _plain_blocks(file):
            blocks.append(Block(seq, offset, size, *_times(text) if times else (UNKNOWN,)))
            seq += text.count(b"\n")
            offset += size
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno != errno.EIO:
            raise
        left = os.fstat(file).st_size - offset
        blocks.append(Block(seq, offset, left, UNKNOWN))
        seq = min(seq + left * _MOST_PACKED[segment.packed] // (PREFIX + 1) + 1, segment.below)
    return blocks, seq


def _plain_blocks(file: int) -> Iterator[tuple[bytes, int]]:
    """The complete lines, and how many bytes they have."""
    offset, size = 0, BLOCK
    while data := os.pread(file, size, offset):
        end = data.rfind(b"\n") + 1
        if end:
            yield data[:end], end
            offset += end
            size = BLOCK
        elif len(data) < size and not os.pread(file, 1, offset + len(data)):  # not only a short read
            break
        else:  # a line longer than a block
            size *= 2


def _packed_blocks(file: int, packed: str) -> Iterator[tuple[bytes, int]]:
    """The lines, and how many bytes they have compressed. Raises ValueError: they are damaged."""
    size = os.fstat(file).st_size
    data = memoryview(os.pread(file, size, 0))
    offset = 0
    while offset < size:
        unpacker = zlib.decompressobj(31) if packed == "gz" else _unzstd().ZstdDecompressor()
        try:
            text = unpacker.decompress(data[offset:])
        except Exception as error:  # the two libraries have errors of their own for damage
            raise ValueError(f"a block is damaged: {error}") from None
        if not unpacker.eof:
            raise ValueError("a block is incomplete")
        end = len(data) - len(unpacker.unused_data)
        yield text, end - offset
        offset = end


def _times(data: bytes) -> tuple[str, str]:
    """The latest and the earliest time of complete lines."""
    times = {line[:TIME] for line in data[:-1].split(b"\n")}
    return max(times).decode("ascii", "replace"), min(times).decode("ascii", "replace")


class Opened:
    """A segment open for reading; it stays readable when it is compressed or removed.

    Raises:
        FileNotFoundError: it has expired, or has been compressed, meanwhile.
    """

    def __init__(
        self, directory: str, segment: Segment, index: Index | None = None, *, times: bool = False
    ) -> None:
        """``index``: that of a segment being written. ``times``: without an index, find out each block's
        times, which is slow."""
        self._packed = segment.packed
        self._file = os.open(f"{directory}/{segment.name}", _READ)
        try:
            self.index = (
                index or self._indexed(directory, segment) or self._scanned(directory, segment, times)
            )
        except BaseException:
            os.close(self._file)
            raise

    def _indexed(self, directory: str, segment: Segment) -> Index | None:
        index = read_index(directory, segment)
        if index is not None and index.blocks and not segment.packed:
            last = index.blocks[-1]
            if last.offset + last.size > os.fstat(self._file).st_size:
                return None  # after a power cut, or somebody has cut it
        return index

    def _scanned(self, directory: str, segment: Segment, times: bool) -> Index:
        blocks, end = scan(self._file, segment, times=times)
        runs = [run for run in read_runs(directory, segment.first) if run.first < end]
        return Index(blocks, runs, end)

    def __enter__(self) -> Opened:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)

    def read(self, block: Block) -> Text:
        """Raises ValueError: it is damaged; OSError: it cannot be read, perhaps only for now."""
        size = min(block.size, os.fstat(self._file).st_size)  # a damaged index may want more than memory has
        data = os.pread(self._file, size, block.offset)
        if len(data) < block.size:
            raise ValueError("a segment is shorter than its index says")
        return Text(block.first, unpack(data, self._packed), self.index.runs)


def unpack(data: bytes, packed: str) -> bytes:
    """A block's text. Raises ValueError: it is damaged; OSError: there is no module to unpack it."""
    if not packed:
        return data
    try:
        return zlib.decompress(data, 31) if packed == "gz" else _unzstd().decompress(data)
    except OSError:
        raise
    except Exception as error:
        raise ValueError(f"a block is damaged: {error}") from None


def _unzstd() -> Any:
    try:
        return zstd()
    except ImportError:
        raise OSError(f"it is compressed with zstd: {NO_ZSTD}") from None


def zstd() -> Any:
    """The zstd module. Raises ImportError."""
    try:
        return import_module("compression.zstd")
    except ImportError:
        return import_module("backports.zstd")


def can_zstd() -> bool:
    """Whether zstd is available."""
    try:
        zstd()
    except ImportError:
        return False
    return True


def lines_of(text: Text) -> Iterator[tuple[int, bytes]]:
    """Each line of a block with its seq."""
    lines = text.data.split(b"\n")
    lines.pop()
    return enumerate(lines, text.first)
