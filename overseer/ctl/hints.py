"""Hints about misspelled parameters."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from overseer.client import Client
from overseer.ctl.settings import Settings
from overseer.ctl.terminal import say
from overseer.errors import OverseerError
from overseer.util.suggest import did_you_mean


def look_at_action(client: Client, action: str, params: Mapping[str, str]) -> None:
    """Before a start: warn of parameters that the action does not declare.

    The server ignores them, and the intended ones keep their defaults. An action that declares none may use
    any in its templates. Raises RefusedError when there is no such action.
    """
    (info,) = client.actions(action)
    for name in params:
        if info.params and name not in info.params:
            near = did_you_mean(name, info.params) or f"; it has {', '.join(info.params)}"
            say(f"{action} has no parameter {name}{near}")


def how_to_write(settings: Settings, action: str, value: str) -> str:
    """The action's parameters, if the server can be asked."""
    with suppress(OverseerError), settings.connect(timeout=2.0, reconnect=0) as client:
        names = list(client.actions(action)[0].params)
        if len(names) == 1:
            return f"; did you mean {names[0]}={value}?"
        return f"; {action} has {', '.join(names) or 'none'}"
    return ""
