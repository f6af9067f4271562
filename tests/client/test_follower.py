"""Each line once and every hole told of, whatever comes twice or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overseer.client.buffer import SEQ, EventBuffer, Line
from overseer.client.core import Core
from overseer.client.follower import Follower
from overseer.client.router import Router
from overseer.protocol import (
    Dequeued,
    Errored,
    Event,
    Exited,
    Gap,
    List,
    Queued,
    Restarting,
    Started,
    Subscribed,
    TaskInfo,
    Tasks,
)
from overseer.util.locks import Rank, lock
from overseer.util.timestamps import format_timestamp

T = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


LOCK = lock(Rank.LEAF, "client")


@pytest.fixture(autouse=True)
def _held() -> Iterator[None]:
    """This thread holds the lock, as everything here expects."""
    with LOCK:
        yield


def line(seq: int, data: str = "x", task_id: str = "t") -> Line:
    return (task_id, 7, "stdout", data, format_timestamp(T), seq, False)


def at(second: int) -> datetime:
    return T + timedelta(seconds=second)


def follower(**options: bool) -> Follower:
    made = Follower("t", LOCK, 1 << 20, **{"lossless": True, **options})
    made.begin_locked()
    return made


def taken(buffer: EventBuffer) -> list[object]:
    """Seqs of lines, ranges of gaps, types of the rest."""
    result: list[object] = []
    while items := buffer.take_locked(1000):
        for item in items:
            if isinstance(item, tuple):
                result.append(item[SEQ])
            elif isinstance(item, Gap):
                result.append((item.from_seq, item.to_seq))
            else:
                result.append(type(item))
    return result


def info(state: str = "active", worker: str = "exited") -> TaskInfo:
    return TaskInfo(task_id="t", action="a", state=state, worker_state=worker, created_at=T)


def exited(second: int, *, will_restart: bool = False) -> Exited:
    return Exited("t", 7, 0, False, at(second), will_restart=will_restart)


def test_a_line_that_comes_twice_is_taken_once_and_a_hole_is_told_of():
    task = follower()
    for seq in (1, 2, 2, 1, 3, 6, 5, 6, 7):
        task.line_locked(line(seq))
    assert taken(task.buffer) == [1, 2, 3, (4, 5), 6, 7]


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(0, 12)), max_size=30))
def test_any_stretches_of_output(stretches: list[tuple[int, int]]):
    task = follower()
    seen: set[int] = set()
    for start, length in stretches:
        for seq in range(start, start + length):
            task.line_locked(line(seq))
            seen.add(seq)
    told = taken(task.buffer)
    last = 0
    for each in told:  # contiguous, each seq once
        first, end = each if isinstance(each, tuple) else (each, each)
        assert first == last + 1
        last = end
    assert last == max(seen, default=0)
    assert {each for each in told if isinstance(each, int)} <= seen


def test_a_servers_gap_counts_as_told():
    task = follower(lossless=False)
    task.line_locked(line(1))
    task.event_locked(Gap("t", 2, 9, T))
    task.event_locked(Gap("t", 2, 9, T))
    task.line_locked(line(10))
    assert taken(task.buffer) == [1, (2, 9), 10]


def test_an_event_that_is_sent_again_is_taken_once():
    task = follower()
    events: list[Event] = [Started("1", "t", 7, ts=at(0)), exited(1), Queued("", "t", "a", 1, at(2))]
    for event in [*events, *events, Started("", "t", 7, ts=at(3))]:
        task.event_locked(event)
    assert taken(task.buffer) == [Started, Exited, Queued, Started]


@pytest.mark.parametrize(
    ("events", "listed", "state", "over"),
    [
        ([Started("1", "t", 7, ts=T)], None, "running", False),
        ([Queued("1", "t", "a", 1, T)], None, "queued", False),
        ([exited(1, will_restart=True)], None, "restarting", False),
        ([Restarting("t", 7, 5, 1, T)], None, "restarting", False),
        ([Errored("t", 7, 3, T)], None, "errored", True),
        ([Dequeued("t", "purged", T)], None, "stopped", True),
        ([exited(1)], None, "starting", False),  # it may be queued again
        ([exited(1)], info(), "ended", True),
        ([exited(1)], info("stopped"), "stopped", True),
        ([exited(1)], info("errored"), "errored", True),
        ([exited(1)], info("queued"), "queued", False),
        ([exited(1)], info("active", "running"), "running", False),
        ([exited(1, will_restart=True)], info(), "restarting", False),
        ([exited(1)], "forgotten", "ended", True),
        ([], info("active", ""), "starting", False),
    ],
)
def test_what_is_known_of_a_task(events, listed, state, over):
    task = follower()
    for event in events:
        task.event_locked(event)
    if listed is not None:
        task.listed_locked(None if listed == "forgotten" else listed)
    assert (task.state, task.over) == (state, over)


class TestASubscriptionThatIsAnswered:
    def answer(self, last: int, oldest: int, created: datetime | None = T) -> Subscribed:
        return Subscribed("1", "t", last, oldest, created)

    def resumed(self, at_seq: int, answer: Subscribed) -> Follower:
        task = follower()
        task.created_at = T
        task.last_seq = at_seq
        task.interrupted_locked(shutdown=False)
        task.subscribed_locked(answer)
        return task

    @pytest.mark.parametrize(
        ("at_seq", "last", "oldest", "told"),
        [
            (5, 5, 1, []),
            (5, 9, 6, []),
            (5, 9, 2, []),
            (5, 300, 201, [(6, 200)]),
            (5, 300, 0, [(6, 300)]),
            (0, 0, 0, []),
        ],
    )
    def test_what_is_not_stored_any_more_is_told_of(self, at_seq, last, oldest, told):
        assert taken(self.resumed(at_seq, self.answer(last, oldest)).buffer) == told

    @pytest.mark.parametrize("created", [None, at(1)])
    def test_another_task_or_none_is_not_taken_for_this_one(self, created):
        task = self.resumed(5, self.answer(9, 1, created))
        assert (task.over, task.state, task.open) == (True, "gone", False)
        assert task.failure is not None

    def test_nothing_is_taken_before_it(self):
        task = follower()
        task.interrupted_locked(shutdown=False)
        assert not task.open

    def test_from_now_on_leaves_out_what_is_stored(self):
        task = Follower("t", LOCK, 1 << 20, lossless=True, from_now=True)
        task.subscribed_locked(self.answer(50, 20))
        for seq in range(20, 51):
            task.line_locked(line(seq))
        task.event_locked(exited(1))
        task.listed_locked(info())
        task.line_locked(line(51))
        assert taken(task.buffer) == [51]
        assert task.exit == exited(1)


def test_a_server_that_shuts_down_ends_what_has_exited():
    task = follower()
    task.event_locked(exited(1))
    task.interrupted_locked(shutdown=True)
    assert task.over
    other = follower()
    other.event_locked(exited(1, will_restart=True))
    other.interrupted_locked(shutdown=True)
    assert not other.over


class TestAFullBuffer:
    def test_loses_the_oldest_lines_and_says_which(self):
        buffer = EventBuffer(LOCK, 10_000)
        for seq in range(1, 101):
            buffer.put_locked(line(seq, "x" * 100))
            buffer.settle_locked(lossless=False)
        told = taken(buffer)
        assert isinstance(told[0], tuple)
        assert told[0][0] == 1
        assert told[1:] == list(range(told[0][1] + 1, 101))
        assert 15 <= len(told) <= 30

    def test_keeps_other_events(self):
        buffer = EventBuffer(LOCK, 5000)
        buffer.put_locked(Started("1", "t", 7, ts=T))
        for seq in range(1, 100):
            buffer.put_locked(line(seq))
        buffer.put_locked(exited(1))
        buffer.settle_locked(lossless=False)
        told = taken(buffer)
        assert told[1] is Started
        assert told[-1] is Exited

    def test_counts_the_other_events_that_it_has_no_room_for(self):
        buffer = EventBuffer(LOCK, 1000)
        for second in range(1500):
            buffer.put_locked(exited(second))
            buffer.settle_locked(lossless=False)
        kept = len(taken(buffer))
        assert buffer.dropped == 1500 - kept
        assert 0 < kept <= 1001

    def test_tells_tasks_apart(self):
        buffer = EventBuffer(LOCK, 3000)
        for seq in range(1, 40):
            for name in ("a", "b"):
                buffer.put_locked(line(seq, task_id=name))
        buffer.settle_locked(lossless=False)
        gaps = [item for item in buffer.take_locked(10) if isinstance(item, Gap)]
        assert sorted(gap.task_id for gap in gaps) == ["a", "b"]

    def test_keeps_everything_while_it_may(self):
        buffer = EventBuffer(LOCK, 1000)
        for seq in range(1, 100):
            buffer.put_locked(line(seq))
        buffer.settle_locked(lossless=True)
        assert buffer.full
        assert taken(buffer) == list(range(1, 100))

    def test_takes_back_what_was_not_used(self):
        buffer = EventBuffer(LOCK, 1000)
        for seq in range(1, 11):
            buffer.put_locked(line(seq))
        buffer.enter_locked()
        first = buffer.take_locked(5)
        assert buffer.is_read_locked()
        # As a finaliser does in the middle of something: it cannot have the lock.
        buffer.leave(first[2:], buffer.generation)
        assert not buffer.is_read_locked()
        assert taken(buffer) == list(range(3, 11))

    def test_puts_what_is_taken_back_before_what_was_lost_meanwhile(self):
        buffer = EventBuffer(LOCK, 3000)
        for seq in range(1, 11):
            buffer.put_locked(line(seq))
        buffer.enter_locked()
        first = buffer.take_locked(10)
        for seq in range(11, 101):
            buffer.put_locked(line(seq))
            buffer.settle_locked(lossless=False)
        buffer.leave(first[2:], buffer.generation)
        told = taken(buffer)
        assert told[:8] == list(range(3, 11))
        assert isinstance(told[8], tuple)
        assert told[8][0] == 11
        assert told[9:] == list(range(told[8][1] + 1, 101))

    def test_takes_nothing_back_from_before_it_was_cleared(self):
        buffer = EventBuffer(LOCK, 3000)
        for seq in range(1, 11):
            buffer.put_locked(line(seq))
        buffer.enter_locked()
        first, generation = buffer.take_locked(5), buffer.generation
        buffer.clear_locked()
        buffer.put_locked(line(11))
        buffer.leave(first[2:], generation)
        assert taken(buffer) == [11]


class Nowhere:
    """Where a router's frames go in these tests."""

    unsent = 0

    def send_locked(self, frame: bytes) -> None:
        pass


def lists(router: Router) -> list[str]:
    """The ids of the lists that are asked for."""
    return [id for id, pending in router._pending.items() if isinstance(pending.messages[0], List)]


def test_a_list_that_is_older_than_an_exit_is_not_believed_but_asked_for_again():
    core = Core(None)  # type: ignore[arg-type]
    core.lock = LOCK
    router = Router(core, Nowhere())
    mine = Follower("t", LOCK, 1 << 20, lossless=True)
    router.follow_locked(mine)
    mine.subscribed_locked(Subscribed(id="s", task_id="t", last_seq=0, oldest_seq=0, created_at=T))
    mine.caught_up_locked()
    # The list is on its way, and was made before this:
    router.route_locked([exited(1)])
    router.listed_locked(mine, Tasks(id="l", tasks=(info(worker="running"),)))
    assert not mine.over
    assert len(lists(router)) == 1
    router.route_locked([Tasks(id=lists(router)[0], tasks=(info(),))])
    assert (mine.over, mine.state) == (True, "ended")
