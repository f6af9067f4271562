"""The commands about tasks, except ``run``."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from overseer.client import Client, RefusedError, ReplyTimeoutError, Task, TaskNotRunError
from overseer.ctl.graph import is_standing, missing_of
from overseer.ctl.hints import look_at_action
from overseer.ctl.listing import tasks_table
from overseer.ctl.status import EXIT_REFUSED, EXIT_TIMEOUT, of_exit
from overseer.ctl.terminal import OutputError, Progress, plain, print_json, room, say, show, style_of
from overseer.protocol import Queued, Started
from overseer.util.timestamps import now

if TYPE_CHECKING:
    from overseer.ctl.tail import Printer

_T = TypeVar("_T")
_RESTART_S = 86400.0  # for a restart, whose stop takes what the server's config allows


def start(client: Client, options: Namespace) -> int:
    if standing := is_standing(client, options):
        task = client.start(task_id=options.action, force=options.force)
    else:
        params = look_at_action(client, options.action, options.params)
        task = client.start(options.action, params, task_id=options.id, force=options.force)
    try:
        show(options, {"task_id": task.id, "state": task.state}, lambda: [plain(task.id)])
    except OutputError as error:
        if not error.gone:
            say(f"the task is started all the same: {plain(task.id)}")
        raise
    if task.state == "queued" and not options.json:
        if standing and (missing := missing_of(client, task.id)):
            say(f"it waits for {missing}; overseerctl graph shows more")
        else:
            say("it waits in the queue; overseerctl wait waits for its end")
    return 0


def stop(client: Client, options: Namespace) -> int:
    joined: dict[str, Task] = {}

    def stop_one(task_id: str) -> None:
        if options.wait:
            with suppress(RefusedError):  # then the stop is refused too, with a better text
                joined[task_id] = client.subscribe(task_id)
        client.stop(task_id)

    stopped, status = each(options.tasks, stop_one)
    for task_id in stopped:
        if task_id in joined:
            _await(joined[task_id], None)
    if options.json:
        print_json({"stopped": list(stopped)})
    return status


def restart(client: Client, options: Namespace) -> int:
    waiting_for = ""

    def restart_one(task_id: str) -> Started | Queued:
        nonlocal waiting_for
        waiting_for = task_id
        return client.restart(task_id, timeout=_RESTART_S)

    with Progress(lambda: f"waiting for task {plain(waiting_for)} to end and start again"):
        answers, status = each(options.tasks, restart_one)
    if options.json:
        print_json(list(answers.values()))
        return status
    for answer in answers.values():
        if isinstance(answer, Queued) and answer.waiting_on:
            say(f"{plain(answer.task_id)} waits for {', '.join(map(plain, answer.waiting_on))}")
        elif isinstance(answer, Queued):
            say(f"{plain(answer.task_id)} is queued at position {answer.position}")
    return status


def signal(client: Client, options: Namespace) -> int:
    signaled, status = each(options.tasks, lambda task_id: client.signal(task_id, options.signal))
    if options.json:
        print_json({"signaled": list(signaled)})
    return status


def give_input(client: Client, options: Namespace) -> int:
    from overseer.ctl.feeding import give_input

    return give_input(client, options)


def attach(client: Client, options: Namespace) -> int:
    from overseer.ctl.attach import attach

    return attach(client, options.task, style_of(options))


def reset(client: Client, options: Namespace) -> int:
    started, status = each(options.tasks, client.reset)
    if options.json:
        print_json(list(started.values()))
    return status


def each(task_ids: Iterable[str], ask: Callable[[str], _T]) -> tuple[dict[str, _T], int]:
    """Ask once for each task, reporting refusals; the other tasks' answers, and the exit status."""
    answers = {}
    status = 0
    for task_id in dict.fromkeys(task_ids):
        try:
            answers[task_id] = ask(task_id)
        except RefusedError as error:
            said = str(error).removesuffix(f": {task_id}").removeprefix(f"{task_id} ")
            say(f"{plain(task_id)}: {said}")
            status = EXIT_REFUSED
    return answers, status


def list_tasks(client: Client, options: Namespace) -> int:
    tasks = client.tasks(options.since, limit=options.limit, after=options.after)
    show(
        options,
        tasks,
        lambda: tasks_table(tasks, now(), style_of(options), room()) if tasks else [],
    )
    if not tasks and not options.json:
        say("no tasks")
    return 0


def wait(client: Client, options: Namespace) -> int:
    deadline = None if options.timeout is None else time.monotonic() + options.timeout
    tasks, refused = each(options.tasks, client.subscribe)
    if refused:
        return refused
    status = 0
    ended: list[dict[str, Any]] = []
    for task in tasks.values():
        try:
            _await(task, deadline)
        except ReplyTimeoutError:
            say(f"{plain(task.id)} is not over after {options.timeout:g} s")
            return EXIT_TIMEOUT
        succeeded = task.exit is not None and not task.failed
        status = status or (0 if succeeded else of_exit(task.exit)) or (1 if task.state == "errored" else 0)
        ended.append({"task_id": task.id, "state": task.state, "exited": task.exit})
    if options.json:
        print_json(ended)
    return status


def _await(task: Task, deadline: float | None) -> None:
    """Wait for its end, with progress on a terminal."""
    shown = Progress(lambda: f"waiting for task {plain(task.id)}, which is {task.state}")
    with shown, suppress(TaskNotRunError):
        task.wait(None if deadline is None else max(0.0, deadline - time.monotonic()))


def tail(client: Client, options: Namespace) -> int:
    from overseer.ctl.tail import tail

    task_ids = list(dict.fromkeys(options.tasks))
    if not task_ids:
        task_ids = [task.task_id for task in client.tasks() if task.worker_state == "running"]
        if not task_ids:
            say("no task is running; overseerctl list shows those that were")
            return 0
    printer = _printer(task_ids, options)
    return tail(client, task_ids, printer, lines=options.lines, follow=options.follow)


def replay(client: Client, options: Namespace) -> int:
    from overseer.ctl.tail import replay

    printer = _printer([options.task], options)
    return each(
        [options.task], lambda task_id: replay(client, task_id, printer, options.since_seq, options.since)
    )[1]


def _printer(task_ids: Sequence[str], options: Namespace) -> Printer:
    from overseer.ctl.tail import Printer

    return Printer(task_ids, style_of(options), as_json=options.json, timestamps=options.timestamps)


def events(client: Client, options: Namespace) -> int:
    from overseer.ctl.events import events

    return events(client, options.tasks)


def top(client: Client, options: Namespace) -> int:
    from overseer.ctl.top import top

    if options.json:
        figures = {"pool": client.pool(), "metrics": client.metrics(), "usage": client.usage()}
        print_json({"tasks": client.tasks(), **figures})
        return 0
    return top(client, style_of(options), options.interval, options.sort)
