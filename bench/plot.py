"""Horizontal bars as SVG, by hand: nothing to install, and a diff of them can be read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

_COLOURS = {"here": "#2563a8", "baseline": "#9aa5b1"}
_OTHER = "#c9762b"
_LABEL, _BAR, _RIGHT = 330, 380, 110  # widths
_THICK, _GAP, _TOP = 15, 12, 62


@dataclass(frozen=True)
class Bars:
    """One group: its label, and for each server the value and how it is written."""

    label: str
    values: Mapping[str, tuple[float, str]]


def bar_plot(title: str, groups: Sequence[Bars]) -> str:
    """The whole image."""
    names = list(dict.fromkeys(name for group in groups for name in group.values))
    most = max(value for group in groups for value, _ in group.values.values())
    width = _LABEL + _BAR + _RIGHT
    height = _TOP + sum(len(group.values) * _THICK + _GAP for group in groups)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12" fill="#1c2733">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        f'<text x="16" y="24" font-size="15" font-weight="bold">{escape(title)}</text>',
    ]
    for place, name in enumerate(names):
        x = _LABEL + place * 110
        parts.append(f'<rect x="{x}" y="37" width="11" height="11" fill="{_COLOURS.get(name, _OTHER)}"/>')
        parts.append(f'<text x="{x + 16}" y="47">{escape(name)}</text>')
    y = _TOP
    for group in groups:
        middle = y + len(group.values) * _THICK / 2 + 4
        parts.append(f'<text x="{_LABEL - 10}" y="{middle:g}" text-anchor="end">{escape(group.label)}</text>')
        for name, (value, written) in group.values.items():
            length = max(1.0, value / most * _BAR)
            parts.append(
                f'<rect x="{_LABEL}" y="{y}" width="{length:.1f}" height="{_THICK - 2}" '
                f'fill="{_COLOURS.get(name, _OTHER)}"/>'
            )
            parts.append(f'<text x="{_LABEL + length + 6:.1f}" y="{y + 11}">{escape(written)}</text>')
            y += _THICK
        y += _GAP
    return "\n".join([*parts, "</svg>", ""])
