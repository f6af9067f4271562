"""The highest numbers used by each task id: of its runs, and of its lines."""

from __future__ import annotations

from collections.abc import Iterable

from overseer.util.locks import Rank, lock


class _Mark:
    __slots__ = ("number", "seq")

    def __init__(self, number: int, seq: int) -> None:
        self.number = number
        self.seq = seq


class Marks:
    """In memory for every id in the database, so that no start waits for a disk read."""

    def __init__(self) -> None:
        self._lock = lock(Rank.LEAF, "history marks")
        self._marks: dict[str, _Mark] = {}

    def __len__(self) -> int:
        return len(self._marks)

    def merge(self, rows: Iterable[tuple[str, int, int]]) -> None:
        """Merge (id, number, seq) rows; the higher value wins."""
        with self._lock:
            for task_id, number, seq in rows:
                mark = self._marks.setdefault(task_id, _Mark(0, 0))
                mark.number, mark.seq = max(mark.number, number), max(mark.seq, seq)

    def rows(self) -> list[tuple[str, int, int]]:
        with self._lock:
            return [(task_id, mark.number, mark.seq) for task_id, mark in self._marks.items()]

    def seq(self, task_id: str) -> int:
        with self._lock:
            mark = self._marks.get(task_id)
            return 0 if mark is None else mark.seq

    def number(self, task_id: str) -> int:
        with self._lock:
            mark = self._marks.get(task_id)
            return 0 if mark is None else mark.number

    def next_number(self, task_id: str) -> int:
        """The number for a run that begins now."""
        with self._lock:
            mark = self._marks.setdefault(task_id, _Mark(0, 0))
            mark.number += 1
            return mark.number

    def reached(self, task_id: str, seq: int) -> None:
        """Note that lines have been numbered up to ``seq``."""
        with self._lock:
            mark = self._marks.setdefault(task_id, _Mark(0, 0))
            mark.seq = max(mark.seq, seq)

    def drop(self, task_ids: Iterable[str]) -> None:
        with self._lock:
            for task_id in task_ids:
                self._marks.pop(task_id, None)
