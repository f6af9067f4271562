"""The requests about pools."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from overseer.client.arguments import Seconds, TaskId, excess_of, name_of, optional_id, task_id_of
from overseer.client.requests import Requests
from overseer.protocol import (
    ActionInfo,
    ExcessConfig,
    Move,
    Moved,
    PoolInfo,
    PoolInfoReply,
    PoolInfoRequest,
    Purge,
    Purged,
    SetPool,
)


class PoolRequests(Requests):
    def pool(self, action: ActionInfo | str | None = None, *, timeout: Seconds | None = None) -> PoolInfo:
        """The state of an action's pool, or of the whole server's, with its queue."""
        request = PoolInfoRequest("", name_of(action))
        return self._expect(PoolInfoReply, request, timeout, repeat=True).pool

    def set_pool(
        self,
        action: ActionInfo | str | None = None,
        *,
        limit: int | None = None,
        queue_size: int | None = None,
        excess: ExcessConfig | Mapping[str, Any] | None = None,
        timeout: Seconds | None = None,
    ) -> PoolInfo:
        """Change an action's pool, or the whole server's, in what is not None. ``excess``: any of the fields
        of ``ExcessConfig``."""
        request = SetPool("", name_of(action), limit, queue_size, excess_of(excess))
        return self._expect(PoolInfoReply, request, timeout, repeat=True).pool

    def purge(self, action: ActionInfo | str | None = None, *, timeout: Seconds | None = None) -> int:
        """Empty an action's queue, or every queue; returns how many tasks were waiting."""
        return self._expect(Purged, Purge("", name_of(action)), timeout).count

    def move(
        self,
        task_id: TaskId,
        to: Literal["first", "last"] | int | None = None,
        *,
        before: TaskId | None = None,
        after: TaskId | None = None,
        action: ActionInfo | str | None = None,
        timeout: Seconds | None = None,
    ) -> Moved:
        """Move a waiting task: ``to`` a place (from 1, or the first or last), or right ``before`` or
        ``after`` another waiting task. With its ``action`` it is moved among that action's tasks, and no
        other's start sooner or later for it; without, among all.

        Returns its new place: ``position`` in its action's queue and, without ``action``, ``overall``.

        Raises:
            RefusedError: one of the tasks does not wait, or waits elsewhere; it may have started meanwhile.
            ValueError: not one of ``to``, ``before`` and ``after``, or no such place.
        """
        if sum(each is not None for each in (to, before, after)) != 1:
            raise ValueError("move: give one of to, before and after")
        if isinstance(to, bool) or not (to in (None, "first", "last") or (isinstance(to, int) and to > 0)):
            raise ValueError(f"to is first, last or a place from 1 on, not {to!r}")
        request = Move(
            "",
            task_id_of(task_id),
            name_of(action),
            to if isinstance(to, str) else "",
            to if isinstance(to, int) else 0,
            optional_id(before),
            optional_id(after),
        )
        return self._expect(Moved, request, timeout, repeat=True)
