"""Handing over a hub: its tasks, pools, clients' subscriptions, counters and journal.

Exported at a standstill, with :func:`freeze` entered; restored before anything of the new hub is started.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from overseer.history.records import Intent
from overseer.supervisor.clients import Client
from overseer.supervisor.dependencies import _Held
from overseer.supervisor.handover.journal import export_journal, restore_journal
from overseer.supervisor.handover.pools import export_pools, restore_pools
from overseer.supervisor.handover.streams import Numbers, export_subscription, restore_subscription
from overseer.supervisor.handover.tasks import DefinitionOf, Origins, TaskRestorer, export_task
from overseer.supervisor.hub import Hub
from overseer.supervisor.metrics import Metrics
from overseer.supervisor.output.subscription import Wishes
from overseer.supervisor.phases import Phase
from overseer.supervisor.transaction import Launch
from overseer.supervisor.watching import Watcher
from overseer.util.handover_format import Incoming, Outgoing
from overseer.util.locks import seized
from overseer.workers.os_process import OSWorker


def stop_waiting(hub: Hub) -> None:
    """Have those who wait for clients see that nobody does so at a standstill."""
    for client in hub._clients:
        client.outbox.recheck()


@contextmanager
def freeze(hub: Hub, seconds: float) -> Iterator[None]:
    """Keep the hub, its tasks' output and their input as they are; at a standstill.

    Raises:
        TimeoutError: something is held for longer.
    """
    deadline = time.monotonic() + seconds
    with ExitStack() as stack:
        stack.enter_context(seized(hub._table.lock, deadline))
        for task in hub._table:
            stack.enter_context(seized(task.lock, deadline))
            worker = task.worker if task.phase is Phase.RUNNING else None
            if isinstance(worker, OSWorker) and worker.writing is not None:
                stack.enter_context(seized(worker.writing, deadline))
        yield


def export_hub(hub: Hub, numbers: Numbers, origins: Origins, out: Outgoing) -> dict[str, Any]:
    """All of it, within :func:`freeze`."""
    table = hub._table
    return {
        "tasks": [export_task(task, numbers, origins, out) for task in table],
        "finished": list(table.finished_at().items()),
        "waiting": [
            [task_id, *export_subscription(subscription, numbers, out)]
            for task_id, subscription in table.waiting()
            if subscription.client in numbers
        ],
        "pools": export_pools(hub._pool),
        # What has been decided and not begun: driver, who asked, task, why.
        "launches": [
            [driver, numbers.get(asker) if isinstance(asker, Client) else None, task.id, why.name]
            for driver, asker, (task, why) in hub._starts.launcher.waiting()
        ],
        "stopped": sorted(hub._intents.stopped),
        "kept": {name: list(intent) for name, intent in hub._intents._kept.items()},
        "last_place": hub._intents._last,
        "held": [
            [held.task.id, dict(held.left), held.force] for held in hub._dependencies._held.values()
        ],
        "metrics": export_metrics(hub._metrics),
        "journal": export_journal(table.journal, out),
        "watchers": [
            {
                "client": numbers[client],
                "number": each.number,
                "tag": each.tag,
                "next": each.next,
                "output": each.output and each.output.on_lag,
                "usage": each.usage,
            }
            for client, each in hub.watchers._watchers.items()
            if client in numbers
        ],
        "watch_number": next(hub.watchers._numbers),
        "renewed": hub.watchers.renewed,
        "clients": [[number, client.on_lag, client.watch] for client, number in numbers.items()],
    }


def restore_hub(
    hub: Hub,
    data: Mapping[str, Any],
    clients: Mapping[int, Client],
    definition_of: DefinitionOf,
    given: Incoming,
) -> Callable[[], None]:
    """Take over what was exported; returns what has everything go on."""
    table = hub._table
    restorer = TaskRestorer(hub, clients, definition_of, given)
    for number, on_lag, watch in data["clients"]:
        if (client := clients.get(number)) is not None:
            client.on_lag, client.watch = on_lag, watch
    tasks = [restorer.restore(each) for each in data["tasks"]]
    with table.lock:
        table.restore(tasks, dict(data["finished"]))
        for task in tasks:
            for client in task.stream.subscribers:
                client.task_ids.add(task.id)
        for task_id, number, said, events in data["waiting"]:
            if (client := clients.get(number)) is not None:
                table.wait(task_id, restore_subscription(client, said, events, given))
        hub._intents.stopped = set(data["stopped"])
        # An earlier program had no places: a word alone.
        kept = {
            name: Intent(said) if isinstance(said, str) else Intent(*said)
            for name, said in data["kept"].items()
        }
        hub._intents._kept = kept
        hub._intents._last = data.get("last_place", 0)
        for task_id, left, force in data["held"]:
            held = table.get(task_id)
            if held is not None:
                hub._dependencies.keep_locked(_Held(held, left, force))
        restore_pools(hub._pool, data["pools"])
        restore_metrics(hub._metrics, data["metrics"])
        restore_journal(table.journal, data["journal"], given)
        _restore_watchers(hub, data, clients)

    def go_on() -> None:
        for driver, asker, task_id, why in data["launches"]:
            with table.lock:
                task = table.get(task_id)
            if task is not None:
                launch = Launch[why]
                hub._starts.launcher.submit(driver, clients.get(asker, launch), task, launch)
        restorer.resume()
        with table.lock:
            hub._queueing.watch_queues_locked()
            table.prune()
            hub.usage.began_locked()
        hub.watchers._news(0.0)
        hub._memory.check()

    return go_on


def _restore_watchers(hub: Hub, data: Mapping[str, Any], clients: Mapping[int, Client]) -> None:
    watchers = hub.watchers
    watchers._numbers = itertools.count(data["watch_number"])
    watchers.renewed = data["renewed"]
    for said in data["watchers"]:
        client = clients.get(said["client"])
        if client is None:
            continue
        output = None if said["output"] is None else Wishes(said["output"])
        watcher = Watcher(said["number"], client, said["tag"], output, said["usage"], said["next"])
        watchers._watchers = {**watchers._watchers, client: watcher}
        if watcher.usage:
            hub.usage.watched_locked()


def export_metrics(metrics: Metrics) -> dict[str, Any]:
    with metrics.lock:
        return {
            "global": dict(metrics._global),
            "actions": {name: dict(each) for name, each in metrics._actions.items()},
            "waits": {name: [each._counts, each._total] for name, each in metrics._waits.items()},
            "runs": {name: [each._counts, each._total] for name, each in metrics._runs.items()},
        }


def restore_metrics(metrics: Metrics, data: Mapping[str, Any]) -> None:
    """Counters go on; what this program does not count is left out."""
    metrics.register(data["actions"])
    with metrics.lock:
        _add(metrics._global, data["global"])
        for name, counters in data["actions"].items():
            _add(metrics._actions[name], counters)
        for histograms, said in ((metrics._waits, data["waits"]), (metrics._runs, data["runs"])):
            for name, (counts, total) in said.items():
                if len(counts) == len(histograms[name]._counts):
                    histograms[name]._counts, histograms[name]._total = list(counts), total


def _add(counters: dict[str, int], more: Mapping[str, int]) -> None:
    for name in counters.keys() & more.keys():
        counters[name] += more[name]
