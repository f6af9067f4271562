"""Filters over lines of output."""

from __future__ import annotations

import json
from unittest import mock

import pytest

from overseer.cel import compile_condition, program
from overseer.cel.program import Condition

OBJECT = '{"level": "error", "n": 5, "ok": true, "tags": ["a", "b"], "none": null, "inner": {"x": 1}}'


def passes(expression: str, line: str, stream: str = "stdout") -> bool:
    return compile_condition(expression).filter(stream, [line]) == [line]


def test_the_lines_that_pass_come_out_in_order() -> None:
    condition = compile_condition('output.data.contains("5") || output.data.contains("7")')
    assert condition.filter("stdout", [str(number) for number in range(20)]) == ["5", "7", "15", "17"]


@pytest.mark.parametrize(
    ("expression", "line", "expected"),
    [
        ("output.data == 'a'", "a", True),
        ("output.data != 'a'", "a", False),
        ("output.data.matches('^a+$')", "aaa", True),
        ("output.data.matches('^a+$')", "aab", False),
        ("output.data.size() > 2", "äöü", True),
        ("output['data'] == 'a'", "a", True),
        ("output['stream'] == 'stdout'", "a", True),
        ("output['json'].n == 5.0", OBJECT, True),
        ("output.exists(key, key == 'data')", "a", True),
        ("'data' in output && !('x' in output)", "a", True),
        ("size(output) == 3", "a", True),
        ("has(output.data) && has(output.json) && !has(output.x)", "a", True),
        ("has(output.json.level)", OBJECT, True),
        ("has(output.json.level)", "plain text", False),
        ("has(output.json.nothing)", OBJECT, False),
        ("has(output.json.none)", OBJECT, True),
        ("has(output.json.inner) && output.json['inner'].x == 1", OBJECT, True),
        ("output.json == {}", "plain text", True),
        ("output.json == {}", "[1, 2]", True),
        ("output.json == {}", '"text"', True),
        ("output.json == {}", "{}", True),
        ("size(output.json) == 6", OBJECT, True),
        ("output.json.level == 'error'", OBJECT, True),
        ("output.json.level == 'error'", "plain text", False),
        ("output.json.level != 'error'", "plain text", False),  # no such key: dropped
        ("!(output.json.level == 'error')", "plain text", False),
        ("output.json.n == 5", OBJECT, True),
        ("output.json.n >= 5 && output.json.n < 6u", OBJECT, True),
        ("output.json.n == true", '{"n": 1}', False),
        ("output.json.n == 1", '{"n": true}', False),
        ("output.json.n != 1.0", '{"n": true}', True),
        ("0 == output.json.n", '{"n": false}', False),
        ("output.json.n > 'a'", OBJECT, False),
        ("output.json.ok", OBJECT, True),
        ("output.json.n", OBJECT, False),  # not a bool: dropped
        ("output.json.level", OBJECT, False),
        ("output.json.ok == true", OBJECT, True),
        ("output.json.none == null", OBJECT, True),
        ("output.json.none != null", OBJECT, False),
        ("output.json.level in ['error', 'fatal']", OBJECT, True),
        ("output.json.n in ['5']", OBJECT, False),
        ("output.json.n in [5]", OBJECT, True),
        ("'b' in output.json.tags", OBJECT, True),
        ("output.json.tags.exists(t, t.startsWith('b'))", OBJECT, True),
        ("output.json.tags[0] == 'a' && output.json.tags[1.0 == 1.0 ? 1 : 0] == 'b'", OBJECT, True),
        ("type(output.json.n) == double", OBJECT, True),
        ("int(output.json.n) % 2 == 1", OBJECT, True),
        ("output.json.level.contains('err')", OBJECT, True),
        ("output.json.n.contains('5')", OBJECT, False),
        ("output.json.missing.x == 1 || output.data.size() > 0", OBJECT, True),
        ("output.json.missing.x == 1 && output.data.size() == 0", OBJECT, False),
    ],
)
def test_a_line_passes_or_not(expression: str, line: str, expected: bool) -> None:
    assert passes(expression, line) is expected


@pytest.mark.parametrize(
    ("expression", "constant", "stdout", "stderr"),
    [
        ("false", False, False, False),
        ("true", True, True, True),
        ("1 < 2", True, True, True),
        ("dyn(1)", False, False, False),  # it never gives a bool
        ("output.data == 'a'", None, None, None),
        ("output.data == 'a' && false", False, False, False),
        ("output.data == 'a' || true", True, True, True),
        ("output.stream == 'stdout'", None, True, False),
        ("output.stream == 'stdout' && output.data != ''", None, None, False),
        ("output.stream == 'stderr' ? true : output.data == ''", None, None, True),
        ("output.stream in ['stderr']", None, False, True),
    ],
)
def test_what_needs_no_line_is_known_beforehand(
    expression: str, constant: bool | None, stdout: bool | None, stderr: bool | None
) -> None:
    condition = compile_condition(expression)
    assert condition.constant is constant
    assert condition.constant_for("stdout") is stdout
    assert condition.constant_for("stderr") is stderr


def test_a_constant_condition_looks_at_no_line() -> None:
    lines = ["a", "b"]
    assert compile_condition("true").filter("stdout", lines) is lines
    assert compile_condition("false").filter("stdout", lines) == []


def test_a_stream_of_another_name_is_evaluated_all_the_same() -> None:
    condition = compile_condition("output.stream == 'log' && output.data == 'a'")
    assert condition.filter("log", ["a", "b"]) == ["a"]
    assert condition.filter("stdout", ["a", "b"]) == []


def counting(condition: Condition, line: str) -> int:
    """How often the line is parsed as JSON while the condition looks at it."""
    with mock.patch.object(program, "json_object", wraps=program.json_object) as parse:
        condition.filter("stdout", [line])
    return parse.call_count


def test_json_is_parsed_only_when_looked_at_and_then_once() -> None:
    assert counting(compile_condition("output.data.contains('level') || output.json.ok"), OBJECT) == 0
    assert counting(compile_condition("has(output.json)"), OBJECT) == 0
    thrice = compile_condition("has(output.json.n) && output.json.n == 5 && output.json.ok")
    assert counting(thrice, OBJECT) == 1


def test_one_line_of_a_batch_does_not_see_anothers_json() -> None:
    condition = compile_condition("has(output.json.a)")
    assert condition.filter("stdout", ['{"a": 1}', "{}", "x", '{"b": 1}']) == ['{"a": 1}']


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('{"a": 1}', {"a": 1.0}),
        (' \t{"a": 1} \r', {"a": 1.0}),
        ('{"a": 1, "a": 2}', {"a": 2.0}),
        ('{"a": -0}', {"a": -0.0}),
        ('{"a": 12345678901234567890}', {"a": 12345678901234567890.0}),
        ('{"a": NaN}', {}),
        ('{"a": Infinity}', {}),
        ('{"a": -Infinity}', {}),
        ('{"a": 1e400}', {}),
        ('{"a": ' + "9" * 400 + "}", {}),
        ('{"a": 1e-400}', {"a": 0.0}),
        ('{"a": 01}', {}),
        ('{"a": 1.}', {}),
        ('{"a": "\t"}', {}),
        ("{'a': 1}", {}),
        ('{"a": 1,}', {}),
        ('{"a": 1} x', {}),
        ('{"a": 1}{"a": 2}', {}),
        ("{", {}),
        ("", {}),
        ("[1]", {}),
        ("null", {}),
        ('\ufeff{"a": 1}', {}),
        ('{"a": "\\ud83d\\ude00"}', {"a": "\U0001f600"}),
        ('{"a": "\\ud83d"}', {"a": "\ufffd"}),
        ('{"\\udc00": [{"x": "\\ud83dy"}]}', {"\ufffd": [{"x": "\ufffdy"}]}),
        ('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}", {}),
    ],
    ids=lambda value: str(value)[:20] if isinstance(value, str) else "",
)
def test_json_is_what_go_reads(line: str, expected: dict[str, object]) -> None:
    found = program.json_object(line)
    assert json.dumps(found, sort_keys=True) == json.dumps(expected, sort_keys=True)


def test_a_line_that_makes_evaluation_recurse_too_deep_is_dropped() -> None:
    deep = '{"a": ' + "[" * 900 + "]" * 900 + "}"
    condition = compile_condition("output.json.a == output.json.a")
    assert condition.filter("stdout", [deep, '{"a": 1}'])[-1] == '{"a": 1}'
