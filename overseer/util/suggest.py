"""Suggestions for misspelled words."""

from __future__ import annotations

from collections.abc import Collection, Iterable

# Comparing takes time that grows with both, and the word may be a stranger's.
_LONGEST = 64
_MOST = 200


def nearest(word: str, known: Iterable[str]) -> str:
    """The one of ``known`` that ``word`` is probably a misspelling of, else ``""``."""
    if len(word) > _LONGEST:
        return ""
    by_lower = {each.lower(): each for each in known if len(each) <= _LONGEST}
    if len(by_lower) > _MOST:
        return ""
    from difflib import get_close_matches  # which overseerctl hardly ever needs

    found = get_close_matches(word.lower(), by_lower, n=1)
    return by_lower[found[0]] if found else ""


def did_you_mean(word: str, known: Iterable[str], prefix: str = "") -> str:
    """``"; did you mean path?"``, or ``""`` when nothing is similar. ``prefix`` goes before the guess."""
    near = nearest(word, known)
    return f"; did you mean {prefix}{near}?" if near else ""


def ignored(action: str, given: Iterable[str], declared: Collection[str]) -> list[str]:
    """A warning for each parameter given that the action does not declare: it is ignored, and the intended
    one keeps its default. None for an action that declares none, whose templates may use any."""
    return [
        f"{name} is ignored: {action} has no such parameter"
        + (did_you_mean(name, declared) or f"; it has {', '.join(declared)}")
        for name in given
        if declared and name not in declared
    ]
