"""A line of output as ``output.json``, read as Go's encoding/json reads it into a map."""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

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
# One for all threads: a decoder keeps nothing between calls. Its scanner is C.
_decode = json.JSONDecoder(parse_float=_number, parse_int=_number, parse_constant=_refuse).decode


def json_object(line: str) -> dict[str, Any]:
    """The object that ``line`` is, or ``{}`` when it is none.

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
