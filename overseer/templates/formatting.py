"""Go's ``fmt``: values as Go prints them, the verbs of ``printf``, and Go's text for mistakes.

Params are strings; literals and functions add int, float, bool and None (Go's nil). A bool is not an int.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from overseer.templates.runtime import ValueProblem, check_size
from overseer.util.gofmt import format_float, quote


class Byte(int):
    """One byte of a string (``index .name 0``): Go's uint8."""


class Missing(str):
    """The value of an unset name: an empty string, except that ranges over it and its fields are empty too
    instead of errors."""

    __slots__ = ()


MISSING: Final = Missing()


def go_bytes(text: str) -> bytes:
    """A string's bytes in Go. Lone surrogates stand for bytes that are not UTF-8."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise ValueProblem(f"text that cannot be encoded: {error.reason}") from None


def go_string(data: bytes) -> str:
    """The inverse of :func:`go_bytes`."""
    return data.decode("utf-8", "surrogateescape")


def go_type(value: Any) -> str:
    """The name of a value's type, as ``%T`` prints it."""
    match value:
        case None:
            return "<nil>"
        case bool():
            return "bool"
        case Byte():
            return "uint8"
        case int():
            return "int"
        case float():
            return "float64"
        case str():
            return "string"
        case Mapping():
            return "map[string]string"
    return type(value).__name__


def go_print(value: Any) -> str:
    """A value as an action, or ``%v``, prints it."""
    match value:
        case str():
            return value
        case None:
            return "<nil>"
        case bool():
            return "true" if value else "false"
        case float():
            return format_float(value)
        case Mapping():
            return "map[" + " ".join(f"{go_print(key)}:{go_print(value[key])}" for key in sorted(value)) + "]"
        case Sequence():
            return "[" + " ".join(map(go_print, value)) + "]"
    return str(value)


_TOO_LARGE = 1_000_000  # Go's own limit for widths and precisions

_INDEX = r"(?:\[(?P<{}>[^\]]*)\])?"
_DIRECTIVE = re.compile(
    r"%(?P<flags>[#0+\- ]*)"
    + _INDEX.format("index1")
    + r"(?P<width>\*|[0-9]+)?(?:(?P<dot>\.)"
    + _INDEX.format("index2")
    + r"(?P<precision>\*|[0-9]+)?)?"
    + _INDEX.format("index3")
    + r"(?P<verb>.)?",
    re.DOTALL,
)


def sprint(*values: Any) -> str:
    """The values, with a space between two neighbours that are both not strings."""
    parts: list[str] = []
    for number, value in enumerate(values):
        if number and not isinstance(value, str) and not isinstance(values[number - 1], str):
            parts.append(" ")
        parts.append(go_print(value))
    return "".join(parts)


def sprintln(*values: Any) -> str:
    """The values separated by spaces, and a newline."""
    return " ".join(map(go_print, values)) + "\n"


def sprintf(template: Any, *values: Any) -> str:
    """Go's ``fmt.Sprintf``, with mistakes shown in the text (``%!d(string=x)``)."""
    if not isinstance(template, str):
        raise ValueProblem(f"wrong type for value; expected string; got {go_type(template)}")
    return _Formatter(values).run(template)


@dataclass(frozen=True, slots=True)
class _Spec:
    """Flags, width and precision of one directive; ``sharp_v`` is that of ``%#v``."""

    plus: bool = False
    minus: bool = False
    sharp: bool = False
    space: bool = False
    zero: bool = False
    sharp_v: bool = False
    width: int | None = None
    precision: int | None = None

    def pad(self, text: str) -> str:
        """``text`` padded to the width, in characters."""
        if self.width is None or len(text) >= self.width:
            return text
        if self.minus:
            return text.ljust(self.width)
        return text.rjust(self.width, "0" if self.zero else " ")


class _Formatter:
    """One call of printf: the values, and the index of the next one."""

    def __init__(self, values: tuple[Any, ...]) -> None:
        self._values = values
        self._next = 0
        self._reordered = False
        self._good_index = True
        self._out: list[str] = []

    def run(self, template: str) -> str:
        position = size = 0
        for match in _DIRECTIVE.finditer(template):
            self._out.append(template[position : match.start()])
            position = match.end()
            before = len(self._out)
            self._directive(match)
            size += sum(map(len, self._out[before:]))
            check_size(size)
        self._out.append(template[position:])
        if not self._reordered and self._next < len(self._values):
            extra = self._values[self._next :]
            shown = ("<nil>" if value is None else f"{go_type(value)}={go_print(value)}" for value in extra)
            self._out.append("%!(EXTRA " + ", ".join(shown) + ")")
        return "".join(self._out)

    def _directive(self, match: re.Match[str]) -> None:
        flags = match["flags"]
        self._good_index = True
        self._select(match["index1"])
        minus = "-" in flags
        width = self._size(match["width"], "%!(BADWIDTH)")
        if width is not None and width < 0:
            width, minus = -width, True
        if match["index1"] is not None and match["width"] not in (None, "*"):
            self._good_index = False  # "%[3]2d"
        precision = None
        if match["dot"]:
            if match["index1"] is not None and match["width"] is None:
                self._good_index = False  # "%[3].2d"
            self._select(match["index2"])
            precision = self._size(match["precision"] or "0", "%!(BADPREC)")
            if precision is not None and precision < 0:
                precision = None
        self._select(match["index3"])
        verb = match["verb"]
        if verb is None:
            self._out.append("%!(NOVERB)")
        elif verb == "%":
            self._out.append("%")
        elif not self._good_index:
            self._out.append(f"%!{verb}(BADINDEX)")
        elif self._next >= len(self._values):
            self._out.append(f"%!{verb}(MISSING)")
        else:
            spec = _Spec(
                plus="+" in flags and verb != "v",
                minus=minus,
                sharp="#" in flags and verb != "v",
                space=" " in flags,
                zero="0" in flags and not minus,
                sharp_v="#" in flags and verb == "v",
                width=width,
                precision=precision,
            )
            self._out.append(_format(self._values[self._next], verb, spec))
            self._next += 1

    def _select(self, index: str | None) -> None:
        """Apply an explicit argument index, ``[n]`` counted from 1."""
        if index is None:
            return
        self._reordered = True
        if index.isdecimal() and 1 <= int(index) <= len(self._values):
            self._next = int(index) - 1
        else:
            self._good_index = False

    def _size(self, text: str | None, complaint: str) -> int | None:
        """A width or precision, given as digits or as ``*``: the next value."""
        if text is None:
            return None
        if text != "*":
            return int(text) if len(text) < 8 and int(text) <= _TOO_LARGE else None
        value = self._values[self._next] if self._next < len(self._values) else None
        self._next += self._next < len(self._values)
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _TOO_LARGE:
            return value
        self._out.append(complaint)
        return None


def _format(value: Any, verb: str, spec: _Spec) -> str:
    """One value under one verb."""
    if verb == "T":
        return _string(go_type(value), "s", spec) or ""
    text: str | None
    match value:
        case None:
            text = spec.pad("<nil>") if verb == "v" else None
        case bool():
            text = spec.pad(go_print(value)) if verb in "tv" else None
        case int():
            text = _integer(value, verb, spec)
        case float():
            text = _float(value, verb, spec)
        case Mapping():
            items = [f"{_format(key, verb, spec)}:{_format(value[key], verb, spec)}" for key in sorted(value)]
            return f"{go_type(value)}{{{', '.join(items)}}}" if spec.sharp_v else f"map[{' '.join(items)}]"
        case _:
            text = _string(go_print(value), verb, spec)
    if text is not None:
        return text
    if value is None:
        return f"%!{verb}(<nil>)"
    return f"%!{verb}({go_type(value)}={_format(value, 'v', spec)})"


def _integer(value: int, verb: str, spec: _Spec) -> str | None:
    bases = {"d": "d", "v": "d", "b": "b", "o": "o", "O": "o", "x": "x", "X": "X"}
    if verb in bases:
        return _digits(value, format(abs(value), bases[verb]), verb, spec)
    code = value if 0 <= value < 0x110000 and not 0xD800 <= value < 0xE000 else 0xFFFD
    if verb == "c":
        return spec.pad(chr(code))
    if verb == "q":
        return spec.pad(quote(chr(code), "'", ascii_only=spec.plus))
    if verb == "U":
        shown = f" '{chr(value)}'" if spec.sharp and code == value and chr(value).isprintable() else ""
        return replace(spec, zero=False).pad(f"U+{value:0{max(4, spec.precision or 0)}X}{shown}")
    return None


def _digits(value: int, digits: str, verb: str, spec: _Spec) -> str:
    """An integer's digits with Go's sign, prefix and zeros."""
    sign = "-" if value < 0 else "+" if spec.plus else " " if spec.space else ""
    if spec.precision is not None:
        if spec.precision == 0 and value == 0:
            return " " * (spec.width or 0)
        digits = digits.zfill(spec.precision)
    elif spec.zero and spec.width is not None:
        digits = digits.zfill(spec.width - len(sign))
    if verb == "O":
        digits = "0o" + digits
    elif spec.sharp and verb == "o":
        digits = digits if digits.startswith("0") else "0" + digits
    elif spec.sharp and verb in "bxX":
        digits = "0" + verb + digits
    return replace(spec, zero=False).pad(sign + digits)


def _float(value: float, verb: str, spec: _Spec) -> str | None:
    if verb not in "vgGeEfF":
        return None
    style = {"v": "g", "F": "f"}.get(verb, verb)
    if style in "gG" and spec.precision is None and not spec.sharp:
        text = format_float(value) if style == "g" else format_float(value).upper()
    else:
        precision = 6 if spec.precision is None else spec.precision
        text = format(value, f"{'#' if spec.sharp else ''}.{precision}{style}")
    negative = text.startswith("-")
    number = text.lstrip("+-")
    sign = "-" if negative else "+" if spec.plus or number == "Inf" else " " if spec.space else ""
    if spec.zero and spec.width is not None and number[0].isdigit():
        return sign + number.rjust(spec.width - len(sign), "0")
    return replace(spec, zero=False).pad(sign + number)


def _string(value: str, verb: str, spec: _Spec) -> str | None:
    if spec.sharp_v:
        return spec.pad(quote(value))
    if verb in "xX":
        return spec.pad(_hexadecimal(go_bytes(value), verb, spec))
    if verb not in "svq":
        return None
    if spec.precision is not None:
        value = value[: spec.precision]
    if verb != "q":
        return spec.pad(value)
    if spec.sharp and not _NOT_IN_BACKQUOTES.search(value):
        return spec.pad(f"`{value}`")
    return spec.pad(quote(value, ascii_only=spec.plus))


def _hexadecimal(data: bytes, verb: str, spec: _Spec) -> str:
    if spec.precision is not None:
        data = data[: spec.precision]
    prefix = "0" + verb if spec.sharp and data else ""
    digits = data.hex(" ") if spec.space else data.hex()
    digits = digits.upper() if verb == "X" else digits
    return prefix + (digits.replace(" ", " " + prefix) if spec.space else digits)


_NOT_IN_BACKQUOTES = re.compile("[\0-\x08\n-\x1f`\x7f\ud800-\udfff\ufeff]")
