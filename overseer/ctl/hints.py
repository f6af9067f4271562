"""What was probably meant, where something is misspelled."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from overseer.client import Client, RefusedError
from overseer.ctl.terminal import say

__all__ = ["did_you_mean", "look_at_action", "suggesting"]


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """``"; did you mean path?"``, or nothing when nothing is like it."""
    from difflib import get_close_matches

    near = get_close_matches(word, list(words), n=1)
    return f"; did you mean {near[0]}?" if near else ""


@contextmanager
def suggesting(client: Client, action: str) -> Iterator[None]:
    """Have a refusal of an action that there is not say which ones there are."""
    try:
        yield
    except RefusedError as error:
        if not action or str(error) != f"unknown action: {action}":
            raise
        near = did_you_mean(action, (each.name for each in client.actions()))
        raise RefusedError(f"{error}{near} (overseerctl actions lists them)") from None


def look_at_action(client: Client, action: str, params: Mapping[str, str]) -> None:
    """Before a start: say which parameters the action does not declare.

    The server tolerates them, and what was meant keeps its default. An action that declares none at all may
    use any in its templates. Raises RefusedError when there is no such action.
    """
    with suggesting(client, action):
        (info,) = client.actions(action)
    for name in params:
        if info.params and name not in info.params:
            near = did_you_mean(name, info.params) or f"; it has {', '.join(info.params)}"
            say(f"{action} has no parameter {name}{near}")
