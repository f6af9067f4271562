"""``then``: what is started when a task is over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from overseer.config.exec import TemplateText
from overseer.protocol import FollowUp, Then
from overseer.schema.fields import field
from overseer.schema.location import Location, Path
from overseer.schema.objects import ListOf, MapOf, Object
from overseer.schema.types import TEXT
from overseer.templates import Template
from overseer.util.suggest import did_you_mean

DEEPEST = 16
"""How many starts may follow from each other."""

NAMES = ("exit_code", "reason", "task_id", "run_id", "params", "output")
"""What the templates of parameters may look up."""


@dataclass(frozen=True)
class FollowUpConfig:
    """An entry of ``then``."""

    action: str = field(TEXT, "The action that is started.", missing="say which action is started")
    params: Mapping[str, Template] = field(
        MapOf(TemplateText(), what="a mapping of parameters"),
        "Its parameters: templates over `.exit_code`, `.reason`, `.task_id`, `.run_id`, `.params` and "
        "`.output` of the task that is over.",
        default=dict,
    )


def _follow_up(read: FollowUpConfig, location: Location) -> FollowUpConfig:
    for param, template in read.params.items():
        for name in sorted(template.names.difference(NAMES)):
            known = ", ".join(f".{each}" for each in NAMES)
            here = location.child("params", location.line).child(param, location.line)
            here.error(f"there is no .{name} here{did_you_mean(name, NAMES, prefix='.')}; known: {known}")
    return read


_FOLLOW_UPS = ListOf(Object(FollowUpConfig, _follow_up, short="action"))


@dataclass(frozen=True)
class ThenConfig:
    """``then`` of an action."""

    success: tuple[FollowUpConfig, ...] = field(
        _FOLLOW_UPS, "What is started when one of its tasks has succeeded.", default=()
    )
    failure: tuple[FollowUpConfig, ...] = field(
        _FOLLOW_UPS, "What is started when one has failed, and no restart follows.", default=()
    )
    any: tuple[FollowUpConfig, ...] = field(_FOLLOW_UPS, "What is started in either case.", default=())

    def after(self, outcome: str) -> tuple[FollowUpConfig, ...]:
        """What follows a task that has ``succeeded`` or ``failed``; nothing for any other outcome."""
        if outcome == "succeeded":
            return self.success + self.any
        return self.failure + self.any if outcome == "failed" else ()

    @property
    def described(self) -> Then:
        """The same as clients see it."""
        success, failure, either = (
            tuple(map(_described, each)) for each in (self.success, self.failure, self.any)
        )
        return Then(success, failure, either)


THEN = Object(ThenConfig)
_TOO_LONG = f"more than {DEEPEST} starts would follow from each other here"


def _described(follow_up: FollowUpConfig) -> FollowUp:
    return FollowUp(follow_up.action, {name: each.text for name, each in follow_up.params.items()})


class _Action(Protocol):
    @property
    def then(self) -> ThenConfig | None: ...


def chain_problems(actions: Mapping[str, _Action]) -> Iterator[tuple[Path, str]]:
    """Each invalid follow-up: path below ``actions`` and sentence. Its action does not exist, it would
    lead back to where it came from, or it is the end of too long a chain."""
    ahead: dict[str, int] = {}  # how many starts may follow from an action's end
    for name in actions:
        yield from _visit(actions, name, (), ahead)


def _visit(
    actions: Mapping[str, _Action], name: str, way: tuple[str, ...], ahead: dict[str, int]
) -> Iterator[tuple[Path, str]]:
    if name in ahead:
        return
    way = (*way, name)
    most = 0
    for path, follow_up in follow_ups(actions[name]):
        place = (name, "then", *path)
        following = follow_up.action
        if following not in actions:
            if following:
                hint = did_you_mean(following, actions)
                yield (*place, "action"), f"no such action: {following}{hint}"
        elif following in way:
            circle = " > ".join([*way[way.index(following) :], following])
            yield place, f"these start each other endlessly: {circle}"
        elif len(way) > DEEPEST:
            yield place, _TOO_LONG
        else:
            yield from _visit(actions, following, way, ahead)
            most = max(most, ahead[following] + 1)
            if ahead[following] == DEEPEST:
                yield place, _TOO_LONG
    ahead[name] = most


def follow_ups(action: _Action) -> Iterator[tuple[Path, FollowUpConfig]]:
    """All that may follow a task of an action: path below its ``then``, and entry."""
    if action.then is not None:
        for when in ("success", "failure", "any"):
            for number, follow_up in enumerate(getattr(action.then, when)):
                yield (when, number), follow_up
