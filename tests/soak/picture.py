"""What a client that watches knows of all tasks, put together from a snapshot and what comes after it."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tests.soak.model import Broken

__all__ = ["Picture"]

Message = dict[str, Any]
_EVENTS = ("started", "exited", "restarting", "errored", "queued", "dequeued", "forgotten")


class Picture:
    """Fed all messages of one connection, in order. Raises :class:`Broken`."""

    def __init__(self) -> None:
        self.rows: dict[str, Message] = {}
        self.cursor = ""
        self.counts: Counter[str] = Counter()
        self.snapshots = 0
        self._begun = False
        self._cursors: set[str] = set()
        self._told: set[tuple[object, ...]] = set()

    def ask(self, request: Message) -> None:
        """A request is about to be sent."""

    def connects(self) -> None:
        """On a new connection, what comes before the answer to a watch may come again after it."""
        self._begun = False

    def see(self, message: Message) -> None:
        """One message."""
        kind = message["type"]
        if kind == "watching":
            self._begun = True
            if "tasks" in message:
                self.rows = {task["task_id"]: task for task in message["tasks"]}
                self.snapshots += 1
                if len(self.rows) != len(message["tasks"]):
                    raise Broken("a task is twice in a snapshot")
            elif not self.cursor:
                raise Broken(f"{message} without a picture to go on from")
            self.cursor = message["cursor"]
            return
        if kind in _EVENTS and self._begun:
            self._once(message)
        if "cursor" in message:
            self._change(message)

    def _once(self, message: Message) -> None:
        event = tuple(message.get(name) for name in ("type", "task_id", "pid", "ts"))
        if event in self._told:
            raise Broken(f"twice: {message}")
        self._told.add(event)
        self.counts[message["type"]] += 1

    def _change(self, message: Message) -> None:
        if not self.snapshots:
            raise Broken(f"{message} before any snapshot")
        self.cursor = message["cursor"]
        if self.cursor in self._cursors:
            raise Broken(f"a cursor twice: {message}")
        self._cursors.add(self.cursor)
        if message["type"] == "forgotten":
            self.rows.pop(message["task_id"], None)
            return
        row = message["task"]
        if message.get("task_id", row["task_id"]) != row["task_id"]:
            raise Broken(f"the task of another: {message}")
        self.rows[row["task_id"]] = row

    def differs(self, tasks: list[Message]) -> Message:
        """Where it is not as a list: ids with what is known, and what the list says."""
        listed = {task["task_id"]: task for task in tasks}
        return {
            task_id: (self.rows.get(task_id), listed.get(task_id))
            for task_id in self.rows.keys() | listed.keys()
            if self.rows.get(task_id) != listed.get(task_id)
        }
