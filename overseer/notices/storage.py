"""What notices leave to the next server: what was reported, and what is still to be delivered."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from overseer.errors import RequestError
from overseer.history.rows import pay
from overseer.notices.notice import Notice
from overseer.notices.outbox import GIVE_UP_S, LONGEST_S, Pending, Storage
from overseer.notices.rules import Key, State
from overseer.protocol import dump
from overseer.util.timestamps import from_micros, now, to_micros

if TYPE_CHECKING:
    from overseer.history.store import History
    from overseer.history.transaction import Statement

_log = logging.getLogger(__name__)

_ADD = "INSERT OR IGNORE INTO notices (channel, id, notice, created, attempts, due) VALUES (?, ?, ?, ?, ?, ?)"
_TRY = "UPDATE notices SET attempts = ?, due = ?, holds_up = ? WHERE channel = ? AND id = ?"
_REMOVE = "DELETE FROM notices WHERE channel = ? AND id = ?"
_PENDING = "SELECT channel, notice, created, attempts, due, holds_up FROM notices ORDER BY rowid"
_TELL = (
    "INSERT INTO told (rule, subject, kind, since, count, told, notice) VALUES (?, ?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (rule, subject, kind) DO UPDATE SET since = excluded.since, count = excluded.count, "
    "told = excluded.told, notice = excluded.notice"
)
_FORGET = "DELETE FROM told WHERE rule = ? AND subject = ? AND kind = ?"
_TOLD = "SELECT rule, subject, kind, since, count, told, notice FROM told"


class States(Storage):
    """Stores states and notices in the history's database; without one it stores nothing.

    Args:
        room: in which the history keeps what is to be reported.
    """

    def __init__(self, history: History | None, room: str) -> None:
        self._history = history
        self._room = room

    def load(self) -> tuple[dict[Key, State], list[Pending]]:
        """What an earlier server stored."""
        if self._history is None:
            return {}, []
        try:
            told, pending = self._history.select(_TOLD), self._history.select(_PENDING)
        except RequestError as error:
            _log.error("cannot read which notices were sent before: %s", error.message)
            return {}, []
        return _states(told), [each for row in pending if (each := _pending(*row)) is not None]

    def told(self, pending: Iterable[Pending], states: Mapping[Key, State | None], run_id: str = "") -> None:
        """Store notices that are to be delivered, and the states that say so (None: forgotten), all together;
        and that the end of a run, if it is one, is reported with them. Returns at once."""
        statements = [_added(each) for each in pending]
        statements += [_changed(key, state) for key, state in states.items()]
        if run_id:
            statements.append(pay(run_id, self._room))
        self._put(*statements)

    def tried(self, pending: Pending) -> None:
        due = to_micros(now()) + int((pending.due - time.monotonic()) * 1e6)
        self._put((_TRY, (pending.attempts, due, int(pending.holds_up), pending.channel, pending.notice.id)))

    def over(self, pending: Pending) -> None:
        self._put((_REMOVE, (pending.channel, pending.notice.id)))

    def _put(self, *statements: Statement) -> None:
        if self._history is not None and statements:
            self._history.put(*statements)


def _added(pending: Pending) -> Statement:
    created = to_micros(pending.created)
    return _ADD, (pending.channel, pending.notice.id, _text(pending.notice), created, 0, created)


def _changed(key: Key, state: State | None) -> Statement:
    if state is None:
        return _FORGET, tuple(key)
    return _TELL, _row(key, state)


def _row(key: Key, state: State) -> tuple[Any, ...]:
    return (*key, to_micros(state.since), state.count, to_micros(state.told), _text(state.notice))


def _states(rows: Iterable[Iterable[Any]]) -> dict[Key, State]:
    """Those that were stored as these rows."""
    states = {}
    for rule, subject, kind, since, count, told, text in rows:
        if (notice := _notice(text)) is not None:
            states[Key(rule, subject, kind)] = State(from_micros(since), count, from_micros(told), notice)
    return states


def _text(notice: Notice) -> str:
    return dump(notice.data).decode()


def _notice(text: str) -> Notice | None:
    try:
        return Notice.from_data(json.loads(text))
    except (KeyError, TypeError, ValueError):
        _log.exception("a notice that was stored cannot be read")
        return None


def _pending(channel: str, text: str, created: int, attempts: int, due: int, holds_up: int) -> Pending | None:
    """A stored notice; setting the clock meanwhile neither gives it up at once nor delays it further."""
    notice = _notice(text)
    at, wall = time.monotonic(), to_micros(now())
    age = min(max(0.0, (wall - created) / 1e6), GIVE_UP_S)
    wait = min(max(0.0, (due - wall) / 1e6), LONGEST_S)
    if notice is None:
        return None
    expires = at + max(GIVE_UP_S - age, wait + 1.0)
    return Pending(channel, notice, from_micros(created), expires, at + wait, attempts, bool(holds_up))


def notices_to(states: Mapping[Key, State], pending: Iterable[Pending]) -> dict[str, Any]:
    """What another program has to know of them, see :func:`notices_from`."""
    return {
        "states": [list(_row(key, state)) for key, state in states.items()],
        "pending": [_plain(each) for each in pending],
    }


def _plain(each: Pending) -> list[Any]:
    text, created = _text(each.notice), to_micros(each.created)
    return [each.channel, text, created, each.expires, each.due, each.attempts, each.holds_up]


def notices_from(data: Mapping[str, Any]) -> tuple[dict[Key, State], list[Pending]]:
    """What was written down."""
    pending = []
    for channel, text, created, expires, due, attempts, holds_up in data["pending"]:
        if (notice := _notice(text)) is not None:
            pending.append(Pending(channel, notice, from_micros(created), expires, due, attempts, holds_up))
    return _states(data["states"]), pending
