"""Removes secrets from texts and output.

A secret is looked for as it is and as it is commonly written: in base64, JSON, percent-encoding, and quoted
as in Python and shells. In a secret of several lines, each line that is long enough to be telling counts.
"""

from __future__ import annotations

import json
import logging
import re
import traceback
from base64 import b64encode
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import AnyStr
from urllib.parse import quote, quote_plus

from overseer.util.handover_format import Incoming, Outgoing

MASK = "***"
"""What stands for a secret."""

LEAST = 6
"""Characters that a secret must have to be looked for in output: a shorter one would hide too much of it."""

_SHORT = 4  # characters below which a message is searched for whole words only
_LINE = 8  # shorter lines of a secret with several are not secret: }
_WRAP = 76  # characters of a line of base64, by RFC 2045 and coreutils
_ARMOUR = re.compile(r"-----(BEGIN|END) [^-]+-----")  # not secret
_NO_WORDS = str.maketrans("+/", "-_")  # base64 for addresses
_ESCAPED = re.compile("%..")


class Secrets:
    """The secret values of one run; empty ones are ignored."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._values = [value for value in values if value]
        self._mask: Mask | None = None

    def __repr__(self) -> str:
        return f"<{len(self._values)} secrets>"

    def __bool__(self) -> bool:
        return bool(self._values)

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def add(self, value: str) -> None:
        if value and value not in self._values:
            self._values = [*self._values, value]
            self._mask = None

    @property
    def mask(self) -> Mask | None:
        """Finds them in output; None when there is nothing to look for."""
        if self._mask is None and self._values:
            self._mask = Mask(self._values)
        return self._mask if self._mask is not None and self._mask.forms else None


class Mask:
    """All forms of some secrets, as bytes of output; immutable."""

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {
            form
            for secret in secrets
            if len(secret.strip()) >= LEAST
            for form in _forms(secret)
            if len(form) >= LEAST
        }
        self.forms = tuple(form.encode("utf-8", "surrogateescape") for form in forms)
        self._longest = max(map(len, self.forms), default=0)

    def in_(self, data: bytes) -> bool:
        """Whether the data contains any."""
        for form in self.forms:  # noqa: SIM110 (any takes longer than a line alone does)
            if form in data:
                return True
        return False

    def begins(self, data: bytes) -> int:
        """Where one that is still incomplete may begin; the length of ``data`` when none does."""
        size = len(data)
        if data.endswith(b"\n"):  # which no form has
            return size
        start = max(data.rfind(b"\n") + 1, size - self._longest + 1, 0)
        return min(_begins(form, data, max(start, size - len(form) + 1)) for form in self.forms)


class Masker:
    """Replaces secrets in a stream that comes in pieces, even those split between two."""

    __slots__ = ("_covered", "_held", "_mask")

    def __init__(self, mask: Mask) -> None:
        self._mask = mask
        self._held = b""  # it may begin a secret
        self._covered = 0  # bytes of it that belong to one that has been replaced

    def feed(self, data: bytes) -> bytes:
        """The output that can be released so far."""
        mask = self._mask
        if self._held:
            data = self._held + data
        elif data.endswith(b"\n") and not mask.in_(data):
            return data
        end = mask.begins(data)
        if not self._covered and not mask.in_(data):
            self._held = data[end:]
            return data[:end] if self._held else data
        parts: list[bytes] = []
        place = self._covered  # what is before it is dealt with
        replaced = place > 0  # so that what touches it needs no mask of its own
        for start, stop in _spans(data, mask.forms):
            if start >= end:
                break
            if start > place or not replaced:
                parts += data[place:start], MASK.encode()
            place, replaced = max(place, stop), True
        parts.append(data[place:end])
        self._held, self._covered = data[end:], max(0, place - end)
        return b"".join(parts)

    @property
    def holds(self) -> bool:
        """Whether something is held back."""
        return bool(self._held)

    def flush(self) -> bytes:
        """What is held, at the end: a beginning that is long enough counts as the whole."""
        held, covered = self._held, self._covered
        self._held, self._covered = b"", 0
        if len(held) < LEAST:
            return held[covered:]
        return b"" if covered else MASK.encode()

    def export(self, out: Outgoing) -> list[int]:
        """What another program has to know to go on."""
        return [out.blob(self._held), self._covered]

    def restore(self, data: Sequence[int], given: Incoming) -> None:
        """Go on where another program's has been."""
        self._held, self._covered = given.blob(data[0]), data[1]


def masked(text: str, secrets: Iterable[str]) -> str:
    """``text`` with each of the secrets replaced, short ones where they are whole words."""
    forms = {form for secret in secrets for form in _forms(secret) if form}
    parts: list[str] = []
    place = 0
    for start, stop in _spans(text, [form for form in forms if len(form) >= _SHORT]):
        if start > place or not parts:
            parts += text[place:start], MASK
        place = max(place, stop)
    text = "".join((*parts, text[place:]))
    for form in sorted((form for form in forms if len(form) < _SHORT), key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(form)}(?!\w)", MASK, text)
    return text


def log_failure(
    log: logging.Logger,
    secrets: Collection[str] | Secrets,
    message: str,
    *args: object,
    level: int = logging.ERROR,
) -> None:
    """Log the exception that is being handled, without the secrets."""
    if not secrets:
        log.log(level, message, *args, exc_info=True)
    else:
        log.log(level, f"{message}\n%s", *args, masked(traceback.format_exc().rstrip(), secrets))


def _spans(data: AnyStr, forms: Iterable[AnyStr]) -> list[tuple[int, int]]:
    """Where the forms are, in order; they may overlap each other and themselves."""
    spans = []
    for form in forms:
        at = data.find(form)
        while at >= 0:
            spans.append((at, at + len(form)))
            at = data.find(form, at + 1)
    spans.sort()
    return spans


def _begins(form: bytes, data: bytes, start: int) -> int:
    """Where, from ``start`` on, ``data`` ends in a beginning of the form."""
    head, size = form[:4], len(data)
    at = data.find(head, start)
    while at >= 0:
        if form.startswith(data[at:]):
            return at
        at = data.find(head, at + 1)
    for at in range(max(start, size - 3), size):
        if form.startswith(data[at:]):
            return at
    return size


def _forms(secret: str) -> Iterator[str]:
    """The ways in which it may be written, none of them with a line end."""
    secret = secret.strip("\r\n")
    if "\n" in secret:
        lines = (line.strip() for line in secret.split("\n"))
        yield from (line for line in lines if len(line) >= _LINE and not _ARMOUR.fullmatch(line))
    else:
        yield secret
    as_json = json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]
    yield from as_json
    for each in as_json:
        yield each.replace("/", "\\/")
        yield each.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    yield repr(secret)[1:-1]
    yield ascii(secret)[1:-1]
    if "\n" not in secret:
        yield secret.replace("'", "'\\''")
        yield secret.replace("'", "'\"'\"'")
    data = secret.encode("utf-8", "surrogateescape")
    for safe in ("", "/", "!~*'()"):
        for percent in (quote(data, safe=safe), quote_plus(data, safe=safe)):
            yield percent
            yield _ESCAPED.sub(lambda found: found[0].lower(), percent)
    yield from _base64(data)


def _base64(data: bytes) -> Iterator[str]:
    """The encoded secret alone, without the ends that depend on what surrounds it."""
    whole = b64encode(data).decode()
    if len(whole) > _WRAP:
        yield from (whole[at : at + _WRAP] for at in range(0, len(whole) - _WRAP + 1, _WRAP))
        last = whole[len(whole) // _WRAP * _WRAP :].rstrip("=")[:-1]
        yield from [last] if len(last) >= _LINE else []
    forms = [whole]
    for before in range(3):
        text = b64encode(bytes(before) + data).decode()
        forms.append(text[-(-before * 8 // 6) : (before + len(data)) * 8 // 6])
    for form in forms:
        if len(form) >= LEAST:
            yield form
            yield form.translate(_NO_WORDS)
