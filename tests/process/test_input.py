"""What waits for a pipe or a terminal that takes no more for now."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from overseer.errors import OverseerError, SpawnError
from overseer.process.input import MOST, TaskInput
from overseer.process.stdin import Stdin


@pytest.fixture
def pipe() -> Iterator[tuple[int, TaskInput]]:
    ours = Stdin("pipe")
    assert ours.input is not None
    yield ours.theirs, ours.input
    ours.discard()


def read(fd: int, size: int) -> bytes:
    data = b""
    while len(data) < size:
        data += os.read(fd, size - len(data))
    return data


def test_the_bound_is_exact_and_nothing_of_a_refused_input_is_taken(pipe: tuple[int, TaskInput]) -> None:
    theirs, given = pipe
    with pytest.raises(OverseerError, match="1048577 bytes; the limit is 1048576"):
        given.put(b"x" * (MOST + 1))
    given.put(b"a" * MOST)  # a part of it is in the pipe now
    with pytest.raises(OverseerError, match=r"is not reading its input: [0-9]+ bytes already wait"):
        given.put(b"b" * MOST)
    given.put(b"c")
    assert read(theirs, MOST + 1) == b"a" * MOST + b"c"
    given.put(b"d" * MOST, eof=True)
    assert read(theirs, MOST) == b"d" * MOST
    assert os.read(theirs, 1) == b""


def test_one_thread_is_enough_for_all() -> None:
    inputs = [Stdin("pipe") for _ in range(5)]
    for each in inputs:
        assert each.input is not None
        each.input.put(b"x" * MOST)
    assert [thread.name for thread in threading.enumerate()].count("input") == 1
    for each in inputs:
        assert read(each.theirs, MOST) == b"x" * MOST
        each.discard()


def test_who_reads_no_more_is_noticed(pipe: tuple[int, TaskInput]) -> None:
    theirs, given = pipe
    given.put(b"x" * MOST)
    with Path(os.devnull).open("rb") as other:
        os.dup2(other.fileno(), theirs)
    until(lambda: not given._size)
    with pytest.raises(OverseerError, match="the task has closed its stdin"):
        given.put(b"y")


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_what_waits_at_the_end_is_dropped(pipe: tuple[int, TaskInput]) -> None:
    _, given = pipe
    given.put(b"x" * MOST)
    given.close()
    given.close()
    with pytest.raises(OverseerError, match="task is not running"):
        given.put(b"y")
    assert given.resize(1, 1) is False


def test_what_cannot_be_had_is_said_and_nothing_stays_open() -> None:
    before = set(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for kind, size, says in (
        ("tty", (24, 80), "stdin must be none, pipe or pty, not 'tty'"),
        ("pty", (0, 80), "stdin: pty: a terminal has 1 to 65535 rows and columns"),
        ("pty", (24, 70000), "stdin: pty: a terminal has 1 to 65535 rows and columns"),
    ):
        with pytest.raises(SpawnError, match=says):
            Stdin(kind, size)
    assert set(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_a_terminal_of_which_nobody_tells_when_it_has_room_again() -> None:
    """A line discipline holds 4096 bytes that nobody reads, and wakes nobody for what it drops."""
    ours = Stdin("pty")
    assert ours.input is not None
    lines = b"".join(b"%d\n" % number for number in range(40_000))
    ours.input.put(lines)
    assert read(ours.theirs, len(lines)) == lines
    ours.discard()
