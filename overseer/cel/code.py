"""A piece of a compiled expression."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .statictypes import CelType

__all__ = ["Code", "Run", "constant"]

#: From a frame to a value.
Run = Callable[[list[Any]], Any]


@dataclass(frozen=True, slots=True)
class Code:
    """``run`` and what is known for certain of what it gives: its type, and its value if that is constant.

    The type is dyn where the check's word is not enough: ``[1] + dyn([true])`` is a list(int) to it.
    """

    run: Run
    type: CelType
    is_constant: bool = False
    value: Any = None


def constant(value: object, kind: CelType) -> Code:
    """The code that gives ``value`` always."""
    return Code(lambda frame: value, kind, True, value)
