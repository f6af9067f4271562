"""Reads a task's log: blocks, forwards or backwards from any seq, while segments are sealed or expire."""

from __future__ import annotations

import errno
import logging
import sys
from bisect import bisect_right
from collections.abc import Callable, Iterator

from overseer.logs.listing import Listings
from overseer.logs.standalone.segments import NOBODY, Block, Opened, Run, Segment, Text
from overseer.logs.tasklog import Growing
from overseer.util.timestamps import parse_timestamp

_log = logging.getLogger(__name__)

_ROUNDING_S = 0.001  # of a file's mtime
_TRIES = 3  # a segment may be compressed or expire between listing and opening


class LogReader:
    """Reads one log. Stateless, so it costs nothing between reads.

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
        """The seqs of the first and last line; (0, 0) if there is none.

        Raises:
            OSError, ValueError: the log cannot be read.
        """
        tries = _TRIES
        while True:
            growing, segments = self._listing()
            try:
                first = self._ends_of(segments, growing)[0]
                return (first, self._ends_of(segments[::-1], growing)[1]) if first else (0, 0)
            except FileNotFoundError:
                tries -= 1
                if not tries:
                    raise

    def _ends_of(self, segments: list[Segment], growing: Growing | None) -> tuple[int, int]:
        """The ends of a listing, from its first segment that holds anything."""
        for segment in segments:
            with self._opened(segment, growing) as opened:
                if opened.index.blocks:
                    return segment.first, opened.index.end - 1
        return 0, 0

    def range_of(self, run_id: str) -> tuple[int, int]:
        """The seqs of a run's first and last stored line; (1, 0) if none is stored.

        Raises:
            OSError, ValueError: the log cannot be read.
        """
        growing, segments = self._listing()
        first, following = 1, 1
        after = sys.maxsize  # the first seq after the segments already checked
        for segment in reversed(segments):
            try:
                with self._opened(segment, growing) as opened:
                    runs, end = opened.index.runs, min(opened.index.end, after)
            except FileNotFoundError:
                continue
            for number, run in enumerate(runs):
                if run.run_id == run_id:
                    first = max(run.first, segment.first)
                    if following == 1:
                        following = runs[number + 1].first if number + 1 < len(runs) else end
            if following > 1 and runs and runs[0].run_id != run_id:
                break
            after = segment.first
        return first, following - 1

    def last_run(self) -> Run:
        """The run that wrote the last lines.

        Raises:
            OSError, ValueError: the log cannot be read.
        """
        growing, segments = self._listing()
        for segment in reversed(segments):
            try:
                with self._opened(segment, growing) as opened:
                    if opened.index.runs:
                        return opened.index.runs[-1]
            except FileNotFoundError:
                continue
        return NOBODY

    def why_not(self, seq: int) -> str:
        """Why it does not have a line: ``expired``, ``not_logged`` or ``unreadable``.

        Raises:
            OSError: the log cannot be read.
        """
        growing, segments = self._listing()
        place = bisect_right(segments, seq, key=_first) - 1
        if place < 0:
            return "expired"
        try:
            with self._opened(segments[place], growing) as opened:
                return "unreadable" if seq < opened.index.end else "not_logged"
        except FileNotFoundError:
            return "expired"

    def forward(self, seq: int, since: str = "") -> Iterator[Text]:
        """The blocks from the one that holds ``seq`` on, or from the next one stored, without damaged ones.

        Args:
            since: skip blocks whose lines are all older than this time.

        Raises:
            OSError, ValueError: the log cannot be read.
        """
        begin = parse_timestamp(since).timestamp() - _ROUNDING_S if since else 0.0
        tries = _TRIES
        while True:
            growing, segments = self._listing()
            place = max(0, bisect_right(segments, seq, key=_first) - 1)
            try:
                for segment in segments[place:]:
                    if _is_older(segment, begin):
                        continue
                    with self._opened(segment, growing) as opened:
                        index = opened.index
                        for number in range(index.block_of(seq), len(index.blocks)):
                            block = index.blocks[number]
                            if _end_of(index.blocks, number, index.end) <= seq or block.latest < since:
                                continue
                            text = self._text(opened, block)
                            if text is not None:
                                yield text
                            tries = _TRIES
                            seq = max(seq, _end_of(index.blocks, number, index.end))
                return
            except FileNotFoundError:
                tries -= 1
                if not tries:
                    raise

    def backward(self, seq: int | None = None) -> Iterator[Text]:
        """The blocks from the one that holds the line before ``seq``, or from the last, back to the first,
        without damaged ones.

        Raises:
            OSError, ValueError: the log cannot be read.
        """
        tries = _TRIES
        while True:
            growing, segments = self._listing()
            place = len(segments) if seq is None else bisect_right(segments, seq - 1, key=_first)
            try:
                for segment in reversed(segments[:place]):
                    with self._opened(segment, growing) as opened:
                        for block in reversed(opened.index.blocks):
                            if seq is not None and block.first >= seq:
                                continue
                            text = self._text(opened, block)
                            if text is not None:
                                yield text
                            tries = _TRIES
                            seq = block.first
                return
            except FileNotFoundError:
                tries -= 1
                if not tries:
                    raise

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

    def _listing(self) -> tuple[Growing | None, list[Segment]]:
        growing = self._growing()  # first: whatever is sealed or begun afterwards is in the listing
        return growing, self._listings.of(self._directory)

    def _opened(self, segment: Segment, growing: Growing | None) -> Opened:
        if growing is not None and growing.first == segment.first and not segment.packed:
            return Opened(self._directory, segment, growing.found)
        return Opened(self._directory, segment)


def _first(of: Segment) -> int:
    return of.first


def _end_of(blocks: list[Block], number: int, end: int) -> int:
    return blocks[number + 1].first if number + 1 < len(blocks) else end


def _is_older(segment: Segment, since: float) -> bool:
    """Whether all its lines are older."""
    return segment.sealed and segment.mtime < since
