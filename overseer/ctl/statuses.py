"""The status of a task or run: its word, which the server chooses, with a sign and a colour on a terminal;
and how it exited."""

from __future__ import annotations

from overseer.ctl.terminal import Style, plain
from overseer.protocol import STATUS
from overseer.protocol.words import OVER

WORDS = STATUS.words
_SIGNS = {
    "running": "●",
    "ready": "●",
    "queued": "…",
    "waiting": "…",
    "restarting": "↻",
    "succeeded": "✓",
    "failed": "✗",
    "errored": "✗",
    "stopped": "■",
    "lost": "?",
}
_GREEN, _YELLOW, _RED, _GREY = "32", "33", "31", "90"
_COLOURS = {
    **dict.fromkeys(("running", "ready", "succeeded"), _GREEN),
    **dict.fromkeys(("queued", "waiting", "restarting"), _YELLOW),
    **dict.fromkeys(("failed", "errored", "lost"), _RED),
    "stopped": _GREY,
}
GOING_ON = tuple(word for word in WORDS if word not in OVER)


def signed(status: str, style: Style) -> str:
    """The word, with its sign in front where there is a terminal."""
    word = plain(status)
    return f"{_SIGNS.get(status, ' ')} {word}" if style.signs else word


def coloured(text: str, status: str, style: Style) -> str:
    """A text in the colour of a status."""
    return style.paint(text, _COLOURS.get(status, ""))


def exit_of(reason: str, code: int | None, signal: str) -> str:
    """How a run exited, for a column: with which code, by which signal or, where that says more, why; "-":
    not yet. (Older servers list neither the signal nor the reason.)"""
    if reason not in ("", "exited", "signal", "stopped"):
        return plain(reason)
    if code == -1:
        return plain(signal) or "signal"
    return "-" if code is None else str(code)
