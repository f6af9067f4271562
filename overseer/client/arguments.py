"""Converts programs' arguments to messages' fields; a wrong one raises TypeError or ValueError."""

from __future__ import annotations

import enum
import math
import os
import uuid
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any, Protocol, TypeAlias

from overseer.protocol import ActionInfo, ExcessConfig, MessageLimits, RetryPolicy, TaskInfo, Unreadable
from overseer.schema.quantities import SIDE
from overseer.schema.types import SIGNAL
from overseer.util.durations import format_duration, nanoseconds
from overseer.util.timestamps import format_timestamp, now, parse_timestamp

Seconds: TypeAlias = float | timedelta | str
"""A length of time: a number of seconds, a timedelta, or a Go duration such as ``"1m30s"``."""

Moment: TypeAlias = datetime | timedelta | str
"""A moment: a datetime (one without a zone is local time, as everywhere in Python), how long ago as a
timedelta, or an RFC 3339 string."""

_LONGEST_S = 1e9  # practically no limit; a thread cannot wait much longer
_LEAST_NANOS = 1000
_MOST_S = 1e8  # three years: who gives more means nanoseconds
_DURATIONS = ("restart_delay", "restart_jitter", "error_window", "restart_max_delay", "restart_reset")


class HasId(Protocol):
    @property
    def id(self) -> str: ...


TaskId: TypeAlias = str | uuid.UUID | HasId | TaskInfo
"""A task's id, a string or a UUID, or what has one: a ``Task``, or a ``TaskInfo`` of ``Client.tasks``."""


def seconds_of(value: Seconds | None, name: str = "timeout") -> float | None:
    """A length of time in seconds; None stays None."""
    if value is None:
        return None
    if isinstance(value, str):
        try:
            value = nanoseconds(value) / 1e9
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    elif isinstance(value, timedelta):
        value = value.total_seconds()
    elif isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong(name, "a number of seconds, a timedelta or a duration such as '5s'", value)
    if math.isnan(value) or value < 0:
        raise ValueError(f"{name} must be zero or more, not {value!r}")
    return min(float(value), _LONGEST_S)


def moment_of(value: Moment | None, name: str = "since") -> datetime | None:
    """An aware moment; None stays None."""
    if isinstance(value, timedelta):
        return now() - value
    if isinstance(value, str):
        return parse_timestamp(value)
    if value is not None and not isinstance(value, datetime):
        raise _wrong(name, "a datetime, a timedelta or a time such as '2026-03-14T09:26:53Z'", value)
    return None if value is None else value.astimezone()


def text_of(value: object, name: str, *, empty: bool = False) -> str:
    """A string, or the value of an enum's member. An empty one must be allowed explicitly: usually it is a
    variable that was never set."""
    if isinstance(value, enum.Enum):
        value = value.value
    if not isinstance(value, str):
        raise _wrong(name, "a string", value)
    if not value and not empty:
        raise ValueError(f"{name} must not be empty")
    return _sound(value, name)


def action_name(value: object) -> str:
    """An action's name, given as such or as its ``ActionInfo``."""
    return value.name if isinstance(value, ActionInfo) else text_of(value, "action")


def name_of(action: ActionInfo | str | None) -> str:
    """The name of an action; "" for None."""
    return "" if action is None else action_name(action)


def task_id_of(value: TaskId) -> str:
    if isinstance(value, TaskInfo):
        return value.task_id
    if isinstance(value, uuid.UUID):
        return str(value)
    held = getattr(value, "id", value)
    return text_of(held if isinstance(held, str) else value, "task_id")


def optional_id(value: TaskId | None) -> str:
    """The id of a task; "" for None."""
    return "" if value is None else task_id_of(value)


def seq_of(value: int | None) -> int | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
        raise _wrong("since_seq", "a whole number", value)
    if value is not None and value < 0:
        raise ValueError(f"since_seq must be zero or more, not {value}")
    return value


def signal_of(value: str | int) -> str:
    """A signal's full name, or its number in digits where it has none."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise _wrong("signal", "the name or number of a signal", value)
    try:
        return SIGNAL.from_json(value if isinstance(value, str) else int(value), "signal", MessageLimits())
    except Unreadable as error:
        raise ValueError(str(error)) from None


def input_of(value: str | bytes) -> tuple[str, bytes]:
    """What to give a task, as a string or as bytes; the other one is empty."""
    if isinstance(value, str):
        return _sound(value, "data"), b""
    if not isinstance(value, bytes | bytearray | memoryview):
        raise _wrong("data", "a string or bytes", value)
    return "", bytes(value)


def side_of(value: int) -> int:
    """The rows or columns of a terminal."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise _wrong("a terminal's size", "a whole number", value)
    try:
        return int(SIDE.from_json(int(value), "a terminal's size", MessageLimits()))
    except Unreadable as error:
        raise ValueError(str(error)) from None


def policy_of(value: RetryPolicy | Mapping[str, Any] | None) -> RetryPolicy | None:
    if value is None:
        return None
    policy = RetryPolicy(**_in_seconds(value)) if isinstance(value, Mapping) else value
    if not isinstance(policy, RetryPolicy):
        raise _wrong("retry_policy", "a RetryPolicy, or a mapping of its fields", value)
    for name in _DURATIONS:
        if 0 < (nanos := getattr(policy, name)) < _LEAST_NANOS:
            raise ValueError(f"{name}={nanos} is {nanos} nanoseconds; for seconds write {name}='{nanos}s'")
    return policy


def _in_seconds(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a policy; numbers among its durations are seconds."""
    found = dict(fields)
    for name in _DURATIONS:
        number = found.get(name)
        if isinstance(number, int | float) and not isinstance(number, bool):
            if number > _MOST_S:
                raise ValueError(f"{name}: {number} is in seconds here, and too many")
            found[name] = float(number)
    return found


def excess_of(value: ExcessConfig | Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    if isinstance(value, ExcessConfig):
        value = {name: getattr(value, name) for name in ("action", "order", "grace")}
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise _wrong("excess", "an ExcessConfig, or a mapping of its fields", value)
    ExcessConfig(**value)  # refuses unknown names
    plain = {name: text_of(value[name], name) for name in ("action", "order") if name in value}
    return {**plain, "grace": seconds_of(value["grace"], "grace")} if "grace" in value else plain


def params_of(params: Mapping[str, object] | None, more: Mapping[str, object]) -> dict[str, str]:
    """Parameters as strings, as on the wire, without those that are None. :meth:`Client.start` says how other
    types are written."""
    if params is not None and not isinstance(params, Mapping):
        raise _wrong("params", "a mapping of names to values", params)
    texts = {}
    for name, value in {**(params or {}), **more}.items():
        if not isinstance(name, str):
            raise _wrong(f"the name {name!r} of a parameter", "a string", name)
        if value is not None:
            texts[_sound(name, "a parameter's name")] = _sound(_param(value, name), f"the parameter {name!r}")
    return texts


def _param(value: Any, name: str) -> str:
    if isinstance(value, enum.Enum):
        value = value.value
    match value:
        case str():
            return str(value)
        case bool():
            return "true" if value else "false"
        case float():
            if not math.isfinite(value):
                raise ValueError(f"the parameter {name!r} is {value!r}, which JSON cannot hold")
            return float.__repr__(value)
        case timedelta():
            return format_duration(value // timedelta(microseconds=1) * 1000)
        case datetime():
            return format_timestamp(value)
        case date():
            return value.isoformat()
        case bytes() | bytearray() | memoryview():
            raise TypeError(f"the parameter {name!r} is bytes; decode it to a string")
        case os.PathLike():
            path = os.fspath(value)
            return path if isinstance(path, str) else os.fsdecode(path)
        case uuid.UUID():
            return str(value)
    if hasattr(type(value), "__index__"):
        return str(value.__index__())
    if type(value).__module__ == "decimal":
        return str(value)
    raise TypeError(
        f"the parameter {name!r} is a {type(value).__name__}; parameters are strings, so write it as the "
        "action expects it, such as with json.dumps"
    )


def _sound(text: str, name: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{name} holds half a surrogate pair, which is not a character: {text!a}") from None
    return text


def _wrong(name: str, expected: str, value: object) -> TypeError:
    return TypeError(f"{name} must be {expected}, not {type(value).__name__}")
