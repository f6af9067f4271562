"""``then``: what is started when a task is over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from overseer.config.exec import TemplateText, check_names
from overseer.config.references import check_reference
from overseer.protocol import FollowUp, Then
from overseer.schema.fields import declared, field
from overseer.schema.location import Location, Path
from overseer.schema.objects import ListOf, MapOf, Object
from overseer.schema.types import TEXT
from overseer.templates import Template

DEEPEST = 16
"""How many starts may follow from each other."""

NAMES = ("exit_code", "reason", "task_id", "run_id", "params", "output")
"""What the templates of parameters may look up."""


@declared()
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
        check_names(template, NAMES, location.at("params", param))
    return read


_FOLLOW_UPS = ListOf(Object(FollowUpConfig, _follow_up, short="action"))


@declared()
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


def check_chains(chains: Mapping[str, ThenConfig | None], location: Location) -> None:
    """Report each invalid follow-up: its action does not exist, it would lead back to where it came from, or
    it is the end of too long a chain.

    Args:
        chains: what follows the tasks of each action.
        location: of the actions.
    """
    ahead: dict[str, int] = {}  # how many starts may follow from an action's end

    def visit(way: tuple[str, ...]) -> None:
        name = way[-1]
        if name in ahead:
            return
        most = 0
        for path, follow_up in follow_ups(chains[name]):
            here = location.at(name, "then", *path)
            following = follow_up.action
            if following not in chains:
                check_reference(following, "action", chains, here.at("action"))
            elif following in way:
                circle = " > ".join([*way[way.index(following) :], following])
                here.error(f"these start each other endlessly: {circle}")
            elif len(way) > DEEPEST:
                here.error(_TOO_LONG)
            else:
                visit((*way, following))
                most = max(most, ahead[following] + 1)
                if ahead[following] == DEEPEST:
                    here.error(_TOO_LONG)
        ahead[name] = most

    for name in chains:
        visit((name,))


def follow_ups(then: ThenConfig | None) -> Iterator[tuple[Path, FollowUpConfig]]:
    """All that may follow a task: path below its action's ``then``, and entry."""
    for when in ("success", "failure", "any") if then is not None else ():
        for number, follow_up in enumerate(getattr(then, when)):
            yield (when, number), follow_up
