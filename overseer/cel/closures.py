"""The parts of a compiled expression: code, the limit on its steps, and closures for common cases.

A condition runs for every line of output, and is nearly always a few tests of the line, or of a field,
against constants; closures for these depend on the constant's type, which is checked once.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from overseer.cel.functions import FUNCTIONS
from overseer.cel.operators import compile_pattern
from overseer.cel.statictypes import BOOL, DYN, CelType
from overseer.cel.values import EvaluationError, Exhausted, UInt, no_overload, type_name

#: From a frame to a value. The frame's last slot holds the steps that are left.
Run = Callable[[list[Any]], Any]

#: The steps of one evaluation, in addition to one per character of the line. A step is one iteration of a
#: macro, or one element, or 64 characters, that a function within it reads.
MAX_STEPS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Code:
    """``run`` and what is known of its result: the type, and the value if it is constant.

    The type is dyn where the checker's is unreliable: for it, ``[1] + dyn([true])`` is a list(int).
    """

    run: Run
    type: CelType
    is_constant: bool = False
    value: Any = None


def charge(frame: list[Any], steps: int) -> None:
    """Use up ``steps``; raises Exhausted when fewer are left."""
    frame[-1] -= steps
    if frame[-1] < 0:
        raise Exhausted(f"the expression takes more than {MAX_STEPS} steps")


def charged(run: Run) -> Run:
    """``run`` for an argument of a linear-time function in a macro: charges for its size."""

    def counted(frame: list[Any]) -> Any:
        value: Any = run(frame)
        if value.__class__ in _SIZED:
            charge(frame, _weight(value))
        return value

    return counted


_SIZED: Final = frozenset[Any]({str, bytes, list, dict})


def _weight(value: Any) -> int:
    """The steps that reading a value takes, nested values included."""
    if value.__class__ is list:
        return 1 + sum(map(_weight, value))
    if value.__class__ is dict:
        return 1 + sum(map(_weight, value.values()))
    return 1 + len(value) // 64 if value.__class__ in _SIZED else 1


def constant(value: object, kind: CelType) -> Code:
    """Code whose value is always ``value``."""
    return Code(lambda frame: value, kind, True, value)


_MISSING = object()
SCALARS = frozenset({"bool", "int", "uint", "double", "string", "bytes", "null_type"})


def bool_run(code: Code) -> Run:
    """The run of ``code``, which raises unless the result is a bool."""
    if code.type == BOOL:
        return code.run
    run = code.run

    def checked(frame: list[Any]) -> bool:
        value = run(frame)
        if value is True or value is False:
            return value
        raise EvaluationError(f"a bool is needed, not a value of type {type_name(value)}")

    return checked


def logic(args: Sequence[Code], *, decisive: bool) -> Code:
    """``a || b || ...``, which a true decides even if others fail; or ``a && b && ...``, a false."""
    if any(arg.is_constant and arg.value is decisive for arg in args):
        return constant(decisive, BOOL)
    left = [bool_run(arg) for arg in args if not (arg.is_constant and arg.value is (not decisive))]
    if not left:
        return constant(not decisive, BOOL)
    if len(left) == 1:
        return Code(left[0], BOOL)
    if len(left) == 2:
        return Code(_of_two(left[0], left[1], decisive), BOOL)
    return Code(partial(decided, left, decisive), BOOL)


def _of_two(left: Run, right: Run, decisive: bool) -> Run:
    """As :func:`decided`, without a loop."""

    def run(frame: list[Any]) -> Any:
        try:
            if left(frame) is decisive:
                return decisive
        except EvaluationError:
            if right(frame) is decisive:
                return decisive
            raise
        return right(frame)

    return run


def decided(parts: Iterable[Run], decisive: bool, frame: list[Any]) -> object:
    """``decisive`` if it is the value of a part; an error counts only when nothing decides."""
    failed = ""
    for part in parts:
        try:
            if part(frame) is decisive:
                return decisive
        except EvaluationError as error:
            failed = failed or str(error)
    if failed:
        raise EvaluationError(failed)  # a new one: the first would keep this frame alive
    return not decisive


def choice(condition: Code, then: Code, other: Code) -> Code:
    """``condition ? then : other``"""
    if condition.is_constant and condition.value.__class__ is bool:
        return then if condition.value else other
    test, yes, no = bool_run(condition), then.run, other.run
    kind = then.type if then.type == other.type else DYN
    return Code(lambda frame: yes(frame) if test(frame) else no(frame), kind)


def select(field: str) -> Callable[[Any], object]:
    """``operand.field`` as a function of the operand."""

    def run(operand: Any) -> object:
        if operand.__class__ is dict:
            found = operand.get(field, _MISSING)
            if found is not _MISSING:
                return found
        raise EvaluationError(f"no such key: {field}")

    return run


def has(field: str) -> Callable[[Any], bool]:
    """``has(operand.field)`` as a function of the operand; false for values without fields."""

    def run(operand: Any) -> bool:
        if operand.__class__ is list:
            raise EvaluationError("a list's index must be an int")
        return operand.__class__ is dict and field in operand

    return run


def specialised(function: str, args: Sequence[Code]) -> Run | None:
    """A faster closure for this call, if there is one.

    Raises:
        EvaluationError: the constant on its right is invalid (a bad regular expression).
    """
    if len(args) != 2:
        return None
    left, right = args
    if function in _TEXT_TESTS and right.is_constant and right.value.__class__ is str:
        return _TEXT_TESTS[function](left, right.value)
    if function in ("_==_", "_!=_"):
        return _equality(left, right, function == "_==_")
    if function in _ORDERINGS and right.is_constant and right.value.__class__ in (int, float, UInt):
        return _number_test(function, left.run, right.value)
    if function == "@in" and right.is_constant and right.value.__class__ is list:
        return _one_of_strings(left.run, right.value)
    return None


def _text_test(name: str, make: Callable[[str], Callable[[Any], bool]]) -> Callable[[Code, str], Run]:
    """For ``text.name(constant)``; ``make`` gives the test for one constant."""

    def made(left: Code, value: str) -> Run:
        test, load = make(value), left.run
        if left.type.name == "string":
            return lambda frame: test(load(frame))

        def run(frame: list[Any]) -> bool:
            text = load(frame)
            if text.__class__ is str:
                return test(text)
            raise no_overload(name, text, value)

        return run

    return made


def _contains(left: Code, value: str) -> Run:
    load = left.run
    if left.type.name == "string":
        return lambda frame: value in load(frame)
    return _text_test("contains", lambda part: lambda text: part in text)(left, value)


_TEXT_TESTS: dict[str, Callable[[Code, str], Run]] = {
    "contains": _contains,
    "startsWith": _text_test("startsWith", lambda part: lambda text: text.startswith(part)),
    "endsWith": _text_test("endsWith", lambda part: lambda text: text.endswith(part)),
    "matches": _text_test("matches", compile_pattern),
}


def _equality(left: Code, right: Code, wanted: bool) -> Run | None:
    """``==`` or ``!=`` where Python's own agrees with :func:`overseer.cel.values.equal`."""
    if left.is_constant:
        left, right = right, left
    load = left.run
    if right.is_constant:
        value = right.value
        kind = value.__class__
        if kind is str:  # only a str equals a str
            if wanted:
                return lambda frame: load(frame) == value
            return lambda frame: load(frame) != value
        if kind is bool or value is None:
            return lambda frame: (load(frame) is value) is wanted
        if kind is int or kind is float or kind is UInt:

            def run(frame: list[Any]) -> bool:
                found = load(frame)
                return (found == value and found.__class__ is not bool) is wanted

            return run
    if left.type == right.type and left.type.name in SCALARS:
        other = right.run
        return lambda frame: (load(frame) == other(frame)) is wanted
    return None


_ORDERINGS: dict[str, Callable[[Any, Any], bool]] = {
    "_<_": operator.lt,
    "_<=_": operator.le,
    "_>_": operator.gt,
    "_>=_": operator.ge,
}


def _number_test(function: str, load: Run, value: float) -> Run | None:
    if value != value:
        return None
    compare, general = _ORDERINGS[function], FUNCTIONS[function].run
    assert general is not None

    def run(frame: list[Any]) -> object:
        found = load(frame)
        kind = found.__class__
        if kind is int or (kind is float and found == found):
            return compare(found, value)
        return general(found, value)

    return run


def _one_of_strings(load: Run, values: list[Any]) -> Run | None:
    if not all(value.__class__ is str for value in values):
        return None
    strings = frozenset(values)

    def run(frame: list[Any]) -> bool:
        found = load(frame)
        return found.__class__ is str and found in strings

    return run
