"""The task, or the run, that the user means: by its id or a unique beginning of it."""

from __future__ import annotations

from contextlib import suppress

from overseer.client import Client, RefusedError
from overseer.ctl.terminal import plain
from overseer.protocol import RunInfo
from overseer.util.suggest import did_you_mean

_RUNS = 1000  # latest ones of the history, whose tasks are known
_NAMED = 5  # ids listed in a message
_PREFIX = 4  # characters of a run's id


def known_tasks(client: Client) -> list[str]:
    """The ids of the server's tasks, and of the latest ones in its history."""
    found = dict.fromkeys(task.task_id for task in client.tasks())
    with suppress(RefusedError):
        found.update(dict.fromkeys(run.task_id for run in client.runs(limit=_RUNS)))
    return list(found)


def task_like(client: Client, text: str) -> str:
    """The id of the task that ``text`` is, or begins.

    Raises:
        RefusedError: no task, or more than one.
    """
    known = known_tasks(client)
    if text in known:
        return text
    found = sorted(task_id for task_id in known if task_id.startswith(text))
    if len(found) == 1:
        return found[0]
    if found:
        some = ", ".join(map(plain, found[:_NAMED])) + (", …" if len(found) > _NAMED else "")
        raise RefusedError(f"{plain(text)} begins the ids of {len(found)} tasks: {some}")
    raise RefusedError(f"{plain(text)}: task not found{did_you_mean(text, known)}")


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
