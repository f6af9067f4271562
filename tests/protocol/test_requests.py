"""What clients send: every request read as declared, and everything else refused in plain words."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overseer.errors import RequestError
from overseer.protocol import (
    REQUESTS,
    Describe,
    Input,
    List,
    ManifestRequest,
    MessageLimits,
    MetricsRequest,
    PoolInfoRequest,
    Purge,
    Replay,
    Request,
    Reset,
    Resize,
    RetryPolicy,
    SetPool,
    Signal,
    Start,
    Stop,
    Subscribe,
    Unsubscribe,
    UsageRequest,
    encode,
    parse_request,
)
from overseer.protocol.specs.examples import EXAMPLES
from overseer.schema.fields import fields_of

SECOND = 1_000_000_000
THEN = datetime(2024, 5, 6, 7, 8, 9, 500000, tzinfo=UTC)


def parse(message: Any, limits: MessageLimits | None = None) -> Request:
    data = message if isinstance(message, str | bytes) else json.dumps(message)
    return parse_request(data, limits or MessageLimits())


def refused(message: Any, limits: MessageLimits | None = None) -> RequestError:
    with pytest.raises(RequestError) as caught:
        parse(message, limits)
    return caught.value


def parsed_or_error(message: Any) -> Request | RequestError:
    try:
        return parse(message)
    except RequestError as error:
        return error


@pytest.mark.parametrize(
    ("fields", "request_"),
    [
        ({"type": "start", "action": "b"}, Start("1", "b")),
        (
            {
                "type": "start",
                "action": "b",
                "task_id": "t",
                "params": {"x": "1", "y": ""},
                "retry_policy": {
                    "restart_delay": "1.5s",
                    "restart_jitter": "1ms",
                    "error_window": "1m",
                    "error_threshold": 3,
                    "restart_on": "failure",
                },
                "force": True,
                "on_lag": "drop",
            },
            Start(
                "1",
                "b",
                "t",
                {"x": "1", "y": ""},
                RetryPolicy(3 * SECOND // 2, SECOND // 1000, 60 * SECOND, 3, "failure"),
                True,
                on_lag="drop",
            ),
        ),
        ({"type": "start", "action": "b", "retry_policy": {}}, Start("1", "b", retry_policy=RetryPolicy())),
        ({"type": "stop", "task_id": "t"}, Stop("1", "t")),
        ({"type": "reset", "task_id": "t"}, Reset("1", "t")),
        ({"type": "list"}, List("1")),
        ({"type": "list", "since": "2024-05-06T09:08:09.5+02:00"}, List("1", THEN)),
        (
            {"type": "replay", "task_id": "t", "since": "2024-05-06T07:08:09.5Z", "since_seq": 0},
            Replay("1", "t", THEN, 0),
        ),
        (
            {"type": "subscribe", "task_id": "t", "since_seq": 7, "on_lag": "block"},
            Subscribe("1", "t", 7, on_lag="block"),
        ),
        ({"type": "subscribe", "task_id": "t"}, Subscribe("1", "t")),
        ({"type": "unsubscribe", "task_id": "t"}, Unsubscribe("1", "t")),
        ({"type": "describe"}, Describe("1")),
        ({"type": "describe", "action": "b"}, Describe("1", "b")),
        ({"type": "pool_info", "action": "b"}, PoolInfoRequest("1", "b")),
        ({"type": "set_pool"}, SetPool("1")),
        ({"type": "set_pool", "size": 4}, SetPool("1", limit=4)),
        ({"type": "set_pool", "size": 4, "limit": 2}, SetPool("1", limit=2)),
        ({"type": "set_pool", "size": 4, "limit": 0}, SetPool("1", limit=0)),
        ({"type": "set_pool", "size": 4, "limit": None}, SetPool("1", limit=4)),
        (
            {"type": "set_pool", "action": "b", "queue_size": 0, "excess": {"grace": 1.5, "order": "last"}},
            SetPool("1", "b", queue_size=0, excess={"grace": 1.5, "order": "last"}),
        ),
        ({"type": "set_pool", "excess": {"action": "requeue"}}, SetPool("1", excess={"action": "requeue"})),
        ({"type": "purge"}, Purge("1")),
        ({"type": "metrics"}, MetricsRequest("1")),
        ({"type": "metrics", "action": "b"}, MetricsRequest("1", "b")),
        ({"type": "metrics", "task_id": "t"}, MetricsRequest("1", "", "t")),
        ({"type": "usage"}, UsageRequest("1")),
        ({"type": "usage", "task_id": "t"}, UsageRequest("1", "t")),
        ({"type": "manifest"}, ManifestRequest("1")),
        ({"type": "signal", "task_id": "t", "signal": "usr1"}, Signal("1", "t", "SIGUSR1")),
        ({"type": "signal", "task_id": "t", "signal": 40}, Signal("1", "t", "40")),
        ({"type": "input", "task_id": "t", "data": "é"}, Input("1", "t", "é")),
        ({"type": "input", "task_id": "t", "data_base64": "AP8="}, Input("1", "t", "", b"\0\xff")),
        ({"type": "input", "task_id": "t", "eof": True}, Input("1", "t", eof=True)),
        ({"type": "resize", "task_id": "t", "rows": 1, "cols": 65535}, Resize("1", "t", 1, 65535)),
    ],
)
def test_a_request_is_read_as_declared(fields: dict[str, Any], request_: Request) -> None:
    assert parse({"id": "1"} | fields) == request_
    assert parse(json.dumps({"id": "1"} | fields).encode()) == request_
    assert parse({"id": "1", "later": [{"x": 1.5}]} | fields) == request_  # unknown fields are ignored


@pytest.mark.parametrize("example", [e for e in EXAMPLES if type(e) in REQUESTS.values()])
def test_what_a_client_would_encode_is_read_back(example: Request) -> None:
    assert parse(encode(example)) == example


OPTIONAL = [(cls, spec) for cls in REQUESTS.values() for spec in fields_of(cls) if not spec.required]
REQUIRED = {"action": "b", "task_id": "t", "id": "1", "signal": "HUP", "rows": 24, "cols": 80, "query": "q"}
REQUIRED |= {"channel": "ops"}


def least(cls: type[Request]) -> dict[str, Any]:
    """The shortest message of this type."""
    return {"type": cls.type} | {spec.name: REQUIRED[spec.name] for spec in fields_of(cls) if spec.required}


@pytest.mark.parametrize(("cls", "spec"), OPTIONAL, ids=lambda x: getattr(x, "name", getattr(x, "type", "")))
def test_null_counts_as_absent_and_so_does_an_empty_text(cls: type[Request], spec: Any) -> None:
    message = least(cls)
    if cls is Start:  # one of the two is needed
        message |= {"action": "b"} if spec.name != "action" else {"task_id": "t"}
    if cls is Input:  # it must give something
        message |= {"eof": True} if spec.name != "eof" else {"data": "x"}
    plain = parse(message)
    assert parse(message | {spec.name: None}) == plain
    if spec.type.is_text:
        assert parse(message | {spec.name: ""}) == plain
    else:
        assert f"{spec.name} must be" in str(refused(message | {spec.name: ""}))


def test_a_parameter_that_is_null_counts_as_not_given() -> None:
    assert parse({"type": "start", "id": "1", "action": "b", "params": {"x": None}}) == Start("1", "b")


WRONG = [True, 1, -1, 1.0, "text", [], ["a"], {}, {"a": 1}]
TAKES = {
    "string": str,
    "uuid": str,
    "timestamp": str,
    "duration": str,
    "integer": int,
    "boolean": bool,
    "object": dict,
}


@pytest.mark.parametrize("value", WRONG, ids=repr)
@pytest.mark.parametrize("cls", REQUESTS.values(), ids=list(REQUESTS))
def test_every_field_refuses_every_other_type_and_names_itself(cls: type[Request], value: Any) -> None:
    for spec in fields_of(cls):
        if spec.name == "id" or type(value) is TAKES[spec.type.name]:
            continue
        if spec.name == "signal" and value == 1 and type(value) is int:
            continue  # a signal may be a number
        if spec.name == "data_base64" and value == "text":
            continue  # which it happens to be
        error = refused(least(cls) | {spec.name: value})
        assert error.id == "1"
        assert str(error).startswith(f"{cls.type}: {spec.name} must be ")


@pytest.mark.parametrize("cls", REQUESTS.values(), ids=list(REQUESTS))
def test_every_required_field_is_asked_for_by_name(cls: type[Request]) -> None:
    for spec in fields_of(cls):
        for absent in ({}, {spec.name: None}, *([{spec.name: ""}] if spec.type.is_text else [])):
            message = {key: value for key, value in least(cls).items() if key != spec.name} | absent
            if absent.get(spec.name) == "" and not spec.type.is_text:
                continue
            if spec.required:
                error = refused(message)
                assert f"{spec.name} is required" in str(error)
                assert error.id == ("" if spec.name == "id" else "1")


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"type": "set_pool", "limit": -1}, "set_pool: limit must be a whole number from 0 up, not -1"),
        ({"type": "set_pool", "size": -1}, "set_pool: size must be a whole number from 0 up, not -1"),
        ({"type": "set_pool", "queue_size": -1}, "queue_size must be"),
        ({"type": "set_pool", "limit": 2**63}, "fit in 64 bits"),
        ({"type": "set_pool", "limit": True}, "not a boolean"),
        ({"type": "set_pool", "limit": 1.0}, "without a fraction"),
        ({"type": "set_pool", "excess": {"grace": -1}}, "excess.grace must be a number of seconds"),
        ({"type": "set_pool", "excess": {"grace": "5"}}, "excess.grace must be a number of seconds"),
        ({"type": "set_pool", "excess": {"grace": True}}, "excess.grace must be a number of seconds"),
        ({"type": "set_pool", "excess": {"action": "kill"}}, 'excess.action must be "stop" or "requeue"'),
        ({"type": "set_pool", "excess": "stop"}, "excess must be an object, not a string"),
        ({"type": "subscribe", "task_id": "t", "since_seq": -1}, "since_seq must be"),
        ({"type": "subscribe", "task_id": "t", "on_lag": "wait"}, 'on_lag must be "block" or "drop"'),
        ({"type": "replay", "task_id": "t", "since": "yesterday"}, "since must be a time"),
        ({"type": "list", "since": "2024-02-30T00:00:00Z"}, "since must be a time"),
        ({"type": "start", "action": "b", "params": {"x": 1}}, "params.x must be a string, not a number"),
        ({"type": "start", "action": "b", "params": {"a b": []}}, 'params["a b"] must be a string'),
        ({"type": "start", "action": "b", "params": {"x": "\ud800"}}, "params.x holds half of a surrogate"),
        ({"type": "start", "action": "b", "params": {"\ud800": "x"}}, "half of a surrogate"),
        ({"type": "start", "action": "b", "retry_policy": {"restart_delay": "-1s"}}, "is negative"),
        ({"type": "start", "action": "b", "retry_policy": {"restart_delay": 5}}, "must be a duration"),
        (
            {"type": "start", "action": "b", "retry_policy": {"error_window": "5 s"}},
            "retry_policy.error_window:",
        ),
        ({"type": "start", "action": "b", "retry_policy": {"error_threshold": -1}}, "error_threshold must"),
        ({"type": "start", "action": "b", "retry_policy": {"restart_on": "no"}}, '"any" or "failure"'),
        ({"type": "start", "action": "b", "task_id": "t" * 257}, "task_id has 257 characters; at most 256"),
        ({"type": "start", "action": "b", "task_id": "a\nb"}, "task_id holds characters that cannot be"),
        ({"type": "start", "action": "b", "task_id": "\x00"}, "task_id holds characters that cannot be"),
        ({"type": "start", "action": "b" * 257}, "action has 257 characters"),
        ({"type": "metrics", "action": "b", "task_id": "t"}, "give action or task_id, not both"),
        ({"type": "input", "task_id": "t"}, "there is nothing to give: data, data_base64 or eof is needed"),
        ({"type": "input", "task_id": "t", "data": "a", "data_base64": "YQ=="}, "not both"),
        ({"type": "input", "task_id": "t", "data_base64": "YQ"}, "input: data_base64 must be Base64"),
        ({"type": "input", "task_id": "t", "data_base64": "Y!=="}, "input: data_base64 must be Base64"),
        ({"type": "input", "task_id": "t", "data": "\udc80"}, "data holds half of a surrogate pair"),
        ({"type": "resize", "task_id": "t", "rows": 0, "cols": 9}, "rows must be a whole number from 1 to"),
        ({"type": "resize", "task_id": "t", "rows": 9, "cols": 65536}, "from 1 to 65535, not 65536"),
        ({"type": "resize", "task_id": "t", "rows": 9, "cols": 2**70}, "cols must be a whole number from"),
        ({"type": "strat"}, 'unknown type "strat"; did you mean "start"?'),
        ({"type": "STOP"}, 'did you mean "stop"?'),
        ({"type": "poolinfo"}, 'did you mean "pool_info"?'),
        ({"type": "zzzz"}, "there are start, stop,"),
        ({"type": "x" * 100_000}, "unknown type"),
        ({"type": 5}, "type must be a string, not a number"),
        ({}, "type is required"),
    ],
)
def test_what_is_wrong_is_said_plainly_with_the_request_s_id(fields: dict[str, Any], says: str) -> None:
    error = refused({"id": "1"} | fields)
    assert error.id == "1"
    assert says in str(error)
    assert len(str(error)) < 400
    assert str(error).isprintable()


@pytest.mark.parametrize(
    ("id_", "says"),
    [
        (None, "id is required"),
        ("", "id is required"),
        (5, "id must be a non-empty string"),
        (0, "id must be a non-empty string"),
        (False, "id must be a non-empty string"),
        ([], "id must be a non-empty string"),
        ({}, "id must be a non-empty string"),
        ("x" * 257, "id has 257 characters"),
        ("a\tb", "id holds characters that cannot be printed"),
        ("\ud800", "id holds half of a surrogate pair"),
    ],
)
def test_a_request_without_a_usable_id_is_refused_with_an_empty_one(id_: Any, says: str) -> None:
    error = refused({"type": "list", "id": id_})
    assert error.id == ""
    assert says in str(error)


@pytest.mark.parametrize("id_", ["1", "x" * 256, "with spaces", "\u00e9\u4e16\U0001f600", "a.b/c:d"])
def test_any_short_printable_text_is_an_id(id_: str) -> None:
    assert parse({"type": "list", "id": id_}) == List(id_)


@pytest.mark.parametrize(
    ("data", "id_", "says"),
    [
        ("", "", "is not JSON"),
        ("{", "", "is not JSON"),
        ('{"type":"list","id":"1"', "", "is not JSON"),
        ('{"type":"list","id":"1"}{}', "", "is not JSON"),
        ("{'type':'list'}", "", "is not JSON"),
        ('{"type":"list","id":"a\nb"}', "", "is not JSON"),
        ("\ufeff{}", "", "is not JSON"),
        ("null", "", "must be a JSON object"),
        ("[]", "", "must be a JSON object"),
        ("5", "", "must be a JSON object"),
        ('"list"', "", "must be a JSON object"),
        (b"\xff\xfe", "", "is not UTF-8: byte 1"),
        (b'{"type":"list","id":"\xed\xa0\x80"}', "", "is not UTF-8"),
        (b"\x00", "", "is not JSON"),
        ('{"id":"1","type":"list","x":NaN}', "1", "NaN is not a JSON value"),
        ('{"id":"1","type":"list","x":-Infinity}', "1", "-Infinity is not a JSON value"),
        ('{"id":"1","type":"list","x":1,"x":2}', "1", 'the key "x" is there twice'),
        ('{"id":"1","type":"list","x":{"y":1,"y":2}}', "1", 'the key "y" is there twice'),
        ('{"id":"1","id":"2","type":"list"}', "", 'the key "id" is there twice'),
        ('{"id":"1","type":"list","x":' + "9" * 5000 + "}", "1", "too many digits"),
        ('{"id":"1","type":"list","x":' + "[" * 40 + "]" * 40 + "}", "1", "nested too deeply"),
        ("[" * 100_000, "", "nested too deeply"),
        ('{"a":' * 100_000, "", "nested too deeply"),
        ('{"id":"1","x":' + "[" * 50_000 + "]" * 50_000 + "}", "", "nested too deeply"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_what_is_no_proper_json_is_refused_with_the_id_where_it_can_be_told(
    data: str | bytes, id_: str, says: str
) -> None:
    error = refused(data)
    assert error.id == id_
    assert says in str(error)
    assert len(str(error)) < 300


def test_depth_counts_levels_not_brackets() -> None:
    limits = MessageLimits(depth=3)
    wide = {"type": "list", "id": "1", "x": [[]] * 1000, "y": "[" * 1000}
    assert parse(wide, limits) == List("1")
    assert "at most 3 levels" in str(refused({"type": "list", "id": "1", "x": [[[]]]}, limits))


def test_parameters_are_bounded_in_number_and_in_length() -> None:
    limits = MessageLimits(params=2, param_value=5)
    start = {"type": "start", "id": "1", "action": "b"}
    assert parse(start | {"params": {"x": "12345", "y": ""}}, limits)
    assert "params holds 3 entries; at most 2" in str(
        refused(start | {"params": dict.fromkeys("abc", "")}, limits)
    )
    assert "params.x has 6 characters; at most 5" in str(refused(start | {"params": {"x": "123456"}}, limits))
    assert "is longer than 256 characters" in str(refused(start | {"params": {"x" * 257: ""}}, limits))
    assert parse(start | {"params": {"x": "y" * 131_072}})
    limits = MessageLimits(params_size=10)
    assert parse(start | {"params": {"x": "1234", "y": "1234"}}, limits)
    assert "params has 11 characters; at most 10" in str(
        refused(start | {"params": {"x": "1234", "yy": "1234"}}, limits)
    )
    long = dict.fromkeys("abc", "y" * 131_072)
    assert "at most 262144 are allowed" in str(refused(start | {"params": long}))


@pytest.mark.parametrize(
    "data",
    [
        '{"id":"1",' + ",".join(f'"{n}":0' for n in range(100_000)) + ',"x":1,"x":2}',
        '{"id":"1","type":"start","action":"b","retry_policy":{"restart_delay":"' + "0" * 10**6 + 's"}}',
        '{"id":"1","type":"start","action":"b","retry_policy":{"restart_delay":"' + "1h" * 500_000 + '"}}',
        '{"id":"1","type":"start","action":"b","retry_policy":{"restart_delay":"0.' + "0" * 10**6 + '1s"}}',
        '{"id":"1","type":"' + "a" * 10**6 + '"}',
        '{"id":"1","type":"list","since":"' + "2" * 10**6 + '"}',
        '{"id":"1","x":[' + "[]," * 300_000 + "[]]}",
        '{"id":"' + "\\u00e9" * 150_000 + '"}',
    ],
    ids=["keys", "zeros", "terms", "fraction", "type", "time", "arrays", "id"],
)
def test_a_hostile_megabyte_costs_no_more_than_reading_it(data: str) -> None:
    before = time.thread_time()
    assert len(str(parsed_or_error(data))) < 400
    assert time.thread_time() - before < 2.0  # quadratic work would take minutes


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
field_names = sorted({spec.name for cls in REQUESTS.values() for spec in fields_of(cls)} | {"type", "size"})


@given(
    st.dictionaries(st.sampled_from(field_names), json_values, max_size=5),
    st.none() | st.sampled_from(list(REQUESTS)),
    st.booleans(),
)
def test_any_json_is_a_request_or_refused(message: dict[str, Any], type_: str | None, named: bool) -> None:
    if type_ is not None:
        message["type"] = type_
    if named:
        message["id"] = "1"
    request = parsed_or_error(message)
    if not isinstance(request, RequestError):
        assert parse(encode(request)) == request
    elif named:
        assert request.id == "1"


@given(st.binary(max_size=60) | st.text(max_size=60))
def test_any_bytes_are_a_request_or_refused(data: str | bytes) -> None:
    assert str(refused(data))
