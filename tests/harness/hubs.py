"""What tests that drive a hub without a server look at."""

from __future__ import annotations

from overseer.protocol import TaskInfo
from overseer.supervisor.hub import Hub


def tasks_of(hub: Hub) -> list[TaskInfo]:
    """All tasks, oldest first, as a client would be shown them."""
    with hub._table.lock:
        shown = []
        for task in hub._table:
            with task.lock:
                shown.append(task.info_locked())
        return shown
