"""The requests about the schedules of standing tasks."""

from __future__ import annotations

from overseer.client.arguments import Seconds, TaskId, task_id_of
from overseer.client.stored import StoredRequests
from overseer.protocol import Pause, Paused, Resume, Resumed, ScheduleInfo, SchedulesReply, SchedulesRequest

_PAGE = 1000  # tasks that a server returns at once


class ScheduleRequests(StoredRequests):
    """All requests, with these."""

    def schedules(
        self, task_id: TaskId | None = None, *, upcoming: int = 0, timeout: Seconds | None = None
    ) -> tuple[ScheduleInfo, ...]:
        """The schedules of one standing task, or of all that have any: when it starts next, and which starts
        were skipped and why. ``upcoming``: how many of the next starts to list, up to 100.

        Raises:
            RefusedError: that task has no schedule.
        """
        of_task = "" if task_id is None else task_id_of(task_id)
        found: list[ScheduleInfo] = []
        after = ""
        while True:
            request = SchedulesRequest(self._router.new_id(), of_task, upcoming, _PAGE, after)
            reply = self._expect(SchedulesReply, [request], timeout, repeat=True)
            found += reply.schedules
            after = reply.next
            if not after:
                return tuple(found)

    def pause(self, task_id: TaskId, *, timeout: Seconds | None = None) -> None:
        """Pause a standing task's schedules: each start is skipped, until :meth:`resume`."""
        self._expect(Paused, [Pause(self._router.new_id(), task_id_of(task_id))], timeout, repeat=True)

    def resume(self, task_id: TaskId, *, timeout: Seconds | None = None) -> None:
        """Let a paused standing task's schedules start it again."""
        self._expect(Resumed, [Resume(self._router.new_id(), task_id_of(task_id))], timeout, repeat=True)
