"""Handing over the pools: slots, queues and turns, and the settings that clients have changed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from overseer.protocol import ExcessConfig, QueueConfig
from overseer.supervisor.pool.pool import PoolManager
from overseer.supervisor.pool.queues import Item, Queues, _Queue
from overseer.supervisor.pool.slots import Scope, Slot
from overseer.util.dataclass_json import from_plain, to_plain


def export_pools(pools: PoolManager) -> dict[str, Any]:
    with pools._lock:
        return {
            "all": [pools._all.limit, to_plain(pools._all.excess)],
            "scopes": {name: [each.limit, to_plain(each.excess)] for name, each in pools._scopes.items()},
            "slots": [[name, slot.action, slot.forced, slot.leaving] for name, slot in pools._slots.items()],
            "queues": _export_queues(pools._queues),
        }


def restore_pools(pools: PoolManager, data: Mapping[str, Any]) -> None:
    """``pools`` are as the same configuration makes them."""
    with pools._lock:
        pools._all = _scope(data["all"])
        pools._scopes = {name: _scope(each) for name, each in data["scopes"].items()}
        for task_id, action, forced, leaving in data["slots"]:
            pools._slots[task_id] = Slot(action, forced, leaving)
            for scope in (pools._all, pools._scopes[action]):
                scope.running += 1
                scope.leaving += leaving
        _restore_queues(pools._queues, data["queues"])


def _scope(data: Any) -> Scope:
    limit, excess = data
    return Scope(limit, from_plain(ExcessConfig, excess))


def _export_queues(queues: Queues) -> dict[str, Any]:
    return {
        "default": to_plain(queues._default),
        "rank": queues._rank,
        "queues": {
            name: {
                "config": to_plain(queue.config),
                "items": [_export_item(item) for item in queue.items.values()],
                "turns": list(queue.turns),
                "line": list(queue.line),
            }
            for name, queue in queues._queues.items()
        },
    }


def _export_item(item: Item) -> list[Any]:
    at = item.queued_at.isoformat()
    return [item.task_id, at, item.since, item.rank, item.forced, item.place, item.turn]


def _restore_queues(queues: Queues, data: Mapping[str, Any]) -> None:
    queues._default = from_plain(QueueConfig, data["default"])
    queues._rank = data["rank"]
    queues._queues = {
        name: _Queue(said["config"] and from_plain(QueueConfig, said["config"]))
        for name, said in data["queues"].items()
    }
    for name, said in data["queues"].items():
        queue = queues._queues[name]
        by_turn: dict[int, Item] = {}
        for task_id, queued_at, since, rank, forced, place, turn in said["items"]:
            at = datetime.fromisoformat(queued_at)
            item = Item(task_id, name, at, since, rank, forced, place, turn)
            queues._items[task_id] = queue.items[task_id] = by_turn[turn] = item
            if not forced:
                queue.unforced[task_id] = item
            queues._queues[place].taken += 1
        for turn in said["turns"]:
            queue.turns[turn] = by_turn[turn]
        arrived = list(queue.items)
        # A program that could not move tasks has not said in which order they start.
        line = said.get("line", arrived if queues._config(queue).order == "first" else arrived[::-1])
        queue.line.update((task_id, queue.items[task_id]) for task_id in line)
