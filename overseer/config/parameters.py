"""The parameters of actions: their declarations as the file has them, and which values these allow.

What a parameter may be by its type, choices, bounds and pattern is checked here, for every driver alike; a
``validate`` is its driver's to check.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from overseer.cel import compile_cel
from overseer.errors import CelError, ValidationError
from overseer.protocol import ParamSpec
from overseer.schema.location import Location, quoted
from overseer.schema.types import BOOLEANS
from overseer.util.masking import MASK
from overseer.util.suggest import did_you_mean

if TYPE_CHECKING:
    from overseer.cel.program import Program  # not loaded until an expression is compiled

# As JSON writes numbers: one way for each, that no program reads as octal, an option or an offset.
_INTEGER = re.compile(r"0|-?[1-9][0-9]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_ALMOST = re.compile(r"[-+ ]?[ 0]*([0-9]+) *")  # it is clear which whole number is meant
_MAX_DIGITS = 4000  # Python converts few more
_LISTED = 1000
_NONE: frozenset[str] = frozenset()


class Parameter(NamedTuple):
    """A parameter of an action; ``rule`` is its ``validate``, compiled."""

    spec: ParamSpec
    rule: Program | None


def check_declared(declared: Mapping[str, ParamSpec | None], params: Mapping[str, str]) -> None:
    """Check a start's values against the action's declarations; missing ones are not reported.

    Raises:
        ValidationError: one is not allowed.
    """
    for name, value in params.items():
        spec = declared.get(name)
        if spec is not None and (fault := fault_of(spec, value)):
            raise ValidationError(f"parameter {name!r}{fault}", param=name)


def fault_of(spec: ParamSpec, value: str) -> str:
    """Why a value is not allowed, to follow the parameter's name; ``""`` if it is allowed."""
    if not _is_of_type(spec.type, value):
        return f" must be {spec.expected}, not {quoted(value)}{_hint(spec.type, value)}"
    if spec.choices and value not in spec.values:
        near = did_you_mean(value, spec.values)
        return f" must be {spec.expected}, not {quoted(value)}{near}"
    if not _is_within(spec, value):
        return f" must be {spec.expected}, not {quoted(value)}"
    if spec.type == "secret" and value == MASK:
        return f" is {MASK}, which stands for a secret that is not shown: give the secret itself"
    if spec.pattern and not _matches(spec.pattern, value):
        return f": {spec.message}" if spec.message else f" does not match {spec.pattern}"
    return ""


def hidden_of(declared: Mapping[str, ParamSpec | None], names: Iterable[str]) -> frozenset[str]:
    """Those of ``names`` whose values are shown to nobody: secrets and, if there are any, undeclared
    parameters, which may be misspelt secrets."""
    secrets = {name for name, spec in declared.items() if spec is not None and spec.type == "secret"}
    return frozenset(name for name in names if name in secrets or name not in declared) if secrets else _NONE


def without_hidden(params: Mapping[str, str], hidden: Collection[str]) -> Mapping[str, str]:
    """The parameters, hidden ones masked."""
    if not hidden:
        return params
    return {name: MASK if name in hidden else value for name, value in params.items()}


def _is_of_type(type: str, value: str) -> bool:
    match type:
        case "integer":
            return len(value) <= _MAX_DIGITS and _INTEGER.fullmatch(value) is not None
        case "number":
            is_number = len(value) <= _MAX_DIGITS and _NUMBER.fullmatch(value) is not None
            return is_number and math.isfinite(float(value))
        case "boolean":
            return value in ("true", "false")
        case "path":
            return value != "" and not value.startswith("-") and "\0" not in value
    return True


def _hint(type: str, value: str) -> str:
    if type == "path" and value.startswith("-"):
        return f", which may be taken for an option: write ./{value[:40]}"
    if type in ("integer", "number") and (almost := _ALMOST.fullmatch(value)) and len(value) < 40:
        return f"; write {'-' if value.startswith('-') else ''}{almost[1]}"
    return ""


def _is_within(spec: ParamSpec, value: str) -> bool:
    if spec.min is None and spec.max is None:
        return True
    number = int(value) if _INTEGER.fullmatch(value) else float(value)
    return (spec.min is None or number >= spec.min) and (spec.max is None or number <= spec.max)


def _matches(pattern: str, value: str) -> bool:
    from overseer.cel.operators import compile_pattern

    return compile_pattern(rf"\A(?:{pattern})\z")(value)


def is_private(spec: ParamSpec) -> bool:
    """Whether it is a secret that has to stay out of command lines."""
    return spec.type == "secret" and not spec.allow_in_argv


def template_values(
    declared: Mapping[str, ParamSpec | None], params: Mapping[str, str]
) -> dict[str, str | bool]:
    """The values as templates see them: a boolean as such, all else as strings."""
    booleans = {name for name, spec in declared.items() if spec is not None and spec.type == "boolean"}
    return {name: value == "true" if name in booleans else value for name, value in params.items()}


def read_parameter(read: ParamSpec, location: Location) -> Parameter:
    """A parameter as declared in the file; contradictions are reported."""
    before = len(location.report.errors)
    if read.choices and read.type == "text":
        read = replace(read, type="choice")
    wrong_type = location.has_error("type")  # of which all else would be consequences
    if not wrong_type:
        _check_keys(read, location)
    if not wrong_type and len(location.report.errors) == before:
        _check_values(read, location)
        if read.type == "boolean" and read.default is not None:
            word = BOOLEANS.get(read.default.lower())
            read = read if word is None else replace(read, default="true" if word else "false")
        if read.default is not None and (fault := fault_of(replace(read, message=""), read.default)):
            location.at("default").error(fault.strip())
    try:
        return Parameter(read, compile_cel(read.validate) if read.validate else None)
    except CelError as error:
        location.at("validate").error(f"CEL: {error}")
        return Parameter(read, None)


def _check_keys(read: ParamSpec, location: Location) -> None:
    """Report keys that do not go together, and an invalid pattern."""
    if read.type == "choice" and not read.choices:
        location.at("type").error("a choice needs choices: the values that it may have")
    if read.type == "boolean" and read.choices:
        location.at("choices").error("a boolean is true or false, and has no other choices")
    if read.type not in ("integer", "number"):
        for key in ("min", "max"):
            if getattr(read, key) is not None:
                what = f"only an integer or a number has a {key}; the type here is {read.type}"
                location.at(key).error(what)
    elif read.min is not None and read.max is not None:
        if read.min > read.max:
            location.at("max").error(f"{read.max} is less than min, {read.min}: no value is allowed")
        elif read.type == "integer" and math.ceil(read.min) > math.floor(read.max):
            location.at("max").error(f"no whole number lies between {read.min} and {read.max}")
    if read.type == "secret":
        _check_secret(read, location)
    elif read.allow_in_argv:
        location.at("allow_in_argv").error(f"only a secret needs it; the type here is {read.type}")
    if read.multiline and read.type not in ("text", "secret"):
        location.at("multiline").error(f"only text has several lines; the type here is {read.type}")
    if read.message and not read.pattern and not read.validate:
        location.at("message").warn("is never used without a pattern or validate")
    if read.pattern:
        _check_pattern(read.pattern, location.at("pattern"))


def _check_secret(read: ParamSpec, location: Location) -> None:
    """Report what would reveal a secret to anyone who reads the file or describes the action."""
    if read.default:
        said = "a secret cannot have a default: everybody would see it; an empty one makes it optional"
        location.at("default").error(said)
    if read.choices:
        location.at("choices").error("a secret cannot have choices: everybody would see them")


def _check_pattern(pattern: str, location: Location) -> None:
    from overseer.cel.operators import compile_pattern
    from overseer.cel.values import EvaluationError

    try:
        compile_pattern(pattern)
    except EvaluationError as error:
        location.error(str(error))


def _check_values(read: ParamSpec, location: Location) -> None:
    """Report useless choices."""
    alone = replace(read, choices=(), message="", type="text" if read.type == "choice" else read.type)
    seen: set[str] = set()
    for number, choice in enumerate(read.choices):
        here = location.at("choices", number)
        if choice.value in seen:
            here.error(f"duplicate choice {quoted(choice.value)}")
        elif fault := fault_of(alone, choice.value):
            here.error(fault.strip())
        seen.add(choice.value)


def values_of(spec: ParamSpec) -> list[str] | None:
    """All values that a parameter's type, choices, bounds and pattern allow; None: too many to list."""
    found = list(spec.values)
    if not found and spec.type == "integer" and spec.min is not None and spec.max is not None:
        least, most = math.ceil(spec.min), math.floor(spec.max)
        if most - least >= _LISTED:
            return None
        found = [str(number) for number in range(least, most + 1)]
    if not found:
        return None
    return [value for value in found if not fault_of(spec, value)]
