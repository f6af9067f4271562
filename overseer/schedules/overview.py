"""Schedules as clients see them."""

from __future__ import annotations

from collections.abc import Callable

from overseer.config.schedules import Schedule
from overseer.protocol import ScheduleInfo, SchedulesReply, SchedulesRequest, SkippedSlot
from overseer.schedules.scheduler import Scheduler
from overseer.schedules.slots import moment_of
from overseer.schedules.track import Track
from overseer.util.locks import assert_held


def overview_locked(
    scheduler: Scheduler, request: SchedulesRequest, sees: Callable[[str], bool]
) -> SchedulesReply:
    """The requested schedules of tasks whose actions ``sees`` admits."""
    assert_held(scheduler.lock)
    tracks = scheduler.tracks
    names = [request.task_id] if request.task_id in tracks else [] if request.task_id else sorted(tracks)
    shown = [tracks[name] for name in names if name > request.after and sees(tracks[name].standing.action)]
    page = shown[: request.limit]
    now = scheduler.wall()
    infos = tuple(_info(track, request.upcoming, now) for track in page)
    return SchedulesReply(request.id, infos, page[-1].task_id if len(shown) > len(page) else "")


def _info(track: Track, upcoming: int, now: float) -> ScheduleInfo:
    plan = track.plan
    following = plan.upcoming(now, max(1, upcoming))
    due = plan.due_of(following[0]) if following else 0
    return ScheduleInfo(
        task_id=track.task_id,
        action=track.standing.action,
        when=tuple(map(_written, plan.schedules)),
        next=moment_of(following[0]) if following else None,
        due=moment_of(due) if following and due > following[0] else None,
        last=None if track.last is None else moment_of(track.last),
        paused=plan.paused,
        waiting=tuple(moment_of(offer.slot) for offer in plan.waiting),
        skipped=tuple(
            SkippedSlot(moment_of(slot.slot), slot.reason, slot.number, slot.at)
            for slot in reversed(track.skipped)
        ),
        error=track.refused,
        upcoming=tuple(map(moment_of, following[:upcoming])),
    )


def _written(schedule: Schedule) -> str:
    zone = f" ({schedule.timezone})" if schedule.cron else ""
    return f"{schedule}{zone}{'' if schedule.enabled else ', disabled'}"
