"""What the server sends: exact fields, exact order, exact omissions."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime, timedelta, timezone
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overseer.protocol import (
    EVENTS,
    ActionInfo,
    ActionMetrics,
    Actions,
    Dequeued,
    Error,
    Errored,
    Event,
    ExcessConfig,
    Exited,
    Gap,
    GlobalMetrics,
    ManifestReply,
    MetricsReply,
    Output,
    ParamSpec,
    PoolConfig,
    PoolInfo,
    PoolInfoReply,
    PoolUpdated,
    Purged,
    QueueConfig,
    Queued,
    QueueItem,
    Restarting,
    RetryPolicy,
    RunTrigger,
    Started,
    Subscribed,
    TaskInfo,
    TaskMetrics,
    Tasks,
    Unsubscribed,
    encode,
    to_plain,
)
from overseer.protocol.declare import VALUES
from overseer.protocol.specs.examples import EXAMPLES
from overseer.schema.fields import fields_of

T = datetime(2024, 5, 6, 7, 8, 9, 120000, tzinfo=UTC)
TS = "2024-05-06T07:08:09.120000Z"
SECOND = 1_000_000_000
POOL = PoolInfo(4, 2, 0)
POOL_TEXT = '{"limit":4,"running":2,"queue_depth":0}'
BARE_TASK = TaskInfo(task_id="t", action="b", state="active", created_at=T)


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (Started("1", "t", 5, T), f'{{"type":"started","id":"1","task_id":"t","pid":5,"ts":"{TS}"}}'),
        (
            Started("", "t", 5, T, restart_of=4),
            f'{{"type":"started","id":"","task_id":"t","pid":5,"restart_of":4,"ts":"{TS}"}}',
        ),
        (
            Output("t", 5, "stdout", "", T, 1),
            f'{{"type":"output","task_id":"t","pid":5,"stream":"stdout","data":"","ts":"{TS}","seq":1}}',
        ),
        (
            Output("t", 5, "stderr", 'a"\\\n\u2028\u00e9\x7f', T, 2, True),
            '{"type":"output","task_id":"t","pid":5,"stream":"stderr","data":"a\\"\\\\\\n\u2028\u00e9\x7f",'
            f'"ts":"{TS}","seq":2,"truncated":true}}',
        ),
        (
            Exited("t", 5, 0, False, T, reason="exited", duration_ms=0),
            f'{{"type":"exited","task_id":"t","pid":5,"exit_code":0,"intentional":false,"ts":"{TS}",'
            '"reason":"exited","duration_ms":0}',
        ),
        (
            Exited("t", 5, -1, True, T, "SIGKILL", True, "stopped", 1500),
            f'{{"type":"exited","task_id":"t","pid":5,"exit_code":-1,"intentional":true,"ts":"{TS}",'
            '"signal":"SIGKILL","will_restart":true,"reason":"stopped","duration_ms":1500}',
        ),
        (
            Restarting("t", 5, 90 * SECOND, 1, T),
            f'{{"type":"restarting","task_id":"t","pid":5,"restart_delay":"1m30s","attempt":1,"ts":"{TS}"}}',
        ),
        (
            Restarting("t", 0, 0, 1, T),
            f'{{"type":"restarting","task_id":"t","pid":0,"restart_delay":"0s","attempt":1,"ts":"{TS}"}}',
        ),
        (Errored("t", 5, 3, T), f'{{"type":"errored","task_id":"t","pid":5,"exit_count":3,"ts":"{TS}"}}'),
        (
            Queued("1", "t", "b", 3, T),
            f'{{"type":"queued","id":"1","task_id":"t","action":"b","position":3,"ts":"{TS}"}}',
        ),
        (
            Dequeued("t", "stopped", T),
            f'{{"type":"dequeued","task_id":"t","reason":"stopped","ts":"{TS}"}}',
        ),
        (Tasks("1", ()), '{"type":"tasks","id":"1","tasks":[]}'),
        (
            Tasks("1", (BARE_TASK,)),
            '{"type":"tasks","id":"1","tasks":[{"task_id":"t","action":"b","state":"active","restart_count":0,'
            f'"created_at":"{TS}"}}]}}',
        ),
        (Actions("1", ()), '{"type":"actions","id":"1","actions":[]}'),
        (
            PoolInfoReply("1", pool=POOL),
            f'{{"type":"pool_info","id":"1","pool":{POOL_TEXT}}}',
        ),
        (
            PoolInfoReply("1", POOL, action="b"),
            f'{{"type":"pool_info","id":"1","action":"b","pool":{POOL_TEXT}}}',
        ),
        (Purged("1", 0), '{"type":"purged","id":"1","count":0}'),
        (Purged("1", 2, action="b"), '{"type":"purged","id":"1","action":"b","count":2}'),
        (PoolUpdated(POOL), f'{{"type":"pool_updated","pool":{POOL_TEXT}}}'),
        (PoolUpdated(POOL, action="b"), f'{{"type":"pool_updated","action":"b","pool":{POOL_TEXT}}}'),
        (Subscribed("1", "t"), '{"type":"subscribed","id":"1","task_id":"t"}'),
        (
            Subscribed("1", "t", 0, 0, T),
            f'{{"type":"subscribed","id":"1","task_id":"t","last_seq":0,"oldest_seq":0,"created_at":"{TS}"}}',
        ),
        (Unsubscribed("1", "t"), '{"type":"unsubscribed","id":"1","task_id":"t"}'),
        (MetricsReply("1"), '{"type":"metrics","id":"1"}'),
        (
            MetricsReply("1", global_=GlobalMetrics(1, 2, 3, 4, 5, 6, 7, 8, 9)),
            '{"type":"metrics","id":"1","global":{"tasks_started":1,"tasks_completed":2,"tasks_errored":3,'
            '"tasks_restarted":4,"total_output_lines":5,"enqueued":6,"dequeued":7,"displaced":8,"expired":9}}',
        ),
        (
            MetricsReply("1", action=ActionMetrics()),
            '{"type":"metrics","id":"1","action":{"tasks_started":0,"tasks_completed":0,"tasks_errored":0,'
            '"tasks_restarted":0,"total_output_lines":0}}',
        ),
        (
            MetricsReply("1", task=TaskMetrics(1, 2, 3, 0)),
            '{"type":"metrics","id":"1","task":{"output_lines":1,"restart_count":2,"runtime_ms":3,'
            '"last_exit_code":0}}',
        ),
        (
            MetricsReply("1", task=TaskMetrics()),
            '{"type":"metrics","id":"1","task":{"output_lines":0,"restart_count":0,"runtime_ms":0,'
            '"last_exit_code":null}}',
        ),
        (ManifestReply("1", {"a": [1]}), '{"type":"manifest","id":"1","manifest":{"a":[1]}}'),
        (Error("", "no"), '{"type":"error","id":"","message":"no"}'),
        (Error("1", "no", "t"), '{"type":"error","id":"1","message":"no","existing_task_id":"t"}'),
        (Gap("t", 1, 9, T), f'{{"type":"gap","task_id":"t","from_seq":1,"to_seq":9,"ts":"{TS}"}}'),
    ],
)
def test_a_message_is_exactly_this_text(event: Event, text: str) -> None:
    assert encode(event).decode() == text


def test_a_task_shows_all_it_has_in_order() -> None:
    task = TaskInfo(
        task_id="t",
        action="b",
        params=MappingProxyType({"x": "1"}),
        queued_at=T,
        state="errored",
        status="errored",
        waiting_on=("db",),
        host="w0 (tcp://10.0.0.7:40331)",
        retry_policy=RetryPolicy(SECOND, 2 * SECOND, 60 * SECOND, 3, "failure"),
        current_pid=5,
        worker_state="exited",
        restart_count=2,
        created_at=T,
        last_started_at=T,
        last_exited_at=T,
        last_exit_code=0,
        error_message="gone",
        last_signal="SIGKILL",
        output_evicted=True,
        reason="stopped",
        duration_ms=0,
        cpu_ms=0,
        max_rss=4096,
        success_codes=(0, 3),
        stdin="pty",
        ready=False,
        health="starting",
        trigger=RunTrigger("chain", "chain:t0"),
    )
    assert json.loads(encode(Tasks("1", (task,))))["tasks"] == [
        {
            "task_id": "t",
            "action": "b",
            "params": {"x": "1"},
            "queued_at": TS,
            "state": "errored",
            "status": "errored",
            "waiting_on": ["db"],
            "host": "w0 (tcp://10.0.0.7:40331)",
            "retry_policy": {
                "restart_delay": "1s",
                "restart_jitter": "2s",
                "error_window": "1m0s",
                "error_threshold": 3,
                "restart_on": "failure",
            },
            "current_pid": 5,
            "worker_state": "exited",
            "restart_count": 2,
            "created_at": TS,
            "last_started_at": TS,
            "last_exited_at": TS,
            "last_exit_code": 0,
            "error_message": "gone",
            "last_signal": "SIGKILL",
            "output_evicted": True,
            "reason": "stopped",
            "duration_ms": 0,
            "cpu_ms": 0,
            "max_rss": 4096,
            "success_codes": [0, 3],
            "stdin": "pty",
            "ready": False,
            "health": "starting",
            "trigger": {"type": "chain", "by": "chain:t0"},
        }
    ]
    assert list(to_plain(task)) == [spec.name for spec in fields_of(TaskInfo)]


def test_an_empty_policy_of_a_task_is_shown_and_none_is_not() -> None:
    assert to_plain(dataclasses.replace(BARE_TASK, retry_policy=RetryPolicy()))["retry_policy"] == {}
    assert "retry_policy" not in to_plain(BARE_TASK)


def test_an_action_shows_its_parameters_pool_and_policy() -> None:
    action = ActionInfo(
        "b",
        "exec",
        "Builds",
        {
            "bare": None,
            "also_bare": ParamSpec(),
            "empty": ParamSpec(""),
            "checked": ParamSpec(None, "true"),
            "both": ParamSpec("x", "true"),
        },
        PoolConfig(2, QueueConfig(True, 5, "last", 30.0, "prohibit"), ExcessConfig("requeue", "last", 1.5)),
        RetryPolicy(restart_delay=SECOND),
        ("x", "y"),
    )
    assert json.dumps(json.loads(encode(Actions("1", (action,))))["actions"][0]) == json.dumps(
        {
            "name": "b",
            "type": "exec",
            "description": "Builds",
            "params": {
                "bare": None,
                "also_bare": None,
                "empty": {"default": ""},
                "checked": {"validate": "true"},
                "both": {"default": "x", "validate": "true"},
            },
            "task_pool": {
                "limit": 2,
                "queue": {"enabled": True, "size": 5, "order": "last", "max_age": 30, "displace": "prohibit"},
                "excess": {"action": "requeue", "order": "last", "grace": 1.5},
            },
            "retry": {"restart_delay": "1s"},
            "dedupe_key": ["x", "y"],
        }
    )


def test_a_bare_action_shows_no_more_than_its_pool() -> None:
    assert to_plain(ActionInfo("b", "exec")) == {
        "name": "b",
        "type": "exec",
        "task_pool": {"limit": 0, "excess": {"action": "stop", "order": "first", "grace": 5}},
    }


def test_queue_items_show_even_what_is_false_or_zero() -> None:
    pool = PoolInfo(1, 1, 1, (QueueItem("t", "b", T, 0, False),))
    item = {"task_id": "t", "action": "b", "queued_at": TS, "position": 0, "forced": False}
    assert to_plain(pool)["queue_items"] == [item]


def test_times_are_shown_in_utc_whatever_their_zone() -> None:
    elsewhere = T.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert json.loads(encode(Gap("t", 1, 1, elsewhere)))["ts"] == TS


def texts_of(event: Event, text: str) -> Event:
    """The event with ``text`` in every field that holds a text."""
    changes: dict[str, Any] = {
        spec.attribute: text
        for spec in fields_of(type(event))
        if isinstance(getattr(event, spec.attribute), str)
    }
    return dataclasses.replace(event, **changes)


@given(st.text(st.characters(codec=None), max_size=20), st.sampled_from(EXAMPLES))
def test_no_text_whatever_makes_encoding_fail(text: str, event: Event) -> None:
    encoded = encode(texts_of(event, text))
    clean = "".join("\ufffd" if "\ud800" <= char <= "\udfff" else char for char in text)
    assert b"\n" not in encoded
    read = json.loads(encoded.decode("utf-8"))
    for spec in fields_of(type(event)):
        if isinstance(getattr(event, spec.attribute), str) and (text or not spec.omit):
            assert read[spec.name] == clean


def test_half_a_surrogate_pair_becomes_the_replacement_character() -> None:
    assert json.loads(encode(Error("", "a\ud800b\udfffc")))["message"] == "a\ufffdb\ufffdc"


def test_there_is_an_example_of_every_message_and_each_shows_every_field_that_is_always_there() -> None:
    for cls in EVENTS.values():
        example = to_plain(next(example for example in EXAMPLES if type(example) is cls))
        names = [spec.name for spec in fields_of(cls)]
        assert list(example) == ["type", *[name for name in names if name in example]]
        assert {spec.name for spec in fields_of(cls) if not spec.omit} <= set(example)


@pytest.mark.parametrize("cls", [*VALUES, *EVENTS.values()])
def test_only_what_has_a_default_may_be_left_out(cls: Any) -> None:
    for spec in fields_of(cls):
        assert not (spec.omit and spec.required), spec.name


def test_a_policy_is_merged_field_by_field() -> None:
    own = RetryPolicy(restart_delay=5, error_threshold=2)
    base = RetryPolicy(1, 2, 3, 4, "failure")
    assert own.merged_over(base) == RetryPolicy(5, 2, 3, 2, "failure")
    assert RetryPolicy().merged_over(base) == base
    assert base.merged_over(own) == base
    assert RetryPolicy().empty
    assert not RetryPolicy(restart_on="any").empty
