"""The commands about tasks, except ``run``."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Sequence
from contextlib import suppress
from graphlib import TopologicalSorter
from typing import Any

from overseer.client import Client, RefusedError, ReplyTimeoutError, Task, TaskNotRunError
from overseer.ctl import starting
from overseer.ctl.asking import confirm_start
from overseer.ctl.choosing import check_filters, chosen, each, matching
from overseer.ctl.exit_status import EXIT_TIMEOUT, of_exit, words_of
from overseer.ctl.graph import missing_of
from overseer.ctl.listing import tasks_table
from overseer.ctl.statuses import GOING_ON
from overseer.ctl.terminal import (
    OutputError,
    Progress,
    on_terminal,
    plain,
    print_json,
    print_lines,
    room,
    say,
    show,
    style_of,
)
from overseer.protocol import Queued, Started
from overseer.protocol.words import OVER
from overseer.util.timestamps import now

_RESTART_S = 86400.0  # for a restart, whose stop takes what the server's config allows


def start(client: Client, options: Namespace) -> int:
    alone = not options.id and not options.params  # as a standing task is named
    nodes = client.graph().nodes if alone else ()
    standing = next((node for node in nodes if node.task_id == options.action), None)
    if standing is not None:
        confirm_start(options, client.actions(standing.action)[0])
        task = starting.start(client, options, "", {}, task_id=options.action)
    else:
        params = starting.look_at_action(client, options)
        task = starting.start(client, options, options.action, params, task_id=options.id)
    answer = {"task_id": task.id, "state": task.state, "status": task.status}
    try:
        show(options, answer, lambda: [plain(task.id)])
    except OutputError as error:
        if not error.gone:
            say(f"the task was started anyway: {plain(task.id)}")
        raise
    if task.state == "queued" and not options.json:
        if standing and (missing := missing_of(client, task.id)):
            say(f"it waits for {missing}; overseerctl graph shows more")
        else:
            say("queued; overseerctl pool shows the queue, and overseerctl wait waits for the end")
    return 0


def stop(client: Client, options: Namespace) -> int:
    joined: dict[str, Task] = {}
    stopped: list[str] = []
    status = 0

    def stop_one(task_id: str) -> None:
        if options.wait or task_id in awaited:
            with suppress(RefusedError):  # then the stop is refused too, with a better text
                joined[task_id] = client.subscribe(task_id)
        client.stop(task_id)

    wanted = chosen(client, options, "stop", GOING_ON)
    needed_by = {} if options.tasks else _needed_by(client, wanted)
    awaited = set().union(*needed_by.values())
    sorter = TopologicalSorter({task_id: needed_by.get(task_id, ()) for task_id in wanted})
    sorter.prepare()
    while sorter.is_active():
        wave = sorter.get_ready()
        done, refused = each(client, wave, stop_one, "stop")
        stopped += [task_id for task_id in done if task_id not in stopped]
        status = status or refused
        for task_id in awaited.intersection(joined, done):
            _await(joined[task_id], None)
        sorter.done(*wave)
    for task_id in stopped:
        if task_id in joined:
            _await(joined[task_id], None)
        ended = words_of(joined[task_id].exit) if task_id in joined and joined[task_id].exit else ""
        _confirm(options, task_id, ended or ("stopped" if options.wait else "is being stopped"))
    if options.json:
        print_json({"stopped": stopped})
    return status


def _needed_by(client: Client, task_ids: Sequence[str]) -> dict[str, set[str]]:
    """Which of these tasks depend on which: they are to be over before that is stopped."""
    found: dict[str, set[str]] = {}
    with suppress(RefusedError):  # by a server that knows of no dependencies
        for edge in client.graph().edges:
            if edge.task_id in task_ids and edge.depends_on in task_ids:
                found.setdefault(edge.depends_on, set()).add(edge.task_id)
    return found


def restart(client: Client, options: Namespace) -> int:
    waiting_for = ""

    def restart_one(task_id: str) -> Started | Queued:
        nonlocal waiting_for
        waiting_for = task_id
        return client.restart(task_id, timeout=_RESTART_S)

    wanted = chosen(client, options, "restart", ("running", "ready", "restarting"))
    with Progress(lambda: f"waiting for task {plain(waiting_for)} to end and start again"):
        answers, status = each(client, wanted, restart_one, "restart")
    if options.json:
        print_json(list(answers.values()))
        return status
    for answer in answers.values():
        if isinstance(answer, Queued) and answer.waiting_on:
            say(f"{plain(answer.task_id)} waits for {', '.join(map(plain, answer.waiting_on))}")
        elif isinstance(answer, Queued):
            say(f"{plain(answer.task_id)} is queued at position {answer.position}")
        else:
            _confirm(options, answer.task_id, "started again")
    return status


def forget(client: Client, options: Namespace) -> int:
    def forget_one(task_id: str) -> None:
        try:
            client.forget(task_id)
        except RefusedError as error:
            if not options.force or error.code != "conflict":
                raise
            task = client.subscribe(task_id)
            client.stop(task_id)
            _await(task, None)
            with suppress(RefusedError):  # one that was queued is gone by now
                client.forget(task_id)

    wanted = chosen(client, options, "forget", (*OVER, *(GOING_ON if options.force else ())))
    forgotten, status = each(client, wanted, forget_one, "rm")
    if options.json:
        print_json({"forgotten": list(forgotten)})
    for task_id in forgotten:
        _confirm(options, task_id, "forgotten")
    return status


def signal(client: Client, options: Namespace) -> int:
    signaled, status = each(client, options.tasks, lambda task_id: client.signal(task_id, options.signal))
    if options.json:
        print_json({"signaled": list(signaled)})
    for task_id in signaled:
        _confirm(options, task_id, f"was sent {options.signal}")
    return status


def reset(client: Client, options: Namespace) -> int:
    started, status = each(client, options.tasks, client.reset)
    if options.json:
        print_json(list(started.values()))
    for task_id in started:
        _confirm(options, task_id, "started again")
    return status


def _confirm(options: Namespace, task_id: str, words: str) -> None:
    """A word for people, where nothing else is said."""
    if on_terminal() and not options.json:
        say(f"{plain(task_id)}: {words}")


def list_tasks(client: Client, options: Namespace) -> int:
    filtered = bool(options.action or options.group or options.status)
    limit = 0 if filtered else options.limit
    tasks = [*matching(client, client.tasks(options.since, limit=limit, after=options.after), options)]
    if not tasks:
        check_filters(client, options)
    if filtered and options.limit:
        tasks = sorted(tasks, key=lambda task: task.task_id)[: options.limit]
    if options.quiet and not options.json:
        print_lines(plain(task.task_id) for task in tasks)
        return 0

    def lines() -> list[str]:
        columns = None if options.no_trunc else room()
        return tasks_table(tasks, now(), style_of(options), columns, whole=options.no_trunc)

    value = [task.task_id for task in tasks] if options.quiet else tasks
    none = "no matching tasks" if filtered or options.since else "no tasks"
    if not tasks and none == "no tasks" and not options.json:
        none += _earlier(client)
    show(options, value, lines, none)
    return 0


def _earlier(client: Client) -> str:
    """Where to find those of before the server was started, if there were any."""
    with suppress(RefusedError):  # it keeps no history
        if client.runs(limit=1):
            return "; overseerctl history shows earlier runs"
    return ""


def wait(client: Client, options: Namespace) -> int:
    deadline = None if options.timeout is None else time.monotonic() + options.timeout
    tasks, refused = each(client, options.tasks, client.subscribe)
    if refused:
        return refused
    status = 0
    ended: list[dict[str, Any]] = []
    for task in tasks.values():
        try:
            _await(task, deadline)
        except ReplyTimeoutError:
            say(f"{plain(task.id)} has not ended within {options.timeout:g} s")
            return EXIT_TIMEOUT
        succeeded = task.exit is not None and not task.failed
        status = status or (0 if succeeded else of_exit(task.exit)) or (1 if task.state == "errored" else 0)
        ended.append({"task_id": task.id, "state": task.state, "status": task.status, "exited": task.exit})
    if options.json:
        print_json(ended)
    return status


def _await(task: Task, deadline: float | None) -> None:
    """Wait for its end, with progress on a terminal."""
    shown = Progress(lambda: f"waiting for task {plain(task.id)}, which is {task.status}")
    with shown, suppress(TaskNotRunError):
        task.wait(None if deadline is None else max(0.0, deadline - time.monotonic()))
