"""A few seconds of the soak, from a seed that stays; `make soak` runs it for longer, each time anew."""

from __future__ import annotations

from typing import Any

import pytest

from tests.soak.model import Broken, Pictures, Unfinished
from tests.soak.soak import soak


@pytest.mark.long
def test_a_short_soak() -> None:
    print(soak(1, seconds=3.0, clients=10))


def _task(**row: str) -> dict[str, object]:
    made = {"task_id": "t", "state": "active", "created_at": "2026-01-02T03:00:00.000000Z"}
    return {"type": "tasks", "id": "l", "tasks": [made | row]}


def _pool(type: str, limit: int, *items: dict[str, str]) -> dict[str, object]:
    return {"type": type, "action": "a", "pool": {"limit": limit, "running": 0, "queue_items": items}}


_EXITED = {"type": "exited", "task_id": "t", "pid": 7, "ts": "2026-01-02T03:04:06.000000Z"}
_DEQUEUED = {"type": "dequeued", "task_id": "t", "ts": "2026-01-02T03:04:06.000000Z"}


@pytest.mark.parametrize(
    "heard",
    [
        [_EXITED, _task(worker_state="running", last_started_at="2026-01-02T03:04:05.000000Z")],
        [{**_EXITED, "type": "started"}, _task(last_started_at="2026-01-02T03:04:05.000000Z")],
        [{**_EXITED, "type": "errored"}, _task(worker_state="exited")],
        [_DEQUEUED, _task(state="queued", queued_at="2026-01-02T03:04:05.000000Z")],
        [_DEQUEUED, _pool("pool_info", 1, {"task_id": "t", "queued_at": "2026-01-02T03:04:05.000000Z"})],
        [_pool("pool_updated", 5), _pool("pool_info", 3)],
        [{"type": "metrics", "global": {"n": 2}}, {"type": "metrics", "global": {"n": 1}}],
    ],
)
def test_its_model_refuses_replies_older_than_what_came_before(heard: list[dict[str, object]]) -> None:
    pictures = Pictures()
    pictures.see(heard[0])
    with pytest.raises(Broken):
        pictures.see(heard[1])


_ASKED = {"type": "subscribe", "partial": True}
_SUBSCRIBED = {"type": "subscribed", "task_id": "t"}
_MAKING = {"type": "partial", "task_id": "t", "pid": 7, "stream": "stdout", "data": "3 of it"}
_OUTPUT = {**_MAKING, "type": "output", "seq": 1}


@pytest.mark.parametrize(
    ("asked", "between"),
    [
        ({**_ASKED, "partial": False}, []),
        (_ASKED, [{"type": "unsubscribed", "task_id": "t"}]),
        (_ASKED, [_EXITED]),
        (_ASKED, [{**_OUTPUT, "data": "3 of it\r3 done"}]),
        (_ASKED, [{**_OUTPUT, "data": "4 of it\r4 done"}]),
    ],
)
def test_its_model_refuses_lines_in_the_making(
    asked: dict[str, object], between: list[dict[str, Any]]
) -> None:
    heard = Unfinished()
    heard.see(_SUBSCRIBED, _ASKED)
    heard.see(_MAKING, None)
    heard.see(_SUBSCRIBED, asked)
    for message in between:
        heard.see(message, None)
    with pytest.raises(Broken):
        heard.see(_MAKING, None)
