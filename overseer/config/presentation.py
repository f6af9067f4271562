"""How people are shown an action: its title, its sign, its group, and what is asked before a start."""

from __future__ import annotations

import unicodedata

from overseer.schema.fields import declared, field
from overseer.schema.types import BOOLEAN, TEXT, Text
from overseer.util.suggest import did_you_mean

ICONS = (
    "bell", "bolt", "box", "build", "chart", "clean", "clock", "cloud", "code", "database", "film", "flag",
    "folder", "gear", "globe", "key", "lock", "mail", "rocket", "search", "server", "shield", "sync",
    "terminal", "test", "upload", "user",
)  # fmt: skip
"""The signs that the page can draw."""

_LONGEST = 16  # code points of one emoji: a family, a flag
_OF_EMOJI = {"So", "Sk", "Mn", "Cf"}  # signs, skin tones, variants, joiners


def check_icon(text: str) -> None:
    """Raise ValueError unless ``text`` is an emoji or one of ``ICONS``."""
    if text in ICONS:
        return
    if text.isascii():
        hint = did_you_mean(text, ICONS)
        raise ValueError(f"expected an emoji or one of {', '.join(ICONS)}, found {text!r}{hint}")
    signs = [char for char in text if unicodedata.category(char) == "So"]
    if not signs or len(text) > _LONGEST or any(unicodedata.category(char) not in _OF_EMOJI for char in text):
        raise ValueError(f"expected one emoji, found {text!r}")


@declared(kw_only=True)
class Presentation:
    """The keys of an action that are for people alone: none of them changes how it runs."""

    title: str = field(TEXT, "What people see instead of its name.", default="", last=True)
    icon: str = field(
        Text("emoji or name", check_icon),
        f"The sign beside it: an emoji, or one of {', '.join(f'`{each}`' for each in ICONS)}.",
        default="",
        last=True,
    )
    group: str = field(TEXT, "The heading that the page shows it under.", default="", last=True)
    confirm: str = field(
        TEXT,
        "A question, such as `Deploy to production?`, that the page and overseerctl ask a person before each "
        "start of it. Programs are not asked.",
        default="",
        last=True,
    )
    hidden: bool = field(
        BOOLEAN,
        "Whether the page leaves it out of the actions that it offers. Whoever may start it still can.",
        default=False,
        last=True,
    )


PRESENTED = tuple(Presentation.__dataclass_fields__)
