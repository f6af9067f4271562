"""The commands about the server: its actions, pools, counters and configuration."""

from __future__ import annotations

import time
from argparse import Namespace
from contextlib import suppress

from overseer.client import Client, RefusedError
from overseer.ctl.asking import confirm
from overseer.ctl.exit_status import EXIT_REFUSED, EXIT_USAGE
from overseer.ctl.finding import find_task
from overseer.ctl.listing import action_lines, actions_table, pool_lines
from overseer.ctl.terminal import counted, plain, room, say, show
from overseer.protocol import PoolInfo, Upgraded, to_plain
from overseer.util.timestamps import now

_UPGRADE_S = 180.0  # for the new program to prove itself, and to take over
_TEST_S = 45.0  # for a channel to accept a test: a program has 30


def actions(client: Client, options: Namespace) -> int:
    found = client.actions(options.action)

    def lines() -> list[str]:
        return action_lines(found[0]) if options.action else actions_table(found, room())

    show(options, found, lines, "no actions; the server's config names them")
    return 0


def pool(client: Client, options: Namespace) -> int:
    return _show_pool(options, client.pool(options.action))


def set_pool(client: Client, options: Namespace) -> int:
    given = {"action": options.excess, "order": options.order, "grace": options.grace}
    excess = {name: value for name, value in given.items() if value is not None}
    if options.limit is None and options.queue_size is None and not excess:
        say("nothing to change: give --limit, --queue-size, --excess, --order or --grace")
        return EXIT_USAGE
    _confirm_limit(client, options)
    changed = client.set_pool(
        options.action, limit=options.limit, queue_size=options.queue_size, excess=excess or None
    )
    return _show_pool(options, changed)


def _confirm_limit(client: Client, options: Namespace) -> None:
    """Ask before a limit is lowered below the number of running tasks. Raises EarlyExit."""
    if not options.limit or options.yes:
        return
    now_running = client.pool(options.action)
    excess = now_running.running - options.limit
    if excess > 0 and (not now_running.limit or options.limit < now_running.limit):
        how = {"requeue": "stops and queues again", "stop": "stops"}.get(options.excess, "stops or requeues")
        pool = f"of {options.action}" if options.action else "of the whole server"
        tasks = f"{excess} of {counted(now_running.running, 'running task')}"
        confirm(options, f"lower the limit {pool} to {options.limit}, which {how} {tasks}")


def _show_pool(options: Namespace, info: PoolInfo) -> int:
    show(options, info, lambda: pool_lines(options.action or "", info, now(), room()))
    return 0


def purge(client: Client, options: Namespace) -> int:
    queues = "all queues" if options.action is None else f"the queue of {options.action}"
    queued = 0 if options.yes else client.pool(options.action).queue_depth
    confirm(options, f"empty {queues} ({counted(queued, 'queued task')})")
    count = client.purge(options.action)
    show(options, {"count": count}, lambda: [f"removed {counted(count, 'task')} from the queue"])
    return 0


def metrics(client: Client, options: Namespace) -> int:
    if options.task is not None:
        with suppress(RefusedError):
            options.task = find_task(client, options.task)
    counted = client.metrics(options.action, task_id=options.task)
    if counted is None:
        what = f"action {options.action}" if options.task is None else f"task {options.task}"
        say(f"no counters: the server knows no {plain(what)}")
        return EXIT_REFUSED
    values = to_plain(counted)
    size = max(map(len, values))
    lines = [f"{name:<{size}}  {'-' if value is None else value}" for name, value in values.items()]
    show(options, values, lambda: lines)
    return 0


def reload(client: Client, options: Namespace) -> int:
    reloaded = to_plain(client.reload(dry_run=options.dry_run))
    lists = {name: value for name, value in reloaded.items() if isinstance(value, list | tuple) and value}
    lines = [f"{name.replace('_', ' ')}: {', '.join(map(plain, value))}" for name, value in lists.items()]
    show(options, reloaded, lambda: lines)
    if options.json:
        return 0
    if not lists:
        say("no changes")
    elif options.dry_run:
        say("this was a dry run: nothing has changed")
    return 0


def upgrade(client: Client, options: Namespace) -> int:
    if options.wait and not options.check:
        left = _left(client.upgrade(check=True, timeout=_UPGRADE_S))
        if left:
            say(f"waiting for {left}")
    unasked = options.force and not options.check and not options.yes
    if unasked and (left := _left(client.upgrade(check=True, timeout=_UPGRADE_S))):
        confirm(options, f"end {left}")
    wanted = {"check": options.check, "force": options.force, "wait": options.wait}
    done = client.upgrade(**wanted, timeout=_UPGRADE_S)
    versions = plain(f"{done.from_} to {done.to}" if done.from_ != done.to else done.to)
    kept = f"{counted(done.tasks, 'running task')} and {counted(done.clients, 'client')}"
    if done.check:
        left = _left(done)
        lines = [f"the server can be upgraded: {versions}; {kept} would go on"]
        if left:
            lines = [f"{lines[0]}, but not {left}: see --wait and --force"]
    else:
        lines = [f"upgraded: {versions}; {kept} went on, after a pause of {done.pause_ms} ms"]
        if done.ended:
            lines.append(f"ended: {', '.join(map(plain, done.ended))}")
    show(options, to_plain(done), lambda: lines)
    return EXIT_REFUSED if done.check and (done.ended or done.services) else 0


def _left(checked: Upgraded) -> str:
    """What cannot go on in another program."""
    return ", ".join(
        [f"the task {plain(name)}" for name in checked.ended]
        + [f"the service of {plain(name)}" for name in checked.services]
    )


def notify(client: Client, options: Namespace) -> int:
    client.notify_test(options.channel, timeout=_TEST_S)
    show(options, {"channel": options.channel}, lambda: [f"delivered to {plain(options.channel)}"])
    return 0


def check(client: Client, options: Namespace) -> int:
    began = time.monotonic()
    pool, actions = client.pool(), client.actions()
    seconds = round(time.monotonic() - began, 4)
    answer = {
        "ok": True,
        "actions": len(actions),
        "running": pool.running,
        "waiting": pool.queue_depth,
        "seconds": seconds,
    }
    counts = f"{counted(len(actions), 'action')}, {pool.running} running, {pool.queue_depth} queued"
    show(options, answer, lambda: [f"ok: {counts}, answered in {seconds * 1000:.1f} ms"])
    return 0
