"""From a received message to a request, and from a message to its bytes."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from overseer.errors import RequestError
from overseer.protocol.declare import EVENTS, REQUESTS, Event, Request
from overseer.protocol.events import PoolUpdated
from overseer.protocol.replies import PoolInfoReply, Tasks
from overseer.protocol.requests import Input, MetricsRequest, Start
from overseer.protocol.values import QueueItem, TaskInfo
from overseer.protocol.watching import Watching
from overseer.schema.limits import MessageLimits
from overseer.schema.location import quoted
from overseer.schema.objects import from_plain, read_fields, to_plain
from overseer.schema.types import REQUEST_ID, TEXT, FieldType, Unreadable
from overseer.util.suggest import nearest

_DEFAULT_LIMITS = MessageLimits()


_to_text = json.JSONEncoder(
    ensure_ascii=False, check_circular=False, allow_nan=False, separators=(",", ":")
).encode
_SURROGATE = re.compile("[\ud800-\udfff]")


def dump(plain: Any) -> bytes:
    """Compact JSON in UTF-8, as :func:`utf8` makes it."""
    return utf8(_to_text(plain))


def utf8(text: str) -> bytes:
    """UTF-8 of any text. Half surrogate pairs, which it cannot hold, become U+FFFD."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return _SURROGATE.sub("\ufffd", text).encode()


def encode(message: Event | Request | TaskInfo) -> bytes:
    """The message as compact JSON in UTF-8, its fields in their declared order.

    Half surrogate pairs in any text become U+FFFD: no text makes this fail.
    """
    return dump(to_plain(message))


def encode_rows(reply: Tasks | Watching, rows: Iterable[bytes]) -> bytes:
    """A message whose tasks, of which it says that there are none, are encoded already."""
    before, brackets, after = encode(reply).partition(b'"tasks":[]')
    return _joined(before + brackets.removesuffix(b"]"), [*rows], b"]" + after)


def queue_row(item: QueueItem) -> tuple[bytes, bytes]:
    """An item of a queue as JSON, without its position: what comes before that and what after it."""
    before, position, after = dump(to_plain(item)).rpartition(b'"position":%d' % item.position)
    return before + position.removesuffix(b"%d" % item.position), after


def encode_pool(message: PoolInfoReply | PoolUpdated, rows: Iterable[tuple[bytes, bytes]]) -> bytes:
    """A message about a pool whose items are encoded already, in their order: see :func:`queue_row`."""
    empty = encode(message)
    items = [b"%b%d%b" % (row[0], position, row[1]) for position, row in enumerate(rows)]
    return _joined(empty.removesuffix(b"}}") + b',"queue_items":[', items, b"]}}") if items else empty


def _joined(head: bytes, rows: list[bytes], tail: bytes) -> bytes:
    """An array and what surrounds it, joined at once, as it may be megabytes long."""
    if not rows:
        return head + tail
    rows[0] = head + rows[0]
    rows[-1] += tail
    return b",".join(rows)


def event_from(raw: Mapping[str, Any]) -> Event | None:
    """The event in a server's message, given as decoded JSON; None for an unknown type.

    Raises:
        Unreadable: it is of a known type and a field is missing or of another shape.
    """
    cls = EVENTS.get(raw.get("type", ""))
    event: Event | None = None if cls is None else from_plain(cls, raw)
    return event


def parse_request(data: str | bytes, limits: MessageLimits = _DEFAULT_LIMITS) -> Request:
    """The request that one text or binary message holds.

    Raises:
        RequestError: whatever else the message is. Its text says what is wrong and what was expected, its
            ``id`` is the request's where that can be told, else ``""``.
    """
    request_id = ""
    try:
        raw = _decode(data, limits)
    except Unreadable as error:
        raise RequestError(str(error), id=_salvaged_id(data, limits), code="invalid") from None
    try:
        request_id = _required(raw, "id", REQUEST_ID, limits)
        message_type = _required(raw, "type", TEXT, limits)
        cls = REQUESTS.get(message_type)
        if cls is None:
            raise _unknown(message_type)
        request = cls(**read_fields(cls, raw, f"{message_type}: ", limits))
        if isinstance(request, Start) and not (request.action or request.task_id):
            raise Unreadable(f"start: action is required ({TEXT.expected})")
        if isinstance(request, MetricsRequest) and request.action and request.task_id:
            raise Unreadable("metrics: give action or task_id, not both")
        if isinstance(request, Input):
            if request.data and request.data_base64:
                raise Unreadable("input: give data or data_base64, not both")
            if not (request.data or request.data_base64 or request.eof):
                raise Unreadable("input: there is nothing to give: data, data_base64 or eof is needed")
    except Unreadable as error:
        raise RequestError(str(error), id=request_id, code="invalid") from None
    return request


def _required(raw: dict[str, Any], name: str, of: FieldType, limits: MessageLimits) -> str:
    value = raw.get(name)
    if value is None or value == "":
        raise Unreadable(f"{name} is required ({of.expected})")
    text: str = of.from_json(value, name, limits)
    return text


def _unknown(message_type: str) -> Unreadable:
    near = nearest(message_type, REQUESTS)
    advice = f"did you mean {quoted(near)}?" if near else f"there are {', '.join(REQUESTS)}"
    return Unreadable(f"unknown type {quoted(message_type)}; {advice}")


def _decode(data: str | bytes, limits: MessageLimits) -> dict[str, Any]:
    """The JSON object in a message; raises Unreadable."""
    try:
        text = data if isinstance(data, str) else str(data, "utf-8")
    except UnicodeDecodeError as error:
        raise Unreadable(f"the message is not UTF-8: byte {error.start + 1} cannot be part of it") from None
    try:
        raw = _strict.decode(text)
    except json.JSONDecodeError as error:
        raise Unreadable(f"the message is not JSON: {error.msg} (at character {error.pos + 1})") from None
    except RecursionError:
        raise _too_deep(limits) from None
    except ValueError as error:
        # Python refuses numbers of thousands of digits, whose conversion takes quadratic time.
        reason = str(error) if isinstance(error, _NotStrict) else "a number has too many digits"
        raise Unreadable(f"the message is not usable JSON: {reason}") from None
    if not isinstance(raw, dict):
        raise Unreadable('the message must be a JSON object, such as {"type": "list", "id": "1"}')
    # As many brackets as levels are needed to be too deep: most messages need no second look.
    if text.count("{") + text.count("[") > limits.depth and _deeper_than(raw, limits.depth):
        raise _too_deep(limits)
    return raw


def _too_deep(limits: MessageLimits) -> Unreadable:
    return Unreadable(f"the message is nested too deeply; at most {limits.depth} levels are allowed")


def _deeper_than(value: Any, levels: int) -> bool:
    """Whether objects and arrays are nested more than ``levels`` deep; not recursive."""
    layer = [value]
    for _ in range(levels):
        inner: list[Any] = []
        for item in layer:
            inner.extend(item.values() if isinstance(item, dict) else item)
        layer = [item for item in inner if isinstance(item, dict | list)]
        if not layer:
            return False
    return True


class _NotStrict(ValueError):
    """Something that Python's decoder accepts and others do not."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        (twice, _), *_ = Counter(key for key, _ in pairs).most_common(1)
        raise _NotStrict(f"the key {quoted(twice)} is there twice")
    return result


def _no_constant(name: str) -> Any:
    raise _NotStrict(f"{name} is not a JSON value")


_STRICT: Any = {"object_pairs_hook": _unique, "parse_constant": _no_constant}
_strict = json.JSONDecoder(**_STRICT)


def load_strictly(data: bytes) -> Any:
    """JSON that every decoder understands alike.

    Raises:
        ValueError: it is not; the text says why.
        RecursionError: it is nested too deeply.
    """
    return json.loads(data, **_STRICT)


class _Twice(dict[str, Any]):
    """An object in which a key was given twice; ``ambiguous`` holds such keys."""

    ambiguous: frozenset[str] = frozenset()


def _forgiving_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = _Twice(pairs)
    if len(result) != len(pairs):
        times = Counter(key for key, _ in pairs)
        result.ambiguous = frozenset(key for key, count in times.items() if count > 1)
    return result


# Numbers stay texts, since neither their size nor NaN matters when all that is wanted is the id.
_forgiving = json.JSONDecoder(object_pairs_hook=_forgiving_pairs, parse_int=str.__len__, parse_float=len)


def _salvaged_id(data: str | bytes, limits: MessageLimits) -> str:
    """The id of a message that was refused before its id was read, or ``""``."""
    try:
        raw = _forgiving.decode(data if isinstance(data, str) else str(data, "utf-8"))
        if not isinstance(raw, _Twice) or "id" in raw.ambiguous:
            return ""
        return REQUEST_ID.from_json(raw.get("id"), "id", limits)
    except (ValueError, RecursionError, Unreadable):
        return ""
