"""Numbers and strings as Go's ``strconv`` writes them, which expressions and templates both follow.

Durations are in :mod:`overseer.util.durations`.
"""

from __future__ import annotations

import math

_SHORT = {
    "\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v", "\\": "\\\\",
}  # fmt: skip


def format_float(number: float) -> str:
    """The fewest digits that read back the same (``%g``): ``1.5``, ``100000``, ``1e+06``, ``1e-05``."""
    if math.isnan(number):
        return "NaN"
    if math.isinf(number):
        return "+Inf" if number > 0 else "-Inf"
    from decimal import Decimal  # half a megabyte, which few need

    sign, digits, exponent = Decimal(repr(number)).normalize().as_tuple()
    assert isinstance(exponent, int)  # a letter only for infinities and NaN
    power = len(digits) - 1 + exponent
    if -4 <= power < 6:
        return f"{number:.{max(0, -exponent)}f}"
    fraction = "".join(map(str, digits[1:]))
    return f"{'-' * sign}{digits[0]}{'.' * bool(fraction)}{fraction}e{power:+03d}"


def format_fixed(number: float) -> str:
    """The same digits without an exponent: ``0.000000001``, ``1000000``."""
    from decimal import Decimal

    text = format(Decimal(repr(number)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def quote(value: str, mark: str = '"', *, ascii_only: bool = False) -> str:
    """A string as a literal (``strconv.Quote``): what cannot be printed is escaped."""
    parts = [mark]
    for char in value:
        code = ord(char)
        if char == mark:
            parts.append("\\" + mark)
        elif char in _SHORT:
            parts.append(_SHORT[char])
        elif char.isprintable() and (code < 0x80 or not ascii_only):
            parts.append(char)
        elif 0xDC80 <= code <= 0xDCFF:  # a byte that is not UTF-8
            parts.append(f"\\x{code - 0xDC00:02x}")
        elif code < 0x20 or code == 0x7F:
            parts.append(f"\\x{code:02x}")
        elif code < 0x10000:
            parts.append(f"\\u{code:04x}")
        else:
            parts.append(f"\\U{code:08x}")
    return "".join([*parts, mark])
