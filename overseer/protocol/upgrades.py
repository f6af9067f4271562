"""Upgrades of the server: the request, its answer, and what is remembered of the last one."""

from __future__ import annotations

from datetime import datetime

from overseer.protocol.declare import Delivery, Reply, Request, event, request, value
from overseer.schema.fields import field, optional
from overseer.schema.objects import ListOf, Object
from overseer.schema.quantities import COUNT, TIMESTAMP
from overseer.schema.types import BOOLEAN, TEXT


@request("upgrade")
class Upgrade(Request):
    """Have the server become the program that is installed now, with the same process: tasks, connections and
    queues go on."""

    check: bool = optional(BOOLEAN, "Only try whether it can; nothing changes", default=False)
    force: bool = optional(BOOLEAN, "End the tasks and services that cannot go on", default=False)
    wait_ms: int = optional(
        COUNT,
        "Milliseconds to wait for these to end by themselves; given up when your connection ends",
        default=0,
    )


@value()
class LastUpgrade:
    """How an upgrade went."""

    at: datetime = field(TIMESTAMP, "When it was over")
    from_: str = field(TEXT, "The version that the server was", name="from")
    to: str = optional(TEXT, "The version that it became", default="")
    pause_ms: int = optional(COUNT, "For how long nothing was read or sent", default=0)
    duration_ms: int = field(COUNT, "Milliseconds from the request to the end", default=0)
    tasks: int = optional(COUNT, "The running tasks that went on", default=0)
    clients: int = optional(COUNT, "The connections that went on", default=0)
    ended: tuple[str, ...] = optional(ListOf(TEXT), "Tasks that were ended for it", default=())
    error: str = optional(TEXT, "Why it failed, and the server stayed what it was", default="")


@event("upgraded", Delivery.DIRECT)
class Upgraded(Reply):
    """The server is the new program now or, with check, could become it."""

    check: bool = optional(BOOLEAN, "Whether nothing was changed", default=False)
    from_: str = field(TEXT, "The version that the server was", default="", name="from")
    to: str = field(TEXT, "The version that it is, or would be", default="")
    tasks: int = field(COUNT, "The running tasks that went on, or would", default=0)
    clients: int = field(COUNT, "The connections that went on, or would", default=0)
    pause_ms: int = optional(COUNT, "For how long nothing was read or sent", default=0)
    ended: tuple[str, ...] = optional(
        ListOf(TEXT), "Tasks that could not go on, and were ended, or would be", default=()
    )
    services: tuple[str, ...] = optional(
        ListOf(TEXT),
        "With check: the actions whose services cannot go on; the new program starts them again",
        default=(),
    )
    last: LastUpgrade | None = optional(
        Object(LastUpgrade), "With check: how the last upgrade went", default=None
    )
