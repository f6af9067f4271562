"""Which notices follow from what happens: one per change of state, for each rule and task, and reminders.

Pure: what is to be stored, and to be sent, is returned.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import NamedTuple

from overseer.config.notices import NotifyConfig
from overseer.notices.happenings import ERRORED, FAILURE, MISSED, SUCCESS, UNHEALTHY, WELL, Happening
from overseer.notices.notice import Notice
from overseer.util.ids import derived_id

MOST = 10_000
"""The most states that are kept; above, the one reported longest ago is dropped."""

# Which trouble ends with what.
_ENDS = {SUCCESS: (FAILURE, UNHEALTHY, MISSED), WELL: (FAILURE, UNHEALTHY)}


class Key(NamedTuple):
    """Whose state: ``kind`` is failure (errored included), unhealthy, missed or success."""

    rule: str
    subject: str
    kind: str


@dataclass(frozen=True, slots=True)
class State:
    """Something that was reported and persists.

    Attributes:
        since: when it began.
        count: how often it has happened since.
        told: when it was last reported, by the clock for reminders.
        notice: the report.
    """

    since: datetime
    count: int
    told: datetime
    notice: Notice


@dataclass(frozen=True, slots=True)
class Following:
    """The consequences of something that happened.

    Attributes:
        changed: the new states; None: forgotten.
        told: at most one notice for each channel.
        run_id: of the run whose end it was, or of the task that could not be started; "": it was no end.
    """

    changed: Mapping[Key, State | None]
    told: Mapping[str, Notice]
    run_id: str = ""


def key_of(rule: NotifyConfig) -> str:
    """The key of a rule's states; a rule that is changed starts afresh."""
    said = [rule.on, rule.actions, rule.tasks, rule.to]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:16]


class Rules:
    """The rules of a configuration, and the states of what they report; used by one thread at a time.

    Args:
        server: its name, for notices.
        states: as they were stored.
    """

    def __init__(
        self, rules: Sequence[NotifyConfig], server: str, states: Mapping[Key, State] | None = None
    ) -> None:
        self._rules = {key_of(rule): rule for rule in rules}
        self._server = server
        self.states = dict(states or {})
        self._changed: dict[Key, State | None] = {}  # in the current call

    def replace(self, rules: Sequence[NotifyConfig], server: str, actions: Iterable[str]) -> list[Key]:
        """Replace the rules, and the actions that exist; returns the states that are forgotten."""
        self._rules = {key_of(rule): rule for rule in rules}
        self._server = server
        known = set(actions)
        gone = [
            key
            for key, state in self.states.items()
            if key.rule not in self._rules or state.notice.action not in known
        ]
        for key in gone:
            del self.states[key]
        return gone

    def take(self, happening: Happening, at: datetime) -> Following:
        """Apply the rules to something that happened; ``at`` is now, by the clock for reminders."""
        told: dict[str, Notice] = {}
        take = self._well if happening.kind in _ENDS else self._bad
        for key, rule in self._rules.items():
            notice = take(key, rule, happening, at) if _concerns(rule, happening) else None
            if notice is not None:
                for channel in rule.to:
                    told.setdefault(channel, notice)
        while len(self.states) > MOST:
            self._set(min(self.states, key=lambda each: self.states[each].told), None)
        return self._following(told, happening.run_id if happening.is_end else "")

    def remind(self, at: datetime) -> Following:
        """The reminders that are due by now."""
        told: dict[str, Notice] = {}
        for key, state in list(self.states.items()):
            rule = self._rules.get(key.rule)
            if rule is None or not _repeats(rule, key) or _next(rule, state) > at:
                continue
            text = f"{state.notice.message} (still so, {_times(state.count)} since {_moment(state.since)})"
            notice = replace(state.notice, message=text, count=state.count, ts=at, reminder=True)
            for channel in rule.to:
                told.setdefault(channel, notice)
            self._set(key, replace(state, told=at))
        return self._following(told)

    def next_reminder(self) -> datetime | None:
        """When :meth:`remind` next has something to do; None: not before something happens."""
        return min(
            (
                _next(rule, state)
                for key, state in self.states.items()
                if (rule := self._rules.get(key.rule)) is not None and _repeats(rule, key)
            ),
            default=None,
        )

    def _following(self, told: Mapping[str, Notice], run_id: str = "") -> Following:
        changed, self._changed = self._changed, {}
        named = {channel: _named(notice, channel, run_id) for channel, notice in told.items()}
        return Following(changed, named, run_id)

    def _bad(self, rule_key: str, rule: NotifyConfig, happening: Happening, at: datetime) -> Notice | None:
        """Trouble: reported once, until it is over."""
        kind = FAILURE if happening.kind == ERRORED else happening.kind
        if kind == FAILURE:
            self._set(Key(rule_key, happening.subject, SUCCESS), None)
        if happening.kind not in rule.on and kind not in rule.on:
            return None
        key = Key(rule_key, happening.subject, kind)
        before = self.states.get(key)
        if before is not None:
            self._set(key, replace(before, count=before.count + 1))
            return None
        event = happening.kind if happening.kind in rule.on else kind
        notice = self._notice(happening, event, happening.sentence)
        self._set(key, State(happening.ts, 1, at, notice))
        return notice

    def _well(self, rule_key: str, rule: NotifyConfig, happening: Happening, at: datetime) -> Notice | None:
        """A recovery, if reported trouble is over; else a success, unless one was reported last."""
        over = [
            state
            for kind in _ENDS[happening.kind]
            if (state := self._set(Key(rule_key, happening.subject, kind), None)) is not None
        ]
        succeeded = Key(rule_key, happening.subject, SUCCESS)
        first = False
        if happening.kind == SUCCESS and SUCCESS in rule.on and succeeded not in self.states:
            first = True
            notice = self._notice(happening, SUCCESS, happening.sentence)
            self._set(succeeded, State(happening.ts, 1, at, notice))
        if over and "recovery" in rule.on:
            since, count = min(each.since for each in over), sum(each.count for each in over)
            text = f"{happening.title} has recovered; the trouble began at {_moment(since)}"
            return replace(self._notice(happening, "recovery", text), since=since, count=count)
        return self._notice(happening, SUCCESS, happening.sentence) if first else None

    def _set(self, key: Key, state: State | None) -> State | None:
        """Change a state, or forget it; returns what it was."""
        before = self.states.pop(key, None)
        if state is not None:
            self.states[key] = state
        if state is not None or before is not None:
            self._changed[key] = state
        return before

    def _notice(self, happening: Happening, event: str, message: str) -> Notice:
        return Notice(
            event,
            message,
            happening.ts,
            happening.ts,
            task_id=happening.task_id,
            action=happening.action,
            run_id=happening.run_id,
            reason=happening.reason,
            exit_code=happening.exit_code,
            signal=happening.signal,
            params=happening.params,
            trigger=happening.trigger,
            server=self._server,
        )


def _concerns(rule: NotifyConfig, happening: Happening) -> bool:
    if rule.actions and not any(fnmatchcase(happening.action, glob) for glob in rule.actions):
        return False
    names = {happening.task_id, happening.name}
    return not rule.tasks or any(fnmatchcase(name, glob) for name in names for glob in rule.tasks)


def _named(notice: Notice, channel: str, run_id: str) -> Notice:
    """The notice with an id. A server that is killed before it has stored a notice may have delivered it; the
    next one gives it the same id, if it is about the end of a run."""
    return notice.with_id(derived_id(f"{channel}/{run_id}") if run_id else None)


def _repeats(rule: NotifyConfig, key: Key) -> bool:
    return bool(rule.repeat) and key.kind != SUCCESS


def _next(rule: NotifyConfig, state: State) -> datetime:
    try:
        return state.told + timedelta(seconds=rule.repeat)
    except OverflowError:  # centuries from now
        return datetime.max.replace(tzinfo=state.told.tzinfo)


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
