"""``overseerctl schedules``, ``pause`` and ``resume``: the schedules of standing tasks."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from overseer.client import Client
from overseer.ctl.choosing import each
from overseer.ctl.columns import cut_middle, fit, table
from overseer.ctl.finding import pick
from overseer.ctl.listing import name_of
from overseer.ctl.terminal import Style, plain, room, show, style_of
from overseer.ctl.times import ago, clock, until
from overseer.protocol import ScheduleInfo, SkippedSlot
from overseer.util.timestamps import now

_HEADING = ("TASK", "SCHEDULE", "NEXT", "IN", "LAST", "SKIPPED")
_WHY = {
    "overlap": "the task was still in use",
    "queue_full": "the task was in use, and another start was waiting already",
    "missed": "the server was down or suspended",
    "paused": "paused",
    "disabled": "disabled in the server's config, or no longer in it",
}
_COUNTED = 1000  # where a server stops counting


def schedules(client: Client, options: Namespace) -> int:
    if options.task:
        options.task = _find(client, options.task)
    upcoming = 5 if options.next is None and options.task else options.next or 0
    found = client.schedules(options.task, upcoming=upcoming)
    moment, style = now(), style_of(options)

    def lines() -> list[str]:
        if options.task:
            return [line for info in found for line in schedule_lines(info, moment, style)]
        if options.next:
            return calendar(found, options.next, moment)
        return schedules_table(found, moment, style, room())

    show(options, found, lines, "no schedules; the server's config gives them to its standing tasks")
    return 0


def scheduled_tasks(client: Client, command: str, given: Sequence[str]) -> list[str]:
    """The tasks that a command may name, except those given already."""
    return [
        info.task_id
        for info in client.schedules()
        if info.task_id not in given and (command == "schedules" or info.paused == (command == "resume"))
    ]


def _find(client: Client, text: str, command: str = "") -> str:
    """The task with a schedule that is meant; what is none, the server refuses in its own words."""
    return pick(text, [info.task_id for info in client.schedules()]) or text


def pause(client: Client, options: Namespace) -> int:
    paused, status = each(client, options.tasks, client.pause, find=_find)
    show(options, {"paused": list(paused)}, lambda: [])
    return status


def resume(client: Client, options: Namespace) -> int:
    resumed, status = each(client, options.tasks, client.resume, find=_find)
    show(options, {"resumed": list(resumed)}, lambda: [])
    return status


def schedules_table(
    infos: Sequence[ScheduleInfo], moment: datetime, style: Style, columns: int | None = None
) -> list[str]:
    """A heading and a line for each task; ``moment`` is now."""

    def paint(row: int, name: str, text: str) -> str:
        return style.paint(text, "33") if name == "SKIPPED" and text.strip("- ") else text

    rows = [_HEADING]
    exact = _exact(info.next for info in infos if not info.paused)
    for info in infos:
        skipped = info.skipped[0] if info.skipped else None
        rows.append(
            (
                name_of(info.task_id),
                plain("; ".join(info.when)),
                "paused" if info.paused else "-" if info.next is None else clock(info.next, exact),
                "-" if info.paused or info.next is None else until(info.next, moment),
                "-" if info.last is None else ago(info.last, moment),
                "-" if skipped is None else f"{plain(skipped.reason)} {ago(skipped.slot, moment)}",
            )
        )
    cuts = {"TASK": cut_middle, "SCHEDULE": fit}
    spare = ("SCHEDULE", "LAST", "SKIPPED", "IN")
    return table(rows, columns, cuts=cuts, spare=spare, heading=style.heading, paint=paint)


def calendar(infos: Sequence[ScheduleInfo], most: int, moment: datetime) -> list[str]:
    """The next starts of all tasks that are not paused, in order."""
    coming = sorted((at, info.task_id) for info in infos if not info.paused for at in info.upcoming)
    exact = _exact(at for at, _ in coming[:most])
    return table([(clock(at, exact), until(at, moment), name_of(task_id)) for at, task_id in coming[:most]])


def schedule_lines(info: ScheduleInfo, moment: datetime, style: Style) -> Iterator[str]:
    """A task's schedules in full."""
    exact = _exact([info.last, *info.waiting, *info.upcoming, *(skip.slot for skip in info.skipped)])
    yield f"{style.paint(name_of(info.task_id), '1')} ({name_of(info.action)})"
    for when in info.when:
        yield f"  {plain(when)}"
    if info.paused:
        yield f"  {style.paint('paused', '33')}: each start is skipped, until overseerctl resume"
    if info.error:
        yield f"  {style.paint('the latest start was refused', '31')}: {plain(info.error)}"
    for at in info.waiting:
        yield f"  waits for the task to be over: {clock(at, exact)}"
    last = "never" if info.last is None else f"{clock(info.last, exact)}, {ago(info.last, moment)}"
    yield f"  last: {last}"
    yield "  next: never" if not info.upcoming else "  next:"
    for at in info.upcoming:
        put_off = f", put off until {clock(info.due)}" if info.due is not None and at == info.next else ""
        yield f"    {clock(at, exact)}, in {until(at, moment)}{put_off}"
    if info.skipped:
        yield "  skipped:"
    for skip in info.skipped:
        yield f"    {clock(skip.slot, exact)}{_number(skip)}: {_WHY.get(skip.reason, plain(skip.reason))}"


def _number(skip: SkippedSlot) -> str:
    if skip.number == 1:
        return ""
    more = "999 or more" if skip.number >= _COUNTED else str(skip.number - 1)
    return f" and {more} before"


def _exact(moments: Iterable[datetime | None]) -> bool:
    """Whether times that are shown together need their seconds."""
    return any(moment is not None and moment.second for moment in moments)
