"""What an evaluation may do and build, whoever chose the values."""

from __future__ import annotations

import json

import pytest

from overseer.cel import compile_cel, compile_condition, eval_cel_bool, program
from overseer.errors import CelError

LONG = json.dumps({"a": list(range(20_000))})


@pytest.mark.parametrize(
    ("expression", "value", "said"),
    [
        ("[value, value].all(x, " * 12 + "true" + ")" * 12, "x", None),
        ("[1, 2, 3, 4, 5].all(a, " * 9 + "a + size(value) > 0" + ")" * 9, "x", "more than 1000000 steps"),
        ("size(value + value) > 0", "x" * (9 << 20), "a string of more than 16777216 elements"),
        ("bytes(value) + bytes(value) != b''", "x" * (9 << 20), "a bytes of more than 16777216 elements"),
        ("value.matches(value)", "x" * 1001, "a regular expression of more than 1000 characters"),
        ("value.matches(value)", "(x{1000}){1000}", "bad regular expression"),
        ("[1].exists(x, " * 3 + "value == 'a'" + ")" * 3, "a", None),
    ],
)
def test_values(expression: str, value: str, said: str | None) -> None:
    compiled = compile_cel(expression)
    if said is None:
        assert eval_cel_bool(compiled, value)
        return
    with pytest.raises(CelError, match=said):
        eval_cel_bool(compiled, value)


@pytest.mark.parametrize(
    ("expression", "passes"),
    [
        ("output.json.a.all(x, x >= 0.0)", True),
        ("output.json.a.exists(x, x == 19999.0) && output.json.a.exists(x, x == 19999.0)", True),
        ("output.json.a.all(x, output.json.a.exists(y, y == x))", False),
        # What is over the bound is not absorbed as an error would be.
        ("output.json.a.all(x, x in output.json.a) || true == (output.data != '')", False),
    ],
)
def test_lines(expression: str, passes: bool) -> None:
    assert compile_condition(expression).filter("stdout", [LONG, ""]) == ([LONG] if passes else [])


def test_each_line_has_steps_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "MAX_STEPS", 0)  # which leaves one for each character of the line
    lines = [json.dumps({"a": [1] * 100})] * 10
    assert compile_condition("output.json.a.all(x, x >= 0.0)").filter("stdout", lines) == lines
