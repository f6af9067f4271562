"""Unknown keys that mean something: ours in the wrong place, and other programs' names for ours.

Each level of the file at which people meet it with another program's words declares itself with
:func:`hints_at`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from overseer.config.foreign_keys import ANYWHERE, BY_LEVEL
from overseer.schema.fields import Declared, fields_of

_levels: dict[str, dict[str, str]] = {}  # of each level its keys, plain, and as they are written

# Where a key is looked for, and what is said of one that is found there; the most likely place first.
_PLACES = {
    "top level": (
        ("action", "to an action, under `actions`"),
        ("config", "under an action's `config`"),
        ("task", "to a standing task, under `tasks`"),
    ),
    "action": (
        ("config", "under `config`"),
        ("task", "to a standing task, under `tasks`"),
        ("top level", "at the top level"),
    ),
    "config": (
        ("action", "to the action, beside `config`"),
        ("task", "to a standing task, under `tasks`"),
        ("top level", "at the top level"),
    ),
    "task": (
        ("action", "to the action, under `actions`"),
        ("config", "to the action, under its `config`"),
        ("top level", "at the top level"),
    ),
    "retry": (("action", "to the action, beside `retry`"),),
    "pool": (("action", "to the action, beside `task_pool`"),),
    "probe": (("action", "to the action"), ("config", "to the action, under its `config`")),
    "schedule": (("task", "to the task, beside `schedule`"),),
}
# Inner levels, whose keys may have been meant at each of these four.
_INNER = (
    ("retry", "under `retry`"),
    ("pool", "under `task_pool`"),
    ("schedule", "under a task's `schedule`"),
    ("parameter", "to a parameter, under `parameters`"),
)


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")


def _by_word(table: Mapping[str, str]) -> dict[str, str]:
    return {_plain(word): text for text, words in table.items() for word in words.split()}


_ANYWHERE = _by_word(ANYWHERE)
_BY_LEVEL = {level: _by_word(table) for level, table in BY_LEVEL.items()}


def hints_at(level: str, *classes: type[Declared]) -> Callable[[str], str]:
    """Declare a level, whose keys are the fields of ``classes``: a function that says what an unknown key
    there means, ``""`` if nothing."""
    _levels[level] = {_plain(spec.name): spec.name for cls in classes for spec in fields_of(cls)}
    outer = level in ("top level", "action", "config", "task")

    def hint(name: str) -> str:
        word = _plain(name)
        if text := _BY_LEVEL.get(level, {}).get(word):
            return text
        if word in _levels[level]:
            return ""  # ours, spelled in another way
        return (
            _belonging(name, word, _PLACES.get(level, ()))
            or (outer and _ANYWHERE.get(word))
            or (outer and _belonging(name, word, _INNER))
            or ""
        )

    return hint


def _belonging(name: str, word: str, places: tuple[tuple[str, str], ...]) -> str:
    for place, where in places:
        if ours := _levels.get(place, {}).get(word):
            return f"it belongs {where}" if ours == name else f"`{ours}` belongs {where}"
    return ""
