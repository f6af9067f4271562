"""Hints about misspelled parameters."""

from __future__ import annotations

import sys
from argparse import Namespace
from contextlib import suppress

from overseer.client import Client
from overseer.ctl.asking import ask_secret, confirm_start
from overseer.ctl.settings import Settings
from overseer.ctl.terminal import plain, say
from overseer.errors import OverseerError
from overseer.util.suggest import ignored


def look_at_action(client: Client, options: Namespace, *, feeds: bool = True) -> dict[str, str]:
    """Before a start: warn of parameters that the action does not declare, ask the question that it has for
    people, and prompt for the secrets that it requires, which do not belong on a command line. Returns the
    parameters with those secrets. Without ``feeds``, warn also of input that the keyboard will not give.

    Raises:
        RefusedError: there is no such action.
        EarlyExit: the user said no, or gave no secret.
    """
    action, params = options.action, options.params
    (info,) = client.actions(action)
    for warning in ignored(action, params, info.params):
        say(warning)
    stdin = info.settings.get("stdin", "none")
    if not feeds and stdin != "none" and sys.stdin is not None and sys.stdin.isatty():
        option = "-it" if stdin == "pty" else "-i"
        say(f"{action} reads input, which this does not pass on; use overseerctl run {option} {action}")
    confirm_start(options, info)
    asked = [
        name
        for name, spec in info.params.items()
        if spec is not None and spec.type == "secret" and spec.default is None and name not in params
    ]
    if sys.stdin is None or not sys.stdin.isatty():
        return dict(params)
    return {**params, **{name: ask_secret(f"{plain(name)}: ") for name in asked}}


def how_to_write(settings: Settings, action: str, value: str) -> str:
    """A hint with the action's parameters, if the server can be asked."""
    with suppress(OverseerError), settings.connect(timeout=2.0, reconnect=0) as client:
        names = list(client.actions(action)[0].params)
        if len(names) == 1:
            return f"; did you mean {names[0]}={value}?"
        return f"; {action} has {', '.join(names) or 'none'}"
    return ""
