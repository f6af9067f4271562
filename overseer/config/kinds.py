"""The kinds of value a key may hold: how each is read, what it is called and how a default is shown.

A kind that holds one scalar raises ValueError with a sentence; whoever asked knows the place. One that
holds others notes its errors itself, item by item, and gives back what is usable.
"""

from __future__ import annotations

import math
import re
import signal
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from overseer.config.report import Spot
from overseer.config.tree import ListNode, MapNode, Node, Scalar, describe_node, to_value
from overseer.util.durations import format_duration, parse_duration
from overseer.util.suggest import did_you_mean

__all__ = [
    "BOOLEANS",
    "Choice",
    "Duration",
    "Flag",
    "Kind",
    "Raw",
    "Seconds",
    "Signal",
    "Size",
    "Text",
    "TextList",
    "Whole",
]


class Kind(ABC):
    """How a value is read. ``label`` is its type in the documentation."""

    label: str

    @abstractmethod
    def read(self, node: Node, spot: Spot) -> Any:
        """The value; a null never comes here (it counts as an absent key).

        Raises:
            ValueError: it is none of this kind; the text says what was found and what is expected.
        """

    def show(self, value: Any) -> str:
        """A default, as somebody would write it in the file; ``""`` for none."""
        return "" if value in ("", None, ()) else f"`{value}`"

    def _scalar(self, node: Node, expected: str) -> Scalar:
        if not isinstance(node, Scalar):
            raise ValueError(f"expected {expected}, found {describe_node(node)}")
        return node


class Text(Kind):
    """A string, whatever the scalar looks like; ``check`` raises ValueError for texts that will not do."""

    def __init__(self, label: str = "text", check: Callable[[str], object] | None = None) -> None:
        self.label = label
        self._check = check

    def read(self, node: Node, spot: Spot) -> str:
        text = self._scalar(node, "text").text
        if "\0" in text:
            raise ValueError("text here cannot hold a NUL character")
        if self._check is not None and text:
            self._check(text)
        return text


class TextList(Kind):
    """A list of strings, or one; with ``commas`` the one may hold several. ``check`` sees each."""

    def __init__(
        self, label: str = "list of text", check: Callable[[str], object] | None = None, *, commas: bool
    ) -> None:
        self.label = label
        self._check = check
        self._commas = commas

    def read(self, node: Node, spot: Spot) -> tuple[str, ...]:
        if isinstance(node, Scalar):
            texts = node.text.split(",") if self._commas else [node.text]
            return tuple(text for each in texts if (text := each.strip()) and self._passes(text, spot))
        if not isinstance(node, ListNode):
            raise ValueError(f"expected {self.label}, found {describe_node(node)}")
        found: list[str] = []
        for number, item in enumerate(node.items):
            place = spot.child(number, item.line)
            if not isinstance(item, Scalar) or item.tag == "null":
                place.error(f"expected text, found {describe_node(item)}")
            elif not item.text.strip():
                place.error("expected text, found empty text")
            elif self._passes(item.text, place):
                found.append(item.text)
        return tuple(found)

    def _passes(self, text: str, spot: Spot) -> bool:
        try:
            if self._check is not None:
                self._check(text)
        except ValueError as error:
            spot.error(str(error))
            return False
        return True

    def show(self, value: Any) -> str:
        return ""


class Choice(Kind):
    """One of a few words. With ``booleans`` a YAML boolean stands for the word ``true`` or ``false``."""

    def __init__(self, *words: str, booleans: bool = False) -> None:
        self.words = words
        self.label = " \\| ".join(f"`{word}`" for word in words)
        self.booleans = booleans

    def read(self, node: Node, spot: Spot) -> str:
        expected = ", ".join(self.words[:-1]) + " or " + self.words[-1]
        text = self._scalar(node, expected).text
        if text in self.words:
            return text
        if self.booleans and text.lower() in BOOLEANS:
            return "true" if BOOLEANS[text.lower()] else "false"
        hint = did_you_mean(text, self.words)
        raise ValueError(f"expected {expected}, found {describe_node(node)}{hint}")


# What a YAML 1.1 reader would take for a boolean; Go's takes them too where one is wanted.
BOOLEANS = {
    "true": True,
    "yes": True,
    "on": True,
    "y": True,
    "false": False,
    "no": False,
    "off": False,
    "n": False,
}


class Flag(Kind):
    """A boolean."""

    label = "boolean"

    def read(self, node: Node, spot: Spot) -> bool:
        scalar = self._scalar(node, "true or false")
        if not scalar.plain or scalar.text.lower() not in BOOLEANS:
            raise ValueError(
                f"expected true or false, found {describe_node(node)}{_quotes_hint(scalar, BOOLEANS)}"
            )
        return BOOLEANS[scalar.text.lower()]

    def show(self, value: Any) -> str:
        return "`true`" if value else "`false`"


class Whole(Kind):
    """A whole number, 0 or more, as far as ``at_least`` does not ask for more."""

    label = "number"
    _FORM = re.compile(
        r"[-+]?(?:(?:0[0-9]*|[1-9][0-9]*(?:_[0-9]+)*)(?:\.0*)?|0x[0-9a-fA-F]+|0o[0-7]+|0b[01]+)\Z"
    )

    def __init__(self, at_least: int = 0, at_most: int = 2**31 - 1) -> None:
        self.at_least = at_least
        self.at_most = at_most

    def read(self, node: Node, spot: Spot) -> int:
        scalar = self._scalar(node, "a whole number")
        text = scalar.text.partition(".")[0].replace("_", "")
        if not scalar.plain or not self._FORM.match(scalar.text):
            hint = " (without the quotes it would be a number)" if self._FORM.match(scalar.text) else ""
            raise ValueError(f"expected a whole number, found {describe_node(node)}{hint}")
        sign, digits = (text[0], text[1:]) if text[0] in "+-" else ("", text)
        if len(digits) > 1 and digits[0] == "0" and digits[1].isdigit():
            raise ValueError(f"{text} could be octal or decimal: write it without the leading 0, or with 0o")
        number = int(sign + digits, 0) if len(digits) < 70 else (-1 if sign == "-" else 1) * 2**200
        if number < self.at_least:
            what = "negative" if number < 0 else "too small"
            raise ValueError(f"{text[:40]} is {what}: the least is {self.at_least}")
        if number > self.at_most:
            raise ValueError(f"{text[:40]} is too large: the most is {self.at_most}")
        return number


class Duration(Kind):
    """A duration in Go's syntax; the value is int nanoseconds."""

    label = "duration"

    def read(self, node: Node, spot: Spot) -> int:
        return _nanoseconds(self._scalar(node, 'a duration such as "30s"'))

    def show(self, value: Any) -> str:
        return f"`{format_duration(value)}`"


class Seconds(Kind):
    """A number of seconds, or a duration in Go's syntax; the value is float seconds."""

    label = "seconds or duration"
    _FORM = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?\Z")
    _MOST = 2**63 / 1e9  # what fits a Go duration, 292 years

    def __init__(self, *, zero: bool = True) -> None:
        self.zero = zero  # whether 0 will do

    def read(self, node: Node, spot: Spot) -> float:
        scalar = self._scalar(node, 'seconds or a duration such as "30s"')
        if scalar.plain and self._FORM.match(scalar.text):
            seconds = float(scalar.text)
        else:
            seconds = _nanoseconds(scalar) / 1e9
        if seconds < 0:
            raise ValueError(f"{scalar.text[:40]} is negative")
        if seconds >= self._MOST:
            raise ValueError(f"{scalar.text[:40]} seconds are too many")
        if seconds == 0 and not self.zero:
            raise ValueError("must be more than 0")
        return seconds

    def show(self, value: Any) -> str:
        shown = format_duration(round(value * 1e9))
        for ending in ("m0s", "h0m"):
            if shown.endswith(ending):
                shown = shown[:-2]
        return f"`{shown}`"


_UNITS = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}


class Size(Kind):
    """A number of bytes: a whole number, or text with a unit."""

    label = "size"
    _FORM = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,6})?)\s*([a-zA-Z]+)\Z")
    _MOST = 2**40

    def read(self, node: Node, spot: Spot) -> int:
        scalar = self._scalar(node, 'a size such as 65536 or "8MiB"')
        match = self._FORM.match(scalar.text)
        if match is None or scalar.text.startswith(("0x", "0o", "0b")):
            try:
                return Whole(at_least=1, at_most=self._MOST).read(node, spot)
            except ValueError as error:
                raise ValueError(
                    str(error).replace("a whole number,", 'a size such as 65536 or "8MiB",')
                ) from None
        number, unit = match.groups()
        if unit.lower() not in _UNITS:
            raise ValueError(f'"{unit[:20]}" is not a unit of size: B, kB, MB, GB, KiB, MiB or GiB')
        size = math.floor(float(number) * _UNITS[unit.lower()])
        if not 1 <= size <= self._MOST:
            raise ValueError(
                f"{scalar.text[:40]} is too {'small' if size < 1 else 'large'}: 1 byte to 1024 GiB"
            )
        return size

    def show(self, value: Any) -> str:
        for unit in ("GiB", "MiB", "KiB"):
            if value % _UNITS[unit.lower()] == 0:
                return f"`{value // _UNITS[unit.lower()]}{unit}`"
        return f"`{value}`"


class Signal(Kind):
    """A signal by name, with or without ``SIG``, or by number; the value is the full name."""

    label = "signal"

    def read(self, node: Node, spot: Spot) -> str:
        name = self._scalar(node, "the name of a signal").text.upper().removeprefix("SIG")
        try:
            if name.isascii() and name.isdigit():
                return signal.Signals(int(name[:5])).name
            return signal.Signals[f"SIG{name}"].name
        except (KeyError, ValueError):
            names = [each.name.removeprefix("SIG") for each in signal.Signals]
            hint = did_you_mean(name, names, prefix="SIG") or ", such as SIGTERM"
            raise ValueError(f"expected the name of a signal, found {describe_node(node)}{hint}") from None


class Raw(Kind):
    """A mapping that is none of our business: a driver's. Scalars keep their text, see ``config_text``."""

    label = "mapping"

    def read(self, node: Node, spot: Spot) -> dict[str, Any]:
        if not isinstance(node, MapNode):
            raise ValueError(f"expected a mapping, found {describe_node(node)}")
        value: dict[str, Any] = to_value(node)
        return value

    def show(self, value: Any) -> str:
        return "`{}`"


def _nanoseconds(scalar: Scalar) -> int:
    if not scalar.text:
        raise ValueError('expected a duration such as "30s", found empty text')
    return parse_duration(scalar.text)


def _quotes_hint(scalar: Scalar, words: dict[str, bool]) -> str:
    return " (leave out the quotes)" if not scalar.plain and scalar.text.lower() in words else ""
