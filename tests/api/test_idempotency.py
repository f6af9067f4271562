"""Idempotency-Keys whose first request has not heard its answer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from overseer.api.exchange import GoneError, Message
from overseer.api.outcome import Keys
from overseer.api.problems import RefusedError, refused
from overseer.auth.rights import Principal
from overseer.util.timestamps import format_timestamp


class _Call:
    """Stands in for a call; ``answers`` are given, or raised, to one request after the other."""

    def __init__(self, *answers: Message | Exception, tasks: dict[str, Message] | None = None) -> None:
        self.given: dict[str, Any] = {"action": "a"}
        peer = SimpleNamespace(principal=Principal("ana", "operator"))
        self.request = SimpleNamespace(headers={"idempotency-key": "k"}, peer=peer)
        self.asked: list[str] = []
        self._answers = list(answers)
        self.exchange = SimpleNamespace(task=lambda task_id: (tasks or {}).get(task_id, {}))

    def ask(self, task_id: str) -> Message:
        self.asked.append(task_id)
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return {"task_id": task_id, **answer}


def _start(keys: Keys, call: _Call) -> tuple[Message, bool]:
    return keys.start(call)  # type: ignore[arg-type]


_LOST = [GoneError("gone"), refused(504, "the server has not answered in time")]


def _row(**ago: float) -> Message:
    return {"created_at": format_timestamp(datetime.now(UTC) - timedelta(**ago)), "status": "running"}


@pytest.mark.parametrize("lost", _LOST)
@pytest.mark.parametrize("restored", [False, True])
def test_a_start_that_may_have_happened_is_looked_for(lost: Exception, restored: bool):
    keys = Keys()
    first = _Call(lost)
    with pytest.raises(type(lost)):
        _start(keys, first)
    (task_id,) = first.asked
    if restored:
        data = keys.export()
        keys = Keys()
        keys.restore(data)
    again = _Call(tasks={task_id: {"task_id": task_id, **_row()}})
    answer, repeated = _start(keys, again)
    assert (answer["task_id"], repeated, again.asked) == (task_id, True, [])
    assert _start(keys, _Call())[0] == answer


@pytest.mark.parametrize("tasks", [{}, _row(hours=1)])
def test_one_that_did_not_happen_is_made_under_the_same_name(tasks: Message):
    keys = Keys()
    first = _Call(GoneError("gone"))
    with pytest.raises(GoneError):
        _start(keys, first)
    again = _Call({}, tasks={first.asked[0]: tasks} if tasks else {})
    assert _start(keys, again)[0]["task_id"] == first.asked[0]
    assert again.asked == first.asked


def test_one_that_was_refused_is_forgotten():
    keys = Keys()
    with pytest.raises(RefusedError):
        _start(keys, _Call(refused(409, "taken")))
    assert keys.export() == []
