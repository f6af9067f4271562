"""How messages, and the values in them, are declared."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any, ClassVar, TypeVar, dataclass_transform

from overseer.schema.fields import Declared, declared, field, optional
from overseer.schema.types import REQUEST_ID, TASK_ID, TEXT

_T = TypeVar("_T", bound=Declared)


VALUES: list[type[Declared]] = []
"""Every class that is declared so, in the order the documents list them."""


@dataclass_transform(frozen_default=True, field_specifiers=(field, optional))
def value(*, init: bool = True, kw_only: bool = False) -> Callable[[type[_T]], type[_T]]:
    def register(cls: type[_T]) -> type[_T]:
        made = declared(init=init, kw_only=kw_only)(cls)
        VALUES.append(made)
        return made

    return register


class Delivery(StrEnum):
    """Who is sent a message."""

    DIRECT = "direct"
    BROADCAST = "broadcast"
    SUBSCRIBERS = "broadcast_subscribers"
    WATCHERS = "watchers"


@declared()
class Request:
    """Base of all requests."""

    type: ClassVar[str]
    either: ClassVar[tuple[str, ...]] = ()  # fields of which one at least is needed
    id: str = field(REQUEST_ID, "Repeated in the answer; any text unique among your requests")


@declared()
class TaskRequest(Request):
    """Base of the requests about one task."""

    task_id: str = field(TASK_ID, "The task")


@declared()
class Event:
    """Base of all messages from the server."""

    type: ClassVar[str]
    delivery: ClassVar[Delivery]


@declared()
class Reply(Event):
    """Base of the answers to requests."""

    id: str = field(TEXT, "The request's")


@declared()
class TaskReply(Reply):
    """Base of those about one task."""

    task_id: str = field(TASK_ID, "The task")


REQUESTS: dict[str, type[Request]] = {}
"""Every request by its ``type``, in the order the documents list them."""
EVENTS: dict[str, type[Event]] = {}
"""Every message from the server, likewise."""

_R = TypeVar("_R", bound=Request)
_E = TypeVar("_E", bound=Event)
_M = TypeVar("_M", bound=Request | Event)


@dataclass_transform(frozen_default=True, field_specifiers=(field, optional))
def request(name: str) -> Callable[[type[_R]], type[_R]]:
    """Makes the class the request that the wire calls ``name``."""
    return lambda cls: _registered(cls, name, REQUESTS)


@dataclass_transform(frozen_default=True, field_specifiers=(field, optional))
def event(name: str, delivery: Delivery) -> Callable[[type[_E]], type[_E]]:
    """Makes the class the message that the wire calls ``name``."""

    def register(cls: type[_E]) -> type[_E]:
        cls.delivery = delivery
        return _registered(cls, name, EVENTS)

    return register


def _registered(cls: type[_M], name: str, messages: dict[str, Any]) -> type[_M]:
    cls.type = name
    messages[name] = made = declared()(cls)
    return made
