"""A piece of a compiled expression."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from overseer.cel.statictypes import CelType
from overseer.cel.values import Exhausted

#: From a frame to a value. The frame's last slot holds the steps that are left.
Run = Callable[[list[Any]], Any]

#: What the macros of one evaluation may do, over and above a step for each character that it looks at. A
#: step is one round of a loop, or an element or 64 characters that a function in a loop goes through.
MAX_STEPS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Code:
    """``run`` and what is known for certain of what it gives: its type, and its value if that is constant.

    The type is dyn where the check's word is not enough: ``[1] + dyn([true])`` is a list(int) to it.
    """

    run: Run
    type: CelType
    is_constant: bool = False
    value: Any = None


def charge(frame: list[Any], steps: int) -> None:
    """Take ``steps`` off what is left; raises Exhausted when there are not as many."""
    frame[-1] -= steps
    if frame[-1] < 0:
        raise Exhausted(f"the expression takes more than {MAX_STEPS} steps")


def charged(run: Run) -> Run:
    """``run`` for an argument in a loop, whose function takes as long as the argument is."""

    def counted(frame: list[Any]) -> Any:
        value: Any = run(frame)
        if value.__class__ in _SIZED:
            charge(frame, _weight(value))
        return value

    return counted


_SIZED: Final = frozenset[Any]({str, bytes, list, dict})


def _weight(value: Any) -> int:
    """The steps that it takes to go through a value, and through those within it."""
    if value.__class__ is list:
        return 1 + sum(map(_weight, value))
    if value.__class__ is dict:
        return 1 + sum(map(_weight, value.values()))
    return 1 + len(value) // 64 if value.__class__ in _SIZED else 1


def constant(value: object, kind: CelType) -> Code:
    """The code that gives ``value`` always."""
    return Code(lambda frame: value, kind, True, value)
