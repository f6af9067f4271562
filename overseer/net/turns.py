"""Turns: of many threads that have something to do, a few go on at a time, in the order in which it came.

Hundreds of threads that all want the interpreter at once hold up every other. These are not even woken before
it is their turn.
"""

from __future__ import annotations

import threading
from collections import deque
from enum import Enum, auto

from overseer.util.locks import Rank, lock


class _State(Enum):
    BUSY = auto()  # its thread does something else
    WAITING = auto()  # its thread waits for something to do
    ASKED = auto()  # there is something; in the queue
    GRANTED = auto()


class Turns:
    """What threads take turns at.

    Args:
        at_once: how many may have one at the same time.
    """

    def __init__(self, at_once: int) -> None:
        self._lock = lock(Rank.LEAF, "turns")
        self._free = at_once
        self._asked: deque[Turn] = deque()

    def ask(self, turn: Turn) -> None:
        with self._lock:
            if turn.state is not _State.WAITING:
                return
            if not self._free:
                turn.state = _State.ASKED
                self._asked.append(turn)
                return
            self._free -= 1
            turn.state = _State.GRANTED
        turn.granted.set()

    def end(self, turn: Turn) -> None:
        with self._lock:
            before, turn.state = turn.state, _State.BUSY
            turn.granted.clear()
            if before is _State.ASKED:
                self._asked.remove(turn)
            if before is not _State.GRANTED:
                return
            if not self._asked:
                self._free += 1
                return
            following = self._asked.popleft()
            following.state = _State.GRANTED
        following.granted.set()


class Turn:
    """One thread's. For its thread::

    turn.begin()
    if something_to_do():
        turn.ask()
    if turn.wait(timeout):
        do_it()
    turn.end()
    """

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        # Written with the lock of the Turns, but for begin, before which nobody else writes it.
        self.state = _State.BUSY
        self.granted = threading.Event()

    def begin(self) -> None:
        """From here on it may be asked for."""
        self.state = _State.WAITING

    def ask(self) -> None:
        """There is something to do: have it come, if its thread waits for that. From any thread, which holds
        no lock."""
        if self.state is _State.WAITING:  # without the lock: begin comes before its thread looks for itself
            self._turns.ask(self)

    def wait(self, timeout: float) -> bool:
        """Wait for it; False after ``timeout`` seconds without one."""
        return self.granted.wait(max(0.0, timeout))

    def end(self) -> None:
        self._turns.end(self)
