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
from overseer.util.suggest import did_you_mean

_T = TypeVar("_T")
_NAMED = 5  # in a question


def matching(client: Client, tasks: Iterable[TaskInfo], options: Namespace) -> Iterator[TaskInfo]:
    """Those that ``--action``, ``--group`` and ``--status`` leave."""
    grouped = None
    if options.group is not None:
        grouped = {action.name for action in client.actions() if action.group == options.group}
    for task in tasks:
        if (
            options.action in (None, task.action)
            and (grouped is None or task.action in grouped)
            and (options.status is None or task.status in options.status)
        ):
            yield task


def check_filters(client: Client, options: Namespace) -> None:
    """Refuse a filter that is misspelt, which is why no task matches.

    Raises:
        RefusedError: no such action, or no action has this group.
    """
    if options.action is not None:
        client.actions(options.action)
    if options.group is not None:
        groups = {action.group for action in client.actions()} - {""}
        if options.group not in groups:
            hint = did_you_mean(options.group, groups)
            raise RefusedError(f"no action has the group {options.group}{hint}", code="not_found")


def chosen(client: Client, options: Namespace, verb: str, default: Collection[str]) -> Sequence[str]:
    """The ids, or beginnings of ids, that a command gives; or, once they are confirmed, of all tasks that its
    filters leave. ``default``: the statuses of those that it is about where ``--status`` does not say.

    Raises:
        EarlyExit: the options make no choice, no task matches, or the user said no.
        RefusedError: no such action, or no action has this group.
    """
    filtered = bool(options.all or options.action or options.group or options.status)
    if filtered == bool(options.tasks):
        name = options.command
        how = "name tasks, or choose them with --all, --action, --group or --status"
        say(f"{how}{', not both' if filtered else ''}; see overseerctl {name} --help")
        raise EarlyExit(EXIT_USAGE)
    if options.tasks:
        return list(options.tasks)
    statuses = default if options.status is None else options.status
    found = [task for task in matching(client, client.tasks(), options) if task.status in statuses]
    if not found:
        check_filters(client, options)
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
