"""The periods whose slots are decided for good: run or skipped; pure.

A task's slots are decided in order, so this is a span that grows with time, from when its schedule was first
seen. When the clock leaps ahead, while the server runs or is down, another span begins: slots in between stay
undecided, and are run if the clock is set back.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Iterator

_MOST = 50


class Spans:
    """A set of moments, in whole seconds since 1970, as spans with both ends included."""

    def __init__(self, spans: Iterable[tuple[int, int]] = ()) -> None:
        self._spans: list[tuple[int, int]] = []  # in order, with gaps between them
        for begin, end in spans:
            self.add(begin, end)

    def __repr__(self) -> str:
        return f"<Spans {self._spans}>"

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(self._spans)

    def add(self, begin: int, end: int) -> None:
        """Add the moments from ``begin`` to ``end``. Beyond a maximum, the two oldest spans are merged."""
        if end < begin:
            return
        first = bisect.bisect_left(self._spans, begin - 1, key=lambda span: span[1])
        last = bisect.bisect_right(self._spans, end + 1, key=lambda span: span[0])
        if first < last:
            begin, end = min(begin, self._spans[first][0]), max(end, self._spans[last - 1][1])
        self._spans[first:last] = [(begin, end)]
        if len(self._spans) > _MOST:
            self._spans[:2] = [(self._spans[0][0], self._spans[1][1])]

    def end_of(self, moment: int) -> int | None:
        """The end of the span that contains a moment, or None."""
        index = bisect.bisect_right(self._spans, moment, key=lambda span: span[0]) - 1
        if index < 0 or self._spans[index][1] < moment:
            return None
        return self._spans[index][1]

    def last_before(self, moment: int) -> int | None:
        """The last moment of the set up to ``moment``, or None."""
        index = bisect.bisect_right(self._spans, moment, key=lambda span: span[0]) - 1
        return None if index < 0 else min(moment, self._spans[index][1])
