"""Starting a task: what is checked and asked before, and what is said after."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterable, Mapping
from contextlib import suppress
from itertools import chain
from typing import Any

from overseer.client import Client, ReplyTimeoutError, Task
from overseer.ctl.asking import ask_secret, can_ask, confirm, confirm_start
from overseer.ctl.naming import short_id
from overseer.ctl.settings import Settings
from overseer.ctl.terminal import plain, say
from overseer.errors import OverseerError
from overseer.protocol import Dequeued, Event, Queued
from overseer.util.suggest import ignored

_HEARD_S = 0.5  # for what happened before an answer that is there


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
    warnings = ignored(action, params, info.params)
    for warning in warnings:
        say(warning)
    if warnings and can_ask():  # programs are only warned: it may be on purpose
        confirm(options, f"start {plain(action)} all the same")
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


def start(client: Client, options: Namespace, action: str, params: Mapping[str, str], **more: Any) -> Task:
    """Start or queue a task, and say which one had to leave the queue for it. ``more``: as for
    :meth:`Client.start`, whose errors this raises."""
    heard = client.batches(_HEARD_S) if options.force else ()
    room = options.wait_for_room or 0
    task = client.start(action, params, force=options.force, wait_for_room=room, **more)
    if task.state == "queued" and (displaced := _displaced(heard, task.id)):
        say(f"displaced {plain(short_id(displaced))}")
    return task


def _displaced(heard: Iterable[list[Event]], task_id: str) -> str:
    """The task that had to make room for this one, which is told right before; or ""."""
    displaced = ""
    with suppress(ReplyTimeoutError):
        for event in chain.from_iterable(heard):
            if isinstance(event, Dequeued) and event.reason == "displaced":
                displaced = event.task_id
            elif isinstance(event, Queued) and event.task_id == task_id:
                break
            elif isinstance(event, Queued):
                displaced = ""  # it made room for that one
    return displaced


def how_to_write(settings: Settings, action: str, value: str) -> str:
    """A hint with the action's parameters, if the server can be asked."""
    with suppress(OverseerError), settings.connect(timeout=2.0, reconnect=0) as client:
        names = list(client.actions(action)[0].params)
        if len(names) == 1:
            return f"; did you mean {names[0]}={value}?"
        return f"; {action} has {', '.join(names) or 'none'}"
    return ""
