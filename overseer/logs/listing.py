"""Listings of logs' directories, kept while nothing in them changes: each costs a system call a file."""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from typing import NamedTuple

from overseer.logs.standalone.segments import Segment, list_segments

_MOST = 64  # directories
_SETTLED_NS = 100_000_000  # a file system's clock may stand still for some of that, and so hide a change


class _Kept(NamedTuple):
    changed: int
    segments: list[Segment]


class Listings:
    """For those who read: what is sealed and what there is holds, sizes of files that grow do not. Safe from
    any thread."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, _Kept] = OrderedDict()  # each operation on it is atomic

    def of(self, directory: str) -> list[Segment]:
        """The segments of a log, oldest first.

        Raises:
            OSError: they cannot be listed.
        """
        try:
            changed = os.stat(directory).st_mtime_ns  # noqa: PTH116
        except FileNotFoundError:
            return []
        kept = self._kept.get(directory)
        if kept is not None and kept.changed == changed:
            return kept.segments
        segments = list_segments(directory)
        if time.time_ns() - changed > _SETTLED_NS:
            self._kept[directory] = _Kept(changed, segments)
            while len(self._kept) > _MOST:
                self._kept.popitem(last=False)
        return segments
