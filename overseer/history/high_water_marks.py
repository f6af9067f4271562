"""The highest numbers used by each task id: of its runs, and of its lines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from overseer.util.locks import Rank, lock


class _Mark:
    __slots__ = ("number", "reserved", "seq")

    def __init__(self) -> None:
        self.number = 0
        self.seq = 0
        self.reserved = 0  # the seq to be stored


_NONE = _Mark()


class Marks:
    """In memory for every id in the database, so that no start waits for a disk read. Thread-safe."""

    def __init__(self) -> None:
        self._lock = lock(Rank.LEAF, "history marks")
        self._marks: dict[str, _Mark] = {}
        self._behind: set[str] = set()  # ids of which the database does not have the numbers

    def merge(self, rows: Sequence[tuple[str, int, int]]) -> None:
        """Merge the (id, number, seq) rows of a database; the higher value wins."""
        stored = {task_id: (number, seq) for task_id, number, seq in rows}
        with self._lock:
            for task_id, mark in self._marks.items():
                number, seq = stored.get(task_id, (0, 0))
                if number < mark.number or seq < mark.reserved:
                    self._behind.add(task_id)
            for task_id, number, seq in rows:
                mark = self._marks.setdefault(task_id, _Mark())
                mark.number, mark.seq = max(mark.number, number), max(mark.seq, seq)
                mark.reserved = max(mark.reserved, seq)

    def seq(self, task_id: str) -> int:
        with self._lock:
            return self._marks.get(task_id, _NONE).seq

    def number(self, task_id: str) -> int:
        with self._lock:
            return self._marks.get(task_id, _NONE).number

    def next_number(self, task_id: str) -> int:
        """The number for a run that begins now."""
        with self._lock:
            mark = self._marks.setdefault(task_id, _Mark())
            mark.number += 1
            return mark.number

    def reached(self, task_id: str, seq: int, reserved: int) -> None:
        """Note that lines have been numbered up to ``seq``, and which seq is about to be stored."""
        with self._lock:
            mark = self._marks.setdefault(task_id, _Mark())
            mark.seq = max(mark.seq, seq)
            mark.reserved = reserved

    def not_stored(self, task_ids: Iterable[str]) -> None:
        """Note that the database does not have the latest numbers of these ids."""
        with self._lock:
            self._behind.update(task_ids)

    def take_behind(self, most: int) -> list[tuple[str, int, int]]:
        """Rows for the database of ids that it does not have the latest numbers of."""
        with self._lock:
            taken = [self._behind.pop() for _ in range(min(most, len(self._behind)))]
            return [
                (task_id, mark.number, mark.reserved)
                for task_id in taken
                if (mark := self._marks.get(task_id)) is not None
            ]

    def drop(self, task_ids: Iterable[str]) -> None:
        with self._lock:
            for task_id in task_ids:
                self._marks.pop(task_id, None)
