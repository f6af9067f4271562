"""The width of texts in terminal columns, and texts and tables cut to a width."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache

Cut = Callable[[str, int], str]

_ENOUGH = 12  # columns to which a cell is cut before others are left out
_LEAST = 3


def columns_of(text: str) -> int:
    """The width of a text without control characters."""
    return len(text) if text.isascii() else sum(map(_columns_of, text))


@lru_cache(maxsize=4096)
def _columns_of(char: str) -> int:
    # Combining characters, and the later parts of a Korean syllable.
    if unicodedata.category(char) in ("Mn", "Me", "Cf") or "\u1160" <= char <= "\u11ff":
        return 0
    return 2 if unicodedata.east_asian_width(char) in ("W", "F") else 1


def fit(text: str, columns: int) -> str:
    """The text in at most ``columns``, with an ellipsis at its end if it was cut."""
    if columns_of(text) <= columns:
        return text
    return _beginning(text, columns - 1) + "…" if columns > 0 else ""


def cut_middle(text: str, columns: int) -> str:
    """The same with the ellipsis in the middle, since ids often differ only at their end."""
    if columns_of(text) <= columns:
        return text
    left = max(0, columns) // 2
    end = _beginning(text[::-1], columns - 1 - left)[::-1]
    return _beginning(text, left) + "…" + end if columns > 1 else fit(text, columns)


def _beginning(text: str, columns: int) -> str:
    taken = 0
    for index, char in enumerate(text):
        taken += _columns_of(char)
        if taken > columns:
            return text[:index]
    return text


def pad(text: str, columns: int) -> str:
    return text + " " * (columns - columns_of(text))


def table(
    rows: Sequence[Sequence[str]],
    columns: int | None = None,
    *,
    cuts: Mapping[str, Cut] | None = None,
    spare: Iterable[str] = (),
    heading: Callable[[str], str] | None = None,
    paint: Callable[[int, str, str], str] = lambda row, name, text: text,
) -> list[str]:
    """Rows as aligned lines, in at most ``columns`` if given; the first one names the columns.

    To fit, the columns in ``spare`` are left out, in this order, and cells of those in ``cuts`` are cut by
    its functions, the widest first. ``heading`` colours a name, and ``paint(row, name, text)`` a cell of the
    other rows, counted without the first.
    """
    names = rows[0] if rows else ()
    cut = {names.index(name): each for name, each in (cuts or {}).items() if name in names}
    sizes = [max(map(columns_of, cells)) for cells in zip(*rows, strict=True)]
    shown = list(range(len(sizes)))
    if columns is not None:
        for index in [names.index(name) for name in spare if name in names]:
            least = [min(sizes[cell], _ENOUGH) if cell in cut else sizes[cell] for cell in shown]
            if _wide(least) > columns:
                shown.remove(index)
        while _wide([sizes[cell] for cell in shown]) > columns:
            widest = max(cut.keys() & shown, key=lambda cell: (sizes[cell], -cell), default=None)
            if widest is None or sizes[widest] <= _LEAST:
                break
            sizes[widest] -= 1
    lines = []
    for number, row in enumerate(rows):
        parts: list[str] = []
        left = columns
        for cell in shown:
            text = row[cell]
            if columns_of(text) > sizes[cell]:
                text = cut[cell](text, sizes[cell])
            if cell != shown[-1]:
                text = pad(text, sizes[cell])
            if left is not None:
                text = fit(text, left)
                left -= columns_of(text) + 2
            if number:
                text = paint(number - 1, names[cell], text)
            elif heading is not None:
                text = heading(text)
            parts.append(text)
            if left is not None and left <= 0:
                break
        lines.append("  ".join(parts).rstrip())
    return lines


def _wide(sizes: list[int]) -> int:
    return sum(sizes) + 2 * (len(sizes) - 1)
