"""The status of a task or run: its word, which the server chooses, with a sign and a colour on a terminal."""

from __future__ import annotations

from overseer.ctl.terminal import Style, plain
from overseer.protocol import STATUS

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
OVER = ("succeeded", "failed", "errored", "stopped", "lost")
GOING_ON = tuple(word for word in WORDS if word not in OVER)


def signed(status: str, style: Style) -> str:
    """The word, with its sign in front where there is a terminal."""
    word = plain(status)
    return f"{_SIGNS.get(status, ' ')} {word}" if style.signs else word


def coloured(text: str, status: str, style: Style) -> str:
    """A text in the colour of a status."""
    return style.paint(text, _COLOURS.get(status, ""))
