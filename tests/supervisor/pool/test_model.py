"""The pool manager against a model of it that is too simple to be wrong and too slow to be used.

The model is one list of running and one of waiting tasks, and answers every question by going through them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from overseer.protocol import ExcessConfig, PoolConfig, QueueConfig
from overseer.supervisor.metrics import PoolFigures
from overseer.supervisor.pool.policy import Admission, Requeued, Trim, Where
from overseer.supervisor.pool.pool import PoolManager
from tests.supervisor.pool.pools import MOMENT, QUEUED, REFUSED, RUNNING, Clock, outcome_of

ACTIONS = ("a", "b", "c")


@dataclass
class Task:
    name: str
    action: str
    forced: bool
    leaving: bool = False
    since: float = 0.0
    arrival: int = 0
    turn: int = 0
    place: str = ""


@dataclass
class Model:
    limits: dict[str, int]
    queues: dict[str, QueueConfig | None]
    excess: dict[str, ExcessConfig]
    running: list[Task] = field(default_factory=list)
    waiting: list[Task] = field(default_factory=list)
    lines: dict[str, list[str]] = field(default_factory=lambda: {action: [] for action in ACTIONS})
    arrivals: int = 0
    drained: bool = False

    def queue(self, action: str) -> QueueConfig:
        return self.queues[action] or self.queues[""] or QueueConfig()

    def at(self, action: str) -> list[Task]:
        return [task for task in self.running if action in ("", task.action)]

    def queued(self, action: str) -> list[Task]:
        return [task for task in self.waiting if task.action == action]

    def room(self, action: str) -> bool:
        return all(not self.limits[of] or len(self.at(of)) < self.limits[of] for of in ("", action))

    def next(self) -> tuple[int, Task] | None:
        """The next turn of an action that has room, and the task that would use it."""
        turns = []
        for action in ACTIONS:
            queued = self.queued(action)
            if queued and self.room(action):
                names = {task.name: task for task in queued}
                user = next(names[name] for name in self.lines[action] if name in names)
                turns.append((min(task.turn for task in queued), user))
        return min(turns, key=lambda pair: pair[0], default=None)

    def start_next(self) -> Task | None:
        chosen = self.next()
        if chosen is None:
            return None
        turn, task = chosen
        next(other for other in self.waiting if other.turn == turn).turn = task.turn
        self.waiting.remove(task)
        self.running.append(task)
        return task

    def settle(self) -> tuple[str, ...]:
        started = []
        while (task := self.start_next()) is not None:
            started.append(task.name)
        return tuple(started)

    def wait(self, task: Task, now: float, place: str) -> int:
        self.arrivals += 1
        task.arrival = task.turn = self.arrivals
        task.since, task.place, task.leaving = now, place, False
        line = self.lines[task.action]
        if task.name in line:
            line.remove(task.name)
        self.waiting.append(task)
        first = self.queue(task.action).order == "last"
        line.insert(0 if first else len(line), task.name)
        return 1 if first else len(self.queued(task.action))

    def move(self, name: str, index: int, action: str, seen: tuple[str, ...]) -> list[str]:
        """The new order of what waits there."""
        shown = seen if not action else (action,)
        before = [other for other in self.info("") if self.task(other).action in shown]
        order = [other for other in before if other != name]
        order.insert(index, name)
        turns = sorted(self.task(other).turn for other in order)
        for turn, other in zip(turns, order, strict=True):
            if not action and order != before:
                self.task(other).turn = turn
        for each in ACTIONS if order != before else ():
            mine = [other for other in order if self.task(other).action == each]
            if mine:
                self.lines[each] = mine
        return order

    def task(self, name: str) -> Task:
        return next(task for task in self.waiting if task.name == name)

    def victim(self, action: str, force: bool) -> Task | None:
        def may_go(task: Task) -> bool:
            policy = self.queue(task.action).displace
            return not task.forced and (policy == "true" or (policy == "false" and force))

        return min(
            filter(may_go, self.waiting), key=lambda task: (task.action != action, task.arrival), default=None
        )

    def acquire(self, name: str, action: str, force: bool, now: float) -> tuple[str, int, tuple[str, ...]]:
        refused = (REFUSED, 0, ())
        task = Task(name, action, force)
        if self.drained:
            return refused
        if self.room(action):
            self.running.append(task)
            return RUNNING, 0, ()
        queue = self.queue(action)
        if not queue.enabled:
            return refused
        if not queue.size or len([1 for other in self.waiting if other.place == action]) < queue.size:
            return QUEUED, self.wait(task, now, action), ()
        victim = self.victim(action, force)
        if victim is None:
            return refused
        self.waiting.remove(victim)
        return QUEUED, self.wait(task, now, victim.place), (victim.name,)

    def info(self, action: str) -> list[str]:
        """Names in the order in which they start when only the queues decide."""
        shadow = Model(
            dict.fromkeys(("", *ACTIONS), 0),
            self.queues,
            self.excess,
            waiting=[replace(task) for task in self.waiting if action in ("", task.action)],
            lines=self.lines,
        )
        return list(shadow.settle())


limits = st.integers(0, 4)
queues = st.builds(
    QueueConfig,
    enabled=st.sampled_from([True, True, True, False]),
    size=st.integers(0, 3),
    order=st.sampled_from(["first", "last"]),
    max_age=st.sampled_from([0, 0, 3, 5]),
    displace=st.sampled_from(["false", "true", "prohibit"]),
)
excesses = st.builds(
    ExcessConfig,
    action=st.sampled_from(["stop", "requeue"]),
    order=st.sampled_from(["first", "last"]),
    grace=st.integers(0, 3),
)
pools = st.builds(PoolConfig, limits, st.none() | queues, excesses)
actions = st.sampled_from(ACTIONS)
scopes = st.sampled_from(["", *ACTIONS])


class PoolMachine(RuleBasedStateMachine):
    @initialize(everyone=pools, configs=st.tuples(*(st.none() | pools for _ in ACTIONS)))
    def set_up(self, everyone: PoolConfig, configs: tuple[PoolConfig | None, ...]) -> None:
        self.clock = Clock()
        self.names = 0
        self.over = 0  # tasks that a reset started over a limit may still run
        by_action = dict(zip(ACTIONS, configs, strict=True))
        self.pool = PoolManager(everyone, by_action, self.clock)
        own = {name: config or PoolConfig(excess=everyone.excess) for name, config in by_action.items()}
        both = {"": everyone, **own}
        self.model = Model(
            {name: config.limit for name, config in both.items()},
            {name: config.queue for name, config in both.items()},
            {name: config.excess for name, config in both.items()},
        )

    def new_name(self) -> str:
        self.names += 1
        return f"t{self.names}"

    @rule(action=actions, force=st.booleans())
    def acquire(self, action: str, force: bool) -> None:
        name = self.new_name()
        admission: Admission = self.pool.acquire(name, action, force, MOMENT)
        expected = self.model.acquire(name, action, force, self.clock.now)
        assert (outcome_of(admission), admission.position, admission.displaced) == expected

    @rule(action=actions)
    def acquire_several(self, action: str) -> None:
        for _ in range(3):
            self.acquire(action, False)

    @precondition(lambda self: self.over < 3)
    @rule(action=actions)
    def admit_over(self, action: str) -> None:
        name = self.new_name()
        self.over += 1
        self.pool.admit_over(name, action)
        self.model.running.append(Task(name, action, False))

    @precondition(lambda self: self.model.running)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        task = data.draw(st.sampled_from(self.model.running))
        self.model.running.remove(task)
        assert self.pool.release(task.name) == self.model.settle()
        assert self.pool.release(task.name) == ()

    @precondition(lambda self: self.model.running)
    @rule(data=st.data())
    def requeue(self, data: st.DataObject) -> None:
        task = data.draw(st.sampled_from(self.model.running))
        self.model.running.remove(task)
        expected = Requeued(0)
        if not self.model.drained:
            position = self.model.wait(task, self.clock.now, task.action)
            expected = Requeued(position, self.model.settle())
        assert self.pool.requeue(task.name, MOMENT) == expected

    @precondition(lambda self: self.model.running)
    @rule(data=st.data())
    def is_told_to_stop(self, data: st.DataObject) -> None:
        task = data.draw(st.sampled_from(self.model.running))
        task.leaving = True
        self.pool.mark_leaving(task.name)

    @precondition(lambda self: self.model.waiting)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        task = data.draw(st.sampled_from(self.model.waiting))
        assert self.pool.release(task.name) == ()
        assert self.pool.cancel(task.name)
        assert not self.pool.cancel(task.name)
        self.model.waiting.remove(task)

    @precondition(lambda self: self.model.waiting)
    @rule(data=st.data(), within=st.booleans(), seen=st.sets(actions), how=st.integers(0, 2))
    def move(self, data: st.DataObject, within: bool, seen: set[str], how: int) -> None:
        task = data.draw(st.sampled_from(self.model.waiting))
        shown = (task.action,) if within else (*seen, task.action)
        others = [name for name in self.model.info("") if self.model.task(name).action in shown]
        hidden = [name for name in self.model.info("") if self.model.task(name).action not in shown]
        at = {name: place for place, name in enumerate(self.model.info(""))}
        others.remove(task.name)
        index = data.draw(st.integers(0, len(others)))
        where = Where(place=index + 1)
        if how == 1 and index < len(others):
            where = Where(before=others[index])
        elif how == 2 and index:
            where = Where(after=others[index - 1])
        action = task.action if within else ""
        moved = self.pool.move(task.name, where, action, lambda other: other in shown)
        order = self.model.move(task.name, index, action, shown)
        own = [name for name in order if self.model.task(name).action == task.action]
        assert moved.position == own.index(task.name) + 1
        assert moved.overall == (0 if within else index + 1)
        now = {name: place for place, name in enumerate(self.model.info(""))}
        assert {name: now[name] for name in hidden} == {name: at[name] for name in hidden}
        assert moved.changed == (now != at)

    @rule(action=scopes)
    def purge(self, action: str) -> None:
        assert list(self.pool.purge(action)) == self.model.info(action)
        self.model.waiting = [task for task in self.model.waiting if action not in ("", task.action)]

    @rule(seconds=st.integers(1, 3))
    def time_passes(self, seconds: int) -> None:
        self.clock.now += seconds
        dues = {
            task.name: task.since + age
            for task in self.model.waiting
            if (age := self.model.queue(task.action).max_age)
        }
        assert self.pool.next_expiry() == min(dues.values(), default=None)
        expired = {name for name, due in dues.items() if due <= self.clock.now}
        assert sorted(self.pool.expire()) == sorted(expired)
        self.model.waiting = [task for task in self.model.waiting if task.name not in expired]

    @rule(
        action=scopes,
        limit=st.none() | limits,
        queue_size=st.none() | st.integers(0, 3),
        excess=st.none() | st.fixed_dictionaries({}, optional={"order": st.sampled_from(["first", "last"])}),
    )
    def resize(
        self, action: str, limit: int | None, queue_size: int | None, excess: dict[str, Any] | None
    ) -> None:
        model = self.model
        how = model.excess[action] = replace(model.excess[action], **(excess or {}))
        if queue_size is not None:
            queue = model.queue(action)
            model.queues[action] = replace(queue, enabled=queue.enabled or queue_size > 0, size=queue_size)
        gone: list[Task] = []
        if limit is not None:
            old, model.limits[action] = model.limits[action], limit
            staying = [task for task in model.at(action) if not task.leaving]
            if how.order == "last":
                staying.reverse()
            if limit and (not old or limit < old):
                gone = staying[: max(0, len(staying) - limit)]
        for task in gone:
            task.leaving = True
        resize = self.pool.resize(action, limit, queue_size, excess)
        assert resize.trimmed == tuple(
            Trim(task.name, how.action == "requeue", float(how.grace)) for task in gone
        )
        assert resize.admitted == model.settle()

    @precondition(lambda self: self.names > 25)
    @rule()
    def drain(self) -> None:
        assert list(self.pool.drain()) == self.model.info("")
        self.model.waiting.clear()
        self.model.drained = True

    @invariant()
    def both_know_the_same(self) -> None:
        every, counts = self.pool.counts()
        for action in ("", *ACTIONS):
            info = self.pool.info(action)
            figures = counts[action] if action else every
            assert figures == PoolFigures(info.limit, info.running, info.queue_depth)
            assert info.limit == self.model.limits[action]
            assert info.running == len(self.model.at(action))
            assert [item.task_id for item in info.queue_items] == self.model.info(action)
            assert [item.position for item in info.queue_items] == list(range(info.queue_depth))
        assert {task.name: task.forced for task in self.model.waiting} == {
            item.task_id: item.forced for item in self.pool.info().queue_items
        }

    @invariant()
    def whoever_could_run_does(self) -> None:
        assert self.model.next() is None


PoolMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=50, deadline=None)
TestPoolManagerDoesWhatTheModelDoes = PoolMachine.TestCase
