"""What follows a task's end, as messages have it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from overseer.protocol.declare import value
from overseer.schema.fields import field, optional
from overseer.schema.objects import ListOf, Object
from overseer.schema.types import TEXT, TEXT_MAP


@value()
class FollowUp:
    """A start that follows a task's end."""

    action: str = field(TEXT, "The action that is started")
    params: Mapping[str, str] = optional(TEXT_MAP, "Its parameters, which are templates", default=dict)


_FOLLOW_UPS = ListOf(Object(FollowUp))


@value()
class Then:
    """What is started when a task of an action is over."""

    success: tuple[FollowUp, ...] = optional(_FOLLOW_UPS, "When it has succeeded", default=())
    failure: tuple[FollowUp, ...] = optional(_FOLLOW_UPS, "When it has failed", default=())
    any: tuple[FollowUp, ...] = optional(_FOLLOW_UPS, "In either case", default=())

    def seen_by(self, sees: Callable[[str], bool]) -> Then | None:
        """The part of it that is about actions which ``sees`` lets through; None: there is none."""
        parts = [
            tuple(each for each in part if sees(each.action))
            for part in (self.success, self.failure, self.any)
        ]
        return Then(*parts) if any(parts) else None
