"""The queues of the pool: which tasks wait, in which order, for how long.

Each task that arrives brings its queue a *turn*. Turns are served in order of arrival across queues, so no
queue is starved by another. The queue's line says which of its tasks uses a turn: in a last-in-first-out
queue the newest, and the task that brought the turn gets the newest's instead. Moving a task within its queue
changes the line; moving it among several queues has these exchange turns.

One queue per action; an action without a queue config follows the global one. Not thread-safe and without a
clock: used by :class:`overseer.supervisor.pool.pool.PoolManager` under its lock.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from operator import itemgetter

from overseer.protocol import QueueConfig, QueueItem, queue_row
from overseer.supervisor.pool.policy import MoveResult, QueueState, Where


@dataclass(slots=True)
class Item:
    """A queued task."""

    task_id: str
    action: str
    queued_at: datetime
    since: float
    """The same moment on the pool's clock."""
    rank: int
    """Order of arrival over all queues."""
    forced: bool
    place: str
    """The action whose queue's size it counts against; see :mod:`overseer.supervisor.pool.policy`."""
    turn: int
    """The rank of the arrival whose turn it has: its own, unless its queue is last-in-first-out or tasks were
    moved."""
    row: tuple[bytes, bytes] = field(init=False, repr=False)
    """What clients see of it except its position, encoded once for all messages."""

    def __post_init__(self) -> None:
        self.row = queue_row(QueueItem(self.task_id, self.action, self.queued_at, 0, self.forced))


class _Queue:
    """One action's queue. All that is needed quickly is at the ends of its orders."""

    __slots__ = ("config", "items", "line", "taken", "turns", "unforced")

    def __init__(self, config: QueueConfig | None) -> None:
        self.config = config  # None: the global one
        self.items: OrderedDict[str, Item] = OrderedDict()  # in order of arrival
        self.line: OrderedDict[str, Item] = OrderedDict()  # in the order in which they start
        self.unforced: OrderedDict[str, Item] = OrderedDict()  # the items that may be displaced
        self.turns: OrderedDict[int, Item] = OrderedDict()  # earliest first, each with the item that has it
        self.taken = 0  # places taken, by its own items or by those that displaced some

    @property
    def oldest(self) -> Item:
        return next(iter(self.items.values()))


class Queues:
    """All queues. ``default`` is the global config, ``configs`` has each action's own, or None.

    Methods that take an action raise KeyError for one that is not in ``configs``.
    """

    def __init__(self, default: QueueConfig | None, configs: Mapping[str, QueueConfig | None]) -> None:
        self._default = default or QueueConfig()
        self._queues = {action: _Queue(config) for action, config in configs.items()}
        self._items: dict[str, Item] = {}
        self._rank = 0

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, task_id: str) -> bool:
        return task_id in self._items

    def count(self, action: str) -> int:
        """The number of items in one queue."""
        return len(self._queues[action].items)

    def get(self, task_id: str) -> Item | None:
        """The item of a task, or None if it is not queued."""
        return self._items.get(task_id)

    def state(self, action: str) -> QueueState:
        """One queue's state, for the rules."""
        queue = self._queues[action]
        oldest = next(iter(queue.unforced.values()), None)
        return QueueState(action, self._config(queue), queue.taken, None if oldest is None else oldest.rank)

    def states_but(self, action: str, sees: Callable[[str], bool] | None = None) -> list[QueueState]:
        """The states of all other queues with items; with ``sees``, of the actions it admits."""
        return [
            self.state(other)
            for other, queue in self._queues.items()
            if queue.items and other != action and (sees is None or sees(other))
        ]

    def add(
        self, task_id: str, action: str, queued_at: datetime, since: float, forced: bool, place: str
    ) -> int:
        """Add a task to the queue of ``action``; returns its position there, from 1."""
        queue = self._queues[action]
        self._rank += 1
        item = Item(task_id, action, queued_at, since, self._rank, forced, place, turn=self._rank)
        self._items[task_id] = queue.items[task_id] = queue.line[task_id] = queue.turns[item.turn] = item
        if not forced:
            queue.unforced[task_id] = item
        self._queues[place].taken += 1
        if self._config(queue).order == "first":
            return len(queue.line)
        queue.line.move_to_end(task_id, last=False)
        return 1

    def remove(self, item: Item) -> None:
        """Remove an item."""
        queue = self._queues[item.action]
        del self._items[item.task_id]
        del queue.items[item.task_id]
        del queue.line[item.task_id]
        del queue.turns[item.turn]
        queue.unforced.pop(item.task_id, None)
        self._queues[item.place].taken -= 1

    def displace(self, action: str) -> Item:
        """Remove and return the oldest item that was not forced from the queue of ``action``, which has
        one."""
        item = next(iter(self._queues[action].unforced.values()))
        self.remove(item)
        return item

    def turns(self, actions: Iterable[str]) -> list[tuple[int, str]]:
        """The next turn (a rank; the smallest is next) of each of ``actions`` that has items."""
        return [(next(iter(turns)), action) for action in actions if (turns := self._queues[action].turns)]

    def take(self, action: str) -> Item:
        """Use the next turn of the queue of ``action``, which has items; removes and returns the item to
        start."""
        queue = self._queues[action]
        item = next(iter(queue.line.values()))
        owner = next(iter(queue.turns.values()))
        item.turn, owner.turn = owner.turn, item.turn
        queue.turns[owner.turn] = owner
        self.remove(item)
        return item

    def waiting(self, action: str = "", sees: Callable[[str], bool] | None = None) -> list[Item]:
        """The items of one queue, or of all (with ``sees``, of the actions it admits), in the order in which
        they would start with room."""
        if action:
            return list(self._queues[action].line.values())
        return [item for _, item in self._by_turn(sees)]

    def _by_turn(self, sees: Callable[[str], bool] | None = None) -> list[tuple[int, Item]]:
        by_turn: list[tuple[int, Item]] = []
        for action, queue in self._queues.items():
            if sees is None or sees(action):
                by_turn += zip(queue.turns, queue.line.values(), strict=True)
        by_turn.sort(key=itemgetter(0))  # each queue is already in order, which makes this fast
        return by_turn

    def move(
        self, task_id: str, where: Where, action: str = "", sees: Callable[[str], bool] | None = None
    ) -> MoveResult:
        """See :meth:`PoolManager.move`."""
        item = self._items[task_id]
        if action not in ("", item.action):
            raise KeyError(task_id)
        before = self.waiting(action, sees)
        order = [each for each in before if each is not item]
        at = where.index([each.task_id for each in order])
        order.insert(at, item)
        changed = before[at] is not item
        if changed and action:
            self._queues[action].line = OrderedDict((each.task_id, each) for each in order)
        elif changed:
            self._exchange([turn for turn, _ in self._by_turn(sees)], order)
        if action:
            return MoveResult(at + 1, 0, changed)
        return MoveResult(sum(each.action == item.action for each in order[: at + 1]), at + 1, changed)

    def _exchange(self, turns: Iterable[int], order: Sequence[Item]) -> None:
        """Give whole queues' items these turns, the earliest to the first."""
        queues = {item.action: self._queues[item.action] for item in order}
        for queue in queues.values():
            queue.line.clear()
            queue.turns.clear()
        for turn, item in zip(turns, order, strict=True):
            queue, item.turn = queues[item.action], turn
            queue.line[item.task_id] = queue.turns[turn] = item

    def replayed(self) -> list[str]:
        """See :meth:`PoolManager.replayed`."""
        arrivals: list[tuple[int, str]] = []
        for queue in self._queues.values():
            in_order = queue.line if self._config(queue).order == "first" else reversed(queue.line)
            arrivals += zip(queue.turns, in_order, strict=True)
        arrivals.sort()
        return [task_id for _, task_id in arrivals]

    def expire(self, now: float) -> list[Item]:
        """Remove and return the items that have been queued for ``max_age`` by ``now``."""
        expired = []
        for queue in self._queues.values():
            while (due := self._due(queue)) is not None and due <= now:
                item = queue.oldest
                self.remove(item)
                expired.append(item)
        return expired

    def next_expiry(self) -> float | None:
        """When :meth:`expire` next has something to remove; None: never."""
        dues = (self._due(queue) for queue in self._queues.values())
        return min((due for due in dues if due is not None), default=None)

    def configure(self, action: str, config: QueueConfig | None) -> None:
        """Change a queue's config, or the global config with ``""``; a new action gets a queue. With another
        order, a queue forgets which of its tasks were moved."""
        orders = {name: self._config(queue).order for name, queue in self._queues.items()}
        if not action:
            self._default = config or QueueConfig()
        elif action in self._queues:
            self._queues[action].config = config
        else:
            self._queues[action] = _Queue(config)
        for name, before in orders.items():
            queue = self._queues[name]
            order = self._config(queue).order
            if order != before:
                arrived = queue.items.items()
                queue.line = OrderedDict(arrived if order == "first" else reversed(arrived))

    def remove_queue(self, action: str) -> bool:
        """Remove the queue of an action if it is empty and no item counts against it."""
        queue = self._queues[action]
        if queue.items or queue.taken:
            return False
        del self._queues[action]
        return True

    def resize(self, action: str, size: int) -> None:
        """Set the size of one queue, or with ``""`` of the global config; a positive one also turns it on."""
        old = self._config(self._queues[action]) if action else self._default
        new = replace(old, enabled=old.enabled or size > 0, size=size)
        if action:
            self._queues[action].config = new
        else:
            self._default = new

    def _config(self, queue: _Queue) -> QueueConfig:
        return queue.config or self._default

    def _due(self, queue: _Queue) -> float | None:
        """When the oldest item, the first to do so, expires."""
        max_age = self._config(queue).max_age
        return queue.oldest.since + max_age if queue.items and max_age else None
