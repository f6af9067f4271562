"""The tasks that a command is about: named, or chosen by what they have in common."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import TypeVar

from overseer.client import Client, RefusedError
from overseer.ctl.asking import EarlyExit, confirm
from overseer.ctl.exit_status import EXIT_REFUSED, EXIT_USAGE
from overseer.ctl.finding import find_task
from overseer.ctl.naming import shortened
from overseer.ctl.terminal import counted, plain, say
from overseer.protocol import TaskInfo

_T = TypeVar("_T")
_NAMED = 5  # in a question


def matching(tasks: Iterable[TaskInfo], options: Namespace) -> Iterator[TaskInfo]:
    """Those that ``--action`` and ``--status`` leave."""
    for task in tasks:
        if options.action in (None, task.action) and (
            options.status is None or task.status in options.status
        ):
            yield task


def chosen(client: Client, options: Namespace, verb: str, default: Collection[str]) -> Sequence[str]:
    """The ids, or beginnings of ids, that a command gives; or, once they are confirmed, of all tasks that its
    filters leave. ``default``: the statuses of those that it is about where ``--status`` does not say.

    Raises:
        EarlyExit: the options make no choice, no task matches, or the user said no.
        RefusedError: there is no such action.
    """
    filtered = bool(options.all or options.action or options.status)
    if filtered == bool(options.tasks):
        name = options.command
        how = "name tasks, or choose them with --all, --action or --status"
        say(f"{how}{', not both' if filtered else ''}; see overseerctl {name} --help")
        raise EarlyExit(EXIT_USAGE)
    if options.tasks:
        return list(options.tasks)
    statuses = default if options.status is None else options.status
    found = [task for task in matching(client.tasks(), options) if task.status in statuses]
    if not found:
        if options.action:
            client.actions(options.action)
        say("no matching tasks")
        raise EarlyExit(0)
    confirm(options, f"{verb} {_counted([task.task_id for task in found])}")
    return [task.task_id for task in found]


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


def _counted(ids: Sequence[str]) -> str:
    shown = shortened(ids)
    some = ", ".join(plain(shown(each)) for each in ids[:_NAMED])
    more = f" and {len(ids) - _NAMED} more" if len(ids) > _NAMED else ""
    return f"{counted(len(ids), 'task')} ({some}{more})"
