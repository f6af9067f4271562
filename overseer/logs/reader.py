"""Reads a task's log: blocks, forwards or backwards from any seq, while segments are sealed or expire."""

from __future__ import annotations

import errno
import logging
import sys
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator

from overseer.logs.listing import Listings
from overseer.logs.standalone.segments import NOBODY, Block, Opened, Run, Segment, Text
from overseer.logs.tasklog import Growing
from overseer.util.timestamps import parse_timestamp

_log = logging.getLogger(__name__)

_ROUNDING_S = 0.001  # of a file's mtime
_TRIES = 3  # a segment may be compressed or expire between listing and opening


class LogReader:
    """Reads one log. Stateless, so it costs nothing between reads. Its methods raise OSError
    or ValueError where the log cannot be read.

    Args:
        listings: of all logs.
        growing: returns the segment being written, if it is known.
    """

    def __init__(
        self, directory: str, listings: Listings, growing: Callable[[], Growing | None] = lambda: None
    ) -> None:
        self._directory = directory
        self._listings = listings
        self._growing = growing

    def ends(self) -> tuple[int, int]:
        """The seqs of the first and last line; (0, 0) if there is none."""
        last = next((opened.index.end - 1 for _, opened in self._back() if opened.index.blocks), 0)
        first = next((segment.first for segment, opened in self._on() if opened.index.blocks), 0)
        return (first, last) if 0 < first <= last else (0, 0)

    def range_of(self, run_id: str) -> tuple[int, int]:
        """The seqs of a run's first and last stored line; (1, 0) if none is stored."""
        first, following = 1, 1
        for segment, opened in self._back():
            runs = opened.index.runs
            for number, run in enumerate(runs):
                if run.run_id == run_id:
                    first = max(run.first, segment.first)
                    if following == 1:
                        following = runs[number + 1].first if number + 1 < len(runs) else opened.index.end
            if following > 1 and runs and runs[0].run_id != run_id:
                break
        return first, following - 1

    def last_run(self) -> Run:
        """The run that wrote the last lines."""
        return next((opened.index.runs[-1] for _, opened in self._back() if opened.index.runs), NOBODY)

    def why_not(self, seq: int) -> str:
        """Why it does not have a line: ``expired``, ``not_logged`` or ``unreadable``."""
        for _, opened in self._back(seq + 1):
            return "unreadable" if seq < opened.index.end else "not_logged"
        return "expired"

    def forward(self, seq: int, since: str = "") -> Iterator[Text]:
        """The blocks from the one that holds ``seq`` on, or from the next one stored, without damaged ones.

        Args:
            since: skip blocks whose lines are all older than this time.
        """
        for _, opened in self._on(seq, since):
            index = opened.index
            ends = [block.first for block in index.blocks[1:]] + [index.end]
            for block, end in zip(index.blocks, ends, strict=False):
                if end > seq and block.latest >= since and (text := self._text(opened, block)) is not None:
                    yield text

    def backward(self, seq: int = sys.maxsize) -> Iterator[Text]:
        """The blocks from the one that holds the line before ``seq``, or from the last, back to the first,
        without damaged ones."""
        for _, opened in self._back(seq):
            for block in reversed(opened.index.blocks):
                if block.first < seq and (text := self._text(opened, block)) is not None:
                    yield text

    def _text(self, opened: Opened, block: Block) -> Text | None:
        """None: it is damaged, and lost."""
        try:
            return opened.read(block)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            problem: Exception = error
        except ValueError as error:
            problem = error
        _log.warning("the log in %s: lines from %d on are lost: %s", self._directory, block.first, problem)
        return None

    def _on(self, seq: int = 0, since: str = "") -> Iterator[tuple[Segment, Opened]]:
        """The segments from the one that may hold ``seq`` on, without those that are older than ``since``."""
        begin = parse_timestamp(since).timestamp() - _ROUNDING_S if since else 0.0
        passed = -1

        def left(segments: list[Segment]) -> Iterable[Segment]:
            place = max(0, bisect_right(segments, seq, key=_first) - 1)
            return [
                each
                for each in segments[place:]
                if each.first > passed and not (each.sealed and each.mtime < begin)
            ]

        for segment, opened in self._open(left):
            yield segment, opened
            passed = segment.first

    def _back(self, seq: int = sys.maxsize) -> Iterator[tuple[Segment, Opened]]:
        """The segments from the one that may hold the line before ``seq``, back to the first."""
        left = seq

        def before(segments: list[Segment]) -> Iterable[Segment]:
            return reversed(segments[: bisect_left(segments, left, key=_first)])

        for segment, opened in self._open(before):
            yield segment, opened
            left = segment.first

    def _open(
        self, wanted: Callable[[list[Segment]], Iterable[Segment]]
    ) -> Iterator[tuple[Segment, Opened]]:
        """Those that are ``wanted`` of the segments; if one is gone when it is to be opened, they are listed
        again."""
        tries = _TRIES
        while True:
            growing = self._growing()  # first: whatever is sealed or begun afterwards is in the listing
            try:
                for segment in wanted(self._listings.of(self._directory)):
                    index = None
                    if growing is not None and growing.first == segment.first and not segment.packed:
                        index = growing.found
                    with Opened(self._directory, segment, index) as opened:
                        tries = _TRIES
                        yield segment, opened
                return
            except FileNotFoundError:
                tries -= 1
                if not tries:
                    raise


def _first(of: Segment) -> int:
    return of.first
