"""Seals a segment: writes an index beside it, and compresses it in independently readable blocks.

If this is interrupted at any point, the segment stays readable, and sealing it again completes the job.
"""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from overseer.logs.files import write_all
from overseer.logs.standalone.segments import Block, Index, Opened, Segment, beside, zstd
from overseer.util.timestamps import parse_timestamp

Compress = Callable[[bytes], bytes]
PACKED = {"gzip": "gz", "zstd": "zst", "none": ""}
"""A compressed segment's suffix, by ``storage.compress``."""
_LEVEL = 4  # a third larger than the best level, in a third of the time


def compressor(how: str) -> Compress:
    """Raises ImportError: the compression is not installed."""
    if how == "zstd":
        compress: Compress = zstd().compress
        return compress
    # A member per block, without a name or time: the same text gives the same bytes.
    return lambda data: gzip.compress(data, _LEVEL, mtime=0)


def finish(directory: str, first: int, index: Index) -> None:
    """A segment is not written any more, and holds this: whoever reads it need not look for its lines.

    A power cut may cost the index, which is not synced, so the names of its runs stay until it is sealed.

    Raises:
        OSError: it is found out again when it is sealed.
    """
    segment = Segment(first)
    _write_index(directory, segment, index, durable=False)
    _set_time(f"{directory}/{segment.name}", max(block.latest for block in index.blocks))


def seal(directory: str, segment: Segment, how: str) -> bool:
    """Seal a plain segment that is no longer written; False if it was empty, and is removed.

    Raises:
        OSError, ValueError, ImportError: it stays unsealed.
    """
    path = f"{directory}/{segment.name}"
    packed = PACKED[how]
    with Opened(directory, segment, times=True) as opened:
        index = opened.index
        if not index.blocks:
            remove(directory, segment)
            return False
        latest = max(block.latest for block in index.blocks)
        if packed:
            index = index._replace(blocks=_compress(f"{path}.{packed}", opened, compressor(how), latest))
    _write_index(directory, segment._replace(packed=packed), index)
    if packed:
        os.rename(f"{path}.{packed}.new", f"{path}.{packed}")  # noqa: PTH104
        _sync(directory)
        os.unlink(path)  # noqa: PTH108
    else:
        _set_time(path, latest)
    with suppress(FileNotFoundError):
        os.unlink(f"{directory}/{beside(segment.first, 'runs')}")  # noqa: PTH108
    return True


def tidy(directory: str) -> None:
    """Remove what a crash has left: temporary files, and plain segments that are already compressed.

    Raises:
        OSError: something cannot be removed.
    """
    names = set(os.listdir(directory))  # noqa: PTH208
    for name in names:
        if name.endswith(".new") or {f"{name}.gz", f"{name}.zst"} & names:
            with suppress(FileNotFoundError):
                os.unlink(f"{directory}/{name}")  # noqa: PTH108


def remove(directory: str, segment: Segment) -> None:
    """Remove a segment and its companion files; open readers are unaffected.

    Raises:
        OSError: it cannot be removed.
    """
    for name in (
        segment.name,
        Segment(segment.first).name,
        beside(segment.first, "idx"),
        beside(segment.first, "runs"),
    ):
        with suppress(FileNotFoundError):
            os.unlink(f"{directory}/{name}")  # noqa: PTH108


def _compress(path: str, opened: Opened, compress: Compress, latest: str) -> list[Block]:
    blocks: list[Block] = []
    offset = 0
    with _new(f"{path}.new") as file:
        for block in opened.index.blocks:
            data = compress(opened.read(block).data)
            write_all(file, [data], len(data))
            blocks.append(block._replace(offset=offset, size=len(data)))
            offset += len(data)
    _set_time(f"{path}.new", latest)
    return blocks


def _write_index(directory: str, segment: Segment, index: Index, *, durable: bool = True) -> None:
    path = f"{directory}/{beside(segment.first, 'idx')}"
    text = json.dumps(
        {"packed": segment.packed, "end": index.end, "blocks": index.blocks, "runs": index.runs}
    ).encode()
    with _new(f"{path}.new", durable=durable) as file:
        write_all(file, [text], len(text))
    os.rename(f"{path}.new", path)  # noqa: PTH104


@contextmanager
def _new(path: str, *, durable: bool = True) -> Iterator[int]:
    """Create a file; synced at the end of the block if ``durable``, removed if that fails."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            yield file
            if durable:
                os.fsync(file)
        finally:
            os.close(file)
    except BaseException:
        with suppress(OSError):
            os.unlink(path)  # noqa: PTH108
        raise


def _set_time(path: str, latest: str) -> None:
    try:
        moment = parse_timestamp(latest).timestamp()
    except ValueError:  # not a line of ours
        return
    os.utime(path, (moment, moment))


def _sync(directory: str) -> None:
    file = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)
