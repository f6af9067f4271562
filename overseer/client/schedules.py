"""The requests about the schedules of standing tasks."""

from __future__ import annotations

from overseer.client.arguments import Seconds, TaskId, optional_id, task_id_of
from overseer.client.requests import Requests
from overseer.protocol import Pause, Paused, Resume, Resumed, ScheduleInfo, SchedulesReply, SchedulesRequest


class ScheduleRequests(Requests):
    def schedules(
        self, task_id: TaskId | None = None, *, upcoming: int = 0, timeout: Seconds | None = None
    ) -> tuple[ScheduleInfo, ...]:
        """The schedules of one standing task, or of all that have any: when it starts next, and which starts
        were skipped and why. ``upcoming``: how many of the next starts to list, up to 100.

        Raises:
            RefusedError: that task has no schedule.
        """
        request = SchedulesRequest("", optional_id(task_id), upcoming)
        return self._pages(SchedulesReply, request, lambda reply: reply.schedules, 0, timeout)

    def pause(self, task_id: TaskId, *, timeout: Seconds | None = None) -> None:
        """Pause a standing task's schedules: each start is skipped, until :meth:`resume`."""
        self._expect(Paused, Pause("", task_id_of(task_id)), timeout, repeat=True)

    def resume(self, task_id: TaskId, *, timeout: Seconds | None = None) -> None:
        """Let a paused standing task's schedules start it again."""
        self._expect(Resumed, Resume("", task_id_of(task_id)), timeout, repeat=True)
