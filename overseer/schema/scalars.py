"""Plain scalars: which are numbers, and numbers that remember how they were written.

The rules are those of YAML 1.2's core schema, narrowed where a string would be lost: only ``true`` and
``false`` are booleans, so that ``yes``, ``off`` and ``TRUE`` stay what the file says.
"""

from __future__ import annotations

import re
from typing import Any, Self

from overseer.errors import ConfigError
from overseer.schema.location import Path

# By tag; the first that matches the whole text of a plain scalar names its type, else it is a string.
CORE_SCHEMA: dict[str, re.Pattern[str]] = {
    "null": re.compile(r"(?:~|null|Null|NULL|)\Z"),
    "bool": re.compile(r"(?:true|false)\Z"),
    "int": re.compile(r"(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)\Z"),
    "float": re.compile(
        r"(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z"
    ),
}


class _AsWritten:
    text: str

    def __new__(cls, value: float, text: str) -> Self:
        self = super().__new__(cls, value)  # type: ignore[call-arg]
        self.text = text
        return self

    def __getnewargs__(self) -> Any:
        return self.real, self.text  # type: ignore[attr-defined]  # for copy and pickle

    def __str__(self) -> str:
        return self.text


class TextInt(_AsWritten, int):
    """An int from a config file; ``text``, and ``str()``, are what the file says: ``0x10``, ``007``."""


class TextFloat(_AsWritten, float):
    """A float from a config file; ``text``, and ``str()``, are what the file says: ``1.10``, ``1e3``."""


def config_text(value: object, path: Path = ()) -> str:
    """The text of a value out of a driver's raw config, where a string belongs.

    Numbers and booleans are as the file writes them.

    Args:
        value: a string, number or boolean out of an action's ``config``.
        path: where it is, relative to that ``config``; for the error.

    Raises:
        ConfigError: it is a list, a mapping or nothing (``None``).
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    raise ConfigError(f"expected text, found {found(value)}", path=path)


def found(value: Any) -> str:
    """What a value out of a raw config is, for an error's text: ``a list``, ``the number 5``, ``nothing``."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return f"the boolean {config_text(value)}"
    if isinstance(value, int | float):
        return f"the number {value}"
    if isinstance(value, str):
        return "text"
    if isinstance(value, list | tuple):
        return "a list"
    return "a mapping" if isinstance(value, dict) else f"a value of type {type(value).__name__}"
