"""Compiled expressions as the rest of the program uses them."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from operator import itemgetter
from types import MappingProxyType
from typing import Any, Final, NoReturn, cast

from overseer.cel.checker import Checked, check
from overseer.cel.closures import MAX_STEPS, Code, Run, constant
from overseer.cel.compiler import compile_tree
from overseer.cel.nodes import Call, Ident, Node, children, from_plain, to_plain
from overseer.cel.statictypes import BOOL, DYN, STRING, CelType, map_of, record_of
from overseer.cel.values import EvaluationError, Exhausted, as_value, type_name
from overseer.errors import CelError
from overseer.util.findings import findings
from overseer.util.hashes import load_without_openssl


class _Slots:
    """Variables that each have a slot of the frame."""

    def __init__(self, variables: Mapping[str, CelType]) -> None:
        self._variables = dict(variables)
        self.slots = len(self._variables)

    def load(self, name: str) -> Code:
        return Code(itemgetter(list(self._variables).index(name)), self._variables[name])

    def load_field(self, name: str, field: str) -> Code | None:
        return None


@dataclass(frozen=True, slots=True)
class Program:
    """A compiled expression. Immutable, may be used by any number of threads at once."""

    expression: str
    variables: Mapping[str, CelType]
    #: Its result if that depends on no variable; False also when the result is not a bool.
    constant: bool | None
    _run: Run
    _slots: int

    def evaluate(self, values: Mapping[str, object]) -> Any:
        """The expression's value, ``values`` having every variable.

        Raises:
            CelError: the evaluation ends in an error, or a value has no counterpart in the language.
        """
        try:
            frame = [_as_declared(name, kind, values) for name, kind in self.variables.items()]
            frame += [None] * (self._slots - len(frame))
            return self._run([*frame, MAX_STEPS])
        except (EvaluationError, Exhausted) as error:
            raise CelError(str(error)) from None
        except RecursionError:
            raise CelError("a value is nested too deeply") from None


def build_program(expression: str, variables: Mapping[str, CelType], *, result: CelType | None) -> Program:
    """Parse, check and compile ``expression``; ``result`` is the type it must have, if any."""
    root, checked = _checked(expression, variables, result)
    if result == BOOL:
        _refuse_failures(root, checked, variables)
    code, slots = compile_tree(root, checked, _Slots(variables))
    known = (code.value is True) if code.is_constant else None
    return Program(expression, MappingProxyType(dict(variables)), known, code.run, slots)


def _as_declared(name: str, kind: CelType, values: Mapping[str, object]) -> object:
    if name not in values:
        raise EvaluationError(f"no value for {name}")
    value = as_value(values[name])
    if kind.name not in ("dyn", type_name(value)):
        raise EvaluationError(f"{name} must be a {kind.name}, not a {type_name(value)}")
    return value


def _checked(
    expression: str, variables: Mapping[str, CelType], result: CelType | None
) -> tuple[Node, Checked]:
    try:
        root = _parsed(expression)
        checked = check(root, variables)
    except RecursionError:  # only when called from deep down a stack
        raise CelError("the expression is nested too deeply") from None
    if result is not None:
        found = checked.types[root]
        if found not in (result, DYN):
            raise CelError(f"the result must be a {result}, not {found}", line=root.line, column=root.column)
    return root, checked


def _parsed(expression: str) -> Node:
    known = findings.get("cel", expression)
    if known is not None:
        return cast(Node, from_plain(known))
    if "lark" not in sys.modules:
        load_without_openssl("lark")
    from overseer.cel.parser import parse  # with the grammar, which takes longer than all the rest

    root = parse(expression)
    findings.add(lambda: to_plain(root), "cel", expression)
    return root


def _refuse_failures(root: Node, checked: Checked, variables: Mapping[str, CelType]) -> None:
    """Refuse a condition that can never be true: one of its conjuncts reads no variable and fails."""
    for part in root.args if isinstance(root, Call) and root.function == "_&&_" else [root]:
        if _reads(part, variables):
            continue
        code, slots = compile_tree(part, checked, _Slots({}))
        try:
            code.run([None] * slots + [MAX_STEPS])
        except (EvaluationError, Exhausted) as error:
            raise CelError(f"this always fails: {error}", line=part.line, column=part.column) from None


def _reads(node: Node, variables: Mapping[str, CelType]) -> bool:
    if isinstance(node, Ident) and node.name.removeprefix(".") in variables:
        return True
    return any(_reads(child, variables) for child in children(node))


# Half of a surrogate pair, escaped: Go reads U+FFFD there, Python an unpaired surrogate.
_MAYBE_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def _number(text: str) -> float:
    value = float(text)
    if value in (_INFINITY, -_INFINITY):
        raise ValueError("out of range")
    return value


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


_INFINITY = float("inf")
# One for all threads: a decoder keeps no state between calls. Its scanner is written in C.
_decode = json.JSONDecoder(parse_float=_number, parse_int=_number, parse_constant=_refuse).decode


def json_object(line: str) -> dict[str, Any]:
    """The JSON object on ``line``, read as Go's encoding/json reads it into a map; ``{}`` when there is none.

    Numbers are doubles; of a key given twice the last wins. A line nested deeper than the interpreter's
    stack allows (some 900 levels) counts as none.
    """
    if line[:1] != "{" and line.lstrip(" \t\r\n")[:1] != "{":
        return {}
    try:
        found: dict[str, Any] = _decode(line)
    except (ValueError, RecursionError):
        return {}
    if _MAYBE_SURROGATE.search(line):
        return _repaired(found)  # type: ignore[no-any-return]
    return found


def _repaired(value: Any) -> Any:
    if value.__class__ is str:
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if value.__class__ is list:
        return [_repaired(item) for item in value]
    if value.__class__ is dict:
        return {_repaired(key): _repaired(item) for key, item in value.items()}
    return value


# The frame of a condition: the line, and its JSON once something reads it. Macros' variables follow.
_DATA: Final = 0
_JSON: Final = 1
_STREAM: Final = 2
_OUTPUT: Final = record_of({"stream": STRING, "data": STRING, "json": map_of(STRING, DYN)})


def _load_json(frame: list[Any]) -> dict[str, Any]:
    """``output.json``, parsed on first use."""
    found: dict[str, Any] | None = frame[_JSON]
    if found is None:
        found = frame[_JSON] = json_object(frame[_DATA])
    return found


class _OutputSlots:
    """The variable ``output``; with a ``stream`` its stream is constant."""

    slots = 3

    def __init__(self, stream: str | None) -> None:
        self._fields = {
            "stream": Code(itemgetter(_STREAM), STRING) if stream is None else constant(stream, STRING),
            "data": Code(itemgetter(_DATA), STRING),
            "json": Code(_load_json, map_of(STRING, DYN)),
        }

    def load(self, name: str) -> Code:
        """``output`` as a whole, for ``output["data"]``: a map made on demand."""
        return Code(
            lambda frame: {"stream": frame[_STREAM], "data": frame[_DATA], "json": _load_json(frame)}, _OUTPUT
        )

    def load_field(self, name: str, field: str) -> Code | None:
        return self._fields.get(field)


@dataclass(frozen=True, slots=True)
class _Variant:
    """A condition for one stream."""

    run: Run
    slots: int
    constant: bool | None


class Condition:
    """A compiled filter over lines of output. Immutable, may be used by any number of threads at once."""

    __slots__ = ("_other", "_variants", "expression")

    def __init__(self, expression: str, variants: Mapping[str, _Variant], other: _Variant) -> None:
        self.expression = expression
        self._variants = variants  # for the streams that processes have
        self._other = other

    def __repr__(self) -> str:
        return f"Condition({self.expression!r})"

    @property
    def constant(self) -> bool | None:
        """Its result for every line of every stream, if that depends on no line; False turns output off."""
        return self._other.constant

    def constant_for(self, stream: str) -> bool | None:
        """Its result for every line of ``stream``, if that depends on no line."""
        return self._variants.get(stream, self._other).constant

    def filter(self, stream: str, lines: list[str]) -> list[str]:
        """The lines that pass, in order; ``lines`` itself when the condition is constantly true.

        A line whose evaluation fails does not pass.
        """
        variant = self._variants.get(stream, self._other)
        if variant.constant is not None:
            return lines if variant.constant else []
        run = variant.run
        # One frame per call, so no other thread sees it.
        frame: list[Any] = [None] * (variant.slots + 1)
        frame[_STREAM] = stream
        passed: list[str] = []
        for line in lines:
            frame[_DATA] = line
            frame[_JSON] = None
            frame[-1] = MAX_STEPS + len(line)
            try:
                if run(frame) is True:
                    passed.append(line)
            except (EvaluationError, Exhausted, RecursionError):
                pass  # undecided: dropped
        return passed


def build_condition(expression: str) -> Condition:
    """Parse, check and compile a condition over ``output``."""
    root, checked = _checked(expression, {"output": _OUTPUT}, BOOL)
    _refuse_failures(root, checked, {"output": _OUTPUT})

    def variant(stream: str | None) -> _Variant:
        code, slots = compile_tree(root, checked, _OutputSlots(stream))
        known = (code.value is True) if code.is_constant else None
        return _Variant(code.run, slots, known)

    return Condition(expression, {stream: variant(stream) for stream in ("stdout", "stderr")}, variant(None))
