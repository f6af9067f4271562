"""The text of a literal to its value: numbers, and strings and bytes with their escapes."""

from __future__ import annotations

from overseer.cel.values import UInt

_SIMPLE = {
    "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v",
    "\\": "\\", "'": "'", '"': '"', "`": "`", "?": "?",
}  # fmt: skip
_HEX_DIGITS = {"x": 2, "X": 2, "u": 4, "U": 8}
_HEX = frozenset("0123456789abcdefABCDEF")


def int_value(text: str) -> int:
    """An unsigned literal, decimal or ``0x``; its range is checked later, when its sign is known."""
    if text[:2] == "0x":
        return int(text, 16)
    digits = text.lstrip("0")
    if len(digits) > 20:  # more than any 64 bit number has, and int() is slow on huge ones
        raise ValueError("the number does not fit into 64 bits")
    return int(digits or "0")


def uint_value(text: str) -> UInt:
    value = int_value(text[:-1])
    if value >= 1 << 64:
        raise ValueError("the number does not fit into 64 bits")
    return UInt(value)


def float_value(text: str) -> float:
    value = float(text)
    if value == float("inf"):
        raise ValueError("the number is too large for a double")
    return value


def string_value(text: str) -> str:
    """The value of a quoted string, raw or not, with one or three quotes."""
    raw, body = _unquote(text)
    if raw or "\\" not in body:
        return body
    return "".join(chr(code) for code, _ in _unescape(body, for_bytes=False))


def bytes_value(text: str) -> bytes:
    """The value of a bytes literal: characters count as their UTF-8, ``\\xHH`` and ``\\ooo`` as one byte."""
    raw, body = _unquote(text[1:])
    if raw or "\\" not in body:
        return body.encode()
    return b"".join(
        bytes((code,)) if is_byte else chr(code).encode() for code, is_byte in _unescape(body, for_bytes=True)
    )


def _unquote(text: str) -> tuple[bool, str]:
    raw = text[0] in "rR"
    if raw:
        text = text[1:]
    width = 3 if len(text) >= 6 and text[:3] in ('"""', "'''") else 1
    return raw, text[width:-width].replace("\r\n", "\n").replace("\r", "\n")


def _unescape(body: str, *, for_bytes: bool) -> list[tuple[int, bool]]:
    """Code points, each with whether it stands for a single byte."""
    codes: list[tuple[int, bool]] = []
    at = 0
    while at < len(body):
        char = body[at]
        if char != "\\":
            codes.append((ord(char), False))
            at += 1
            continue
        kind = body[at + 1 : at + 2]
        if kind in _SIMPLE:
            codes.append((ord(_SIMPLE[kind]), False))
            at += 2
        elif kind in _HEX_DIGITS:
            count = _HEX_DIGITS[kind]
            digits = body[at + 2 : at + 2 + count]
            if len(digits) < count or not _HEX.issuperset(digits):
                raise ValueError(f"\\{kind} needs {count} hexadecimal digits")
            if for_bytes and count > 2:
                raise ValueError(f"\\{kind} has no meaning in bytes")
            code = int(digits, 16)
            if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
                raise ValueError(f"\\{kind}{digits} is not a character")
            codes.append((code, for_bytes))
            at += 2 + count
        elif kind and kind in "0123":
            digits = body[at + 1 : at + 4]
            if len(digits) < 3 or not frozenset("01234567").issuperset(digits):
                raise ValueError("an octal escape has three digits, \\000 to \\377")
            codes.append((int(digits, 8), for_bytes))
            at += 4
        else:
            raise ValueError(f"unknown escape \\{kind}")
    return codes
