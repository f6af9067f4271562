"""What is kept for those who watch: bounded, shared, and nothing at all where nobody does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from overseer.auth.rights import ANYONE, Principal
from overseer.protocol import Exited, encode
from overseer.supervisor import journal as module
from overseer.supervisor.journal import Journal
from overseer.supervisor.task import Task
from overseer.util.locks import Rank, lock
from overseer.util.timestamps import now


class _Task:
    """As much of a task as is asked for."""

    def __init__(self, name: str, says: int = 10) -> None:
        self.id, self.action = name, "a"
        self.says = says
        self.waits = ()
        self.stream = SimpleNamespace(subscribers={})

    def encoded_info_locked(self) -> bytes:
        return b'{"task_id":"%b","x":"%b"}' % (self.id.encode(), b"y" * self.says)


class _World:
    def __init__(self) -> None:
        self.lock = lock(Rank.HUB, "hub")
        self.tasks: dict[str, _Task] = {}
        self.journal = Journal(self.lock, cast(Any, self.tasks.get))
        self.due: list[float] = []
        self.journal.news = self.due.append

    def exits(self, name: str, says: int = 10) -> None:
        self.tasks[name] = _Task(name, says)
        event = Exited(task_id=name, pid=7, exit_code=0, intentional=False, ts=now())
        self.journal.happened_locked(event, encode(event), None)

    def seen(self, after: str, tag: str = "") -> list[str] | None:
        number = self.journal.after_locked(after, tag)
        if number is None:
            return None
        told = [change for change in self.journal.since_locked(number) if change.action is not None]
        return [json.loads(change.payload(tag, ANYONE, told=False))["task"]["task_id"] for change in told]


@pytest.fixture
def world() -> Iterator[_World]:
    made = _World()
    with made.lock:
        made.journal.on = True
        yield made


def test_whoever_comes_back_goes_on_where_it_was(world: _World) -> None:
    first = world.journal.mark_locked()
    world.exits("one")
    second = world.journal.mark_locked()
    world.exits("two")
    assert world.seen(first) == ["one", "two"]
    assert world.seen(second) == ["two"]
    assert first != second
    assert world.seen("") is None
    assert world.seen(first + "0") is None


def test_the_last_ten_thousand_are_kept(world: _World) -> None:
    begin = world.journal.mark_locked()
    world.exits("first")
    after_first = next(world.journal.since_locked(world.journal.end - 1)).cursor
    for number in range(9_999):
        world.exits(f"{number}")
    assert world.seen(begin) is None
    assert world.seen(after_first) == [f"{number}" for number in range(9_999)]
    world.exits("one more")
    assert world.seen(after_first) is None
    assert len(world.journal._numbers) == 10_000


def test_or_as_many_as_fit(world: _World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_KEPT_SIZE", 100_000)
    begin = world.journal.mark_locked()
    for number in range(9):
        world.exits(f"{number}", 10_000)
    assert world.seen(begin) == [f"{number}" for number in range(9)]
    for number in range(9, 30):
        world.exits(f"{number}", 10_000)
    assert world.seen(begin) is None
    kept = [
        json.loads(each.payload("", ANYONE, told=False))
        for each in world.journal.since_locked(world.journal.first)
    ]
    assert kept[-1]["task"]["task_id"] == "29"
    assert len(kept) == 9
    world.exits("huge", 500_000)  # one is kept, however long it is
    assert world.journal.end - world.journal.first == 1


def test_a_cursor_is_good_for_those_who_see_the_same(world: _World) -> None:
    mine, theirs = (Principal("x", "viewer", globs) for globs in (("mine",), ("mine", "theirs")))
    assert world.journal.tag(mine) == world.journal.tag(Principal("another", "admin", ("mine",)))
    tags = [world.journal.tag(each) for each in (mine, theirs, ANYONE)]
    cursor = world.journal.mark_locked() + tags[0]
    world.exits("one")
    assert world.seen(cursor, tags[0]) == ["one"]
    for tag in tags[1:]:
        assert world.journal.after_locked(cursor, tag) is None
    assert _World().journal.tag(mine) != tags[0]  # nor of another server


def test_a_cursor_is_good_for_its_server_alone() -> None:
    mine, theirs = _World(), _World()
    with mine.lock:
        mine.journal.on = True
        cursors = [mine.journal.mark_locked() for _ in range(100)]
        mine.journal.end_locked()  # numbers go on
        mine.journal.on = True
        cursors += [mine.journal.mark_locked() for _ in range(100)]
    assert len(set(cursors)) == 200
    with theirs.lock:
        theirs.journal.on = True
        for _ in range(200):
            theirs.journal.mark_locked()
        assert [theirs.seen(each) for each in cursors] == [None] * 200


def test_a_task_that_changes_without_an_event_is_told_of_unless_it_is_as_before(world: _World) -> None:
    begin = world.journal.mark_locked()
    for name in ("new", "same", "other", "told"):
        task = world.tasks[name] = _Task(name)
        row = {"new": None, "other": b"{}"}.get(name, task.encoded_info_locked())
        world.journal.touched(cast(Task, task), row)
    world.exits("told")
    world.journal.say_locked()
    assert world.seen(begin) == ["told", "new", "other"]
    last = next(world.journal.since_locked(world.journal.end - 1))
    assert json.loads(last.payload("", ANYONE, told=False))["type"] == "changed"
    world.journal.say_locked()
    assert world.seen(begin) == ["told", "new", "other"]


def test_nothing_is_kept_where_nobody_watches() -> None:
    world = _World()
    with world.lock:
        task = cast(Task, _Task("t"))
        world.journal.touched(task, None)
        world.journal.forgotten_locked(task, "")
        assert world.journal.end == 0
        assert not world.due
        world.journal.on = True
        cursor = world.journal.mark_locked()
        world.journal.touched(task, None)
        world.journal.end_locked()
        assert not world.journal.on
        assert not world.journal._unsaid
        assert not world.journal._numbers
        assert world.seen(cursor) is None
