"""The task, or the run, that the user means: by its id, a unique beginning of it, or the task's name."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress

from overseer.client import Client, RefusedError
from overseer.ctl.naming import short_id, values_of
from overseer.ctl.statuses import GOING_ON
from overseer.ctl.terminal import plain
from overseer.protocol import ActionInfo, RunInfo, TaskInfo
from overseer.util.suggest import did_you_mean

_RUNS = 1000  # latest ones of the history, whose tasks are known
_NAMED = 5  # ids listed in a message
_LATE = "\U000e01ef"  # the last character that can be printed, and is in use
_AMBIGUOUS = "ambiguous"  # the code of what is refused here, since several tasks are meant
_BY_GROUP = ("stop", "restart", "rm", "list")  # commands that take --group
_PREFIX = 4  # characters of a run's id


def known_tasks(client: Client) -> list[str]:
    """The ids of the server's tasks, and of the latest ones in its history."""
    found = dict.fromkeys(task.task_id for task in client.tasks())
    with suppress(RefusedError):
        found.update(dict.fromkeys(run.task_id for run in client.runs(limit=_RUNS)))
    return list(found)


def find_task(client: Client, text: str, command: str = "list") -> str:
    """The id of the server's task that ``text`` is, begins, or names by its action ("build") or by that and
    what it was given ("build main"): the only one that goes on, else the latest. ``command`` is one that
    takes ``--action``.

    Raises:
        RefusedError: no task, or more than one.
    """
    # Of the ids that begin so, the text itself is the first in order.
    page = client.tasks(limit=_NAMED + 1, after=_just_before(text))
    if found := pick(text, [task.task_id for task in page]):
        return found
    tasks = client.tasks()
    if named := _called(text, tasks, _actions(client), command):
        return named
    raise _missing(client, text, [task.task_id for task in tasks], command)


def _called(text: str, tasks: Iterable[TaskInfo], actions: Sequence[ActionInfo], command: str) -> str:
    """The task that is so called: the only one that goes on, else the latest; "": there is none.

    Raises:
        RefusedError: more than one goes on, or could be forgotten.
    """
    found = [task for task in tasks if _is_called(text, task, actions)]
    live = [task for task in found if task.status in GOING_ON]
    if len(meant := found if command == "rm" else live) > 1:
        which = "" if command == "rm" else "unfinished "
        action = "" if command == "list" else f", or --action {plain(meant[0].action)}"
        ids = _listed([short_id(task.task_id) for task in meant])
        raise _ambiguous(f"{len(meant)} {which}tasks have this name: {ids}; use an id{action}")
    return max(live or found, key=lambda task: task.created_at).task_id if found else ""


def _is_called(text: str, task: TaskInfo | RunInfo, actions: Sequence[ActionInfo]) -> bool:
    action = next((each for each in actions if each.name == task.action), ActionInfo(task.action, ""))
    values = values_of(task.params, action)
    return any(text in (name, f"{name} {values}") for name in {action.name, action.title} if name)


def _actions(client: Client) -> Sequence[ActionInfo]:
    with suppress(RefusedError):
        return client.actions()
    return ()


def _missing(client: Client, text: str, known: Collection[str], command: str) -> RefusedError:
    if not (hint := did_you_mean(text, known)):
        with suppress(RefusedError):
            actions, name = client.actions(), plain(text)
            if any(action.name == text for action in actions):
                hint = f" ({name} is an action; for its tasks: overseerctl {command} --action {name})"
            elif any(action.group == text for action in actions):
                by_group = command if command in _BY_GROUP else "list"
                hint = f" ({name} is a group; for its tasks: overseerctl {by_group} --group {name})"
    return RefusedError(f"task not found{hint}", code="not_found")


def _just_before(text: str) -> str:
    """A text between ``text`` and practically all ids that are less, by code points; or "".

    It is itself one that could be an id, which consists of characters that can be printed.
    """
    before = ord(text[-1]) - 1
    while before > 0 and not chr(before).isprintable():
        before -= 1
    return text[:-1] + (chr(before) + _LATE if before > 0 else "")


def task_like(client: Client, text: str, command: str) -> str:
    """As :func:`find_task`, also among those that the history knows."""
    known = known_tasks(client)
    if found := pick(text, known):
        return found
    actions = _actions(client)
    if named := _called(text, client.tasks(), actions, command):
        return named
    with suppress(RefusedError):
        for run in client.runs(limit=_RUNS):  # the latest first
            if _is_called(text, run, actions):
                return run.task_id
    raise _missing(client, text, known, command)


def pick(text: str, known: Collection[str]) -> str:
    """The one of these ids that ``text`` is, or begins; "": there is none.

    Raises:
        RefusedError: there is more than one.
    """
    if text in known:
        return text
    found = sorted(task_id for task_id in known if task_id.startswith(text))
    if len(found) == 1:
        return found[0]
    if found:
        raise _ambiguous(f"several tasks start with that: {_listed(found)}")
    return ""


def _listed(found: Sequence[str]) -> str:
    return ", ".join(map(plain, found[:_NAMED])) + (", …" if len(found) > _NAMED else "")


def _ambiguous(text: str) -> RefusedError:
    return RefusedError(text, code=_AMBIGUOUS)


def others_called(client: Client, text: str, run: RunInfo) -> bool:
    """Whether the history has other tasks that are so called than the one of this run."""
    actions = _actions(client)
    return any(
        each.task_id != run.task_id and _is_called(text, each, actions)
        for each in client.runs(action=run.action, limit=_RUNS)
    )


def check_action(client: Client, action: str) -> None:
    """Refuse a name that is neither an action's nor, since actions come and go, in the history.

    Raises:
        RefusedError: it is unknown, or misspelt.
    """
    try:
        client.actions(action)
    except RefusedError:
        with suppress(RefusedError):
            if client.runs(action=action, limit=1):
                return
        raise


def never_ran(run: RunInfo) -> bool:
    """Whether it ended as it began: its task was still queued, or could not be started."""
    return run.ended == run.started


def run_of(client: Client, task_id: str, text: str) -> RunInfo:
    """The run of a task with this number, or with an id that ``text`` is or begins.

    Raises:
        RefusedError: there is none, or more than one.
    """
    runs = client.runs(task_id, limit=0)
    number = text.removeprefix("#")
    found = [run for run in runs if run.run_id == text or str(run.number) == number]
    if not found and len(text) >= _PREFIX:  # shorter ones may be meant as a number
        found = [run for run in runs if run.run_id.startswith(text)]
    if len(found) == 1:
        return found[0]
    if found:
        raise RefusedError(f"{plain(text)} begins the ids of {len(found)} runs of {plain(task_id)}")
    least, most = (runs[-1].number, runs[0].number) if runs else (0, 0)
    which = f"the history has {least} to {most}" if runs else "the history has none of it"
    raise RefusedError(f"{plain(task_id)} has no run {plain(text)}: {which}")


def refusal(error: RefusedError, task_id: str = "", action: str = "") -> str:
    """What the server said, with what to do about it; ``task_id`` and ``action`` are what was asked about."""
    text, existing = str(error), error.existing_task_id
    if error.code == "full" and text.startswith("pool is full and so is"):
        return f"{text}; --force displaces a queued task, --wait-for-room TIME keeps trying"
    if task_id and (error.code == _AMBIGUOUS or text.startswith("task not found")):
        return f"{plain(task_id)}: {text.removesuffix(f': {task_id}')}"
    if text.startswith("unknown action: "):
        return f"{text} (overseerctl actions lists them)"
    if error.param and action:
        return f"{text} (overseerctl describe {plain(action)} explains it)"
    return text if existing in text else f"{text} (task {existing})"
