"""The commands about tasks, except ``run``."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar

from overseer.client import Client, RefusedError, ReplyTimeoutError, Task, TaskNotRunError
from overseer.ctl.asking import confirm_start
from overseer.ctl.choosing import chosen, matching
from overseer.ctl.exit_status import EXIT_REFUSED, EXIT_TIMEOUT, of_exit, words_of
from overseer.ctl.finding import find_task
from overseer.ctl.graph import action_of, is_standing, missing_of
from overseer.ctl.hints import look_at_action
from overseer.ctl.listing import tasks_table
from overseer.ctl.naming import short_id
from overseer.ctl.statuses import GOING_ON, OVER
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
from overseer.protocol import Dequeued, Event, Queued, Started
from overseer.util.timestamps import now

if TYPE_CHECKING:
    from overseer.ctl.tail import Printer

_T = TypeVar("_T")
_HEARD_S = 0.5  # for what happened before an answer that is there
_RESTART_S = 86400.0  # for a restart, whose stop takes what the server's config allows


def start(client: Client, options: Namespace) -> int:
    more: dict[str, Any] = {"force": options.force, "wait_for_room": options.wait_for_room or 0}
    if standing := is_standing(client, options):
        confirm_start(options, client.actions(action_of(client, options.action))[0])
        task = client.start(task_id=options.action, **more)
    else:
        params = look_at_action(client, options)
        heard = client.batches(_HEARD_S)
        task = client.start(options.action, params, task_id=options.id, **more)
        if options.force and task.state == "queued" and (displaced := _displaced(heard, task.id)):
            say(f"displaced {plain(short_id(displaced))}")
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


def _displaced(heard: Iterable[list[Event]], task_id: str) -> str:
    """The task that had to make room for this one, which is told right before; or ""."""
    displaced = ""
    with suppress(ReplyTimeoutError):
        for event in chain.from_iterable(heard):
            if isinstance(event, Dequeued) and event.reason == "displaced":
                displaced = event.task_id
            elif isinstance(event, Queued) and event.task_id == task_id:
                break
            elif isinstance(event, Queued):
                displaced = ""  # it made room for that one
    return displaced


def stop(client: Client, options: Namespace) -> int:
    joined: dict[str, Task] = {}

    def stop_one(task_id: str) -> None:
        if options.wait:
            with suppress(RefusedError):  # then the stop is refused too, with a better text
                joined[task_id] = client.subscribe(task_id)
        client.stop(task_id)

    stopped, status = each(client, chosen(client, options, "stop", GOING_ON), stop_one, "stop")
    for task_id in stopped:
        if task_id in joined:
            _await(joined[task_id], None)
        ended = words_of(joined[task_id].exit) if task_id in joined and joined[task_id].exit else ""
        _confirm(options, task_id, ended or ("stopped" if options.wait else "is being stopped"))
    if options.json:
        print_json({"stopped": list(stopped)})
    return status


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


def give_input(client: Client, options: Namespace) -> int:
    from overseer.ctl.feeding import give_input

    return give_input(client, options)


def attach(client: Client, options: Namespace) -> int:
    from overseer.ctl.attach import attach

    return attach(client, options.task, style_of(options))


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


def each(
    client: Client,
    texts: Iterable[str],
    ask: Callable[[str], _T],
    command: str = "list",
    find: Callable[[Client, str, str], str] = find_task,
) -> tuple[dict[str, _T], int]:
    """Ask once for each task that is meant, reporting refusals; the other tasks' answers, and the exit
    status. ``command`` is as for ``find``."""
    answers: dict[str, _T] = {}
    status = 0
    for text in dict.fromkeys(texts):
        try:
            task_id = find(client, text, command)
            if task_id not in answers:
                answers[task_id] = ask(task_id)
        except RefusedError as error:
            said = str(error).removesuffix(f": {text}").removeprefix(f"{text} ")
            say(f"{plain(text)}: {said}")
            status = EXIT_REFUSED
    return answers, status


def list_tasks(client: Client, options: Namespace) -> int:
    filtered = bool(options.action or options.status)
    limit = 0 if filtered else options.limit
    tasks = [*matching(client.tasks(options.since, limit=limit, after=options.after), options)]
    if not tasks and options.action:
        client.actions(options.action)  # one that is misspelt is refused
    if filtered and options.limit:
        tasks = sorted(tasks, key=lambda task: task.task_id)[: options.limit]
    if options.quiet and not options.json:
        print_lines(plain(task.task_id) for task in tasks)
        return 0

    def lines() -> list[str]:
        columns = None if options.no_trunc else room()
        return tasks_table(tasks, now(), style_of(options), columns, whole=options.no_trunc)

    value = [task.task_id for task in tasks] if options.quiet else tasks
    show(options, value, lambda: lines() if tasks else [])
    if not tasks and not options.json:
        say("no matching tasks" if filtered or options.since else "no tasks")
    return 0


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


def tail(client: Client, options: Namespace) -> int:
    from overseer.ctl.tail import tail

    if options.tasks:
        found, status = each(client, options.tasks, lambda task_id: None)
        task_ids = list(found)
    else:
        task_ids = [task.task_id for task in client.tasks() if task.worker_state == "running"]
        status = 0
        if not task_ids:
            say("no task is running; overseerctl list shows those that were")
    if not task_ids:
        return status
    shown = tail(client, task_ids, _printer(task_ids, options), lines=options.lines, follow=options.follow)
    return status or shown


def replay(client: Client, options: Namespace) -> int:
    from overseer.ctl.tail import replay

    replay(client, options.task, _printer([options.task], options), options.since_seq, options.since)
    return 0


def _printer(task_ids: Sequence[str], options: Namespace) -> Printer:
    from overseer.ctl.tail import Printer

    return Printer(task_ids, style_of(options), as_json=options.json, timestamps=options.timestamps)


def events(client: Client, options: Namespace) -> int:
    from overseer.ctl.events import events

    found, status = each(client, options.tasks, lambda task_id: None)
    return status or events(client, list(found))


def top(client: Client, options: Namespace) -> int:
    from overseer.ctl.top import top

    if options.json:
        figures = {"pool": client.pool(), "metrics": client.metrics(), "usage": client.usage()}
        print_json({"tasks": [*matching(client.tasks(), options)], **figures})
        return 0
    return top(client, options, style_of(options))
