"""``tasks``: standing tasks, which the file names, and what each of them waits for."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from graphlib import CycleError, TopologicalSorter

from overseer.config.key_hints import hints_at
from overseer.config.references import check_reference
from overseer.config.retry import RETRY
from overseer.config.schedules import SCHEDULES, Schedule
from overseer.protocol import RetryPolicy
from overseer.protocol.words import CONDITION, CONDITIONS
from overseer.schema.fields import declared, field
from overseer.schema.location import Location
from overseer.schema.nodes import ListNode, MapNode, Node, unexpected
from overseer.schema.objects import MapOf, Object
from overseer.schema.types import TEXT, Choice, FieldType, Json

_READY = "ready"


class _DependsOn(FieldType):
    """Names of tasks, for ``ready``, or a mapping of names to conditions; in order."""

    label = "list of names, or mapping of names to conditions"

    def from_yaml(self, node: Node, location: Location) -> Mapping[str, str]:
        if isinstance(node, MapNode):
            return MapOf(CONDITION).from_yaml(node, location)
        if isinstance(node, ListNode):
            return dict.fromkeys(TEXT.items_from_yaml(node, location), _READY)
        raise unexpected(node, f"a {self.label}")

    def yaml_schema(self) -> Json:
        return {
            "anyOf": [
                {"type": "array", "items": {"type": "string"}},
                {"type": "object", "additionalProperties": {"enum": list(CONDITIONS)}},
            ]
        }


@declared()
class StandingTask:
    """A task that the file names."""

    name: str
    action: str = field(TEXT, "The action that it runs.", missing="name one of `actions`")
    params: Mapping[str, str] = field(
        MapOf(TEXT, what="a mapping of parameters"), "The action's parameters.", default=dict
    )
    retry: RetryPolicy = field(
        RETRY, "Merged over the action's `retry`, the same keys.", default=RetryPolicy
    )
    autostart: str = field(
        Choice("false", "true", "last", booleans=True),
        "Whether it is started with the server: never, always, or if it was running, queued or "
        "waiting when the server ended (`last`, which needs a `data_dir`).",
        default="false",
    )
    depends_on: Mapping[str, str] = field(
        _DependsOn(),
        "The tasks that it waits for: a list of names, each of which has to be ready, or a mapping of names "
        "to `started`, `ready`, `healthy`, `succeeded` or `ended`.",
        default=dict,
    )
    schedule: tuple[Schedule, ...] = field(
        SCHEDULES,
        "When it is started by itself: `cron`, `every` or `at`; several are a list. See "
        "[SCHEDULES.md](SCHEDULES.md).",
        default=(),
    )


STANDING = Object(StandingTask, hint=hints_at("task", StandingTask))


def check_standing(
    tasks: Mapping[str, StandingTask], actions: Collection[str], location: Location
) -> None:
    """Report each undefined name, and a circle of dependencies; ``location`` is that of the tasks."""
    for name, task in tasks.items():
        check_reference(task.action, "action", actions, location.at(name, "action"))
        for other in task.depends_on:
            check_reference(other, "task", tasks, location.at(name, "depends_on"))
    try:
        in_order(tasks)
    except CycleError as error:
        circle = list(reversed(error.args[1]))
        here = location.at(circle[0], "depends_on")
        here.error(f"tasks wait for each other: {' > '.join(circle)}")


def in_order(tasks: Mapping[str, StandingTask]) -> list[str]:
    """The names, each after all that it depends on.

    Raises:
        CycleError: some wait for each other; its second argument lists them, each before its dependents.
    """
    return list(TopologicalSorter({name: task.depends_on for name, task in tasks.items()}).static_order())
