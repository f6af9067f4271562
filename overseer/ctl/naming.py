"""What people call a task: its action and what it was given; and its id, short where it was made up."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from overseer.protocol import ActionInfo

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_SHORT = 8
_BARE = re.compile(r"-?[0-9.]+|true|false")  # says nothing without the name of its parameter
_LONGEST = 28  # characters of a value within a name


def short_id(task_id: str) -> str:
    """The first characters of a made-up id; a name as it is."""
    return task_id[:_SHORT] if _UUID.fullmatch(task_id) else task_id


def shortened(task_ids: Iterable[str]) -> Callable[[str], str]:
    """A function that shortens these ids, unless two of them would then be the same."""
    counts = Counter(map(short_id, dict.fromkeys(task_ids)))

    def shown(task_id: str) -> str:
        short = short_id(task_id)
        return short if counts[short] < 2 else task_id

    return shown


def values_of(params: Mapping[str, str], action: ActionInfo) -> str:
    """What follows the action in a task's name (as on the page): parameters unlike their defaults."""
    shown = []
    for name, value in params.items():
        spec = action.params.get(name)
        if not value or name not in action.params:
            continue
        if spec is not None and (spec.type == "secret" or spec.default == value):
            continue
        shown.append(f"{name}={value}" if _BARE.fullmatch(value) else _brief(value))
    return " ".join(shown)


def _brief(value: str) -> str:
    line = value.split("\n", 1)[0]
    return value if line == value and len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
