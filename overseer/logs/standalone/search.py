"""The process that searches: see :mod:`overseer.logs.search`.

SIGALRM kills it at its deadline, since a regular expression can take arbitrarily long. The query comes on
stdin as JSON; findings go to stdout as lines of JSON: ``["match", …]`` for a match, newest
segments first and each from its last line to its first, ``["past", …]`` for each segment searched, and at the
end ``["done"]`` or ``["error", why]``.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatchcase
from typing import Any

TYPE_CHECKING = False
if TYPE_CHECKING:
    from overseer.logs.standalone.segments import Block, Opened, Run, Segment, Text

if __package__:
    from overseer.logs.standalone.segments import PREFIX, TIME, Opened, lines_of, list_segments, run_at, zstd
else:
    from segments import (  # type: ignore[import-not-found,no-redef]
        PREFIX,
        TIME,
        Opened,
        lines_of,
        list_segments,
        run_at,
        zstd,
    )

_ANSWER = 4 * 1024 * 1024  # bytes of lines in one answer, approximately
_AHEAD = 2  # threads that unpack
_AT_ONCE = 16  # blocks unpacked ahead
Place = tuple[str, str, int]  # the time of a segment's first line, the name of its directory, its first seq


def main() -> None:
    asked = json.loads(sys.stdin.buffer.read())
    signal.setitimer(signal.ITIMER_REAL, asked["deadline"])  # SIGALRM kills
    os.nice(5)
    sys.path += asked["path"]  # for zstd
    for said in _search(asked):
        sys.stdout.buffer.write(json.dumps(said).encode() + b"\n")
        sys.stdout.buffer.flush()


def _search(asked: dict[str, Any]) -> Iterator[list[Any]]:
    try:
        pattern = re.compile(asked["query"]) if asked["regex"] else None
    except (re.error, OverflowError, RecursionError) as error:
        yield ["error", str(error)]
        return
    since, until, left, size = asked["since"], asked["until"], asked["limit"], 0
    after = asked["after"]  # the previous page's last match: its place and seq
    for place, segment in sorted(_places(asked["root"], asked["names"]), reverse=True):
        if after and place > tuple(after[:3]):
            continue
        below = after[3] if after and place == tuple(after[:3]) else sys.maxsize
        try:
            with Opened(f"{asked['root']}/{place[1]}", segment) as opened:
                for seq, run, line in _search_segment(opened, asked, pattern, below):
                    time = line[:TIME].decode("ascii", "replace")
                    if time < since or (until and time > until) or not _shown(run, asked):
                        continue
                    yield ["match", *place, seq, run.run_id, line.decode("utf-8", "replace")]
                    left -= 1
                    size += len(line)
                    if not left or size > _ANSWER:
                        return
        except (OSError, ValueError):  # it has expired, or cannot be opened
            pass
        yield ["past", *place, 0]
    yield ["done"]


def _shown(run: Run, asked: dict[str, Any]) -> bool:
    globs = asked["scope"]
    if asked["action"] and run.action != asked["action"]:
        return False
    return globs is None or any(fnmatchcase(run.action, glob) for glob in globs)


def _places(root: str, names: list[str] | None) -> Iterator[tuple[Place, Segment]]:
    """The segments, in any order."""
    for name in names if names is not None else _names_in(root):
        try:
            segments = list_segments(f"{root}/{name}")
        except OSError:  # others can be searched all the same
            continue
        for segment in segments:
            yield (_beginning(f"{root}/{name}/{segment.name}", segment.packed), name, segment.first), segment


def _names_in(root: str) -> list[str]:
    try:
        return os.listdir(root)  # noqa: PTH208
    except FileNotFoundError:  # nothing has been logged
        return []


def _beginning(path: str, packed: str) -> str:
    """The time of a segment's first line, which never changes; "" if there is none, or it is unreadable."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        data = os.read(file, 1024 if packed else TIME)
        if packed == "gz":
            data = zlib.decompressobj(31).decompress(data, TIME)
        elif packed:
            data = zstd().ZstdDecompressor().decompress(data, TIME)
    except Exception:  # the two libraries have errors of their own for damage
        return ""
    finally:
        os.close(file)
    return data[:TIME].decode("ascii", "replace")


def _search_segment(
    opened: Opened, asked: dict[str, Any], pattern: re.Pattern[str] | None, below: int
) -> Iterator[tuple[int, Run, bytes]]:
    wanted = asked["query"].encode("utf-8", "surrogatepass")
    since, until = asked["since"], asked["until"]
    blocks = [
        each
        for each in reversed(opened.index.blocks)
        if each.first < below and each.latest >= since and (not until or each.earliest <= until)
    ]
    for text in _read(opened, blocks):
        found = _with_text(text, wanted) if pattern is None else _with_match(text, pattern)
        for seq, line in found:
            if seq < below:
                yield seq, run_at(text.runs, seq), line


def _read(opened: Opened, blocks: list[Block]) -> Iterator[Text]:
    """The lines of those blocks that can be read; a few are unpacked ahead, in parallel with the search."""

    def read(block: Block) -> Text | None:
        try:
            return opened.read(block)
        except (OSError, ValueError):
            return None

    with ThreadPoolExecutor(_AHEAD) as pool:
        for begin in range(0, len(blocks), _AT_ONCE):
            yield from filter(None, pool.map(read, blocks[begin : begin + _AT_ONCE]))


def _with_text(text: Text, wanted: bytes) -> Iterator[tuple[int, bytes]]:
    """The lines of a block that contain a text, with their seq, last to first."""
    data = text.data
    if wanted not in data:  # several times faster than searching from the end
        return
    end, seq = len(data), text.first + data.count(b"\n")  # line ``seq`` begins at ``end``
    while (place := data.rfind(wanted, 0, end)) >= 0:
        begin = data.rfind(b"\n", 0, place) + 1
        seq -= data.count(b"\n", begin, end)
        if place - begin >= PREFIX:  # otherwise it is in the line's prefix
            yield seq, data[begin : data.index(b"\n", place)]
        end = begin


def _with_match(text: Text, pattern: re.Pattern[str]) -> Iterator[tuple[int, bytes]]:
    """The lines of a block that match an expression, likewise."""
    for seq, line in reversed(list(lines_of(text))):
        if pattern.search(line[PREFIX:].decode("utf-8", "replace")):
            yield seq, line
