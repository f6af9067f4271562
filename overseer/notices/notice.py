"""A notice, and the forms it is written in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any

from overseer.protocol import dump, utf8
from overseer.templates import Value
from overseer.util.ids import new_id
from overseer.util.timestamps import format_timestamp, now, parse_timestamp

_PREFIX = "OVERSEER_NOTICE_"  # of the variables of a program
_SHOWN = 256  # characters of a parameter
_MOST = 100  # parameters


@dataclass(frozen=True, slots=True)
class Notice:
    """What a channel is sent once, in however many attempts.

    Attributes:
        id: the same for each attempt to deliver it.
        event: a word of a rule's ``on``, or "test".
        message: a sentence for people.
        trigger: what asked for the start, as in the history: "client", "schedule:NAME".
        ts: when it happened.
        since: when the state that it reports began; ``ts`` if that has no duration.
        count: how often that has happened since.
        reminder: whether it repeats an earlier notice of a state that persists.
    """

    event: str
    message: str
    ts: datetime
    since: datetime
    task_id: str = ""
    action: str = ""
    run_id: str = ""
    reason: str = ""
    exit_code: int | None = None
    signal: str = ""
    params: Mapping[str, str] | None = None
    trigger: str = ""
    count: int = 1
    reminder: bool = False
    server: str = ""
    id: str = ""

    def with_id(self, digits: str | None = None) -> Notice:
        """The same with an id of these digits; None: a new one."""
        return replace(self, id=f"msg_{new_id() if digits is None else digits}")

    @property
    def data(self) -> dict[str, Any]:
        """The fields for JSON, without empty ones."""
        plain = {each.name: getattr(self, each.name) for each in fields(self)}
        plain |= {name: format_timestamp(plain[name]) for name in ("ts", "since")}
        plain["params"] = _shown(self.params or {})
        kept = ("id", "event", "message", "reminder", "count")
        return {name: value for name, value in plain.items() if name in kept or value not in ("", None, {})}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Notice:
        """The notice whose :attr:`data` it is.

        Raises:
            KeyError, TypeError, ValueError: it is not the data of a notice.
        """
        known = {each.name for each in fields(cls)}
        given = {name: value for name, value in data.items() if name in known}
        return cls(**given | {name: parse_timestamp(given[name]) for name in ("ts", "since")})

    @property
    def document(self) -> bytes:
        """The usual body: JSON, as Standard Webhooks advises."""
        data = self.data
        return dump({"type": f"task.{self.event}", "timestamp": data["ts"], "data": data})

    @property
    def values(self) -> dict[str, Value]:
        """The names for a body's template; texts are escaped as between quotes in JSON."""
        data = self.data
        texts = {each.name: _escaped(_text(data.get(each.name, ""))) for each in fields(self)}
        params = {name: _escaped(value) for name, value in data.get("params", {}).items()}
        return {**texts, "params": params, "reminder": self.reminder}

    @property
    def variables(self) -> dict[str, str]:
        """The variables that a program is given."""
        texts = {name: _text(value) for name, value in self.data.items() if not isinstance(value, dict)}
        return {f"{_PREFIX}{name.upper()}": value.replace("\0", "\ufffd") for name, value in texts.items()}


def test_of(channel: str, server: str) -> Notice:
    """The notice that tests a channel."""
    at = now()
    return Notice("test", f"a test of the channel {channel}", at, at, server=server).with_id()


def _shown(params: Mapping[str, str]) -> dict[str, str]:
    some = list(params.items())[:_MOST]
    return {name: text if len(text) <= _SHOWN else text[:_SHOWN] + "..." for name, text in some}


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _escaped(text: str) -> str:
    return json.dumps(utf8(text).decode(), ensure_ascii=False)[1:-1]
