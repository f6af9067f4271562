"""How messages, and the values in them, are declared."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import ClassVar, TypeVar, dataclass_transform

from overseer.schema.fields import Declared, declared, field
from overseer.schema.types import REQUEST_ID, TASK_ID, TEXT

_T = TypeVar("_T", bound=Declared)


VALUES: list[type[Declared]] = []
"""Every class that is declared so, in the order the documents list them."""


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def value(
    *, init: bool = True, kw_only: bool = False, made_often: bool = False
) -> Callable[[type[_T]], type[_T]]:
    def register(cls: type[_T]) -> type[_T]:
        made = declared(init=init, kw_only=kw_only, made_often=made_often)(cls)
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


REQUESTS: dict[str, type[Request]] = {}
"""Every request by its ``type``, in the order the documents list them."""

_R = TypeVar("_R", bound=Request)


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def request(name: str) -> Callable[[type[_R]], type[_R]]:
    """Makes the class the request that the wire calls ``name``."""

    def register(cls: type[_R]) -> type[_R]:
        made = declared()(cls)
        made.type = name
        REQUESTS[name] = made
        return made

    return register


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


EVENTS: dict[str, type[Event]] = {}
"""Every message by its ``type``, in the order the documents list them."""

_E = TypeVar("_E", bound=Event)


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def event(name: str, delivery: Delivery) -> Callable[[type[_E]], type[_E]]:
    """Makes the class the message that the wire calls ``name``."""

    def register(cls: type[_E]) -> type[_E]:
        made = declared()(cls)
        made.type = name
        made.delivery = delivery
        EVENTS[name] = made
        return made

    return register
