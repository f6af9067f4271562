"""What keeps a hub from being handed over: what is bound to the running program, and cannot go on in another,
is named, waited for, or ended.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from overseer.errors import OverseerError, RequestError
from overseer.supervisor.handover.tasks import bound_to_this_program
from overseer.supervisor.hub import Hub
from overseer.supervisor.phases import Phase
from overseer.util.locks import assert_held

_log = logging.getLogger(__name__)

_LOOK_S = 0.25  # between looks at whether anybody still waits for the upgrade
_ENDED_S = 30.0  # for tasks that are ended, beyond their graces
_SHOWN = 10  # that a sentence names


class Bound(NamedTuple):
    """Tasks by their ids, and actions whose services they are."""

    tasks: tuple[str, ...] = ()
    services: tuple[str, ...] = ()

    def __str__(self) -> str:
        return ", ".join([*_named("the task", self.tasks), *_named("the service of", self.services)])


def _named(what: str, names: Sequence[str]) -> list[str]:
    more = len(names) - _SHOWN
    return [f"{what} {name}" for name in names[:_SHOWN]] + ([f"{more} more"] if more > 0 else [])


class LeftError(RequestError):
    """Something cannot go on in another program."""

    code = "conflict"

    def __init__(self, left: Bound) -> None:
        ways = "wait for them to end (wait_ms), or have them ended (force)"
        super().__init__(f"these cannot survive an upgrade: {left}; {ways}")


def is_settled(hub: Hub) -> bool:
    """Whether all observers have heard of what has happened."""
    return not hub._table.observers.busy


def running(hub: Hub) -> int:
    """How many runs there are."""
    with hub._table.lock:
        return sum(task.worker is not None and task.phase is Phase.RUNNING for task in hub._table)


def look(hub: Hub) -> Bound:
    """What there is now.

    Raises:
        ClosingError: the server is shutting down.
    """
    with hub._table.lock:
        return look_locked(hub)


def look_locked(hub: Hub) -> Bound:
    """The same."""
    assert_held(hub._table.lock)
    hub._table.refuse_closing()
    tasks = tuple(task.id for task in hub._table if bound_to_this_program(task))
    return Bound(tasks, tuple(hub.services.bound))


def _wait_for_tasks(hub: Hub, until: float) -> bool:
    """Wait until no task is bound to this program; False if some are at that moment (monotonic)."""
    table = hub._table
    with table.lock:
        return table.freed.wait_for(
            lambda: not any(map(bound_to_this_program, table)), max(0.0, until - time.monotonic())
        )


def wait(
    hub: Hub, until: Callable[[], float], forced: Callable[[], bool], wanted: Callable[[], bool]
) -> None:
    """Wait until nothing is bound to this program; services are told to return once no task is.

    Args:
        until: how long (monotonic).
        forced: whether what is left is to be ended instead, so that this returns.
        wanted: whether anybody still waits for this.

    Raises:
        RequestError: something is left, nobody wants it any more, or the server is shutting down; services go
            on.
    """
    while True:
        _wait_for_tasks(hub, min(until(), time.monotonic() + _LOOK_S))
        left = look(hub)
        if not left.tasks:
            hub.services.interrupt(max(0.0, min(_LOOK_S, until() - time.monotonic())))
            left = look(hub)
            if not any(left):
                return
            if left.tasks:  # begun meanwhile, and nobody knows how long they take
                hub.services.update()
        if forced():
            return
        if not wanted():
            raise RequestError("nobody waits for the upgrade any more", code="conflict")
        if time.monotonic() >= until():
            raise RequestError(f"these have not ended in time: {left}", code="conflict")


def end(hub: Hub) -> tuple[str, ...]:
    """End all of it; returns the tasks that were ended.

    Raises:
        OverseerError: they do not end.
    """
    tasks = look(hub).tasks
    for name in tasks:
        try:
            hub.stop(name)
        except RequestError as error:
            _log.warning("task %s cannot be stopped: %s", name, error.message)
    hub.services.abandon()
    if not _wait_for_tasks(hub, time.monotonic() + hub.shutdown_budget + _ENDED_S):
        raise OverseerError(f"these did not end: {look(hub)}")
    return tasks
