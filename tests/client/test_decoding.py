"""What a server writes is read back by the declarations it was written from."""

from __future__ import annotations

import json

import pytest

from overseer.protocol import EVENTS, Error, Unreadable, encode, event_from
from overseer.protocol.specs.examples import EXAMPLES

MESSAGES = [message for message in EXAMPLES if type(message) in EVENTS.values()]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_every_message_comes_back_as_it_was(message):
    assert event_from(json.loads(encode(message))) == message


def test_every_kind_of_message_is_among_them():
    assert {type(message) for message in MESSAGES} == set(EVENTS.values())


def test_what_a_later_server_adds_is_passed_over():
    assert event_from({"type": "error", "id": "1", "message": "no", "later": [1]}) == Error("1", "no")
    assert event_from({"type": "later"}) is None
    assert event_from({}) is None


@pytest.mark.parametrize(
    "raw",
    [
        {"type": "error", "id": "1"},
        {"type": "tasks", "id": "1", "tasks": 7},
        {"type": "tasks", "id": "1", "tasks": ["x"]},
        {"type": "pool_info", "id": "1", "pool": {}},
        {"type": "dequeued", "task_id": "t", "reason": "stopped", "ts": "yesterday"},
        {"type": "dequeued", "task_id": "t", "reason": "stopped", "ts": 5},
    ],
)
def test_what_is_no_message_is_told_apart(raw):
    with pytest.raises(Unreadable):
        event_from(raw)
