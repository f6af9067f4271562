"""What is refused at start-up, and how the refusal reads."""

from __future__ import annotations

import time

import pytest

from overseer.cel import compile_cel, compile_condition, eval_cel_bool
from overseer.cel.parser import MAX_DEPTH, MAX_LENGTH
from overseer.cel.statictypes import BOOL, DYN, INT, list_of
from overseer.errors import CelError
from tests.harness import allowed


@pytest.mark.parametrize(
    ("expression", "place", "words"),
    [
        ("", (1, 1), "empty"),
        ("  // nothing", (1, 13), "ends too early"),
        ("valeu == 'a'", (1, 1), "undeclared reference to 'valeu'"),
        ("value == 'a' && valeu == 'b'", (1, 17), "undeclared reference to 'valeu'"),
        ("value == 'a' &&\n  valeu == 'b'", (2, 3), "undeclared reference to 'valeu'"),
        ("value.foo() == 1", (1, 1), "undeclared reference to function 'foo'"),
        ("value.length > 1", (1, 1), "type string has no fields, so no 'length'"),
        ("value", (1, 1), "the result must be a bool, not string"),
        ("size(value)", (1, 1), "the result must be a bool, not int"),
        ("value == 1", (1, 1), "no matching overload for '_==_' applied to (string, int)"),
        ("size(value) > 1.5", (1, 1), "no matching overload for '_>_' applied to (int, double)"),
        ("size(value) == 1u", (1, 1), "no matching overload for '_==_' applied to (int, uint)"),
        ("value.contains(5)", (1, 1), "no matching overload for 'contains' applied to (string, int)"),
        ("value in [1, 2]", (1, 1), "no matching overload for '@in' applied to (string, list(int))"),
        ("true ? value : 1", (1, 1), "no matching overload for '_?_:_' applied to (bool, string, int)"),
        ("true && 1", (1, 9), "no matching overload for '_&&_' applied to (bool, int)"),
        ("value.all(c, true)", (1, 1), "all() needs a list or a map, not type string"),
        ("[1].exists(x, x)", (1, 15), "exists() needs a condition of type bool, not int"),
        ("[1].exists(1, true)", (1, 12), "the first argument of exists() must be a simple name"),
        ("has(value)", (1, 5), "has() takes a field"),
        ("value.matches('[')", (1, 15), "bad regular expression: missing ]"),
        ("value == 'a", (1, 10), "a string that is not closed"),
        ("value == '\\q'", (1, 10), "unknown escape \\q"),
        ("value == 'a' and true", (1, 14), "unexpected 'and'"),
        ("(value == 'a'", (1, 14), "ends too early"),
        ("value == 'a')", (1, 13), "unexpected ')'"),
        ("size(value) == 9223372036854775808", (1, 16), "does not fit into 64 bits"),
        ("value = 'a'", (1, 7), "unexpected '='"),
        ("if == 1", (1, 1), "'if' is a reserved word"),
        ("{1.5: true}[1.5]", (1, 2), "a map's key cannot be of type double"),
        ("A{b: 1} == 1", (1, 1), "messages cannot be constructed here"),
    ],
)
def test_it_says_what_is_wrong_and_where(expression: str, place: tuple[int, int], words: str) -> None:
    with pytest.raises(CelError) as caught:
        compile_cel(expression)
    error = caught.value
    assert words in error.message
    assert (error.line, error.column) == place
    assert str(error).startswith(f"{place[0]}:{place[1]}: ")


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("output.dat.contains('x')", "undeclared reference to field 'dat', there are only stream, data"),
        ("output.data > 5", "applied to (string, int)"),
        ("output.data", "the result must be a bool, not string"),
        ("output.json", "the result must be a bool, not map(string, dyn)"),
        ("value == 'x'", "undeclared reference to 'value'"),
        ("data.contains('x')", "undeclared reference to 'data'"),
    ],
)
def test_a_condition_knows_its_fields(expression: str, words: str) -> None:
    with pytest.raises(CelError, match=r".") as caught:
        compile_condition(expression)
    assert words in caught.value.message


def test_a_bad_pattern_writes_nothing_of_its_own(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CelError):
        compile_cel("value.matches('[')")
    assert capfd.readouterr() == ("", "")


def test_what_is_dyn_is_left_to_the_evaluation() -> None:
    compile_condition("output.json.anything.at.all > 1 && output.json.ok")
    compile_condition("output['data'] > 5")
    compile_condition("has(output.nothing)")


def test_other_variables_may_be_declared() -> None:
    compile_cel("a && b.exists(x, x == 1) && c > 1", variables={"a": BOOL, "b": list_of(INT), "c": DYN})
    with pytest.raises(CelError, match="undeclared reference to 'value'"):
        compile_cel("value == ''", variables={"a": BOOL})


@pytest.mark.parametrize(
    "expression",
    [
        "(" * 5000 + "true" + ")" * 5000,
        "!" * 5000 + "true",
        "[" * 5000 + "]" * 5000,
        "'a'" + " + 'a'" * 5000 + " == ''",
        "value" + ".a" * 5000,
        "true ? true : " * 5000 + "true",
        "[1]" + ".map(x, [x]" * 500 + ")" * 500,
    ],
    ids=lambda expression: expression[:12],
)
def test_depth_is_bounded(expression: str) -> None:
    """Deep brackets round nothing cost nothing, everything else is refused: never a RecursionError."""
    if expression[0] == "(":
        compile_cel(expression)
        return
    with pytest.raises(CelError, match=f"nested more than {MAX_DEPTH} levels deep"):
        compile_cel(expression)


def test_the_deepest_expression_allowed_can_be_evaluated() -> None:
    depth = MAX_DEPTH - 2
    assert eval_cel_bool(compile_cel("!" * depth + "(value == 'a')"), "a")
    nested = "[" * (depth - 1) + "value" + "]" * (depth - 1)
    assert eval_cel_bool(compile_cel(f"{nested} == {nested}"), "a")


def test_length_is_bounded() -> None:
    with pytest.raises(CelError, match="longer than 100000 characters"):
        compile_cel(" " * MAX_LENGTH + "true")


def test_a_long_flat_chain_is_fine() -> None:
    program = compile_cel(" || ".join(f"value == '{number}'" for number in range(1000)))
    assert eval_cel_bool(program, "999")
    assert not eval_cel_bool(program, "1000")


def test_an_unclosed_string_full_of_escapes_is_refused_at_once() -> None:
    started = time.monotonic()
    with pytest.raises(CelError):
        compile_cel('"' + "\\n" * 20_000)
    assert time.monotonic() - started < allowed(5)
